"""The ways from a clip's file to its frames that are measured side by side: those that training can use, and others.

The others are what the same libraries offer first, kept to show what they return.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from repro.data.decode import OPENCV_OPTIONS, DecodeError, iter_frames

CEILING, CACHE = "opencv grab only", "frame cache"


@dataclass(frozen=True)
class Way:
    """One way from a clip's file to its frames."""

    title: str
    read: Callable[[Path, list[int]], Iterable[np.ndarray]]  # path, rising indices; frames RGB, as they come
    offered: bool  # training can use it; the others are shown for comparison
    library: str = "opencv"  # of DECODERS
    cached: bool = False  # reads the clip's frame cache instead of its video


def _reader(decoder: str) -> Callable[[Path, list[int]], Iterable[np.ndarray]]:
    return lambda path, wanted: iter_frames(path, wanted, decoder=decoder)


def plain_opencv(path: Path) -> cv2.VideoCapture:
    """As anyone opens a clip on one thread: without :func:`repro.data.decode.quick_opening`."""
    kept = os.environ.pop(OPENCV_OPTIONS, None)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if kept is not None:
        os.environ[OPENCV_OPTIONS] = kept
    return video


def sequential(path: Path) -> Iterator[np.ndarray]:
    """Every frame of a video as OpenCV gives them one after the other: uint8 RGB ``(H, W, 3)``."""
    video = plain_opencv(path)
    while (read := video.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


def grab_only(path: Path, wanted: list[int]) -> Iterable[np.ndarray]:
    video = plain_opencv(path)
    while video.grab():
        pass
    return ()


def _every_frame(path: Path, wanted: list[int]) -> Iterator[np.ndarray]:
    return (frame for index, frame in enumerate(sequential(path)) if index in wanted)


def _opencv_seek(path: Path, wanted: list[int]) -> Iterator[np.ndarray]:
    video = plain_opencv(path)
    for index in wanted:
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        ok, frame = video.read()
        if not ok:
            raise DecodeError(f"{path}: nothing at frame {index}")
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _torchcodec_approximate(path: Path, wanted: list[int]) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    video = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate")
    return video.get_frames_at(wanted).data.numpy()


def _decord_batch(path: Path, wanted: list[int]) -> np.ndarray:
    import decord

    return decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1).get_batch(wanted).asnumpy()


WAYS = {
    "opencv": Way("OpenCV: every frame grabbed, the wanted converted", _reader("opencv"), True),
    "torchcodec": Way("torchcodec, exact seek", _reader("torchcodec"), True, "torchcodec"),
    "decord": Way("decord, frame after frame", _reader("decord"), True, "decord"),
    "pyav": Way("PyAV: every frame decoded, the wanted converted", _reader("pyav"), True, "pyav"),
    CACHE: Way("frame cache: JPEG in one zip a clip", _reader("opencv"), True, cached=True),
    CEILING: Way("OpenCV, grab only: every frame decoded, none converted, no crop", grab_only, False),
    "opencv every frame": Way("OpenCV, every frame converted", _every_frame, False),
    "opencv seek": Way("OpenCV, seek by position", _opencv_seek, False),
    "torchcodec approximate": Way("torchcodec, approximate seek", _torchcodec_approximate, False, "torchcodec"),
    "decord get_batch": Way("decord, get_batch", _decord_batch, False, "decord"),
}
