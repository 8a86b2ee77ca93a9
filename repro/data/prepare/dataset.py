"""``repro prepare``: from what a researcher has to ROOT/videos and ROOT/annotations, the folders that profiles name.

ROOT may hold nothing yet, the archives as downloaded (in ROOT or ROOT/archives), or an extracted tree. What has to be
done is said first, with the space it takes; then it is done on all cores. What is there is renamed into place or taken
as it is, never copied; a dataset that is whole needs no right to write.
"""

import functools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from repro.data.catalogue import CATALOGUE, Archive, Dataset, dataset
from repro.data.facts import DOES_NOT_DECODE, STORE
from repro.data.folder import keep_together, on_disk, splits_well, write_splits
from repro.data.lists import require_folder
from repro.data.parallel import quiet_decoders
from repro.data.prepare import root as place
from repro.data.prepare import verify
from repro.data.prepare.audit import audit as audit_clips
from repro.data.prepare.download import by_hand, fetch
from repro.data.prepare.duplicates import alike
from repro.data.prepare.frame_cache import cache_frames
from repro.data.prepare.unpack import fill, left_to_unpack
from repro.data.prepare.verify import OWN, listed_clips, read_splits
from repro.files import check_names, only_one, size_text


class Prepared(NamedTuple):
    """Where a dataset lies now, as the fields of a profile."""

    dataset: str  # name shown to readers
    layout: str
    videos: Path
    annotations: Path
    frames: Path | None  # the frame cache, if it was made
    more: Mapping[str, str]  # fields that these clips call for, see verify.profile_fields
    trainable: bool  # whether two classes have usable clips in both parts

    def lines(self) -> list[str]:
        """The lines to put into a profile."""
        videos = self.frames or self.videos
        values = {"dataset": self.dataset, "layout": self.layout, "videos": videos, "annotations": self.annotations}
        if self.layout == "something_v1":
            values["flip"] = "false  # left and right are labels; or true, with swap_labels: true"
        return [f"{name}: {value}" for name, value in (values | dict(self.more)).items()]


def prepare(
    name: str,
    root: Path | str,
    *,
    annotations: Path | str | None = None,
    audit: bool = False,
    frames: bool = False,
    workers: int | None = None,
    download: bool = True,
) -> Prepared:
    """Bring a dataset to ROOT/videos and ROOT/annotations, and say what was done.

    Args:
        name: a dataset of the catalogue, or "folder" for a user's own clips in ROOT/videos/<class>/.
        annotations: folder with the official lists, if they are elsewhere; it is left as it is.
        audit: decode every clip once, into ROOT/manifest.parquet. Done in any case where a split is drawn.
        frames: make the frame cache ROOT/frames.
        workers: processes; None takes every core.
        download: fetch what is missing from the official addresses.

    Raises FileNotFoundError that says what to get from whom and where to put it; ValueError or OSError where an archive
    or a list is not what it should be, ROOT is read-only or the disk full. What is finished is kept.
    """
    check_names([name], [*CATALOGUE, OWN], "dataset")
    if not str(root):
        raise ValueError("--root: it is empty; name the dataset's folder")
    quiet_decoders()
    root = Path(root)
    if name == OWN:
        title, layout, videos, lists = root.absolute().name, OWN, *_own(root, annotations, workers)
    else:
        one = dataset(name)
        title, layout = one.title, one.layout
        lists = _annotations(one, root, annotations, download)
        videos = _videos(one, root, lists, workers, download)
    splits = read_splits(layout, videos, lists)
    clips = verify.report(layout, videos, lists, splits)
    store = videos.parent / STORE
    bad, cache = set(), None
    if audit:
        table = audit_clips(clips, store, workers=workers)
        bad = verify.say_verdicts(store, table, splits)
    if frames:
        cache = root / "frames"
        made = cache_frames(clips, cache, workers=workers)
        print(f"{cache}: {made.written:,} clips written, {made.kept:,} were there, {size_text(made.bytes)}")
        for clip, reason in made.left_out:
            print(f"  left out: {clip}: {reason}")
        bad |= {clip for clip, _ in made.left_out}
    more = verify.profile_fields(splits, clips, bad)
    ready = Prepared(title, layout, videos, lists, cache, more or {}, more is not None)
    print("For a profile:", *(f"  {line}" for line in ready.lines()), sep="\n", flush=True)
    return ready


def _annotations(one: Dataset, root: Path, given: Path | str | None, download: bool) -> Path:
    if given is not None:
        if not place.holds_lists(one, Path(given)):
            raise FileNotFoundError(f"annotations: {given} does not hold {one.title}'s lists ({', '.join(one.lists)})")
        return Path(given)
    final = root / "annotations"
    if place.holds_lists(one, final):
        return final
    found = place.find_lists(one, root)
    if not found:
        unpack = functools.partial(fill, one, "annotations", root, workers=1)
        _do(one, root, _archive_steps(one, "annotations", root, download, unpack))
        found = [] if place.holds_lists(one, final) else place.find_lists(one, root)  # which come without an archive
    if found and not os.access(root, os.W_OK):
        return found[0] if found[0].is_dir() else found[0].parent
    if found:
        text = f"move {found[0].name}{' and others' * (len(found) > 1)} to annotations"
        _do(one, root, [Step(text, 0, lambda: place.take_lists(found, root))])
    if not place.holds_lists(one, final):
        names = ", ".join(one.lists)
        raise FileNotFoundError(f"{final}: {one.title}'s lists are {names}; not all are there. {one.how}")
    return final


def _videos(one: Dataset, root: Path, annotations: Path, workers: int | None, download: bool) -> Path:
    final, stage = root / "videos", root / "videos.part"

    def whole(folder: Path) -> bool:
        return all(path.exists() for path in listed_clips(read_splits(one.layout, folder, annotations)).values())

    def unpack() -> None:
        fill(one, "videos", root, annotations=annotations, workers=workers)

    at_hand = left_to_unpack(one, "videos", root) or place.inner_archives(one, root)
    if not stage.exists() and place.has_content(final):
        if at_hand and os.access(root, os.W_OK) and not whole(final):
            _do(one, root, [Step("unpack what videos lacks of the listed clips", 0, unpack)])
        return final
    tree = None if stage.exists() and at_hand else place.find_tree(one, root, annotations)
    if tree and not os.access(root, os.W_OK):
        return tree.folders[0] if tree.becomes else root
    if tree:
        names = ", ".join(folder.name for folder in tree.folders[:3])
        text = f"move {names}{' and others' * (len(tree.folders) > 3)} to videos"
        _do(one, root, [Step(text, 0, lambda: place.adopt(one, tree, root, annotations))])
        return _videos(one, root, annotations, workers, download)  # archives beside it may hold what it lacks
    if stage.exists() and not at_hand and whole(stage):
        _do(one, root, [Step("give videos.part its name, it is whole", 0, lambda: place.close("videos", root))])
    else:
        _do(one, root, _archive_steps(one, "videos", root, download, unpack))
    return final


def _own(root: Path, annotations: Path | str | None, workers: int | None) -> tuple[Path, Path]:
    """The folders of a user's own clips and lists, which are drawn and written once, unless there are some."""
    videos = root / "videos"
    if not videos.is_dir():
        raise FileNotFoundError(f"there is no folder {videos}: put your clips there, in a folder for each class")
    lists = root / "annotations" if annotations is None else Path(annotations)
    if annotations is None:
        lists.mkdir(exist_ok=True)
    require_folder("annotations", lists)
    drawn = any(lists.glob("split*.csv"))
    if not drawn and annotations is None and os.access(lists, os.W_OK):
        _draw(videos, lists, workers)
    elif not drawn:
        print(f"{lists}: no split*.csv, and none is written there; each run draws from the clips that it finds")
    return videos, lists


def _draw(videos: Path, lists: Path, workers: int | None) -> None:
    """Write split files in which no clip and its copy, which the audit tells, are on both sides, and say so.

    Clips that only look the same are drawn one by one where together they are most of a class: one room, one camera
    that stands. Clips that do not decode are left out; raises ValueError where a class has no other.
    """
    found = on_disk(videos, lists)
    paths = {clip.name: videos / clip.folders[0] / clip.file for clip in found}
    table = audit_clips(paths, videos.parent / STORE, workers=workers)
    bad = set(table.loc[table["verdict"] == DOES_NOT_DECODE, "name"])
    clips = [clip for clip in found if clip.name not in bad]
    if bad:
        print(f"{lists}: clips that do not decode are left out of what is drawn: {', '.join(sorted(bad))}", flush=True)
    if gone := sorted({clip.folders[0] for clip in found} - {clip.folders[0] for clip in clips}):
        folders = ", ".join(str(videos / name) for name in gone)
        raise ValueError(f"no clip decodes in {folders}; put others there or remove what has none")
    same, near = alike(table[~table["name"].isin(bad)])
    alone = not (lists / "groups.csv").is_file() and len({clip.group for clip in clips}) == len(clips)
    clips = keep_together(clips, same)
    together = splits_well(wider := keep_together(clips, near))
    names = ", ".join(path.name for path in write_splits(videos, lists, wider if together else clips))
    print(f"{lists}: {names} drawn, 30 % of each class's groups for testing; runs read them from now on")
    if pairs := same + near * together:
        count, (one, other) = len({name for pair in pairs for name in pair}), pairs[0]
        words = "the same" if pairs == same else "the same or nearly the same"
        print(f"  {count:,} clips are {words} as another and in one group with it, first {one} and {other}")
    mend = f"say so in {lists}/groups.csv, delete split*.csv and run this again"
    if near and not together:
        one, other = near[0]
        print(
            f"  most clips of a class look the same, first {one} and {other}, and are drawn one by one: where they are "
            f"cut from one recording, {mend}"
        )
    elif alone:
        print(
            "  no groups are given and each clip is one of its own: where some are cut from one recording, "
            f"{mend} (book/own-clips.md)"
        )


class Step(NamedTuple):
    """One thing to be done in ROOT."""

    text: str  # what will be done
    bytes: int  # that it takes on the disk, about
    run: Callable[[], None]


def _archive_steps(one: Dataset, part: str, root: Path, download: bool, unpack: Callable[[], None]) -> list[Step]:
    """Fetch what is missing, then unpack. Raises FileNotFoundError when a list, or every archive of clips, is missing
    and not to be fetched."""
    archives, inner = one.of(part), place.inner_archives(one, root)
    absent = [] if part == "videos" and inner else [a for a in archives if place.is_absent(a, root)]
    lacking = [archive for archive in absent if archive.asked or not download]
    if lacking and (part == "annotations" or len(lacking) == len(archives)):
        what, elsewhere = "clips", f"Clips unpacked elsewhere: move or link their folder to {root / 'videos'}."
        if part == "annotations":
            what, elsewhere = "lists", "Lists that lie elsewhere: name their folder with --annotations."
            # When clips are asked for the lists are there; when lists are, the clips may be
            takes = one.of("videos")[0].takes
            if not inner and not any(place.holds_clips(root / name, takes) for name in ("videos", *one.folders)):
                archives = one.archives
        wanted = [archive for archive in archives if place.is_absent(archive, root)]
        raise FileNotFoundError(
            f"{root} does not hold the {what} of {one.title}. {by_hand(wanted, root)} {elsewhere} {one.how}"
        )
    steps = []
    for archive in (archive for archive in absent if archive not in lacking):
        text = f"download {archive.file} ({size_text(archive.bytes)}) from {archive.url or archive.index}"
        steps.append(Step(text, archive.bytes, functools.partial(fetch, one, archive, root)))
    packed = [archive for archive in archives if archive.kind != "file" and archive not in lacking]
    if packed:
        names = ", ".join(archive.file for archive in packed)
        steps.append(Step(f"unpack {names} to {part}", sum(_unpacked(archive, root) for archive in packed), unpack))
    return steps


def _unpacked(archive: Archive, root: Path) -> int:
    """Bytes that the archive's content takes, about, by the size of what is on the disk of it."""
    if place.is_absent(archive, root):
        return archive.unpacked
    here = sum(path.stat().st_size for group in place.groups(archive, root) for path in group)
    return here * archive.unpacked // archive.bytes


def _do(one: Dataset, root: Path, steps: list[Step]) -> None:
    """Say what will be done and what it takes, then do it."""
    print(f"{one.title} in {root}:", *(f"  {step.text}" for step in steps), sep="\n")
    parent = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{parent} is read-only: nothing was done; make it writable, or name another --root")
    if needed := sum(step.bytes for step in steps):
        free = shutil.disk_usage(parent).free
        short = ": it will stop when the disk is full, and go on when there is room" if needed > free else ""
        print(f"  about {size_text(needed)} for this; {size_text(free)} are free{short}", flush=True)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--root: {root} cannot be made ({error.strerror}); name another folder") from None
    with only_one(root / ".prepare.lock"):
        for step in steps:
            step.run()
