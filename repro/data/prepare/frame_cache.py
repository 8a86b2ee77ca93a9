"""The frame cache: each clip split by OpenCV into JPEG frames, the paper's own way, in one zip a clip.

``out/<class>/<clip>.zip`` holds ``00001.jpg`` ..., stored and not compressed again; ``repro.data.images`` reads it. One
file a clip and not one a frame, since UCF101 would be 2.5 million files to copy, scan and back up. The zip's comment
says which source, quality and size it is of, so a changed one is made anew. A zip whose clip is gone or no longer
decodes is moved aside: training from the cache would else use a clip that training from the videos refuses.

Quality 95 with halved colour (4:2:0, as the videos have) is what ``cv2.imwrite`` gives unless told otherwise. Measured
in one run, clips a second of one core's time, 16 frames a clip; bytes and fidelity on the clips as distributed:

| quality | bytes a pixel | PSNR to the decoded video, dB | 24 clips of ucf101-3 | 8 clips as distributed |
|---|---|---|---|---|
| 85 | 0.18 | 37.8-43.4 | 233 | 201 |
| 90 | 0.22 | 39.5-44.4 | 220 | 192 |
| 95 | 0.31 | 41.3-45.5 | 191 | 166 |

So speed does not decide between them; fidelity does.
"""

import json
import os
import shutil
import stat
import statistics
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from repro.data.decode import DecodeError, open_video
from repro.data.folder import split_suffix
from repro.data.images import FrameZip, count_images, decode_image, frame_name, holds_images, open_images
from repro.data.parallel import run_all
from repro.files import only_one, size_text, whole

SHORT_SIDE = 256  # pixels: what the test view of 224 is cut from
QUALITY = 95
OVERHEAD = 94  # bytes of zip a frame
SAMPLED_CLIPS, SAMPLED_FRAMES = 48, 8  # for the estimate of space; clips differ more than frames of one
ASIDE = ".without_source"  # folder in the cache for zips without a usable clip; hidden, so no layout reads it


@dataclass(frozen=True)
class Cached:
    """What :func:`cache_frames` did."""

    written: int  # clips
    kept: int  # clips that were there already
    bytes: int  # of all of them
    left_out: tuple[tuple[str, str], ...]  # (name, reason) of clips that have no cache, and of zips that have no clip
    moved: tuple[Path, ...] = ()  # where zips without a usable clip lie now


@dataclass(frozen=True)
class Space:
    """What a frame cache takes, in bytes, beside what is free on its disk."""

    clips: int
    frames: int
    bytes_a_frame: float
    free: int

    @property
    def bytes(self) -> int:
        return round(self.frames * self.bytes_a_frame)

    def __str__(self) -> str:
        return (
            f"about {size_text(self.bytes)} for {self.clips:,} clips ({self.frames:,} frames of "
            f"{size_text(self.bytes_a_frame)}), {size_text(self.free)} are free"
        )


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
        with only_one(out / "cache.lock"):
            _remove_drafts(out)  # of a run that was killed
            tasks, left_out = _to_do(paths, targets, short_side, quality)
            if tasks:
                todo = {name: paths[name] for name in tasks}
                space = estimate_space(todo, out, short_side=short_side, quality=quality, frames=frames)
                _check_space(space, short_side, quality)
            for name, result in run_all(_write_clip, tasks, title="frame cache", workers=workers):
                if result != "":
                    left_out[name] = result or "the decoder crashed on it"
            _remove_drafts(out)  # of a process that crashed
            there = {name: targets[name].stat() for name in paths if name not in left_out}
            moved = _move_aside(out, kept=_same_files(paths.values()) | {(s.st_dev, s.st_ino) for s in there.values()})
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
            missing[name] = str(error.strerror)
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
    try:
        with whole(target) as draft, zipfile.ZipFile(draft, "w", allowZip64=False) as archive:
            archive.comment = stamp
            for index, data in enumerate(jpegs(source, short_side, quality)):
                archive.writestr(zipfile.ZipInfo(frame_name(index)), data)
    except DecodeError as error:
        return str(error).removeprefix(f"{source}: ")
    except cv2.error as error:
        return f"OpenCV cannot decode or encode it ({error.err})"
    except zipfile.LargeZipFile:
        return "more than 65,535 frames or 2 GB of them; decode this clip from the video"
    return ""


# ---- a clip as JPEG frames


def jpegs(path: Path, short_side: int, quality: int) -> Iterator[bytes]:
    """The clip's frames as JPEG files, up to the first that does not decode. Raises DecodeError when none does."""
    if holds_images(path):
        yield from _from_images(path, short_side, quality)
        return
    convert = None
    with open_video(path) as video:
        for convert in video:
            yield _encode(_shrunk(convert(), short_side), quality)
    if convert is None:
        raise DecodeError(f"{path}: not one frame decodes; fetch the clip again")


def _from_images(path: Path, short_side: int, quality: int) -> Iterator[bytes]:
    with open_images(path) as images:
        for index in range(len(images)):
            data = images.encoded(index)
            try:
                frame = decode_image(data, f"{path}: {frame_name(index)}")
            except DecodeError:
                if index == 0:
                    raise
                return
            if min(frame.shape[:2]) <= short_side:
                yield data.tobytes()
            else:
                yield _encode(_shrunk(frame, short_side), quality)


def _encode(frame: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ].tobytes()


def _shrunk(frame: np.ndarray, short_side: int) -> np.ndarray:
    height, width = frame.shape[:2]
    if min(height, width) <= short_side:
        return frame
    scale = short_side / min(height, width)
    return cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


# ---- what the cache takes on the disk, estimated from its clips


def estimate_space(
    paths: Mapping[str, Path],
    out: Path,
    *,
    short_side: int = SHORT_SIDE,
    quality: int = QUALITY,
    frames: Mapping[str, int] | None = None,
) -> Space:
    """What a cache of these clips would take: bytes a frame from a sample of them, times their frames.

    ``frames`` is counts by name (the audit's); clips without one are taken to announce what the sample announces.
    """
    known = {name: frames[name] for name in paths if name in frames} if frames else {}
    sizes, announced = [], []
    names = list(paths)
    for name in names[:: max(1, len(names) // SAMPLED_CLIPS)][:SAMPLED_CLIPS]:
        try:
            sizes += [len(data) for data in islice(jpegs(paths[name], short_side, quality), SAMPLED_FRAMES)]
            announced.append(_announced(paths[name]))
        except DecodeError:
            continue  # the cache leaves it out, and says so
    typical = statistics.mean(announced) if announced else 0
    count = sum(known.values()) + round((len(paths) - len(known)) * typical)
    bytes_a_frame = statistics.mean(sizes) + OVERHEAD if sizes else 0.0
    return Space(len(paths), count, bytes_a_frame, shutil.disk_usage(out).free)


def _announced(path: Path) -> int:
    if holds_images(path):
        return count_images(path)
    with open_video(path) as video:
        return video.announced()[0]
