"""The ways of recognising online that are compared: as published, as released with each of its departures, by time."""

from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np

from repro.data.transforms import test_view
from repro.files import check_names
from repro.online.samplings import ByTime, Halves, Slots

SAMPLINGS = ("halves", "slots", "time")
AVERAGES = ("previous", "running", "none")


@dataclass(frozen=True)
class Way:
    """How a stream's frames become decisions. The defaults are ECO's Algorithm 1 as this study reads it.

    Raises ValueError for an unknown name, and for sampling by time without seconds.
    """

    sampling: str = "halves"  # one of SAMPLINGS
    pick: str = "middles"  # of halves: how each is picked, one of samplings.PICKS
    average: str = "previous"  # (previous + new) / 2; "running": mean of all so far; "none": the new one alone
    seconds: float | None = None  # by time: what a decision spans
    fresh: int = 3  # by time: the most new frames a decision takes
    label_drawn: bool = False  # the last label stands in the frame that the network sees
    off_centre: bool = False  # the crop lies 2 of 224 pixels right of the centre
    squeezed: bool = False  # every frame is made 340 wide for 256 high first, whatever its shape
    at_cuts: bool = False  # the state is cleared where one shot ends and another begins

    def __post_init__(self) -> None:
        check_names([self.sampling], SAMPLINGS, "sampling")
        check_names([self.average], AVERAGES, "average")
        if (self.sampling == "time") != (self.seconds is not None):
            raise ValueError("seconds: sampling by time needs them, and no other does")

    def sampled(self, frames: int) -> Halves[Any] | Slots[Any] | ByTime[Any]:
        """A new sampling of N ``frames``."""
        if self.seconds is not None:
            return ByTime(frames, self.seconds, min(self.fresh, frames))
        return Slots(frames) if self.sampling == "slots" else Halves(frames, self.pick)

    def view(self, frame: np.ndarray, size: int, label: str | None) -> np.ndarray:
        """What the network sees of a frame, uint8 RGB ``(H, W, 3)``: ``(size, size, 3)``.

        label: the last decision's, None before the first. The frame itself stays as it is.
        """
        if self.label_drawn and label is not None:
            frame = draw_label(frame.copy(), f"Action: {label}")
        if self.squeezed:
            frame = cv2.resize(frame, (round(size * 340 / 224), round(size * 256 / 224)))
        return test_view(frame[None], size, right=max(1, round(size * 2 / 224)) if self.off_centre else 0)[0]


def draw_label(frame: np.ndarray, text: str) -> np.ndarray:
    """Text in the frame itself, where and as large as the released script has it in a camera's 480 lines."""
    scale = frame.shape[0] / 480
    place, thickness = (round(10 * scale), round(80 * scale)), max(1, round(2 * scale))
    return cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8 * scale, (255, 255, 0), thickness)


PUBLISHED = Way()
RELEASED = Way(sampling="slots", average="none", label_drawn=True, off_centre=True, squeezed=True)
"""The script released with ECO, read at 4f76a74 (see :class:`repro.online.samplings.Slots`). Its mean of new and
previous scores has no effect, by a broadcasting slip: shapes (C, 1) and (C,) make (C, C)."""

SLIPS = {
    f.name: replace(PUBLISHED, **{f.name: getattr(RELEASED, f.name)})
    for f in fields(Way)
    if getattr(RELEASED, f.name) != getattr(PUBLISHED, f.name)
}
"""As published but for one departure of the released script, by the field that differs."""
