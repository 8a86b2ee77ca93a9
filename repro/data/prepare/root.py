"""A dataset's folder ROOT: what it holds (archives, an extracted tree, lists), and how a part gets its final name.

While ``videos`` or ``annotations`` is filled it is called ``videos.part`` or ``annotations.part``.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from repro.data.catalogue import Archive, Dataset
from repro.data.clips import ClipFields, folded, read_lists
from repro.data.layouts import LAYOUTS
from repro.data.lists import is_aside

ARCHIVES = "archives"  # folder in ROOT for what is downloaded
DONE = "unpacked.json"  # archives that are read from the start (tar) and need not be read again
DRAFTS = ".drafts"  # in a folder being unpacked into: files that are not whole yet
INNER = ".archives"  # in videos.part: the archives of an archive of archives
UNLISTED = ".unlisted"  # in videos: Kinetics clips that no list names; while it is filled, all that are not sorted yet
REPLACING = ".replacing"  # in videos.part: Kinetics clips that take the place of damaged ones


# ---- what is there


def groups(archive: Archive, root: Path) -> list[tuple[Path, ...]]:
    """The archive's files in ROOT or ROOT/archives: one group for each to unpack, all parts of a cut tar in one."""
    for folder in (root, root / ARCHIVES):
        files = sorted(path for path in _glob(folder, archive.file) if path.is_file())
        if files:
            return [tuple(files)] if archive.kind == "tar in parts" else [(path,) for path in files]
    return []


def index_file(archive: Archive, root: Path) -> Path:
    """Where the list of an archive's addresses is kept."""
    return (root / ARCHIVES / archive.file).parent / archive.index.rpartition("/")[2]


def addresses(archive: Archive, root: Path) -> dict[str, Path]:
    """Official address -> file, for all of the archive. The index, if any, must be there."""
    if not archive.index:
        return {archive.url: root / ARCHIVES / archive.file} if archive.url else {}
    index = index_file(archive, root)
    return {url: index.with_name(url.rpartition("/")[2]) for url in index.read_text(encoding="utf-8").split()}


def is_absent(archive: Archive, root: Path) -> bool:
    """Whether files of the archive are still to be had: of one with an index any will do, unless a download of the
    whole was begun here."""
    if archive.index and index_file(archive, root).is_file():
        return not all(path.is_file() for path in addresses(archive, root).values())
    return not groups(archive, root)


def holds_lists(one: Dataset, folder: Path) -> bool:
    """Whether every official list that is needed is in the folder."""
    return folder.is_dir() and all(_glob(folder, pattern) for pattern in one.lists)


def find_lists(one: Dataset, root: Path) -> list[Path]:
    """The extracted folder of lists, or single lists that lie in ROOT or ROOT/archives; [] where some are missing."""
    for name in one.list_folders:
        if holds_lists(one, root / name):
            return [root / name]
    patterns = {*one.lists, *(archive.file for archive in one.of("annotations") if archive.kind == "file")}
    found = {pattern: [*_glob(root, pattern), *_glob(root / ARCHIVES, pattern)] for pattern in patterns}
    if not all(found[pattern] for pattern in one.lists):
        return []
    return sorted({path for paths in found.values() for path in paths})


class Tree(NamedTuple):
    """An extracted tree in ROOT."""

    folders: list[Path]
    becomes: bool  # the one folder is what videos/ is to be; otherwise the folders belong into it


def find_tree(one: Dataset, root: Path, annotations: Path) -> Tree | None:
    """The folder that archives or common copies unpack to, or class folders in ROOT itself."""
    if not root.is_dir():
        return None
    suffix = one.of("videos")[0].takes
    if named := [root / name for name in one.folders if holds_clips(root / name, suffix)]:
        # Kinetics' train and val both go into videos/; of the others, one name is used
        return Tree(named, False) if LAYOUTS[one.layout].parts else Tree(named[:1], True)
    lists = read_lists(ClipFields(one.layout, root, annotations))
    tops = {folded(clip.name.split("/")[0]) for clip in (*lists.train, *lists.test, *lists.unused)}
    folders = [Path(e) for e in _entries(root) if e.is_dir() and folded(e.name) in tops and _has(e, suffix)]
    return Tree(sorted(folders), False) if folders else None


def inner_archives(one: Dataset, root: Path) -> list[Path]:
    """The archives of an archive of archives that somebody has unpacked once already."""
    if not any(archive.kind == "rar of rars" for archive in one.archives):
        return []
    outer = {archive.file for archive in one.archives}
    for folder in (root, root / ARCHIVES, *(root / name for name in one.folders)):
        if rars := sorted(path for path in _glob(folder, "*.rar") if path.name not in outer):
            return rars
    return []


def holds_clips(folder: Path, suffix: str) -> bool:
    return folder.is_dir() and (_has(folder, suffix) or any(_has(e, suffix) for e in _entries(folder) if e.is_dir()))


def _has(folder: os.PathLike[str], suffix: str) -> bool:
    return any(entry.name.lower().endswith(suffix) for entry in _entries(folder))


def _entries(folder: os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in os.scandir(folder) if not is_aside(entry))


def _glob(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if not is_aside(path)]


# ---- filling a part


def adopt(one: Dataset, tree: Tree, root: Path, annotations: Path) -> None:
    """Bring an extracted tree to ROOT/videos by renaming."""
    stage = opened("videos", root)
    for folder in tree.folders:
        if one.layout == "kinetics400":
            sort_by_class(one, folder.rglob("*.mp4"), stage, annotations)
        elif tree.becomes:
            if has_content(stage):
                raise ValueError(f"{root} holds both {folder.name} and the unfinished {stage.name}; keep one of them")
            folder.rename(stage)  # over the empty folder
        else:
            folder.rename(stage / folder.name)
    close("videos", root)


def take_lists(files: Sequence[Path], root: Path) -> None:
    """Bring a folder of lists, or single ones, to ROOT/annotations by renaming."""
    stage = opened("annotations", root)
    for path in files:
        if path.is_dir():
            shutil.rmtree(stage)  # lists of a run that was killed; these here are all of them
            path.rename(stage)
        else:
            path.rename(stage / path.name)
    close("annotations", root)


def opened(part: str, root: Path) -> Path:
    """The folder to fill: a new one, that of an interrupted run, or one that turned out not to be whole."""
    final, stage = root / part, root / f"{part}.part"
    if has_content(final):
        if stage.exists():
            raise ValueError(f"{root} holds both {part} and the unfinished {stage.name}; keep one of them")
        final.rename(stage)
    elif not stage.exists():
        (root / DONE).unlink(missing_ok=True)  # its archives' content is gone
        stage.mkdir(parents=True)
    return stage


def close(part: str, root: Path) -> None:
    """Give the filled folder its name."""
    stage = root / f"{part}.part"
    for leftover in (DRAFTS, INNER, REPLACING, f"{UNLISTED}/{DRAFTS}"):
        shutil.rmtree(stage / leftover, ignore_errors=True)
    if has_content(stage / UNLISTED):
        print(f"clips in no list: {len(os.listdir(stage / UNLISTED)):,}, kept in {root / part / UNLISTED}")
    elif (stage / UNLISTED).is_dir():
        (stage / UNLISTED).rmdir()
    stage.rename(root / part)  # over an empty folder, if one is there


def sort_by_class(one: Dataset, files: Iterable[Path], videos: Path, annotations: Path | None) -> None:
    """Move Kinetics clips into the class folders of the lists, under the lists' names; others stay where they are."""
    assert annotations is not None, "clips are sorted by the lists, which come first"
    lists = read_lists(ClipFields(one.layout, videos, annotations))
    places = {clip.group: clip.name for clip in (*lists.train, *lists.test)}  # by YouTube id
    for path in list(files):
        if (name := places.get(path.stem[:11])) and path.suffix:
            target = videos / f"{name}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            path.replace(target)


def has_content(folder: Path) -> bool:
    """Whether the folder is there and not empty."""
    return folder.is_dir() and any(folder.iterdir())
