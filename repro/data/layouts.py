"""The layouts of the official datasets: what their lists say of each clip, and where it lies.

- UCF101 (Soomro et al. 2012): ``Class/v_Class_gNN_cNN.avi``; ``classInd.txt`` counts from 1; ``trainlist0k.txt`` has
  labels, ``testlist0k.txt`` has none.
- HMDB51 (Kuehne et al. 2011): a folder a class; ``<class>_test_split<k>.txt`` with ``name flag``, flag 1 train, 2 test,
  0 unused, and a space at the line's end.
- Something-Something v1 (Goyal et al. 2017): a folder of frames a clip, ``<id>/00001.jpg``; lists of ``id;label``,
  labels in the order of their csv. The validation list is the test part: the test list has no labels.
- Kinetics-400 (Kay et al. 2017): ``train.csv`` and ``val.csv`` (``validate.csv`` in the first release) with ``label,
  youtube_id,time_start,time_end,split``; clips ``<id>_<start>_<end>``, times of six digits, in a folder a class or not.

Each reader takes (videos, annotations, split) and returns :class:`repro.data.lists.Lists` over all classes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from repro.data.folder import read_folder
from repro.data.lists import Listed, Lists, Once, read_lines, read_table

TWINS = {"Clap": "Wave", "Eat": "Drink", "Sword": "Fencing", "FlicFlac": "Cartwheel", "Stand": "Sit", "Put": "Pick"}
"""Classes of the rendered set (``repro.data.demo.PAIRS``) that share actors, scenes and cameras with another."""


def read_ucf101(_videos: Path, annotations: Path, split: int) -> Lists:
    """UCF101, and the rendered set; see `ucf101_group`."""
    official = "UCF101's official lists (classInd.txt, trainlist0k.txt, testlist0k.txt)"
    index_file = annotations / "classInd.txt"
    numbers: dict[str, tuple[int, str, str]] = {}  # by name in lower case: label, name, number in the index file
    for where, line in read_lines(index_file, of=official):
        fields = line.split()
        if len(fields) != 2 or not fields[0].isdigit():
            raise ValueError(f"{where}: expected '<number> <class>', found {line!r}; mend that line")
        if fields[1].casefold() in numbers:
            raise ValueError(f"{where}: class {fields[1]} is listed twice; remove one line")
        numbers[fields[1].casefold()] = (len(numbers), fields[1], fields[0])
    once = Once()

    def part(name: str) -> list[Listed]:
        clips = []
        for where, line in read_lines(annotations / f"{name}list{split:02d}.txt", of=official):
            clip, *label = line.split()
            # The folder tells the class, in any case: copies of the lists spell Handstand... and HandStandPushups
            folder, _, file = clip.partition("/")
            if folder.casefold() not in numbers or not file:
                raise ValueError(f"{where}: {clip!r} is not in a class of {index_file.name}; mend that line")
            index, class_name, counted = numbers[folder.casefold()]
            if label and label != [counted]:
                raise ValueError(
                    f"{where}: label {' '.join(label)} for {folder}, but {index_file.name} says {counted}; mend one"
                )
            group = ucf101_group(clip, class_name)
            if group is None:
                raise ValueError(f"{where}: no group (_gNN_cNN) in {file!r}; mend that line")
            once.add(clip, where)
            clips.append(Listed(clip, index, group, (folder,), file, where))
        return clips

    return Lists(tuple(name for _, name, _ in numbers.values()), part("train"), part("test"), [])


def ucf101_group(clip: str, name: str) -> str | None:
    """The group of a clip ``Class/v_Class_gNN_cNN.avi`` of class ``name``; None where that is not its name.

    A group is one of a class's sources. In the rendered set two classes share each actor and scene: one group.
    """
    folder, _, file = clip.partition("/")
    group = re.search(r"_(g\d+)_c\d+\.\w+$", file)
    return f"{TWINS.get(name, name)}/{group[1]}" if group and folder.casefold() == name.casefold() else None


def read_hmdb51(_videos: Path, annotations: Path, split: int) -> Lists:
    """HMDB51. A group is the film that the file's name begins with: ``<film>_<class>_<six properties>``."""
    suffix = f"_test_split{split}.txt"
    classes = sorted(path.name.removesuffix(suffix) for path in annotations.glob(f"[!.]*{suffix}"))
    if not classes:
        raise FileNotFoundError(f"annotations: {annotations} holds no file *{suffix}; take HMDB51's split files")
    parts: dict[str, list[Listed]] = {"0": [], "1": [], "2": []}
    for label, name in enumerate(classes):
        once = Once()
        for where, line in read_lines(annotations / f"{name}{suffix}", of="HMDB51's split files"):
            file, *flag = line.split()
            if len(flag) != 1 or flag[0] not in parts:
                raise ValueError(f"{where}: expected '<file> <0, 1 or 2>', found {line!r}; mend that line")
            once.add(file, where)
            clip = f"{name}/{file}"
            parts[flag[0]].append(Listed(clip, label, hmdb51_group(clip, name) or "", (name,), file, where))
    return Lists(tuple(classes), parts["1"], parts["2"], parts["0"])


def hmdb51_group(clip: str, name: str) -> str | None:
    """The film of a clip ``class/<film>_<class>_<six properties>.avi``; None where it is not in that folder."""
    folder, _, file = clip.partition("/")
    return file.rsplit(f"_{name}_", 1)[0] if file and folder == name else None


def read_something_v1(_videos: Path, annotations: Path, split: int) -> Lists:
    """Something-Something v1. Who filmed a clip is not published, so each clip is a group of its own."""
    _only_split(split, "Something-Something v1")
    official = "Something-Something v1's lists (something-something-v1-labels.csv, -train.csv, -validation.csv)"
    stem = "something-something-v1"
    labels_file = annotations / f"{stem}-labels.csv"
    classes = [line for _, line in read_lines(labels_file, of=official)]
    labels = {name: label for label, name in enumerate(classes)}
    if len(labels) != len(classes):
        raise ValueError(f"{labels_file}: a label is listed twice; remove one line")
    once = Once()

    def part(name: str) -> list[Listed]:
        clips = []
        for where, line in read_lines(annotations / f"{stem}-{name}.csv", of=official):
            clip, _, label = (text.strip() for text in line.partition(";"))
            if not clip.isdigit() or (name != "test" and not label):
                raise ValueError(f"{where}: expected '<id>;<label>', found {line!r}; mend that line")
            if label and label not in labels:
                raise ValueError(f"{where}: {label!r} is not a label of {labels_file.name}; mend that line")
            once.add(clip, where)
            clips.append(Listed(clip, labels.get(label, -1), clip, ("",), clip, where))
        return clips

    has_test = (annotations / f"{stem}-test.csv").is_file()
    return Lists(tuple(classes), part("train"), part("validation"), part("test") if has_test else [])


def something_v1_group(clip: str, _name: str) -> str | None:
    """The clip itself; None where it is no number."""
    return clip if clip.isdigit() else None


def read_kinetics400(_videos: Path, annotations: Path, split: int) -> Lists:
    """Kinetics-400. A group is a YouTube video; the classes are the sorted labels of the training list.

    Clips may lie under ``videos/train`` and ``videos/val`` or under ``videos``, in a folder a class or all in one.
    """
    _only_split(split, "Kinetics-400")

    def rows(path: Path, *required: str) -> Iterator[tuple[str, str, str, str]]:
        """Label, YouTube id, file name and place in the list of each row."""
        columns = [*required, "youtube_id", "time_start", "time_end"]
        for where, row in read_table(path, columns, of="Kinetics-400's lists (train.csv, val.csv)"):
            start, end = row["time_start"], row["time_end"]
            if not (start.isdigit() and end.isdigit()):
                raise ValueError(f"{where}: times {start!r} and {end!r} are not whole seconds; mend that line")
            if required and not row["label"]:
                raise ValueError(f"{where}: {row['youtube_id']} has no label; mend that line")
            file = f"{row['youtube_id']}_{int(start):06d}_{int(end):06d}"
            yield row.get("label", ""), row["youtube_id"], file, where

    train_rows = list(rows(annotations / "train.csv", "label"))
    labels = {name: label for label, name in enumerate(sorted({label for label, *_ in train_rows}))}
    once = Once()

    def part(found: Iterable[tuple[str, str, str, str]], folder: str) -> list[Listed]:
        clips = []
        for label, source, file, where in found:
            once.add(file, where)
            if label not in labels:
                raise ValueError(f"{where}: {label!r} is not a label of train.csv; mend that line")
            folders = (f"{folder}/{label}", folder, label, "")
            clips.append(Listed(f"{label}/{file}", labels[label], source, folders, file, where))
        return clips

    first_release, test = annotations / "validate.csv", annotations / "test.csv"
    test_rows = rows(first_release if first_release.is_file() else annotations / "val.csv", "label")
    unused = [
        Listed(file, -1, source, (f"test/{label}", "test", label, ""), file, where)
        for label, source, file, where in (rows(test) if test.is_file() else ())  # without labels in some releases
    ]
    return Lists(tuple(labels), part(train_rows, "train"), part(test_rows, "val"), unused)


def kinetics400_group(clip: str, name: str) -> str | None:
    """The YouTube id of a clip ``label/<id>_<start>_<end>`` of class ``name``; None where that is not its name."""
    source = re.search(r"^(.+)_\d{6,}_\d{6,}$", clip.removeprefix(f"{name}/"))
    return source[1] if source and clip.startswith(f"{name}/") else None


def _only_split(split: int, dataset: str) -> None:
    if split != 1:
        raise ValueError(f"split: {split}; {dataset} has one official split, set split: 1")


class Layout(NamedTuple):
    """How a dataset lies on the disk."""

    read: Callable[[Path, Path, int], Lists]
    depth: int  # of a clip below ``videos``: 2 where there is a folder a class
    group: Callable[[str, str], str | None] | None = None  # of a clip by its name and class, where names tell it
    parts: tuple[str, ...] = ()  # folders that may stand between ``videos`` and all this


LAYOUTS = {
    "ucf101": Layout(read_ucf101, 2, ucf101_group),
    "hmdb51": Layout(read_hmdb51, 2, hmdb51_group),
    "something_v1": Layout(read_something_v1, 1, something_v1_group),
    "kinetics400": Layout(read_kinetics400, 2, kinetics400_group, parts=("train", "val", "test")),
    "folder": Layout(read_folder, 2),
}
