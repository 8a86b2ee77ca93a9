"""Online recognition in a notebook: the picture with its label, the last decisions, a button that ends it."""

import threading
from collections import deque

import cv2
import ipywidgets
import numpy as np
from markupsafe import Markup

from repro.inference.trained import Trained
from repro.online.command import recogniser_of
from repro.online.display import Rate, overlay
from repro.online.labels import Decision, Labelling
from repro.online.live import Live
from repro.online.sources import Source

LINES = 5  # last decisions that are shown
SIDE = 320  # pixels of the picture's shorter side, at least: overlays on smaller ones cannot be read


class Watch(ipywidgets.VBox):
    """A source that is recognised while the notebook goes on; see `watch`."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.picture = ipywidgets.Image(format="jpeg", layout={"max_width": "640px"})
        self.text = ipywidgets.HTML()
        self.end = ipywidgets.Button(description="End", icon="stop")
        self.end.on_click(lambda _button: live.stop())
        super().__init__([self.picture, self.text, self.end])
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        decision, rate, lines = None, Rate(), deque[str](maxlen=LINES)
        said = "ended"
        try:
            for found in self.live:
                if isinstance(found, Decision):
                    decision = found
                    lines.append(found.line())
                    self.text.value = Markup("<pre>{}</pre>").format("\n".join(lines))
                else:
                    self.picture.value = jpeg(overlay(enlarged(found.image), decision, rate.of(found)))
        except (OSError, ValueError) as error:  # nobody else hears what a thread says
            said = str(error)
        self.end.disabled = True
        self.end.description = "Ended"
        counts = f"{self.live.came} frames seen, {self.live.dropped} dropped"
        self.text.value += Markup("<p>{}: {}</p>").format(said, counts)


def watch(source: str, trained: Trained, *, seconds: float | None = None, realtime: bool = True) -> Watch:
    """Recognise a source by a trained network; display what this returns. ``seconds``: as for :func:`recogniser_of`."""
    frames = Source(source, realtime=realtime, say=lambda _text: None)
    return Watch(Live(recogniser_of(trained, seconds), frames, Labelling(trained.classes), frames=True))


def enlarged(image: np.ndarray) -> np.ndarray:
    """An RGB frame whose shorter side is SIDE pixels or more."""
    times = SIDE / min(image.shape[:2])
    return image if times <= 1 else cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)


def jpeg(image: np.ndarray) -> bytes:
    """An RGB frame as JPEG."""
    return cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
