"""The frame cache: each clip split by OpenCV into JPEG frames, the paper's own way, in one zip a clip.

``out/<class>/<clip>.zip`` holds ``00001.jpg`` ..., stored and not compressed again; ``repro.data.images`` reads it. One
file a clip and not one a frame, since UCF101 would be 2.5 million files to copy, scan and back up. The zip's comment
says which source, quality and size it is of, so a changed one is made anew. A zip whose clip is gone or no longer
decodes is moved aside: training from the cache would else use a clip that training from the videos refuses.
"""

import json
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2

from repro.data.decoders import DecodeError
from repro.data.folder import split_suffix
from repro.data.images import FrameZip, frame_name
from repro.data.parallel import only_one, run_all
from repro.data.prepare.jpegs import QUALITY, SHORT_SIDE, jpegs
from repro.data.prepare.space import Space, estimate_space

ASIDE = ".without_source"  # folder in the cache for zips without a usable clip; hidden, so no layout reads it


@dataclass(frozen=True)
class Cached:
    """What :func:`cache_frames` did."""

    written: int  # clips
    kept: int  # clips that were there already
    bytes: int  # of all of them
    left_out: tuple[tuple[str, str], ...]  # (name, reason) of clips that have no cache, and of zips that have no clip
    moved: tuple[Path, ...] = ()  # where zips without a usable clip lie now


def cache_frames(
    paths: Mapping[str, Path],
    out: Path,
    *,
    short_side: int = SHORT_SIDE,
    quality: int = QUALITY,
    workers: int | None = None,
    frames: Mapping[str, int] | None = None,
) -> Cached:
    """Write ``out/<name without suffix>.zip`` for every clip, on all cores; those that are there already are kept.

    ``paths`` are all clips of this cache. A zip in ``out`` whose clip is not among them, is gone or does not decode is
    moved to ``out/.without_source``, never deleted (it may be the last copy), and named in ``left_out``.

    Frames whose short side is longer than ``short_side`` pixels are made smaller (by area), none larger. JPEG frames of
    a folder that are small enough are taken as they are. Each zip appears whole or not at all, so a killed run goes on.

    Args:
        paths: name ("Punch/v_Punch_g01_c01.avi") to clip.
        quality: JPEG's, 1 to 100.
        workers: processes; None takes every core.
        frames: counts by name (the audit's), for the estimate of space.

    Raises ValueError for numbers out of range or two names with one zip; OSError when the cache would not fit, the disk
    fills up or ``out`` cannot be written (finished clips stay), or another process is at this work.
    """
    if short_side < 1 or not 1 <= quality <= 100:
        raise ValueError(f"short_side {short_side} must be 1 or more, quality {quality} in 1 to 100")
    out = Path(out)
    targets = _targets(paths, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = out / "cache.lock"
        with only_one(lock):
            _remove_drafts(out)  # of a run that was killed
            tasks, left_out = _to_do(paths, targets, short_side, quality)
            if tasks:
                options = {"short_side": short_side, "quality": quality, "frames": frames}
                _check_space(estimate_space({name: paths[name] for name in tasks}, out, **options), short_side, quality)
            for name, result in run_all(_write_clip, tasks, title="frame cache", workers=workers):
                if result != "":
                    left_out[name] = result or "the decoder crashed on it"
            _remove_drafts(out)  # of a process that crashed
            there = {name: targets[name].stat() for name in paths if name not in left_out}
            moved = _move_aside(out, kept=_same_files(paths.values()) | {(s.st_dev, s.st_ino) for s in there.values()})
            lock.unlink()
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(
            f"{out}: the frame cache cannot be written: {error.strerror or error}; finished clips stay, run the same "
            "again to go on"
        ) from error
    written = len(tasks.keys() - left_out.keys())
    reasons = {name: left_out[name] for name in paths if name in left_out}
    owners = {targets[name]: name for name in reasons}
    for target, place in moved.items():
        name = owners.get(target, target.relative_to(out).as_posix())
        why = reasons[name] if name in reasons and os.path.exists(paths[name]) else "its video is gone"
        reasons[name] = f"{why}; the cached frames were moved to {place}"
    return Cached(
        written=written,
        kept=len(there) - written,
        bytes=sum(state.st_size for state in there.values()),
        left_out=tuple(reasons.items()),
        moved=tuple(moved.values()),
    )


def _targets(paths: Mapping[str, Path], out: Path) -> dict[str, Path]:
    targets: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for name in paths:
        target = out / f"{split_suffix(name)[0]}.zip"  # "take 1.3" has no suffix, so it keeps its name whole
        if target in owners:
            raise ValueError(f"{name} and {owners[target]} would both be cached as {target}; rename one of them")
        owners[target], targets[name] = name, target
    return targets


def _to_do(paths: Mapping[str, Path], targets: Mapping[str, Path], short_side: int, quality: int) -> tuple[dict, dict]:
    """Arguments of :func:`_write_clip` by name for clips without a cache of today's; the reason for missing clips."""
    tasks: dict[str, tuple] = {}
    missing: dict[str, str] = {}
    for name, path in paths.items():
        try:
            stamp = _stamp(path, short_side, quality)
        except OSError as error:
            missing[name] = error.strerror
            continue
        if not _is_cached(targets[name], stamp):
            tasks[name] = (path, targets[name], stamp, short_side, quality)
    return tasks, missing


def _check_space(space: Space, short_side: int, quality: int) -> None:
    print(f"frame cache: {space}", flush=True)
    if space.bytes > space.free:
        raise OSError(
            f"it would take {space}; make room, name another disk, or lower quality (now {quality}) or short_side "
            f"(now {short_side})"
        )


def _remove_drafts(out: Path) -> None:
    for draft in out.rglob("*.draft"):
        draft.unlink()


def _same_files(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """The files by device and number, which know one file under two spellings (macOS) as one."""
    states = (os.stat(path) for path in paths if os.path.exists(path))
    return {(state.st_dev, state.st_ino) for state in states}


def _move_aside(out: Path, kept: set[tuple[int, int]]) -> dict[Path, Path]:
    """Move every zip in ``out`` that is not of ``kept``; where it lay -> where it lies. A class left empty goes."""
    moved: dict[Path, Path] = {}
    for path in sorted(out.rglob("*")):
        within = path.relative_to(out)
        if path.suffix.lower() != ".zip" or any(part.startswith(".") for part in within.parts) or not path.is_file():
            continue
        if not _same_files([path]) & kept:
            place, number = out / ASIDE / within, 1
            while place.exists():  # of an earlier run: neither is lost
                number += 1
                place = (out / ASIDE / within).with_stem(f"{path.stem} ({number})")
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            moved[path] = place
            if path.parent != out and not any(path.parent.iterdir()):
                path.parent.rmdir()  # a class without clips would be refused
    return moved


def _stamp(path: Path, short_side: int, quality: int) -> bytes:
    """The zip's comment: the source's state and how its frames were made. A folder is known by its own time."""
    state = os.stat(path)
    size = 0 if stat.S_ISDIR(state.st_mode) else state.st_size
    made = {"bytes": size, "modified": state.st_mtime_ns, "short_side": short_side, "quality": quality}
    return json.dumps(made).encode()


def _is_cached(target: Path, stamp: bytes) -> bool:
    try:
        with FrameZip(target) as images:
            return images.comment == stamp
    except DecodeError:
        return False


def _write_clip(source: Path, target: Path, stamp: bytes, short_side: int, quality: int) -> str:
    """Write one zip; the reason why not, or nothing. Raises OSError when it cannot be written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".draft")
    try:
        with zipfile.ZipFile(draft, "w", allowZip64=False) as archive:
            archive.comment = stamp
            for index, data in enumerate(jpegs(source, short_side, quality)):
                archive.writestr(zipfile.ZipInfo(frame_name(index)), data)
        draft.replace(target)
    except DecodeError as error:
        return str(error).removeprefix(f"{source}: ")
    except cv2.error as error:
        return f"OpenCV cannot decode or encode it ({error.err})"
    except zipfile.LargeZipFile:
        return "more than 65,535 frames or 2 GB of them; decode this clip from the video"
    finally:
        draft.unlink(missing_ok=True)
    return ""
