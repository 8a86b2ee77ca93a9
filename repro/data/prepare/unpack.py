"""Unpack archives: safely, on all cores, and going on where a killed run stopped.

- An archive is read through before anything of it is written: an entry that would leave its folder, a link, a device,
  an archive that ends too early are refused. Names are checked here for all formats alike (tarfile's "data" filter asks
  the file system about each, which takes minutes for ten million frames).
- A file is written under a draft name and renamed when it is whole; one that is there with the right size is skipped.
- Entries of rar and zip are spread over processes; streams (tar, solid rar) take a pass each, side by side, and are
  noted in ROOT/unpacked.json when they are done.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import rarfile

from repro.data.catalogue import Archive, Dataset
from repro.data.parallel import cores, run_all
from repro.data.prepare import root as place
from repro.data.prepare.archives import CHUNK, ArchiveError, Entry, directory, entries, naming, refusal
from repro.data.prepare.checksums import SUMS, check_sums, read_json, write_json
from repro.data.prepare.download import DiskFull
from repro.data.prepare.root import DONE, DRAFTS, INNER, REPLACING, UNLISTED
from repro.files import is_disk_full, size_text

# ---- one archive


class Job(NamedTuple):
    """One archive to unpack: which files of it, and where to."""

    paths: tuple[Path, ...]  # the archive; or the parts of one tar, in order
    into: Path
    takes: str  # suffix of the files taken
    keep: int  # how many last parts of an inner path are kept; the archive's own name stands in for a missing folder

    def target(self, name: str) -> str | None:
        """Where the entry of that name goes, or None when it is not taken.

        Raises ArchiveError when the name would lead out of the folder that an archive is unpacked into.
        """
        parts = name.replace("\\", "/").split("/")
        if not parts[0] or parts[0].endswith(":"):
            raise refusal(self.paths[0], name, "has an absolute path")
        if ".." in parts or "\0" in name:
            raise refusal(self.paths[0], name, "leads out of its folder")
        parts = [part for part in parts if part not in ("", ".")]
        if not parts or parts[-1].startswith(".") or not parts[-1].lower().endswith(self.takes):
            return None
        if len(parts) < self.keep:
            parts.insert(0, self.paths[0].stem)
        return os.path.join(self.into, *parts[-self.keep :])

    def lacks(self, entry: Entry) -> bool:
        """Whether the entry is taken and not there yet."""
        target = self.target(entry.name)
        return target is not None and not (os.path.exists(target) and os.path.getsize(target) == entry.size)


def survey(job: Job) -> int:
    """Read the archive through and check every entry; nothing is written. The bytes of files that are not there yet.

    Raises ArchiveError where it is hostile, damaged, cut short or needs a password; ToolMissing.
    """
    return sum(entry.size for entry in entries(job.paths, "checking") if job.lacks(entry))


def unpack(job: Job, index: int | None = None) -> int:
    """Unpack one archive, or its entry of that number, in this process; the number of files written.

    Raises as :func:`survey`, and DiskFull.
    """
    (job.into / DRAFTS).mkdir(parents=True, exist_ok=True)
    with naming(job.paths):
        listed = directory(job.paths[0])
        some = entries(job.paths, "unpacking") if index is None or listed is None else [listed.entries[index]]
        return sum(_write(job, entry) for entry in some if job.lacks(entry))


def unpack_all(jobs: Sequence[Job], *, title: str, workers: int | None = None) -> Iterator[Job]:
    """Unpack archives on all cores and yield each stream that is done. Raises as :func:`unpack`."""
    tasks: dict[str, tuple[Job, int | None]] = {}  # an entry by number, or None for the whole of a stream
    for job in jobs:
        listed = directory(job.paths[0])
        wanted: list[int | None] = [None]
        if listed and not listed.solid:
            wanted = [index for index, entry in enumerate(listed.entries) if job.lacks(entry)]
        tasks |= {f"{job.paths[0]} {index}": (job, index) for index in wanted}
    unit = "archive" if all(index is None for _, index in tasks.values()) else "file"
    for name, result in run_all(unpack, tasks, title=title, unit=unit, workers=workers):
        job, index = tasks[name]
        if result is None:
            raise ArchiveError(f"{job.paths[0]}: the process that unpacked it died; run the same command again")
        if index is None:
            yield job


def _write(job: Job, entry: Entry) -> int:
    target = job.target(entry.name)
    assert target is not None, f"{entry.name} is not taken"
    drafts = os.path.join(job.into, DRAFTS)
    draft = os.path.join(drafts, f"{os.getpid()}-{os.path.basename(target)}")
    rarfile.HACK_TMP_DIR = drafts  # its own copies of compressed entries stay on this disk, and go with the drafts
    try:
        with entry.open() as source, open(draft, "wb") as file:
            shutil.copyfileobj(source, file, min(CHUNK, entry.size + 1))
        if os.path.getsize(draft) != entry.size:
            raise EOFError(f"{entry.name} has {os.path.getsize(draft)} of {entry.size} bytes")
        try:
            os.replace(draft, target)
        except FileNotFoundError:  # the first file of its folder
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(draft, target)
    except BaseException as error:
        Path(draft).unlink(missing_ok=True)
        if is_disk_full(error):
            raise DiskFull(
                f"{job.into}: the disk is full while {job.paths[0].name} is unpacked; every finished file is kept: "
                "free some space and run the same command again, it goes on from there"
            ) from None
        raise
    return 1


# ---- a dataset's part


def left_to_unpack(one: Dataset, part: str, root: Path) -> list[tuple[Archive, tuple[Path, ...]]]:
    """The archives on the disk that are not noted as done."""
    done = read_json(root / DONE)
    return [
        (archive, group)
        for archive in one.of(part)
        for group in place.groups(archive, root)
        if archive.kind != "file" and done.get(os.path.relpath(group[0], root)) != _state(group)
    ]


def fill(one: Dataset, part: str, root: Path, *, annotations: Path | None = None, workers: int | None = None) -> None:
    """Unpack every archive of the part that is on the disk. ``annotations``: the lists that Kinetics is sorted by.

    Raises ChecksumError, ArchiveError, ToolMissing, when nothing of that archive was written, and DiskFull.
    """
    todo = left_to_unpack(one, part, root)
    files = {os.path.relpath(path, root): (path, archive.sha256) for archive, group in todo for path in group}
    check_sums(files, root / SUMS, workers=workers or cores())
    there = root / part if place.has_content(root / part) else root / f"{part}.part"
    needed = _check([_job(archive, group, there) for archive, group in todo], root, workers)
    if todo and not needed and there == root / part:
        return  # all that the archives have is there
    stage = place.opened(part, root)
    _unpack([_job(archive, group, stage) for archive, group in todo], one, root, workers)
    inner = [*place.inner_archives(one, root), *sorted((stage / INNER).glob("*.rar"))] if part == "videos" else []
    if inner:
        outer = one.of("videos")[0]
        jobs = [Job((rar,), stage, outer.takes, outer.keep) for rar in inner]
        _check(jobs, root, workers)
        _unpack(jobs, one, root, workers)
    for flat in (stage / UNLISTED, stage / REPLACING):
        if flat.is_dir():
            place.sort_by_class(one, flat.iterdir(), stage, annotations)
    place.close(part, root)


def _job(archive: Archive, group: tuple[Path, ...], stage: Path) -> Job:
    if archive.kind == "rar of rars":
        return Job(group, stage / INNER, ".rar", 1)
    if archive.part == "videos" and archive.keep == 1:  # without class folders
        stage /= REPLACING if archive.replaces else UNLISTED
    return Job(group, stage, archive.takes, archive.keep)


def _check(jobs: Sequence[Job], root: Path, workers: int | None) -> int:
    """Read every archive through, before anything is written, and see whether it will fit: the bytes to come."""
    streams = sum(directory(job.paths[0]) is None for job in jobs)
    tasks = {str(job.paths[0]): (job,) for job in jobs}
    needed, free = 0, shutil.disk_usage(root).free
    for path, left in run_all(survey, tasks, title="checking", unit="archive", workers=workers if streams > 1 else 1):
        if left is None:
            raise ArchiveError(f"{path}: the process that read it died; run the same command again")
        needed += left
    if needed > free:
        raise DiskFull(
            f"{root}: {size_text(needed)} are to be unpacked, {size_text(free)} are free on that disk; "
            "make room and run the same command again"
        )
    return needed


def _unpack(jobs: Sequence[Job], one: Dataset, root: Path, workers: int | None) -> None:
    done = read_json(root / DONE)
    for job in unpack_all(jobs, title=f"unpacking {one.title}", workers=workers):
        done[os.path.relpath(job.paths[0], root)] = _state(job.paths)
        write_json(root / DONE, done)


def _state(group: Sequence[Path]) -> list[int]:
    return [value for path in group for value in (path.stat().st_size, path.stat().st_mtime_ns)]
