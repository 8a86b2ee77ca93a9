"""Which clips a dataset holds: readers of the UCF101 and HMDB51 layouts and their official split files.

UCF101 (Soomro et al. 2012): ``Class/v_Class_gNN_cNN.avi``; ``classInd.txt`` counts from 1; ``trainlist0k.txt`` has
labels, ``testlist0k.txt`` has none. HMDB51 (Kuehne et al. 2011): one folder a class, ``<class>_test_split<k>.txt`` with
``name flag``, flag 1 train, 2 test, 0 unused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Clip:
    """One listed clip."""

    name: str  # "Class/file.avi": how records and messages call it
    path: Path
    label: int  # counts from 0 within the classes read
    group: str  # clips cut from one source video share a group; groups never straddle a split


@dataclass(frozen=True)
class Split:
    """The train and test clips of one official split, over the classes asked for."""

    classes: tuple[str, ...]
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]


def read_split(layout: str, *, videos, annotations, split: int, classes: Sequence[str] | None = None) -> Split:
    """Read one split of a dataset in the given layout.

    Args:
        layout: one of :data:`LAYOUTS`.
        videos: folder with one folder a class.
        annotations: folder with the official lists.
        split: 1, 2 or 3.
        classes: a subset by name, kept in the dataset's own order and relabelled from 0; None takes all.

    Raises:
        FileNotFoundError: a folder, list or clip is missing; the message names it and the field to mend.
        ValueError: a line, class name or layout is not understood; a class has no clips.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout: {layout!r} is not one of {', '.join(LAYOUTS)}")
    videos, annotations = Path(videos), Path(annotations)
    for field, folder in (("videos", videos), ("annotations", annotations)):
        if not folder.is_dir():
            raise FileNotFoundError(f"{field}: there is no folder {folder}; set {field} to the dataset's own folder")
    found = LAYOUTS[layout](videos, annotations, split, classes)
    _check(found, videos)
    return found


def _check(split: Split, videos: Path) -> None:
    for index, name in enumerate(split.classes):
        for part, clips in (("training", split.train), ("test", split.test)):
            if not any(clip.label == index for clip in clips):
                raise ValueError(f"class {name}: the lists name no {part} clip of it")
    folders: dict[Path, set[str]] = {}
    missing = []
    for clip in (*split.train, *split.test):
        folder = clip.path.parent
        if folder not in folders:
            folders[folder] = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
        if clip.path.name not in folders[folder]:
            missing.append(clip)
    for folder, names in folders.items():
        if not names:
            state = "is empty" if folder.is_dir() else "does not exist"
            raise FileNotFoundError(f"class folder {folder} {state}, but the split lists clips in it; extract it again")
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(split.train) + len(split.test)} listed clips are not under {videos}, "
            f"first {missing[0].name}; extract the dataset again or name a subset of classes"
        )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty lines of an official list, split at white space (some end with a space), with their numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"annotations: there is no file {path}; take the official lists of this dataset")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from None
    return [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _wanted(known: Sequence[str], classes: Sequence[str] | None, where: Path) -> tuple[str, ...]:
    if classes is None:
        return tuple(known)
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise ValueError(f"classes: {unknown[0]!r} is not a class of {where}")
    if len(set(classes)) < 2:
        raise ValueError(f"classes: name two classes or more, not {list(classes)}")
    return tuple(name for name in known if name in classes)


def _unique(clips: list[Clip], where: Path) -> tuple[Clip, ...]:
    seen = set()
    for clip in clips:
        if clip.name in seen:
            raise ValueError(f"{where}: {clip.name} is listed twice; remove one line")
        seen.add(clip.name)
    return tuple(clips)


def _read_ucf101(videos: Path, annotations: Path, split: int, classes) -> Split:
    index_file = annotations / "classInd.txt"
    known = {}
    for number, fields in _lines(index_file):
        if len(fields) != 2 or not fields[0].isdigit():
            raise ValueError(f"{index_file}, line {number}: expected '<number> <class>', found {' '.join(fields)!r}")
        known[fields[1]] = int(fields[0])
    wanted = _wanted(list(known), classes, index_file)

    def read(part: str) -> tuple[Clip, ...]:
        path = annotations / f"{part}list{split:02d}.txt"
        clips = []
        for number, fields in _lines(path):
            # The class is the folder's name: file names spell HandStandPushups where the class list has Handstand...
            class_name, _, file_name = fields[0].partition("/")
            if class_name not in known or not file_name:
                raise ValueError(f"{path}, line {number}: {fields[0]!r} is not in a class of {index_file.name}")
            if len(fields) > 1 and fields[1] != str(known[class_name]):
                raise ValueError(
                    f"{path}, line {number}: label {fields[1]} for {class_name}, but {index_file.name} says "
                    f"{known[class_name]}"
                )
            if class_name in wanted:
                group = re.search(r"_(g\d+)_c\d+\.\w+$", file_name)
                if group is None:
                    raise ValueError(f"{path}, line {number}: no group (_gNN_cNN) in {file_name!r}")
                label = wanted.index(class_name)
                clips.append(Clip(fields[0], videos / fields[0], label, f"{class_name}/{group[1]}"))
        return _unique(clips, path)

    return Split(wanted, read("train"), read("test"))


def _read_hmdb51(videos: Path, annotations: Path, split: int, classes) -> Split:
    suffix = f"_test_split{split}.txt"
    known = sorted(path.name.removesuffix(suffix) for path in annotations.glob(f"*{suffix}"))
    if not known:
        raise FileNotFoundError(f"annotations: {annotations} holds no file *{suffix}; take HMDB51's split files")
    wanted = _wanted(known, classes, annotations)
    parts = {"1": [], "2": []}
    for label, class_name in enumerate(wanted):
        path = annotations / f"{class_name}{suffix}"
        for number, fields in _lines(path):
            if len(fields) != 2 or fields[1] not in ("0", "1", "2"):
                raise ValueError(f"{path}, line {number}: expected '<file> <0, 1 or 2>', found {' '.join(fields)!r}")
            if fields[1] in parts:
                # <source>_<class>_<six properties>: clips cut from one film share <source>
                source = fields[0].rsplit(f"_{class_name}_", 1)[0]
                name = f"{class_name}/{fields[0]}"
                parts[fields[1]].append(Clip(name, videos / class_name / fields[0], label, source))
        for clips in parts.values():
            _unique(clips, path)
    return Split(wanted, tuple(parts["1"]), tuple(parts["2"]))


LAYOUTS = {"ucf101": _read_ucf101, "hmdb51": _read_hmdb51}


def carve_validation(clips: Sequence[Clip], fraction: float, *, seed: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Split training clips into (train, validation) by whole groups, class by class, seeded.

    The test split is never used to steer training: the schedule needs validation clips of its own.
    Raises ValueError where a class has fewer than two groups, since none could then be set aside.
    """
    import numpy as np

    if fraction == 0:
        return tuple(clips), ()
    held_out = set()
    for label in sorted({clip.label for clip in clips}):
        groups = sorted({clip.group for clip in clips if clip.label == label})
        if len(groups) < 2:
            raise ValueError(f"validation_fraction: class {label} has one group only, none can be set aside")
        count = min(len(groups) - 1, max(1, round(fraction * len(groups))))
        chosen = np.random.default_rng([seed, label]).permutation(len(groups))[:count]
        held_out |= {(label, groups[k]) for k in chosen}
    train = tuple(clip for clip in clips if (clip.label, clip.group) not in held_out)
    return train, tuple(clip for clip in clips if (clip.label, clip.group) in held_out)
