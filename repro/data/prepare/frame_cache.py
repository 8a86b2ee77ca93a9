"""The frame cache: each clip split by OpenCV into JPEG frames, the paper's own way, in one zip a clip.

``out/<class>/<clip>.zip`` holds ``00001.jpg`` ..., not compressed again; ``repro.data.images`` reads it. One file a
clip and not one a frame, since UCF101 would be 2.5 million files. The zip's comment says which source, quality and size
it is of, so a changed one is made anew. A zip whose clip is gone or no longer decodes is moved aside: training from the
cache would else use a clip that training from the videos refuses.

Quality 95 with halved colour (as the videos have) is what ``cv2.imwrite`` gives unless told otherwise: 41.3 to 45.5 dB
to the decoded clips as distributed at 0.31 bytes a pixel. 85 has 37.8 to 43.4 dB at 0.18, and reads 22 % faster.
"""

import contextlib
import json
import os
import shutil
import statistics
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

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


class Cached(NamedTuple):
    """What :func:`cache_frames` did."""

    written: int  # clips
    kept: int  # clips that were there already
    bytes: int  # of all of them
    left_out: tuple[tuple[str, str], ...]  # (name, reason) of clips that have no cache, and of zips that have no clip


def cache_frames(paths: Mapping[str, Path], out: Path, *, workers: int | None = None) -> Cached:
    """Write ``out/<name without suffix>.zip`` for every clip, on all cores; those that are there already are kept.

    Frames whose short side is longer than ``SHORT_SIDE`` are made smaller (by area), none larger; JPEG frames that are
    small enough are taken as they are. A zip in ``out`` whose clip is not among ``paths``, is gone or does not decode
    is moved to ``out/.without_source`` (it may be the last copy) and named in ``left_out``.

    Args:
        paths: name ("Punch/v_Punch_g01_c01.avi") to clip, of all clips of this cache.
        workers: processes; None takes every core.

    Raises ValueError for two names with one zip; OSError when the cache would not fit, the disk fills up or ``out``
    cannot be written (finished clips stay), or another process is at this work.
    """
    out = Path(out)
    # "take 1.3" has no suffix, so it keeps its name whole
    targets = {name: out / f"{split_suffix(name)[0]}.zip" for name in paths}
    owners: dict[Path, str] = {}
    for name, target in targets.items():
        if owners.setdefault(target, name) != name:
            raise ValueError(f"{name} and {owners[target]} would both be cached as {target}; rename one of them")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with only_one(out / "cache.lock"):
            _remove_drafts(out)  # of a run that was killed
            tasks, left_out = _to_do(paths, targets)
            _check_space([paths[name] for name in tasks], out)
            for name, result in run_all(_write_clip, tasks, title="frame cache", workers=workers):
                if result != "":
                    left_out[name] = result or "the decoder crashed on it"
            _remove_drafts(out)  # of a process that crashed
            there = {target: target.stat().st_size for name, target in targets.items() if name not in left_out}
            moved = _move_aside(out, kept={*there, *paths.values()})
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(
            f"{out}: the frame cache cannot be written: {error.strerror or error}; finished clips stay, run the same "
            "again to go on"
        ) from error
    written = len(tasks.keys() - left_out.keys())
    reasons = {targets[name]: (name, left_out[name]) for name in paths if name in left_out}
    for target, place in moved.items():
        name, reason = reasons.get(target, (target.relative_to(out).as_posix(), "its video is gone"))
        reasons[target] = (name, f"{reason}; the cached frames were moved to {place}")
    return Cached(written, len(there) - written, sum(there.values()), tuple(reasons.values()))


def _to_do(paths: Mapping[str, Path], targets: Mapping[str, Path]) -> tuple[dict[str, tuple], dict[str, str]]:
    """Arguments of :func:`_write_clip` by name for clips without a cache of today's; the reason for missing clips."""
    tasks: dict[str, tuple] = {}
    missing: dict[str, str] = {}
    for name, path in paths.items():
        try:
            stamp, cached = _stamp(path), None
        except OSError as error:
            missing[name] = f"its video cannot be read ({error.strerror})"
            continue
        with contextlib.suppress(DecodeError), FrameZip(targets[name]) as images:
            cached = images.comment
        if cached != stamp:
            tasks[name] = (path, targets[name], stamp)
    return tasks, missing


def _remove_drafts(out: Path) -> None:
    for draft in out.rglob("*.draft"):
        draft.unlink()


def _move_aside(out: Path, kept: Collection[Path]) -> dict[Path, Path]:
    """Move every zip in ``out`` that is not of ``kept``; where it lay -> where it lies. A class left empty goes."""
    moved: dict[Path, Path] = {}
    files = {_file(path) for path in kept if path.exists()}
    for path in sorted(out.rglob("*.zip")):
        within = path.relative_to(out)
        if _file(path) in files or any(part.startswith(".") for part in within.parts):
            continue
        place, number = out / ASIDE / within, 1
        while place.exists():  # of an earlier run
            number += 1
            place = (out / ASIDE / within).with_stem(f"{path.stem} ({number})")
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
        moved[path] = place
        if path.parent != out and not any(path.parent.iterdir()):
            path.parent.rmdir()  # a class without clips would be refused
    return moved


def _file(path: Path) -> tuple[int, int]:
    """A file by device and number, which know it as one under two spellings (macOS)."""
    state = path.stat()
    return state.st_dev, state.st_ino


def _stamp(path: Path) -> bytes:
    """The zip's comment: the source's state and how its frames were made. A folder is known by its own time."""
    state = os.stat(path)
    size = 0 if path.is_dir() else state.st_size
    made = {"bytes": size, "modified": state.st_mtime_ns, "short_side": SHORT_SIDE, "quality": QUALITY}
    return json.dumps(made).encode()


def _write_clip(source: Path, target: Path, stamp: bytes) -> str:
    """Write one zip; the reason why not, or nothing. Raises OSError when it cannot be written."""
    try:
        with whole(target) as draft, zipfile.ZipFile(draft, "w", allowZip64=False) as archive:
            archive.comment = stamp
            for index, data in enumerate(jpegs(source)):
                archive.writestr(zipfile.ZipInfo(frame_name(index)), data)
    except DecodeError as error:
        return str(error).removeprefix(f"{source}: ")
    except cv2.error as error:
        return f"OpenCV cannot decode or encode it ({error.err})"
    except zipfile.LargeZipFile:
        return "more than 65,535 frames or 2 GB of them; decode this clip from the video"
    return ""


def jpegs(path: Path) -> Iterator[bytes]:
    """The clip's frames as JPEG files, up to the first that does not decode. Raises DecodeError when none does."""
    if holds_images(path):
        yield from _from_images(path)
        return
    convert = None
    with open_video(path) as video:
        for convert in video:
            yield _encode(convert())
    if convert is None:
        raise DecodeError(f"{path}: not one frame decodes; fetch the clip again")


def _from_images(path: Path) -> Iterator[bytes]:
    with open_images(path) as images:
        for index in range(len(images)):
            data = images.encoded(index)
            try:
                frame = decode_image(data, f"{path}: {frame_name(index)}")
            except DecodeError:
                if index == 0:
                    raise
                return
            yield data.tobytes() if min(frame.shape[:2]) <= SHORT_SIDE else _encode(frame)


def _encode(frame: np.ndarray) -> bytes:
    height, width = frame.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale < 1:
        frame = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _check_space(clips: Sequence[Path], out: Path) -> None:
    """Say what the cache of these clips will take. Raises OSError where it does not fit."""
    needed, free = expected_bytes(clips), shutil.disk_usage(out).free
    room = f"{size_text(free)} are free"
    if clips:
        print(f"frame cache: about {size_text(needed)} for {len(clips):,} clips, {room}", flush=True)
    if needed > free:
        raise OSError(f"it would take about {size_text(needed)}, {room}; make room")


def expected_bytes(clips: Sequence[Path]) -> int:
    """What a cache of these clips takes, about: bytes a frame and frames announced, of a sample of them."""
    found = []
    for path in clips[:: max(1, len(clips) // SAMPLED_CLIPS)]:
        with contextlib.suppress(DecodeError, cv2.error):  # the cache leaves it out, and says so
            sizes = [len(data) + OVERHEAD for data in islice(jpegs(path), SAMPLED_FRAMES)]
            if holds_images(path):
                announced = count_images(path)
            else:
                with open_video(path) as video:
                    announced = video.announced()[0]
            found.append(statistics.mean(sizes) * announced)
    return round(statistics.mean(found) * len(clips)) if found else 0
