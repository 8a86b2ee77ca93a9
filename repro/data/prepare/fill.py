"""Fill ROOT/videos or ROOT/annotations from a dataset's archives, or from an extracted tree by renaming.

While it is filled the folder is called ``videos.part``; it gets its name when it is whole. Archives that must be read
from the start (tar) are noted in ROOT/unpacked.json when they are done, so that a run that goes on leaves them out.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from repro.data.catalogue import Archive, Dataset
from repro.data.clips import ClipFields, read_lists
from repro.data.parallel import cores, run_all
from repro.data.prepare import source
from repro.data.prepare.archives import DRAFTS, Job, survey, unpack_all
from repro.data.prepare.download import DiskFull, check_sums, download, read_json, write_json
from repro.data.prepare.entries import ArchiveError, directory
from repro.data.progress import size_text

SUMS, DONE = "checksums.json", "unpacked.json"
INNER = ".archives"  # in videos.part: the archives of an archive of archives
UNLISTED = ".unlisted"  # in videos: Kinetics clips that no list names; while it is filled, all that are not sorted yet
REPLACING = ".replacing"  # in videos.part: Kinetics clips that take the place of damaged ones


def fetch(one: Dataset, archive: Archive, root: Path) -> None:
    """Download the archive's missing files into ROOT/archives. Raises as :func:`repro.data.download.download`."""
    otherwise = f"By other means: {by_hand([archive], root)} {one.how}"
    options = {"record": root / SUMS, "otherwise": otherwise}
    if archive.index:
        download(archive.index, source.index_file(archive, root), **options)
    for url, path in source.addresses(archive, root).items():
        download(url, path, sha256=archive.sha256, **options)


def by_hand(archives: Sequence[Archive], root: Path) -> str:
    """How to get archives without this program."""
    wanted = [
        f"{archive.file} ({size_text(archive.bytes)}{f', {place}' if (place := archive.url or archive.index) else ''})"
        for archive in archives
    ]
    return (
        f"Get {' and '.join(wanted)}, put what you get into {root / source.ARCHIVES}, and run the same command again."
    )


def left_to_unpack(one: Dataset, part: str, root: Path) -> list[tuple[Archive, tuple[Path, ...]]]:
    """The archives on the disk that are not noted as done."""
    done = read_json(root / DONE)
    return [
        (archive, group)
        for archive in one.of(part)
        for group in source.groups(archive, root)
        if archive.kind != "file" and done.get(_key(group, root)) != _state(group)
    ]


def fill(one: Dataset, part: str, root: Path, *, annotations: Path | None = None, workers: int | None = None) -> None:
    """Unpack every archive of the part that is on the disk. ``annotations``: the lists that Kinetics is sorted by.

    Raises:
        ChecksumError, ArchiveError, ToolMissing: an archive is not what it should be; nothing of it was written.
        DiskFull: it does not fit, or the disk filled up on the way; what is finished is kept.
    """
    todo = left_to_unpack(one, part, root)
    files = {os.path.relpath(path, root): (path, archive.sha256) for archive, group in todo for path in group}
    check_sums(files, root / SUMS, workers=workers or cores())
    there = root / part if _has_content(root / part) else root / f"{part}.part"
    needed = _check([_job(archive, group, there) for archive, group in todo], root, workers)
    if todo and not needed and there == root / part:
        return  # all that the archives have is there
    stage = opened(part, root)
    _unpack([_job(archive, group, stage) for archive, group in todo], one, root, workers)
    inner = [*source.inner_archives(one, root), *sorted((stage / INNER).glob("*.rar"))] if part == "videos" else []
    if inner:
        outer = next(archive for archive in one.of("videos") if archive.kind == "rar of rars")
        jobs = [Job((rar,), stage, outer.takes, outer.keep) for rar in inner]
        _check(jobs, root, workers)
        _unpack(jobs, one, root, workers)
    for flat in (stage / UNLISTED, stage / REPLACING):
        if flat.is_dir():
            sort_by_class(one, flat.iterdir(), stage, annotations)
    close(part, root)


def adopt(one: Dataset, tree: source.Tree, root: Path, annotations: Path) -> None:
    """Bring an extracted tree to ROOT/videos by renaming."""
    stage = opened("videos", root)
    for folder in tree.folders:
        if one.layout == "kinetics400":
            sort_by_class(one, folder.rglob("*.mp4"), stage, annotations)
        elif tree.becomes:
            if _has_content(stage):
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
    """The folder to fill: a new one, that of a run that was interrupted, or one that turned out not to be whole."""
    final, stage = root / part, root / f"{part}.part"
    if _has_content(final):
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
    if (stage / UNLISTED).is_dir():
        if left := sum(1 for _ in (stage / UNLISTED).iterdir()):
            print(f"clips in no list: {left:,}, kept in {root / part / UNLISTED}")
        else:
            (stage / UNLISTED).rmdir()
    stage.rename(root / part)  # over an empty folder, if one is there


def sort_by_class(one: Dataset, files: Iterable[Path], videos: Path, annotations: Path) -> None:
    """Move Kinetics clips into the class folders of the lists, under the lists' names; others stay where they are."""
    lists = read_lists(ClipFields(one.layout, videos, annotations))
    places = {clip.group: clip.name for clip in (*lists.train, *lists.test)}  # by YouTube id
    for path in list(files):
        if (name := places.get(path.stem[:11])) and path.suffix:
            target = videos / f"{name}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            path.replace(target)


def _has_content(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _job(archive: Archive, group: tuple[Path, ...], stage: Path) -> Job:
    if archive.kind == "rar of rars":
        return Job(group, stage / INNER, ".rar", 1)
    if archive.part == "videos" and archive.keep == 1:  # without class folders
        return Job(group, stage / (REPLACING if archive.replaces else UNLISTED), archive.takes, 1)
    return Job(group, stage, archive.takes, archive.keep)


def _check(jobs: Sequence[Job], root: Path, workers: int | None) -> int:
    """Read every archive through, before anything is written, and see whether it will fit: the bytes to come."""
    streams = sum(directory(job.paths[0]) is None for job in jobs)
    tasks = {str(job.paths[0]): (job,) for job in jobs}
    needed = files = 0
    for path, found in run_all(survey, tasks, title="checking", unit="archive", workers=workers if streams > 1 else 1):
        if found is None:
            raise ArchiveError(f"{path}: the process that read it died; run the same command again")
        needed, files = needed + found.left, files + found.files
    _check_space(root, needed, files)
    return needed


def _unpack(jobs: Sequence[Job], one: Dataset, root: Path, workers: int | None) -> None:
    done = read_json(root / DONE)
    for job in unpack_all(jobs, title=f"unpacking {one.title}", workers=workers):
        if directory(job.paths[0]) is None:
            done[_key(job.paths, root)] = _state(job.paths)
            write_json(root / DONE, done)


def _check_space(root: Path, needed: int, files: int) -> None:
    free = shutil.disk_usage(root).free
    if needed > free:
        raise DiskFull(
            f"{root}: {size_text(needed)} are to be unpacked, {size_text(free)} are free on that disk; "
            "make room and run the same command again"
        )
    state = os.statvfs(root)
    if state.f_files and files > state.f_favail:
        raise DiskFull(f"{root}: {files:,} files are to be unpacked, that file system has room for {state.f_favail:,}")


def _key(group: Sequence[Path], root: Path) -> str:
    return os.path.relpath(group[0], root)


def _state(group: Sequence[Path]) -> list[int]:
    return [value for path in group for value in (path.stat().st_size, path.stat().st_mtime_ns)]
