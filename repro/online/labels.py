"""From class probabilities to what is shown and written: the label, and one JSON line a decision."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Decision:
    """One decision on a stream. Seconds are the stream's own; `frame_age_ms` from when its last frame came."""

    t_first: float
    t_last: float
    label: str
    top5: tuple[tuple[str, float], ...]  # classes and probabilities, the most probable first
    latency_ms: float  # from the network's taking the last frame
    frame_age_ms: float
    dropped: int  # frames so far that no network saw, because it was slower than they came
    reconnects: int  # so far

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))


def top5(probabilities: np.ndarray, classes: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """The five most probable classes, or all where there are fewer; of equals the first."""
    order = np.argsort(-probabilities, kind="stable")[:5]
    return tuple((classes[k], round(float(probabilities[k]), 6)) for k in order)


class Labelling:
    """The label of each decision: the most probable class, unless one of two habits holds it back.

    unknown_below: a label whose probability is lower is UNKNOWN. hysteresis: another label takes the shown one's place
    only where it is more probable by so much. Raises ValueError where one is not in 0..1.
    """

    def __init__(self, classes: Sequence[str], *, unknown_below: float = 0.0, hysteresis: float = 0.0) -> None:
        for name, value in (("unknown_below", unknown_below), ("hysteresis", hysteresis)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: {value} is no probability; use 0 to 1")
        self.classes, self.unknown_below, self.hysteresis = tuple(classes), unknown_below, hysteresis
        self.shown: int | None = None
        self.stream: int | None = None

    def label(self, probabilities: np.ndarray, stream: int = 0) -> str:
        """Of the next decision. stream: another one than the last decision's begins anew."""
        if stream != self.stream:
            self.stream, self.shown = stream, None
        best = int(probabilities.argmax())
        if self.shown is not None and probabilities[best] - probabilities[self.shown] < self.hysteresis:
            best = self.shown
        known = probabilities[best] >= self.unknown_below
        self.shown = best if known else None
        return self.classes[best] if known else UNKNOWN
