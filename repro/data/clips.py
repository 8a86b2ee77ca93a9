"""Which clips a dataset holds, and where each lies: the lists of a layout, matched with the files on the disk.

A listed clip is found as the path as listed, else as the same stem with ``.zip`` (a frame-cache file), else as a folder
of that stem (frames). A single name that differs from the list's in case, in ``_`` for a space, or in Unicode's form
(NFKC) counts as the same: UCF101 writes HandstandPushups and HandStandPushups for one class, macOS takes accents apart.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.data.folder import VIDEO_SUFFIXES, split_suffix
from repro.data.layouts import LAYOUTS
from repro.data.lists import Listed, Lists, is_aside, leads_nowhere, require_folder
from repro.experiment.fields import Experiment
from repro.files import check_names


@dataclass(frozen=True)
class Clip:
    """One listed clip."""

    name: str  # "Class/file.avi": how records and messages call it, wherever it lies
    path: Path
    label: int  # counts from 0 within the classes read
    group: str  # clips cut from one source video share a group; groups never straddle a split


@dataclass(frozen=True)
class Split:
    """The train and test clips of one official split, over the classes asked for."""

    classes: tuple[str, ...]
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]


@dataclass(frozen=True)
class ClipFields:
    """What of an experiment says which clips it reads."""

    layout: str
    videos: str | Path
    annotations: str | Path
    split: int = 1
    classes: Sequence[str] | None = None


def read_split(experiment: Experiment | ClipFields, *, check: bool = True) -> Split:
    """Read one split of a dataset, of ``classes`` in the dataset's own order, relabelled from 0 (None: all).

    Without ``check`` a clip that is not there keeps the path as listed, and ``videos`` need not exist.

    Raises FileNotFoundError that names the missing folder, list or clip and the field to mend; ValueError for a line,
    class name or layout that is not understood, and for a class without clips.
    """
    if check:
        require_folder("videos", experiment.videos)
    lists = read_lists(experiment)
    wanted = _wanted(lists.classes, experiment.classes)
    labels = {lists.classes.index(name): label for label, name in enumerate(wanted)}
    disk = _Disk(Path(experiment.videos))
    missing: list[Listed] = []

    def clips(listed: list[Listed]) -> tuple[Clip, ...]:
        found = []
        for one in listed:
            if one.label in labels:
                path = disk.find(one)
                if path is None:
                    missing.append(one)
                    path = disk.videos / one.folders[0] / one.file
                found.append(Clip(one.name, path, labels[one.label], one.group))
        return tuple(found)

    result = Split(wanted, clips(lists.train), clips(lists.test))
    if check and missing:
        first = missing[0]
        near = disk.find(first._replace(file=split_suffix(first.file)[0]))  # in another container
        place = f"{first.where}; {near.name} is there" if near else first.where
        mend = "mend the list or put the clip there" if experiment.layout == "folder" else "extract the dataset again"
        raise FileNotFoundError(
            f"{len(missing)} of {len(result.train) + len(result.test)} listed clips are not under {disk.videos}, first "
            f"{first.name} ({place}); {mend}, name a subset with classes, or set unusable: leave_out"
        )
    _check_parts(result, lists)
    return result


def read_lists(fields: Experiment | ClipFields) -> Lists:
    """What the lists of one split say, the clips outside both parts included; clips are looked up for the seeded split
    of layout "folder" alone. Raises as :func:`read_split`."""
    check_names([fields.layout], list(LAYOUTS), "layout")
    require_folder("annotations", fields.annotations)
    return LAYOUTS[fields.layout].read(Path(fields.videos), Path(fields.annotations), fields.split)


def unlisted(fields: Experiment | ClipFields) -> list[Path]:
    """Clips on the disk that no list of this split names, sorted. They are no error: no run reads them."""
    require_folder("videos", fields.videos)
    lists = read_lists(fields)
    disk = _Disk(Path(fields.videos))
    listed = {disk.find(clip) for clip in (*lists.train, *lists.test, *lists.unused)}
    # Without suffix: the frame cache beside a listed clip is no other clip
    known = {path.with_name(split_suffix(path.name)[0]) for path in listed if path}
    form = LAYOUTS[fields.layout]
    inside = [disk.videos / part for part in form.parts if (disk.videos / part).is_dir()]
    on_disk = (path for folder in inside or [disk.videos] for path in _clips_under(folder, form.depth))
    return sorted(path for path in on_disk if path.with_name(split_suffix(path.name)[0]) not in known)


def first_of_each_class(clips: Sequence[Clip], most: int) -> list[Clip]:
    """The first ``most`` clips of each class, classes in order."""
    labels = sorted({clip.label for clip in clips})
    return [clip for label in labels for clip in [each for each in clips if each.label == label][:most]]


class _Disk:
    """What lies under ``videos``; each folder is listed once, so 240,000 clips take seconds."""

    def __init__(self, videos: Path) -> None:
        self.videos = videos
        self.folders: dict[str, _Folder | None] = {}  # by path as the lists write it; None where there is none

    def folder(self, name: str) -> "_Folder | None":
        """The folder of that name below ``videos`` ("" for itself)."""
        if name not in self.folders:
            above, _, last = name.rpartition("/")
            parent = self.folder(above) if name else None
            path = self.videos if not name else parent and parent.same(last)
            self.folders[name] = _Folder(path) if path and path.is_dir() else None
        return self.folders[name]

    def find(self, clip: Listed) -> Path | None:
        """Where the clip lies, or None."""
        stem, suffix = split_suffix(clip.file)
        names = [clip.file, f"{stem}.zip", stem]
        if not suffix:
            names += [stem + container for container in VIDEO_SUFFIXES]
        found = (folder.same(name) for folder in map(self.folder, clip.folders) if folder for name in names)
        return next(filter(None, found), None)


class _Folder:
    """One folder's entries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = {entry.name for entry in os.scandir(path) if not leads_nowhere(entry)}
        self.near: dict[str, list[str]] = {}
        for name in self.names:
            self.near.setdefault(folded(name), []).append(name)

    def same(self, name: str) -> Path | None:
        """The entry of that name, or the only one that is the same but for case, spaces and Unicode's form."""
        near = [name] if name in self.names else self.near.get(folded(name), [])
        return self.path / near[0] if len(near) == 1 else None


def folded(name: str) -> str:
    """What names that count as the same have in common."""
    return unicodedata.normalize("NFKC", name.casefold()).replace("_", " ")


def _clips_under(folder: Path, depth: int) -> Iterator[Path]:
    """Video files and frame caches down to ``depth`` folders, and the frame folders at that depth."""
    for entry in os.scandir(folder):
        if is_aside(entry):
            continue
        if entry.is_dir() and depth > 1:
            yield from _clips_under(folder / entry.name, depth - 1)
        elif entry.is_dir() or split_suffix(entry.name)[1]:
            yield folder / entry.name


def _wanted(known: Sequence[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        return tuple(known)
    same = {unicodedata.normalize("NFC", name): name for name in known}
    classes = [same.get(unicodedata.normalize("NFC", name), name) for name in classes]
    check_names(classes, known, "classes")
    if len(set(classes)) < 2:
        raise ValueError(f"classes: name two classes or more, not {list(classes)}")
    return tuple(name for name in known if name in classes)


def _check_parts(split: Split, lists: Lists) -> None:
    for part, clips in (("training", split.train), ("test", split.test)):
        labels = {clip.label for clip in clips}
        for label, name in enumerate(split.classes):
            if label not in labels:
                number = lists.classes.index(name)
                other = next((clip.where for clip in (*lists.train, *lists.test) if clip.label == number), "")
                found = f"is listed ({other} is the first of it)" if other else "is listed"
                raise ValueError(
                    f"class {name}: no {part} clip of it {found}; mend the list, or name a subset with classes"
                )
    places: dict[Path, str] = {}
    for clip in (*split.train, *split.test):
        first = places.setdefault(clip.path, clip.name)
        if first != clip.name:
            raise ValueError(f"{clip.path}: the lists name it twice, as {first} and as {clip.name}; remove one line")


def carve_validation(clips: Sequence[Clip], fraction: float, *, seed: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Split training clips into (train, validation) by whole groups, seeded: of each class about ``fraction`` of its
    groups, one at least, and never all. A group with clips of several classes (HMDB51's films) goes with all of them.

    Raises ValueError where of some class no group can be set aside without leaving a class none to train on.
    """
    if fraction == 0:
        return tuple(clips), ()
    classes: dict[str, set[int]] = {}  # by group
    for clip in clips:
        classes.setdefault(clip.group, set()).add(clip.label)
    left = Counter(label for labels in classes.values() for label in labels)  # groups to train on, by class
    held_out: set[str] = set()
    for label, number in sorted(left.items()):  # the numbers before any is set aside
        groups = sorted(group for group, labels in classes.items() if label in labels)
        wanted = max(1, round(fraction * number))
        for k in np.random.default_rng([seed, label]).permutation(len(groups)):
            if len(held_out.intersection(groups)) >= wanted:
                break
            if groups[k] not in held_out and all(left[other] > 1 for other in classes[groups[k]]):
                held_out.add(groups[k])
                left.subtract(classes[groups[k]])
        if held_out.isdisjoint(groups):
            raise ValueError(
                f"validation_fraction: none of the groups of class {label} can be set aside (it has {number}) without "
                "leaving a class no group to train on; lower it, or take schedule: cosine, which needs none"
            )
    train = tuple(clip for clip in clips if clip.group not in held_out)
    return train, tuple(clip for clip in clips if clip.group in held_out)
