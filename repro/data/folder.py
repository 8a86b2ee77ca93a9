"""A user's own clips: a folder a class, with a split file or a seeded split that keeps groups whole.

``videos/<class>/<clip>``: any container that OpenCV reads, a frame-cache file or a folder of frames. In
``annotations``, all optional:

- ``split<k>.csv``: ``clip,part`` or ``clip,part,group``; clip is ``<class>/<file>``, part ``train`` or ``test``;
- ``groups.csv``: ``clip,group``, for the seeded split: clips of one recording or person share a group.

The seeded split depends on every clip that is there, so ``repro prepare`` writes it into split files once. Without a
group, ``_gNN_`` in the file's name is one within its class (UCF101's way), else each clip is its own.
"""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from repro.data.lists import Listed, Lists, Once, is_aside, leads_nowhere, read_table, require_folder
from repro.files import is_utf8, whole

VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts")
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".zip")  # a frame-cache file is a clip too
TEST_SHARE = 0.3  # of each class's groups, in the seeded split; UCF101 and HMDB51 give 28 % and 30 %


class NoSuchSplit(FileNotFoundError):
    """There are split files, and none of this number."""


def split_suffix(file: str) -> tuple[str, str]:
    """A clip's file name as (stem, suffix): only the suffixes of clips count, so ``a.b`` has none."""
    stem, dot, suffix = file.rpartition(".")
    return (stem, dot + suffix) if stem and f".{suffix.lower()}" in CLIP_SUFFIXES else (file, "")


def read_folder(videos: Path, annotations: Path, split: int) -> Lists:
    """The split file of that number, or else the seeded split of that seed over what lies under ``videos``.

    A clip is called ``<class>/<stem>``, as a video and in the frame cache, in Unicode's form NFC (macOS writes NFD).
    """
    path = annotations / f"split{split}.csv"
    if path.is_file():
        return _listed(path)
    others = sorted(other.name for other in annotations.glob("split*.csv"))
    if others:
        raise NoSuchSplit(f"annotations: there is no {path}, only {', '.join(others)}; write it or change split")
    return _seeded(on_disk(videos, annotations), split)


def write_splits(videos: Path, annotations: Path, clips: list[Listed]) -> list[Path]:
    """Draw the seeded splits 1 to 3, as far as the groups of ``clips`` do, and write them as split files; the files.

    Raises ValueError where not even split 1 can be drawn, and for a name that a list cannot hold.
    """
    drawn: dict[Path, list[tuple[str, str, str]]] = {}
    for split in (1, 2, 3):
        try:
            lists = _seeded(clips, split)
        except ValueError:
            if split == 1:
                raise
            continue
        rows = [(clip.folders[0], clip.file, "train", clip.group) for clip in lists.train]
        rows += [(clip.folders[0], clip.file, "test", clip.group) for clip in lists.test]
        rows.sort()
        for name, clip, _, group in rows:
            if fault := _breaks_a_list(f"{name}/{clip}") or _breaks_a_list(group):
                raise ValueError(f"{str(videos / name / clip)!r}: {fault}; rename it")
        path = annotations / f"split{split}.csv"
        drawn[path] = [(f"{name}/{clip}", part, group) for name, clip, part, group in rows]
    for path, lines in drawn.items():
        with whole(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("clip", "part", "group"), *lines])
    return list(drawn)


def _breaks_a_list(text: str) -> str:
    """Why a list cannot hold this, or nothing. Spaces of all kinds and joined emoji inside are no reason."""
    if "\n" in text or "\r" in text:
        return "a line of a list ends at the line break in it"
    if text != text.strip():
        return "a list loses the space that it begins or ends with"
    return "" if is_utf8(text) else "it is not UTF-8, as lists are"


def class_folders(videos: Path) -> dict[Path, list[Path]]:
    """The folders under ``videos`` and what may be clips in each, sorted; see :func:`repro.data.lists.is_aside`."""
    folders = sorted(path for path in videos.iterdir() if path.is_dir() and not is_aside(path))
    return {folder: sorted(path for path in folder.iterdir() if not is_aside(path)) for folder in folders}


def skipped(videos: Path) -> list[Path]:
    """Files and links under ``videos`` that no reader takes for a clip."""

    def is_clip(path: Path) -> bool:
        return path.is_dir() or (path.parent != videos and split_suffix(path.name)[1] != "")

    entries = (path for place in (videos, *class_folders(videos)) for path in place.iterdir())
    return sorted(p for p in entries if not p.name.startswith(".") and (leads_nowhere(p) or not is_clip(p)))


def _clip(value: str, where: str = "", group: str = "") -> Listed:
    name, _, file = value.partition("/")
    if not name or not file or "/" in file or "\\" in value:
        raise ValueError(f"{where}: {value!r} is not <class>/<file>; mend that line")
    stem, _ = split_suffix(file)
    in_name = re.search(r"_(g\d+)_", stem)
    own = f"{name}/{in_name[1] if in_name else stem}"
    return Listed(unicodedata.normalize("NFC", f"{name}/{stem}"), -1, group or own, (name,), file, where)


def _class(clip: Listed) -> str:
    return clip.name.partition("/")[0]


def _labelled(*parts: list[Listed]) -> Lists:
    """Training and test clips with their labels; classes are sorted by name."""
    labels = {name: label for label, name in enumerate(sorted({_class(clip) for part in parts for clip in part}))}
    train, test = ([clip._replace(label=labels[_class(clip)]) for clip in part] for part in parts)
    return Lists(tuple(labels), train, test, [])


def _listed(path: Path) -> Lists:
    once = Once()
    parts: dict[str, list[Listed]] = {"train": [], "test": []}
    first: dict[str, tuple[str, str]] = {}  # part and place of each group
    for where, row in read_table(path, ["clip", "part"], of="a split file with the header clip,part"):
        clip = _clip(row["clip"], where, row.get("group", ""))
        if row["part"] not in parts:
            raise ValueError(f"{where}: part {row['part']!r} is not train or test; mend that line")
        once.add(clip.name, where)
        part, place = first.setdefault(row.get("group") or clip.name, (row["part"], where))
        if part != row["part"]:
            raise ValueError(
                f"{where}: group {clip.group!r} is in {row['part']}, and in {part} at {place}; keep a group in one part"
            )
        parts[part].append(clip)
    return _labelled(*parts.values())


def on_disk(videos: Path, annotations: Path) -> list[Listed]:
    """Every clip under ``videos``, with the groups of ``groups.csv``."""
    require_folder("videos", videos)
    clips: dict[str, Listed] = {}
    empty: list[str] = []
    for folder, entries in class_folders(videos).items():
        taken = [entry for entry in entries if split_suffix(entry.name)[1] or entry.is_dir()]
        for entry in taken:
            clip = _clip(f"{folder.name}/{entry.name}")
            first = clips.setdefault(clip.name, clip)
            if first is not clip:
                raise ValueError(f"{entry}: {first.file} has the same name; rename one, or list one in a split file")
        if not taken:
            empty.append(str(folder))
    if not clips and not empty:
        raise FileNotFoundError(f"videos: {videos} holds no folder of clips; make a folder for each class")
    path = annotations / "groups.csv"
    if path.is_file():
        once = Once()
        for where, row in read_table(path, ["clip", "group"], of="a list of groups"):
            name = _clip(row["clip"], where).name
            once.add(name, where)
            if name not in clips or not row["group"]:
                raise ValueError(
                    f"{where}: {row['clip']!r} is not a clip under {videos}, or has no group; mend that line"
                )
            clips[name] = clips[name]._replace(group=row["group"])
    if empty:
        one = len(empty) == 1
        fault = f"folder {empty[0]} holds" if one else f"folders {', '.join(empty)} hold"
        fault += f" no clip ({', '.join(CLIP_SUFFIXES)} or a folder of frames); put clips there or remove "
        fault += "it" if one else "them"
        try:
            _seeded(list(clips.values()), 1)
        except ValueError as error:  # all that is to be mended in one message
            fault += f". {error}"
        raise FileNotFoundError(fault)
    return list(clips.values())


def keep_together(clips: list[Listed], pairs: Iterable[tuple[str, str]]) -> list[Listed]:
    """The clips with one group for each set of groups that pairs of clips, by name, connect: the first of its names."""
    groups = {clip.name: clip.group for clip in clips}
    first: dict[str, str] = {}  # of a group that was joined: one nearer to the first of its set

    def root(group: str) -> str:
        while group in first:
            group = first[group]
        return group

    for pair in pairs:
        one, other = sorted(root(groups[name]) for name in pair)
        if one != other:
            first[other] = one
    return [clip._replace(group=root(clip.group)) for clip in clips]


def splits_well(clips: list[Listed]) -> bool:
    """Whether a split can be drawn, and no group has more than half of a class."""
    sizes: dict[str, Counter[str]] = {}
    for clip in clips:
        sizes.setdefault(clip.folders[0], Counter())[clip.group] += 1
    try:
        _seeded(clips, 1)
    except ValueError:
        return False
    return all(2 * max(groups.values()) <= groups.total() for groups in sizes.values())


def _seeded(clips: list[Listed], split: int) -> Lists:
    """About 30 % of each class's groups for testing, drawn from (split, class); of several classes with the first."""
    groups: dict[str, set[str]] = {}
    for clip in clips:
        groups.setdefault(_class(clip), set()).add(clip.group)
    part: dict[str, str] = {}
    faults = []
    for label, (name, found) in enumerate(sorted(groups.items())):
        own = sorted(found)
        wanted = min(len(own) - 1, max(1, round(TEST_SHARE * len(own))))
        wanted -= sum(part.get(group) == "test" for group in own)
        for place in np.random.default_rng([split, label]).permutation(len(own)):
            if own[place] not in part:
                part[own[place]] = "test" if wanted > 0 else "train"
                wanted -= 1
        if len({part[group] for group in own}) < 2:
            faults.append(f"class {name}: {len(own)} group(s) of clips")
    if faults:
        raise ValueError(
            f"{', '.join(faults)}, none is left for the training or the test part; add clips or write "
            f"annotations/split{split}.csv"
        )
    return _labelled(*([clip for clip in clips if part[clip.group] == side] for side in ("train", "test")))
