"""``repro prepare``: from what a researcher has to ROOT/videos and ROOT/annotations, the folders that profiles name.

ROOT may hold nothing yet, the archives as downloaded (in ROOT or ROOT/archives), or an extracted tree. What has to be
done is said first, with the space it takes; then it is done on all cores. What is there already is renamed into place
or taken as it is, never copied; a dataset that is whole needs no right to write. A run that was killed goes on.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from repro.config import check_names
from repro.data import frames as frame_cache
from repro.data import manifest, source
from repro.data.catalogue import CATALOGUE, Archive, Dataset, compare, dataset
from repro.data.clips import read_lists, read_split, unlisted
from repro.data.counts import count_lists
from repro.data.fill import DONE, adopt, by_hand, close, fetch, fill, left_to_unpack, take_lists
from repro.data.parallel import only_one
from repro.data.progress import size_text

OWN = "folder"  # the name for a user's own clips, which are in no catalogue


@dataclass(frozen=True)
class Prepared:
    """Where a dataset lies now, as the fields of a profile."""

    dataset: str  # name shown to readers
    layout: str
    videos: Path
    annotations: Path
    frames: Path | None = None  # the frame cache, if it was made

    def lines(self) -> list[str]:
        """The lines to put into a profile."""
        values = {"dataset": self.dataset, "layout": self.layout, "videos": self.frames or self.videos}
        values |= {"annotations": self.annotations}
        if self.layout == "something_v1":
            values["flip"] = "false  # left and right are labels; or true, with swap_labels: true"
        return [f"{field}: {value}" for field, value in values.items()]


class _Step(NamedTuple):
    text: str  # what will be done
    bytes: int  # that it takes on the disk, about
    run: Callable[[], None]


def prepare(
    name: str,
    root,
    *,
    annotations=None,
    audit: bool = False,
    frames: bool = False,
    workers: int | None = None,
    download: bool = True,
) -> Prepared:
    """Bring a dataset to ROOT/videos and ROOT/annotations, and say what was done.

    Args:
        name: a dataset of the catalogue, or "folder" for a user's own clips in ROOT/videos/<class>/.
        root: its folder.
        annotations: folder with the official lists, if they are elsewhere; it is left as it is.
        audit: decode every clip once, into ROOT/manifest.parquet.
        frames: make the frame cache ROOT/frames.
        workers: processes; None takes every core.
        download: fetch what is missing from the official addresses.

    Raises:
        FileNotFoundError: something is missing that is not to be downloaded; the message says what to get from whom,
            and where to put it.
        ValueError, OSError: an archive or a list is not what it should be; ROOT is read-only though something is to be
            done; the disk is full. What is finished is kept, and nothing unfinished has a final name.
    """
    root = Path(root)
    if name == OWN:
        ready = _own(root, annotations)
    else:
        check_names([name], [*CATALOGUE, OWN], "dataset")
        one = dataset(name)
        lists = _annotations(one, root, annotations, workers, download)
        videos = _videos(one, root, lists, workers, download)
        ready = Prepared(one.title, one.layout, videos, lists)
    clips = _report(ready, name)
    store = ready.videos.parent / manifest.STORE
    counts = None
    if audit:
        table = manifest.audit(clips, store, workers=workers)
        print(f"{store}: {', '.join(f'{n:,} {verdict}' for verdict, n in table['verdict'].value_counts().items())}")
        counts = dict(zip(table["name"], table["frames"], strict=True))
    if frames:
        made = frame_cache.cache_frames(clips, root / "frames", workers=workers, frames=counts)
        print(f"{root / 'frames'}: {made.written:,} clips written, {made.kept:,} were there, {size_text(made.bytes)}")
        for clip, reason in made.left_out:
            print(f"  left out: {clip}: {reason}")
        ready = Prepared(ready.dataset, ready.layout, ready.videos, ready.annotations, root / "frames")
    print("For a profile:", *(f"  {line}" for line in ready.lines()), sep="\n", flush=True)
    return ready


def _annotations(one: Dataset, root: Path, given, workers: int | None, download: bool) -> Path:
    if given is not None:
        if not source.holds_lists(one, Path(given)):
            raise FileNotFoundError(f"annotations: {given} does not hold {one.title}'s lists ({', '.join(one.lists)})")
        return Path(given)
    final = root / "annotations"
    if source.holds_lists(one, final):
        return final
    found = source.find_lists(one, root)
    if found and not os.access(root, os.W_OK):
        return found[0] if found[0].is_dir() else found[0].parent
    if found:
        text = f"move {found[0].name}{' and others' * (len(found) > 1)} to annotations"
        steps = [_Step(text, 0, lambda: take_lists(found, root))]
    else:
        steps = _archive_steps(one, "annotations", root, download, lambda: fill(one, "annotations", root, workers=1))
        if any(archive.kind == "file" for archive in one.of("annotations")):
            steps.append(_Step("move the lists to annotations", 0, lambda: _take_found(one, root)))
    _do(one, root, steps)
    if not source.holds_lists(one, final):
        raise FileNotFoundError(
            f"{final}: {one.title}'s lists are {', '.join(one.lists)}; not all are there. {one.how}"
        )
    return final


def _take_found(one: Dataset, root: Path) -> None:
    if found := source.find_lists(one, root):
        take_lists(found, root)


def _videos(one: Dataset, root: Path, annotations: Path, workers: int | None, download: bool) -> Path:
    final, stage = root / "videos", root / "videos.part"

    def whole(folder: Path) -> bool:
        return all(path.exists() for path in _listed(one.layout, folder, annotations).values())

    def unpack() -> None:
        fill(one, "videos", root, annotations=annotations, workers=workers)

    at_hand = left_to_unpack(one, "videos", root) or source.inner_archives(one, root)
    if not stage.exists() and final.is_dir() and any(final.iterdir()):
        if at_hand and os.access(root, os.W_OK) and not whole(final):
            _do(one, root, [_Step("unpack what videos lacks of the listed clips", 0, unpack)])
        return final
    tree = None if stage.exists() and at_hand else source.find_tree(one, root, annotations)
    if tree and not os.access(root, os.W_OK):
        return tree.folders[0] if tree.becomes else root
    if tree:
        names = ", ".join(folder.name for folder in tree.folders[:3])
        text = f"move {names}{' and others' * (len(tree.folders) > 3)} to videos"
        _do(one, root, [_Step(text, 0, lambda: adopt(one, tree, root, annotations))])
        return _videos(one, root, annotations, workers, download)  # archives beside it may hold what it lacks
    if stage.exists() and not at_hand and whole(stage):
        _do(one, root, [_Step("give videos.part its name, it is whole", 0, lambda: close("videos", root))])
    else:
        _do(one, root, _archive_steps(one, "videos", root, download, unpack))
    return final


def _archive_steps(one: Dataset, part: str, root: Path, download: bool, unpack: Callable[[], None]) -> list[_Step]:
    """Fetch what is missing, then unpack. Raises FileNotFoundError when what is missing is not to be fetched.

    Every list is needed; of clips that come in several archives (Kinetics), those that are there will do.
    """
    archives = one.of(part)
    absent = [archive for archive in archives if source.is_absent(archive, root)]
    if part == "videos" and source.inner_archives(one, root):
        absent = []
    lacking = [archive for archive in absent if archive.asked or not download]
    if lacking and (part == "annotations" or len(lacking) == len(archives)):
        wanted = [archive for archive in one.archives if source.is_absent(archive, root)]
        what = "lists" if part == "annotations" else "clips"
        raise FileNotFoundError(f"{root} does not hold the {what} of {one.title}. {by_hand(wanted, root)} {one.how}")
    steps = [
        _Step(
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
        steps.append(_Step(f"unpack {names} to {part}", sum(_unpacked(archive, root) for archive in packed), unpack))
    return steps


def _unpacked(archive: Archive, root: Path) -> int:
    """Bytes that the archive's content takes, about, by the size of what is on the disk of it."""
    here = sum(path.stat().st_size for group in source.groups(archive, root) for path in group)
    absent = source.is_absent(archive, root)
    return archive.unpacked if absent else here * archive.unpacked // archive.bytes


def _do(one: Dataset, root: Path, steps: list[_Step]) -> None:
    """Say what will be done and what it takes, then do it."""
    print(f"{one.title} in {root}:", *(f"  {step.text}" for step in steps), sep="\n")
    parent = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{parent} is read-only: nothing was done; make it writable, or name another --root")
    if needed := sum(step.bytes for step in steps):
        free = shutil.disk_usage(parent).free
        short = ": it will stop when the disk is full, and go on when there is room" if needed > free else ""
        print(f"  about {size_text(needed)} in all; {size_text(free)} are free{short}", flush=True)
    root.mkdir(parents=True, exist_ok=True)
    lock = root / ".prepare.lock"
    with only_one(lock):
        try:
            for step in steps:
                step.run()
        finally:
            lock.unlink()


def _own(root: Path, annotations) -> Prepared:
    videos = root / "videos"
    if not videos.is_dir():
        raise FileNotFoundError(f"there is no folder {videos}: put your clips there, in a folder for each class")
    lists = root / "annotations" if annotations is None else Path(annotations)
    if not lists.is_dir():
        if annotations is not None or not os.access(root, os.W_OK):
            raise FileNotFoundError(f"annotations: there is no folder {lists}; make it (it may be empty)")
        lists.mkdir()
    return Prepared(root.absolute().name, OWN, videos, lists)


def _listed(layout: str, videos: Path, annotations: Path) -> dict[str, Path]:
    """Every clip that a training or test list names -> where it lies, or would lie."""
    paths: dict[str, Path] = {}
    for number in (1, 2, 3) if layout in ("ucf101", "hmdb51") else (1,):
        split = read_split(layout, videos=videos, annotations=annotations, split=number, check=False)
        paths |= {clip.name: clip.path for clip in (*split.train, *split.test)}
    return paths


def _report(ready: Prepared, name: str) -> dict[str, Path]:
    """Print what there is against the lists, and the lists against the catalogue; the clips on the disk by name."""
    where = {"videos": ready.videos, "annotations": ready.annotations}
    listed = _listed(ready.layout, **where)
    clips = {clip: path for clip, path in listed.items() if path.exists()}
    if lacking := [clip for clip in listed if clip not in clips]:
        print(f"{len(lacking):,} of {len(listed):,} listed clips are not there, first {lacking[0]}")
        if (done := ready.videos.parent / DONE).is_file():
            print(f"  the archives named in {done} are not read again; delete it if they should be")
    lists = read_lists(ready.layout, **where, split=1)
    for clip in lists.unused:
        path = ready.videos / clip.folders[0] / clip.file
        if path.exists():
            clips.setdefault(clip.name, path)
    known = set(clips.values())
    others = [path for path in unlisted(ready.layout, **where, split=1) if path not in known]
    clips |= {path.relative_to(ready.videos).as_posix(): path for path in others}
    print(f"{ready.videos}: {len(clips):,} clips, {len(others):,} of them in no list; {len(lists.classes)} classes")
    if name != OWN:
        for row in compare(name, count_lists(name, ready.annotations)["found"]):
            if row.agrees is False:
                print(f"the lists differ from the catalogue: {row.quantity} {row.found:,}, not {row.catalogue:,}")
    return clips
