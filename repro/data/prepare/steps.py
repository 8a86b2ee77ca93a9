"""The steps that bring a dataset's parts to ROOT: what is missing and what it takes, said first and then done."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from repro.data.catalogue import Archive, Dataset
from repro.data.parallel import only_one
from repro.data.prepare import source
from repro.data.prepare.fill import by_hand, fetch
from repro.data.progress import size_text


class Step(NamedTuple):
    """One thing to be done in ROOT."""

    text: str  # what will be done
    bytes: int  # that it takes on the disk, about
    run: Callable[[], None]


def say_whole(one: Dataset, root: Path) -> None:
    """Where lists and clips are both to be fetched: what that takes as a whole, before the first step says its own."""
    lists = source.holds_lists(one, root / "annotations") or source.find_lists(one, root)
    absent = [archive for archive in one.archives if source.is_absent(archive, root)]
    if lists or source.has_clips(one, root) or any(archive.asked for archive in absent):
        return
    fetched = sum(archive.bytes for archive in absent)
    needed = fetched + sum(archive.unpacked for archive in one.archives if archive.kind != "file")
    free = shutil.disk_usage(_existing(root)).free
    print(
        f"{one.title}, lists and clips: {size_text(fetched)} to download, about {size_text(needed)} on the disk with "
        f"what they unpack to; {size_text(free)} are free",
        flush=True,
    )


def archive_steps(one: Dataset, part: str, root: Path, download: bool, unpack: Callable[[], None]) -> list[Step]:
    """Fetch what is missing, then unpack. Raises FileNotFoundError when what is missing is not to be fetched.

    Every list is needed; of clips that come in several archives (Kinetics), those that are there will do.
    """
    archives = one.of(part)
    absent = [archive for archive in archives if source.is_absent(archive, root)]
    if part == "videos" and source.inner_archives(one, root):
        absent = []
    lacking = [archive for archive in absent if archive.asked or not download]
    if lacking and (part == "annotations" or len(lacking) == len(archives)):
        # When clips are asked for the lists are there; when lists are, the clips may be
        both = part == "annotations" and not source.has_clips(one, root)
        wanted = [a for a in (one.archives if both else archives) if source.is_absent(a, root)]
        what, elsewhere = "clips", f"Clips unpacked elsewhere: move or link their folder to {root / 'videos'}."
        if part == "annotations":
            what, elsewhere = "lists", "Lists that lie elsewhere: name their folder with --annotations."
        raise FileNotFoundError(
            f"{root} does not hold the {what} of {one.title}. {by_hand(wanted, root)} {elsewhere} {one.how}"
        )
    steps = [
        Step(
            f"download {archive.file} ({size_text(archive.bytes)}) from {archive.url or archive.index}",
            archive.bytes,
            lambda archive=archive: fetch(one, archive, root),
        )
        for archive in absent
        if archive not in lacking
    ]
    packed = [archive for archive in archives if archive.kind != "file" and archive not in lacking]
    if packed:
        names = ", ".join(archive.file for archive in packed)
        steps.append(Step(f"unpack {names} to {part}", sum(_unpacked(archive, root) for archive in packed), unpack))
    return steps


def _unpacked(archive: Archive, root: Path) -> int:
    """Bytes that the archive's content takes, about, by the size of what is on the disk of it."""
    here = sum(path.stat().st_size for group in source.groups(archive, root) for path in group)
    absent = source.is_absent(archive, root)
    return archive.unpacked if absent else here * archive.unpacked // archive.bytes


def do(one: Dataset, root: Path, steps: list[Step]) -> None:
    """Say what will be done and what it takes, then do it."""
    print(f"{one.title} in {root}:", *(f"  {step.text}" for step in steps), sep="\n")
    parent = _existing(root)
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{parent} is read-only: nothing was done; make it writable, or name another --root")
    if needed := sum(step.bytes for step in steps):
        free = shutil.disk_usage(parent).free
        short = ": it will stop when the disk is full, and go on when there is room" if needed > free else ""
        print(f"  about {size_text(needed)} for this; {size_text(free)} are free{short}", flush=True)
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--root: {root} cannot be made ({error.strerror}); name another folder") from None
    lock = root / ".prepare.lock"
    with only_one(lock):
        try:
            for step in steps:
                step.run()
        finally:
            lock.unlink()
            if made:
                with contextlib.suppress(OSError):  # what was done is in it
                    root.rmdir()


def _existing(root: Path) -> Path:
    """ROOT, or the folder above it that is there."""
    return next(folder for folder in (root, *root.absolute().parents) if os.path.isdir(folder))
