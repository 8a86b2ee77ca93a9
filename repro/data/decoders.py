"""One reader of video files for each library: frames by index, exactly those that a sequential decode numbers so.

OpenCV is the default, as in the paper. torchcodec, decord and PyAV are optional packages. Each reader takes a file and
rising indices and yields one frame after the other, uint8 ``(H, W, 3)``, RGB; each runs its decoder on one thread,
because many clips are decoded side by side. ``repro.bench.decoding`` measures them and counts wrong frames.
"""

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
PACKAGES = {"torchcodec": "torchcodec.decoders", "decord": "decord", "pyav": "av"}
PACKED = re.compile(rb"DivX\d+(?:b|Build)\d+p")  # FFmpeg knows packed B-frames by the same note of the encoder
HEAD = 65536  # bytes in which that note stands: it precedes the first frame


class DecodeError(OSError):
    """A clip that cannot be decoded; the message names the file."""


def quick_opening() -> None:
    """From now on OpenCV does not estimate frame rates when it opens a file, in this process and those it starts.

    Frames are the same; an H.264 avi opens 1.2 ms sooner, a clip of HMDB51 0.25 ms (mp4 and UCF101's own: no change).
    OpenCV's frame rate and announced frame count are then wrong for some .ts and .wmv files, so what reports those must
    not call this. Options that the user has set in OPENCV_FFMPEG_CAPTURE_OPTIONS are kept.
    """
    os.environ.setdefault(OPENCV_OPTIONS, "fpsprobesize;0")


def open_opencv(path) -> cv2.VideoCapture:
    """The file, opened by OpenCV with its decoder on one thread. Raises DecodeError."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not video.isOpened():
        raise DecodeError(f"{path}: OpenCV cannot open this clip ({Path(path).stat().st_size} bytes); fetch it again")
    return video


def read_opencv(path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Every frame is decoded, only the wanted ones are converted. OpenCV's seek is not used: it gives other frames."""
    video = open_opencv(path)
    try:
        for _ in _pick(path, iter(video.grab, False), wanted):
            yield cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)
    except cv2.error as error:
        raise _failed("OpenCV", path, error) from None


def read_pyav(path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Every frame is decoded, only the wanted ones are converted. A packet that does not decode is passed over, as
    OpenCV does."""
    av = _load("pyav")
    reformatter = av.video.reformatter.VideoReformatter()  # one for all frames: each new one is set up again

    def frames(container, stream):
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


def read_decord(path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Every frame is decoded and converted. decord's ``get_batch`` and ``seek_accurate`` are not used: on H.264 in avi
    they give frames up to hundreds of places away.

    Its thread decodes ahead: of a file that is cut short, a busy machine gets an error before the last whole frames.
    """
    decord = _load("decord")
    try:
        video = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
        for frame in _pick(path, iter(video.next, None), wanted):
            yield frame.asnumpy()
    except (decord.DECORDError, RuntimeError) as error:
        raise _failed("decord", path, error) from None


def read_torchcodec(path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
    """Key frames are sought by torchcodec's own index of the file (its "exact" mode), the frames between decoded.

    MPEG-4 with packed B-frames (HMDB51 as distributed) is refused: the index counts packets, of which some hold two
    frames and some none, so that other frames come back. The same happens behind a damaged place in a file, unnoticed:
    read clips whose announced and decoded counts differ by another decoder.
    """
    decoders = _load("torchcodec")
    try:
        video = decoders.VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
        if video.metadata.codec == "mpeg4" and has_packed_frames(path):
            raise DecodeError(
                f"{path}: MPEG-4 with packed B-frames, of which torchcodec gives other frames than those asked for; "
                "set decoder to opencv or pyav"
            )
        if wanted[-1] >= len(video):
            raise _ended(path, len(video), wanted[-1])
        yield from video.get_frames_at(list(wanted)).data.numpy()
    except (RuntimeError, ValueError, IndexError) as error:
        raise _failed("torchcodec", path, error) from None


DECODERS: dict[str, Callable[[Path, Sequence[int]], Iterator[np.ndarray]]] = {
    "opencv": read_opencv,
    "torchcodec": read_torchcodec,
    "decord": read_decord,
    "pyav": read_pyav,
}


def has_packed_frames(path) -> bool:
    """Whether an MPEG-4 file says that it packs B-frames (a P-frame and a B-frame in one packet, an empty one next)."""
    with open(path, "rb") as file:
        return PACKED.search(file.read(HEAD)) is not None


def why_not(decoder: str) -> str | None:
    """Why a decoder of :data:`DECODERS` cannot be used here, in one sentence with the mend; None when it can."""
    try:
        if decoder != "opencv":
            _load(decoder)
    except ValueError as error:
        return str(error)
    return None


def _load(decoder: str) -> ModuleType:
    package = {"pyav": "av"}.get(decoder, decoder)
    try:
        return importlib.import_module(PACKAGES[decoder])
    except (ImportError, OSError, RuntimeError) as error:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"decoder: {package} is not installed; pip install {package}, or use opencv") from None
        needs = "; it needs FFmpeg's shared libraries (apt-get install ffmpeg)" if decoder == "torchcodec" else ""
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"decoder: {package} is installed but does not load ({first}){needs}") from None


def _pick(path, frames: Iterable, wanted: Sequence[int]) -> Iterator:
    """The wanted among frames that come in order; decoding stops with the last. Raises DecodeError where one lacks."""
    remaining, position = iter(wanted), -1
    index = next(remaining)
    for position, frame in enumerate(frames):
        if position == index:
            yield frame
            index = next(remaining, None)
            if index is None:
                return
    raise _ended(path, position + 1, index)


def _ended(path, frames: int, index: int) -> DecodeError:
    return DecodeError(f"{path}: ends at frame {frames}, frame {index} was asked for")


def _failed(library: str, path, error: Exception) -> DecodeError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DecodeError(f"{path}: {library} cannot decode this clip ({first}); fetch it again")
