"""Frames of a clip by index, wherever they are: a video file, a folder of frames, or a frame cache (.zip).

Indices count the frames that a sequential decode gives, from 0, whatever the container announces. Video files are read
by OpenCV, as in the paper, or by PyAV, which also reads AV1. Both decode every frame, one after
the other, and convert only the wanted ones: seeking gives other frames on some ordinary files. Each decoder has one
thread, because many clips are decoded side by side. ``repro.bench.decoding`` measures them and counts wrong frames.
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np

from repro.data.images import DecodeError, count_images, holds_images, iter_images
from repro.files import check_names

OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
T = TypeVar("T")


def count_frames(path: Path) -> int:
    """Frames that really decode, not the number that the container announces; of a folder or cache, those it holds.

    Raises DecodeError when there is none.
    """
    if holds_images(path):
        return count_images(path)
    video = open_opencv(path)
    count = sum(1 for _ in iter(video.grab, False))
    if count == 0:
        raise DecodeError(f"{path}: not one frame decodes; fetch the clip again")
    return count


def iter_frames(path: Path, indices: Sequence[int] | np.ndarray, *, decoder: str = "opencv") -> Iterator[np.ndarray]:
    """One by one, the frames at ``indices`` (non-decreasing, from 0; repeats allowed): uint8 ``(H, W, 3)``, RGB.

    Whoever crops and resizes each frame as it comes finds it in the processor's cache: 1 to 10 % less time an item of
    16 frames than for all frames first. ``decoder`` is one of :data:`DECODERS` and concerns video files alone. Raises
    DecodeError where a frame is not there, does not decode, or differs in size from the first; ValueError for other
    indices and for an unknown decoder.
    """
    check_names([decoder], list(DECODERS), "decoder")
    wanted = [int(i) for i in indices]
    if not wanted or wanted[0] < 0 or any(b < a for a, b in itertools.pairwise(wanted)):
        raise ValueError(f"indices must be a non-empty, non-decreasing list from 0, not {wanted}")
    if holds_images(path):
        yield from iter_images(path, wanted)
        return
    times = Counter(wanted)
    shape = None
    for index, frame in zip(times, DECODERS[decoder](path, list(times))):
        if shape is None:
            shape = frame.shape
        elif frame.shape != shape:
            sizes = [f"{width}x{height}" for height, width, _ in (frame.shape, shape)]
            raise DecodeError(f"{path}: frame {index} is {sizes[0]} pixels, frame {wanted[0]} is {sizes[1]}")
        yield from itertools.repeat(frame, times[index])


def read_frames(path: Path, indices: Sequence[int] | np.ndarray, *, decoder: str = "opencv") -> np.ndarray:
    """The frames of :func:`iter_frames` together: uint8 ``(len(indices), H, W, 3)``, RGB."""
    return np.stack(list(iter_frames(path, indices, decoder=decoder)))


# ---- video files


def quick_opening() -> None:
    """From now on OpenCV does not estimate frame rates when it opens a file, in this process and those it starts.

    Frames are the same; an H.264 avi opens 1.2 ms sooner, a clip of HMDB51 0.25 ms (mp4 and UCF101's own: no change).
    OpenCV's frame rate and announced frame count are then wrong for some .ts and .wmv files, so what reports those must
    not call this. Options that the user has set in OPENCV_FFMPEG_CAPTURE_OPTIONS are kept.
    """
    os.environ.setdefault(OPENCV_OPTIONS, "fpsprobesize;0")


def open_opencv(path: Path) -> cv2.VideoCapture:
    """The file, opened by OpenCV with its decoder on one thread. Raises DecodeError."""
    _check_file(path)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not video.isOpened():
        raise DecodeError(f"{path}: OpenCV cannot open this clip ({Path(path).stat().st_size} bytes); fetch it again")
    return video


def _read_opencv(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    video = open_opencv(path)
    try:
        for _ in _pick(path, iter(video.grab, False), wanted):
            yield cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)
    except cv2.error as error:
        raise _failed("OpenCV", path, error) from None


def _read_pyav(path: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """A packet that does not decode is passed over, as OpenCV does."""
    _check_file(path)
    reformatter = av.video.reformatter.VideoReformatter()  # one for all frames: each new one is set up again

    def frames(container: Any, stream: Any) -> Iterator[Any]:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                continue

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for frame in _pick(path, frames(container, stream), wanted):
                yield reformatter.reformat(frame, format="rgb24").to_ndarray()
    except (av.FFmpegError, IndexError) as error:
        raise _failed("PyAV", path, error) from None


DECODERS: dict[str, Callable[[Path, Sequence[int]], Iterator[np.ndarray]]] = {
    "opencv": _read_opencv,
    "pyav": _read_pyav,
}
"""A reader of video files for each library: path and rising indices -> the frames one after the other."""


def _pick(path: Path, frames: Iterable[T], wanted: Sequence[int]) -> Iterator[T]:
    """The wanted among frames that come in order; decoding stops with the last. Raises DecodeError where one lacks."""
    remaining, position = list(wanted), -1
    for position, frame in enumerate(frames):
        if position == remaining[0]:
            yield frame
            if not remaining[1:]:
                return
            del remaining[0]
    raise DecodeError(f"{path}: ends at frame {position + 1}, frame {remaining[0]} was asked for")


def _check_file(path: Path) -> None:
    if not Path(path).is_file():
        raise DecodeError(f"{path}: no such clip")


def _failed(library: str, path: Path, error: Exception) -> DecodeError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DecodeError(f"{path}: {library} cannot decode this clip ({first}); fetch it again")
