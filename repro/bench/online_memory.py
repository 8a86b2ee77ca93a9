"""Does the memory of online recognition stay as it is over an hour of stream?

    python -m repro.bench.online_memory

files results/online/memory.json, which the report's page of Figure 5 shows. The network is that of online_pace. The
stream comes as fast as the network takes it, so it lasts an hour where 25 frames a second are kept, and other work may
run beside it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from repro.bench.online_pace import DEVICE, NETWORK, RATE, STUDY, moving, paper_recogniser
from repro.metrics.peak import exact_float32
from repro.online.labels import Decision, Labelling
from repro.online.live import Live
from repro.online.sources import Source
from repro.records.measure import Measurement, device_name, measured
from repro.records.record import RESULTS

NAME = "memory"


class Endless:
    """A capture that gives the same few frames over and over, ``count`` in all; ``seen`` is told each number."""

    def __init__(self, frames: Sequence[np.ndarray], count: int, seen: Callable[[int], None]) -> None:
        self.frames, self.count, self.seen, self.given = frames, count, seen, 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.given == self.count:
            return False, None
        self.seen(self.given)
        self.given += 1
        return True, self.frames[self.given % len(self.frames)].copy()

    def get(self, what: int) -> float:
        milliseconds = 1000 * (self.given - 1) / RATE
        known = {cv2.CAP_PROP_POS_MSEC: milliseconds, cv2.CAP_PROP_FRAME_COUNT: self.count, cv2.CAP_PROP_FPS: RATE}
        return float(known[what])

    def release(self) -> None:
        pass


def measure(*, seconds: float = 3600.0, results: Path = RESULTS, network: Mapping[str, Any] = NETWORK) -> Measurement:
    """Measure and file this process's resident memory, MB, at the beginning of each minute of stream and at its end."""
    megabytes: list[float] = []

    def look(number: int) -> None:
        if number % (60 * RATE) == 0:
            megabytes.append(resident_megabytes())

    with measured(STUDY, NAME, device=device_name(DEVICE), results=results) as found, exact_float32():
        online = paper_recogniser(**network)()
        shapes, count = moving(64), int(seconds * RATE)
        live = Live(online, Source("made.mp4", open=lambda: Endless(shapes, count, look)), Labelling(online.classes))
        decisions = sum(isinstance(each, Decision) for each in live)  # counted, not kept: they would be found as growth
        found.content |= {**network, "rate": RATE, "decisions": decisions, "streamed": live.came + live.dropped}
        found.content |= {"mb": [*megabytes, resident_megabytes()]}
    return found


def resident_megabytes() -> float:
    """Of this process; Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    print(f"{measure().path}: shown on the report's page of Figure 5 (make book)")
