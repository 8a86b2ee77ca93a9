"""Frames of a camera, a file or a network stream, whatever happens to it.

Opening and reading are done in a thread of its own, because OpenCV's may hang for ever; one that gives nothing in time
is left behind. A live source that fails is opened again, with growing pauses; a file never.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from repro.data.decode import open_opencv
from repro.data.images import DecodeError

GAP = 2.0  # seconds without a frame, after which a new stream begins
PAUSES = (1, 2, 4, 8, 15)  # seconds before a live source is opened again; the last one from then on
LEFT_BEHIND = 3  # hanging threads at most, before one of them must come to an end


@dataclass(frozen=True)
class Frame:
    """A frame as it came."""

    image: np.ndarray  # uint8 RGB (H, W, 3)
    seconds: float  # in the stream: a file's own time; since the first opening, of a live source
    came: float  # by the clock
    begins: str = ""  # why a new stream begins with it; "" where the last one goes on


class SourceError(OSError):
    """A source that gives no frames; the message names it and the mend."""


def is_live(name: str) -> bool:
    """Whether a source is a camera (a number, a device) or a network stream, not a file."""
    return name.isdecimal() or name.startswith("/dev/") or ("://" in name and not name.startswith("file:"))


def require_there(name: str) -> None:
    """Raises DecodeError for a file or a device that is not there; a camera by number and an address may be."""
    path = Path(name.removeprefix("file://"))
    if name.isdecimal() or "://" in str(path):
        return
    if not (path.exists() if is_live(name) else path.is_file()):
        kind = "device" if is_live(name) else "clip"
        raise DecodeError(f"{path}: no such {kind}; name a camera's number, a file or a stream's address as source")


def opened(name: str, seconds: float) -> Any:
    """The source as an OpenCV capture; seconds: after which its own network calls give up, too. Raises SourceError."""
    if not is_live(name):
        return open_opencv(Path(name.removeprefix("file://")))
    if name.isdecimal():
        video = cv2.VideoCapture(int(name))
        mend = "is it plugged in, free, and may you read it?"
    else:
        limit = round(1000 * seconds)
        options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        video = cv2.VideoCapture(name, cv2.CAP_ANY if name.startswith("/dev/") else cv2.CAP_FFMPEG, options)
        mend = "is it running, and is the address right?"
    if not video.isOpened():
        raise SourceError(f"source: {name} cannot be opened; {mend}")
    return video


def as_rgb(image: np.ndarray) -> np.ndarray:
    """OpenCV's frame, grey, BGR or BGRA, as uint8 RGB ``(H, W, 3)``. Raises SourceError for other ones."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if channels not in codes or image.dtype != np.uint8:
        raise SourceError(f"source: frames of {channels} channels of {image.dtype}; 1, 3 or 4 of uint8 can be read")
    return cv2.cvtColor(image, codes[channels])


class Source:
    """Iterate over the frames; `stop` ends it, from any thread.

    Args:
        name: a camera's number, a device, an address or a file.
        realtime: a file is played at its own rate, and frames for which there is no time are dropped.
        wait: seconds for opening and for each frame.
        retry_for: seconds without a frame after which a live source is given up.
        say: is told in a line what happens to the source.
        open, clock, pause: for tests; makes the capture; seconds, monotonic; waits so long.

    Iterating raises SourceError or DecodeError: a file that cannot be read, a live source that cannot be opened at all
    or is given up.
    """

    def __init__(
        self,
        name: str,
        *,
        realtime: bool = False,
        wait: float = 10.0,
        retry_for: float = 60.0,
        say: Callable[[str], None] = print,
        open: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self.name, self.realtime, self.wait, self.retry_for = name, realtime, wait, retry_for
        self.say, self.clock = say, clock
        self.open = open or (lambda: opened(name, wait))
        self.live = is_live(name)
        self.stopped = threading.Event()
        self.pause = pause or self.stopped.wait
        self.reconnects = 0
        self.readers: list[threading.Thread] = []

    def stop(self) -> None:
        self.stopped.set()

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames()
        finally:
            self.stop()
            until = time.monotonic() + 2  # a thread that comes out of OpenCV while Python ends would abort it
            for reader in self.readers:
                reader.join(max(0.0, until - time.monotonic()))

    def _frames(self) -> Iterator[Frame]:
        began, last = self.clock(), None
        failed, tries = "", 0
        while not self.stopped.is_set():
            try:
                for frame in self._once(began):
                    if why := failed or (last and _new_stream(last, frame)):
                        if failed:
                            self.reconnects += 1
                        self.say(f"source: {self.name}: {why}; what was seen before is forgotten")
                        frame = Frame(frame.image, frame.seconds, frame.came, why)
                    yield frame
                    last, failed, tries = frame, "", 0
                why = f"source: {self.name} ended"
            except OSError as error:
                if not self.live or last is None:
                    raise
                why = str(error)
            if not self.live or self.stopped.is_set():
                return
            if last is None:
                raise SourceError(f"source: {self.name} was opened and gave no frame; is it in use elsewhere?")
            if self.clock() - last.came > self.retry_for:
                raise SourceError(f"{why}; given up after {self.clock() - last.came:.0f} s without a frame")
            failed = "it came back"
            seconds = PAUSES[min(tries, len(PAUSES) - 1)]
            self.say(f"{why}; opened again in {seconds} s")
            tries += 1
            self.pause(seconds)

    def _once(self, began: float) -> Iterator[Frame]:
        """The frames of one opening. Raises SourceError where nothing comes in time, or what the reader raised."""
        given, gone = queue.Queue[Any](1), threading.Event()
        self.readers = [reader for reader in self.readers if reader.is_alive()]
        if len(self.readers) >= LEFT_BEHIND:
            raise SourceError(
                f"source: {self.name} hangs, and so do {LEFT_BEHIND} earlier attempts to read it; end it and start anew"
            )
        self.readers.append(threading.Thread(target=self._read, args=(given, gone), daemon=True, name="reader"))
        self.readers[-1].start()
        announced, count, began_file = self._next(given, "opened"), 0, self.clock()
        try:
            while not self.stopped.is_set() and (found := self._next(given, "read")) is not None:
                image, seconds, came = found
                if not self.live and self.realtime:
                    self.pause(max(0.0, began_file + seconds - self.clock()))
                    came = self.clock()
                count += 1
                yield Frame(as_rgb(image), came - began if self.live else seconds, came)
        finally:
            gone.set()
        if not self.live and not self.stopped.is_set():
            if count == 0:
                raise DecodeError(f"{self.name}: not one frame decodes; fetch the file again")
            if count < 0.95 * announced:  # containers may be off by a few frames
                self.say(
                    f"source: {self.name} ends after {count} frames where it announces {announced:.0f}; is it whole?"
                )

    def _next(self, given: "queue.Queue[Any]", what: str) -> Any:
        """What the reader gives next; None at the end, and once this source is stopped."""
        until = time.monotonic() + self.wait
        while not self.stopped.is_set():
            try:
                found = given.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() > until:
                    raise SourceError(f"source: {self.name} could not be {what} within {self.wait:g} s") from None
                continue
            if isinstance(found, Exception):
                raise found
            return found
        return None

    def _read(self, given: "queue.Queue[Any]", gone: threading.Event) -> None:
        """In a thread of its own: the number of frames announced, then each frame with its time, then None."""

        def give(what: Any) -> None:
            while not gone.is_set() and not self.stopped.is_set():
                try:
                    return given.put(what, timeout=0.1)
                except queue.Full:
                    continue

        try:
            video = self.open()
        except Exception as error:
            return give(error)
        try:
            give(video.get(cv2.CAP_PROP_FRAME_COUNT))
            rate, last = video.get(cv2.CAP_PROP_FPS), -1.0
            while not gone.is_set() and not self.stopped.is_set():
                right, image = video.read()
                if not right:
                    return give(None)
                seconds = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if not self.live and seconds <= last:  # no times in this container: its rate then
                    if not 0 < rate < 1000:
                        raise SourceError(f"source: {self.name} has neither times nor a frame rate; make it anew")
                    seconds = last + 1 / rate
                last = seconds
                give((image, seconds, self.clock()))
        except Exception as error:
            give(error)
        finally:
            video.release()


def _new_stream(last: Frame, frame: Frame) -> str:
    """Why this frame does not go on from the last one; "" where it does."""
    if last.image.shape != frame.image.shape:
        (h, w), (height, width) = last.image.shape[:2], frame.image.shape[:2]
        return f"frames of {width}x{height} pixels follow such of {w}x{h}"
    gap = frame.seconds - last.seconds
    return f"no frame came for {gap:.1f} s" if gap > GAP else ""
