"""Frames of a clip by index, wherever they are: a video file, a folder of frames, or a frame cache (.zip).

Indices count the frames that a sequential decode gives, from 0, whatever the container announces. Video files are read
by OpenCV, as in the paper, or by PyAV, which also reads what OpenCV cannot (AV1). Both decode every frame on one
thread, convert only the wanted ones and set them upright: seeking gives other frames on some ordinary files.
"""

import codecs
import contextlib
import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.stream import Disposition

from repro.data.images import DecodeError, count_images, holds_images, iter_images
from repro.files import check_names

OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
DECODERS = ("opencv", "pyav")
Convert = Callable[[], np.ndarray]  # the frame last come to, as uint8 (H, W, 3), RGB, upright


def count_frames(path: Path, *, decoder: str = "opencv") -> int:
    """Frames that really decode, not the number that the container announces; of a folder or cache, those it holds.

    Raises DecodeError when there is none.
    """
    if holds_images(path):
        return count_images(path)
    with open_video(path, decoder) as video:
        count = sum(1 for _ in video)
    if count == 0:
        raise DecodeError(f"{path}: not one frame decodes; fetch the clip again")
    return count


def iter_frames(path: Path, indices: Sequence[int] | np.ndarray, *, decoder: str = "opencv") -> Iterator[np.ndarray]:
    """One by one, the frames at ``indices`` (non-decreasing, from 0; repeats allowed): uint8 ``(H, W, 3)``, RGB.

    Whoever crops each frame as it comes finds it in the processor's cache: 1 to 10 % less time an item of 16 frames.
    ``decoder`` concerns video files alone. Raises DecodeError where a frame is not there, does not decode, or differs
    in size from the first; ValueError for other indices and for an unknown decoder.
    """
    check_names([decoder], DECODERS, "decoder")
    wanted = [int(i) for i in indices]
    if not wanted or wanted[0] < 0 or any(b < a for a, b in itertools.pairwise(wanted)):
        raise ValueError(f"indices must be a non-empty, non-decreasing list from 0, not {wanted}")
    times = Counter(wanted)
    frames = iter_images(path, times) if holds_images(path) else _iter_video(path, times, decoder)
    shape = None
    for (index, count), frame in zip(times.items(), frames):
        shape = shape or frame.shape
        if frame.shape != shape:
            size, first = (f"{width}x{height}" for height, width, _ in (frame.shape, shape))
            raise DecodeError(f"{path}: frame {index} is {size} pixels, frame {wanted[0]} is {first}; fetch it again")
        yield from itertools.repeat(frame, count)


def read_frames(path: Path, indices: Sequence[int] | np.ndarray, *, decoder: str = "opencv") -> np.ndarray:
    """The frames of :func:`iter_frames` together: uint8 ``(len(indices), H, W, 3)``, RGB."""
    return np.stack(list(iter_frames(path, indices, decoder=decoder)))


def _iter_video(path: Path, wanted: Iterable[int], decoder: str) -> Iterator[np.ndarray]:
    """The wanted frames in order, each once; decoding stops with the last."""
    left, position = set(wanted), -1
    with open_video(path, decoder) as video:
        for position, convert in enumerate(video):
            if position in left:
                left.remove(position)
                yield convert()
                if not left:
                    return
    raise DecodeError(f"{path}: ends at frame {position + 1}, frame {min(left)} was asked for; fetch it again")


def quick_opening() -> None:
    """From now on OpenCV does not estimate frame rates when it opens a file, in this process and those it starts.

    Frames are the same; an H.264 avi opens 1.2 ms sooner, a clip of HMDB51 0.25 ms. The frame rate and announced count
    are then wrong for some .ts and .wmv files. Options that the user has set are kept.
    """
    os.environ.setdefault(OPENCV_OPTIONS, "fpsprobesize;0")


def open_opencv(path: Path) -> cv2.VideoCapture:
    """The file, opened by OpenCV with its decoder on one thread. Raises DecodeError."""
    _check_file(path)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not video.isOpened():
        size = Path(path).stat().st_size
        raise _no_video(path) or DecodeError(f"{path}: OpenCV cannot open this clip ({size} bytes); fetch it again")
    return video


class NoVideo(DecodeError):
    """A file of sound, maybe with a cover picture (to OpenCV a clip of one frame)."""


class ByOpenCV(contextlib.AbstractContextManager):
    """A video file read by OpenCV: of each frame in order, a function that gives it as uint8 ``(H, W, 3)``, RGB, turned
    as the container asks. Raises DecodeError."""

    name = "opencv"

    def __init__(self, path: Path) -> None:
        self.path, self.capture = path, open_opencv(path)
        self.has_frame = self.capture.grab()

    def __iter__(self) -> Iterator[Convert]:
        while self.has_frame:
            yield self._convert
            self.has_frame = self.capture.grab()

    def _convert(self) -> np.ndarray:
        try:
            return cv2.cvtColor(self.capture.retrieve()[1], cv2.COLOR_BGR2RGB)
        except cv2.error as error:
            raise _failed("OpenCV", self.path, error) from None

    def announced(self) -> tuple[int, float, str]:
        """Frames (0: the container does not say), frames a second, and the codec's four letters, as the header says."""
        code = int(self.capture.get(cv2.CAP_PROP_FOURCC))
        letters = code.to_bytes(4, "little", signed=code < 0).decode("latin-1").strip("\0 ")
        return max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))), self.capture.get(cv2.CAP_PROP_FPS), letters

    def __exit__(self, *_: object) -> None:
        self.capture.release()


class ByPyAV(contextlib.AbstractContextManager):
    """A video file read by PyAV, as :class:`ByOpenCV`; mirrored ones, too, are set upright. A packet that does not
    decode is passed over, as OpenCV does."""

    name = "pyav"

    def __init__(self, path: Path) -> None:
        _check_file(path)
        self.path = path
        self.reformatter = av.video.reformatter.VideoReformatter()  # one for all frames: each new one is set up again
        try:
            self.container = av.open(str(path), metadata_errors="replace")  # a title in another encoding is no fault
        except av.FFmpegError as error:
            raise _no_video(path) or _failed("PyAV", path, error) from None
        pictures = self.container.streams.video
        videos = [stream for stream in pictures if not stream.disposition & Disposition.attached_pic]
        if not videos:
            only = " and ".join(["sound"] * bool(self.container.streams.audio) + ["a cover picture"] * bool(pictures))
            if only:
                raise NoVideo(f"{path}: holds {only}, no video; put the video there or take it out")
            raise _no_video(path) or _failed("PyAV", path, ValueError("it holds no video"))
        self.stream, self.after_cover = videos[0], videos[0] is not pictures[0]
        if self.stream.codec_context is None:
            raise _failed("PyAV", path, ValueError("no decoder knows its encoding"))
        self.stream.thread_type, self.stream.codec_context.thread_count = "NONE", 1

    def frames(self) -> Iterator[Any]:
        """The frames as they decode."""
        try:
            for packet in self.container.demux(self.stream):
                with contextlib.suppress(av.InvalidDataError):
                    yield from packet.decode()
        except av.FFmpegError as error:
            raise _failed("PyAV", self.path, error) from None

    def __iter__(self) -> Iterator[Convert]:
        for frame in self.frames():
            yield functools.partial(self._convert, frame)

    def _convert(self, frame: Any) -> np.ndarray:
        try:
            rgb = self.reformatter.reformat(frame, format="rgb24").to_ndarray()
        except av.FFmpegError as error:
            raise _failed("PyAV", self.path, error) from None
        across, down, swapped = _matrix(frame)
        if (across, down, swapped) == (1, 1, False):
            return rgb
        return np.ascontiguousarray((rgb.swapaxes(0, 1) if swapped else rgb)[::down, ::across])

    def announced(self) -> tuple[int, float, str]:
        """As :meth:`ByOpenCV.announced`; where the container gives no count, its duration does, as OpenCV has it."""
        fps, codec = float(self.stream.average_rate or 0), self.stream.codec_context
        frames = self.stream.frames or round(fps * (self.container.duration or 0) / av.time_base)
        return frames, fps, codec.codec_tag.strip("\0 ") or codec.name

    def __exit__(self, *_: object) -> None:
        self.container.close()


def open_video(path: Path, decoder: str = "opencv") -> ByOpenCV | ByPyAV:
    """The file, opened by this decoder; by PyAV where OpenCV gives no frame of it (AV1) or the wrong ones.

    Raises DecodeError where it cannot be opened.
    """
    _check_file(path)
    state = Path(path).stat()
    look = functools.partial(_look, path, state.st_size, state.st_mtime_ns)
    with open(path, "rb") as file:
        is_avi = file.read(4) == b"RIFF"  # which has neither a display matrix nor a cover
    if decoder == "pyav" or (not is_avi and look().misread):
        return ByPyAV(path)
    try:
        video = ByOpenCV(path)
    except DecodeError:
        if not look().frame:
            raise
    else:
        if video.has_frame or not look().frame:
            return video
    return ByPyAV(path)


class _Look(NamedTuple):
    """What PyAV makes of a file."""

    frame: bool = False  # it reads one
    misread: bool = False  # OpenCV (5.0, as 4.11) gives others: not mirrored, though they should be, or a cover picture


@functools.cache  # some 3 ms a file
def _look(path: Path, _size: int, _modified: int) -> _Look:
    """Size and time make a changed file another one for the cache. Raises NoVideo where there is but a cover."""
    try:
        with ByPyAV(path) as video:
            frame = next(video.frames(), None)
            across, down, swapped = _matrix(frame)
            mirrored = (across * down < 0) != swapped  # a turn by 90 degrees swaps the axes and mirrors one
            return _Look(frame is not None, video.after_cover or mirrored)
    except NoVideo:
        raise
    except DecodeError:
        return _Look()


def _matrix(frame: Any) -> tuple[int, int, bool]:
    """How a frame is to be shown by its display matrix (ISO/IEC 14496-12, 8.3.2: the first two of each of two rows
    turn): steps across and down (-1 mirrors), after rows and columns were swapped or not."""
    data = frame.side_data.get("DISPLAYMATRIX") if frame is not None else None
    if data is None:
        return 1, 1, False
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    swapped = abs(a) < abs(b)
    across, down = (c, b) if swapped else (a, d)
    return -1 if across < 0 else 1, -1 if down < 0 else 1, swapped


def _check_file(path: Path) -> None:
    if not Path(path).is_file():
        raise DecodeError(f"{path}: no such clip; mend its name, or put it there")


def _no_video(path: Path) -> DecodeError | None:
    """What is wrong with a file that no decoder opens and that was not spoilt on its way: empty, or text."""
    with open(path, "rb") as file:
        start = file.read(512)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # a letter may be cut
    except UnicodeDecodeError:
        return None
    words = all(letter.isprintable() or letter.isspace() for letter in text)
    what = "no video (text?)" if start else "empty"
    return DecodeError(f"{path}: {what}; put the video there or take it out") if words else None


def _failed(library: str, path: Path, error: Exception) -> DecodeError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DecodeError(f"{path}: {library} cannot decode this clip ({first}); fetch it again")
