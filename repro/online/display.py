"""Decisions for people: drawn on a copy of the frame, in a window, in a video that browsers play."""

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from repro.online.labels import Decision
from repro.online.sources import Frame


def overlay(image: np.ndarray, decision: Decision | None, fps: float | None = None) -> np.ndarray:
    """A copy of an RGB frame with the label, its probability and the runner-up, the frame rate and the frame's age."""
    scale = max(0.4, min(image.shape[:2]) / 480)
    height = round(24 * scale)
    shown = np.ascontiguousarray(image).copy()
    shown[: 3 * height] //= 3  # two lines
    texts = ["no decision yet", ""]
    if decision is not None:
        score = dict(decision.top5).get(decision.label)
        texts[0] = decision.label + ("" if score is None else f" {score:.0%}")
        texts[1] = ", ".join(f"{name} {p:.0%}" for name, p in decision.top5[:2] if name != decision.label)
        texts[1] += f"  age {decision.frame_age_ms:.0f} ms"
    if fps is not None:
        texts[1] += f"  {fps:.0f} frames/s"
    for number, text in enumerate(texts, start=1):
        place = (round(8 * scale), number * height)
        cv2.putText(shown, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, (255,) * 3, 1, cv2.LINE_AA)
    return shown


class Rate:
    """Frames a second, over the last 30."""

    def __init__(self) -> None:
        self.times = deque[float](maxlen=31)

    def of(self, frame: Frame) -> float | None:
        """With this frame; None before the second one, and where no time has passed."""
        self.times.append(frame.came)
        passed = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / passed if passed > 0 else None


class Video:
    """An annotated video, H.264 in MP4, each frame at its own time. Frames of another size are made the first's."""

    def __init__(self, path: Path) -> None:
        self.file: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self.stream: Any = None
        self.last = -1

    def write(self, image: np.ndarray, seconds: float) -> None:
        """image: uint8 RGB ``(H, W, 3)``; the last row or column is left out where their number is odd."""
        if self.stream is None:
            self.began = seconds
            self.stream = self.file.add_stream("libx264", rate=25, options={"crf": "23", "preset": "veryfast"})
            self.stream.height, self.stream.width = (side // 2 * 2 for side in image.shape[:2])
            self.stream.pix_fmt = "yuv420p"
            self.stream.codec_context.time_base = Fraction(1, 1000)
        height, width = self.stream.height, self.stream.width
        fits = image.shape[0] // 2 * 2 == height and image.shape[1] // 2 * 2 == width
        shown = image[:height, :width] if fits else cv2.resize(image, (width, height))
        frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
        self.last = max(self.last + 1, round(1000 * (seconds - self.began)))
        frame.pts, frame.time_base = self.last, Fraction(1, 1000)
        self.file.mux(self.stream.encode(frame))

    def close(self) -> None:
        if self.stream is not None:
            self.file.mux(self.stream.encode())
        self.file.close()


class Window:
    """A window of Tk, which Python brings along; the OpenCV wheel that is installed here has none.

    Raises RuntimeError where there is no display or no Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            self.root: Any = tkinter.Tk()
        except Exception as error:  # Tk's own is known only where Tk is
            raise RuntimeError(f"no window: {error}") from None
        self.root.title(title)
        self.photo: Any = tkinter.PhotoImage
        self.label: Any = tkinter.Label(self.root)
        self.label.pack()
        self.closed = False
        self.root.protocol("WM_DELETE_WINDOW", self._close)
        for key in ("q", "<Escape>"):
            self.root.bind(key, self._close)

    def _close(self, _event: Any = None) -> None:
        self.closed = True

    def show(self, image: np.ndarray) -> None:
        """image: uint8 RGB ``(H, W, 3)``."""
        head = f"P6 {image.shape[1]} {image.shape[0]} 255 ".encode()
        self.shown = self.photo(data=head + image.tobytes(), format="PPM")  # Tk forgets a picture that nobody holds
        self.label.configure(image=self.shown)
        self.root.update()

    def close(self) -> None:
        self.root.destroy()
