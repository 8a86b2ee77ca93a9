"""Does online recognition keep up, and what does keeping maps save?

    python -m repro.bench.online_pace

files results/online/pace.json within five minutes; the report's page of Figure 5 shows it. The network is the paper's
at 112 pixels with the weights that it starts from: how fast it is does not depend on them. Nothing else should run
beside it.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.experiment.fields import ATTENTION
from repro.metrics.peak import exact_float32
from repro.metrics.speed import measure_speed
from repro.metrics.timings import paired_ratio
from repro.models import build
from repro.online.display import Video
from repro.online.labels import Decision, Labelling
from repro.online.live import Live
from repro.online.recogniser import OnlineRecogniser
from repro.online.sources import Source
from repro.online.ways import PUBLISHED, Way
from repro.records.measure import Measurement, device_name, measured
from repro.records.record import RESULTS

STUDY, NAME = "online", "pace"
NETWORK = {"width": 1.0, "size": 112, "frames": 16}  # and its input
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RATE = 25  # frames a second
SLOWER = 3
KEPT, ANEW = "maps kept", "all computed"


class Slowed(nn.Module):
    """A network so many times slower, or one whose every map takes so many seconds at least."""

    def __init__(self, network: Any, *, times: float = 1.0, seconds: float = 0.0) -> None:
        super().__init__()
        self.network, self.times, self.seconds = network, times, seconds

    def trunk(self, frames: Tensor) -> Tensor:
        return self._slowly(self.network.trunk, frames, len(frames) * self.seconds)

    def head(self, maps: Tensor) -> Tensor:
        return self._slowly(self.network.head, maps, 0.0)

    def _slowly(self, part: Callable[[Tensor], Tensor], values: Tensor, least: float) -> Tensor:
        begin = time.monotonic()
        found = part(values)
        if found.is_cuda:
            torch.cuda.synchronize()
        took = time.monotonic() - begin
        time.sleep(max((self.times - 1) * took, least - took))
        return found


def moving(count: int, height: int = 240, width: int = 320) -> list[np.ndarray]:
    """Frames of smooth shapes that move: uint8 RGB."""
    down, right = np.mgrid[:height, :width] / 40
    waves = [np.sin(right + k / 7) + np.cos(down - k / 11) for k in range(count)]
    return [np.stack([127 + 60 * wave, 127 - 60 * wave, 127 + 30 * wave], -1).astype(np.uint8) for wave in waves]


def paper_recogniser(*, width: float, size: int, frames: int) -> Callable[..., OnlineRecogniser]:
    """What makes recognisers of one network with gates, of 51 classes; further options in place of these."""
    torch.manual_seed(0)
    network = build(ATTENTION, classes=51, width=width)
    names = [f"class {k}" for k in range(51)]

    def make(network: Any = network, **options: Any) -> OnlineRecogniser:
        return OnlineRecogniser(network, names, frames=frames, size=size, device=DEVICE, **options)

    return make


def followed(live: Live) -> dict[str, float]:
    """Run it to its end: frames and how many were dropped, decisions, what a decision took, how old its last frame."""
    begin = time.monotonic()
    decisions = [each for each in live if isinstance(each, Decision)]
    seconds = time.monotonic() - begin
    found: dict[str, float] = {"frames": live.came + live.dropped, "dropped": live.dropped, "decisions": len(decisions)}
    found["decisions_a_minute"] = 60 * len(decisions) / seconds
    for name in ("latency_ms", "frame_age_ms"):
        values = [getattr(decision, name) for decision in decisions]
        found |= {f"{name}_median": float(np.median(values)), f"{name}_largest": max(values)}
    return found


def saving(make: Callable[..., OnlineRecogniser], frames: Sequence[np.ndarray], rounds: int) -> dict[str, Any]:
    """How many times as fast a decision is where maps are kept, as published and with at most 3 new frames of N."""
    found, seconds = {}, make().frames / RATE  # each frame begins a stretch of time
    for name, way in (("as published", PUBLISHED), ("by time, 3 new frames", Way("time", seconds=seconds))):
        cases = {title: _next_decision(make(way=way, reuse=title == KEPT), frames) for title in (KEPT, ANEW)}
        ratio = paired_ratio(measure_speed(cases, device=DEVICE, repeats=rounds), KEPT, ANEW)
        found[name] = {"times": ratio.point, "low": ratio.low, "high": ratio.high, "rounds": ratio.n}
    return found


def _next_decision(online: OnlineRecogniser, frames: Sequence[np.ndarray]) -> Callable[[], object]:
    numbered = enumerate(itertools.cycle(frames))

    def call() -> object:
        for number, frame in numbered:
            if (guess := online.push(frame, number / RATE)) is not None:
                return guess
        raise AssertionError("the frames never end")

    return call


def measure(
    *, seconds: float = 60.0, rounds: int = 20, results: Path = RESULTS, network: Mapping[str, Any] = NETWORK
) -> Measurement:
    """Measure all of it and file it. seconds: of the file that is played at its own rate, three times."""
    make, shapes = paper_recogniser(**network), moving(64)
    online = make()
    content: dict[str, Any] = {"model": ATTENTION, **network, "rate": RATE}
    with measured(STUDY, NAME, device=device_name(DEVICE), results=results) as found, exact_float32():
        content["saving"] = saving(make, shapes, rounds)
        with tempfile.TemporaryDirectory() as folder:
            video = Video(Path(folder) / "shapes.mp4")
            for k, frame in zip(range(int(seconds * RATE)), itertools.cycle(shapes)):
                video.write(frame, k / RATE)
            video.close()
            for title, slowed in (
                ("as it is", online.network),
                (f"{SLOWER} times slower", Slowed(online.network, times=SLOWER)),
                (f"{SLOWER} frames' time for each map", Slowed(online.network, seconds=SLOWER / RATE)),
            ):
                source = Source(str(Path(folder) / "shapes.mp4"), realtime=True)
                live = Live(make(network=slowed), source, Labelling(online.classes))
                content.setdefault("paces", {})[title] = followed(live)
        found.content |= content
    return found


if __name__ == "__main__":
    print(f"{measure().path}: shown on the report's page of Figure 5 (make book)")
