"""Test clips in a row as one stream, recognised by every way at once: what was decided when is filed.

    python -m repro.bench.online_row rendered/res34_se_im_net-split1-seed0 --clips-per-class 13

files results/rendered/timeline.json and .parquet, which the report's page of Figure 5 shows.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from repro.bench import online_timeline as timeline
from repro.bench.online_clips import about, measure_once
from repro.data.clips import Clip
from repro.data.decode import count_frames, iter_frames, open_opencv
from repro.data.images import holds_images
from repro.files import progress
from repro.inference.trained import Trained
from repro.metrics.peak import exact_float32
from repro.online import ways
from repro.online.labels import UNKNOWN, Labelling
from repro.online.recogniser import OnlineRecogniser
from repro.online.ways import Way
from repro.records.measure import Measurement
from repro.records.record import RESULTS, Record, read_record
from repro.training.run_folder import WORK

COLUMNS = ["way", "frame", "label"]


class Shared(nn.Module):
    """A network whose trunk maps equal frames once, until `forget`: most ways see the same pixels."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.head = network, network.head
        self.maps: dict[bytes, Tensor] = {}

    def trunk(self, frames: Tensor) -> Tensor:
        key = frames.cpu().numpy().tobytes()
        if key not in self.maps:
            self.maps[key] = self.network.trunk(frames)
        return self.maps[key]

    def forget(self) -> None:
        self.maps.clear()


def compared(frames: int, seconds: float) -> dict[str, Way]:
    """The ways that are compared, by the names of `repro.bench.online_timeline`; those with slots where N allows them.

    frames: N. seconds: what a decision by time spans.
    """
    found = {
        timeline.PUBLISHED: ways.PUBLISHED,
        timeline.ENDS: Way(pick="ends"),
        timeline.RANDOM: Way(pick="random"),
        timeline.RUNNING: Way(average="running"),
        **{timeline.SLIPS[field]: way for field, way in ways.SLIPS.items()},
        timeline.RELEASED: ways.RELEASED,
        timeline.BY_TIME: Way("time", seconds=seconds),
        timeline.AT_CUTS: Way(at_cuts=True),
    }
    power_of_two = frames & (frames - 1) == 0
    return {name: way for name, way in found.items() if power_of_two or way.sampling != "slots"}


def in_a_row(clips: Sequence[Clip]) -> list[Clip]:
    """The clips in an order drawn once and for all, so that neighbours are seldom of one class."""
    return [clips[k] for k in np.random.default_rng(0).permutation(len(clips))]


def rate_of(clip: Clip) -> float:
    """Frames a second of its file. Raises ValueError where it says none, or is a folder of frames."""
    rate = 0.0 if holds_images(clip.path) else open_opencv(clip.path).get(cv2.CAP_PROP_FPS)
    if not 0 < rate < 1000:
        raise ValueError(f"{clip.path}: says no frame rate, so a stream of it has no times; take a video file")
    return rate


def recognise(record: Record, trained: Trained, clips: Sequence[Clip]) -> tuple[dict[str, Any], pd.DataFrame]:
    """The content and table that `measure` files, of clips in a row.

    The content's ``clips`` has a dict a clip: ``name, group, label, frames, rate`` and ``offline``, what the record's
    scores of the whole clip say. ``cuts``: frames at which the stream was cleared. The table has one row a decision:
    ``way, frame`` (the last that it saw, counted over all clips) and ``label``.
    """
    if holds_images(clips[0].path):
        return {"not_run": "its clips are frames without times"}, pd.DataFrame(columns=COLUMNS)
    experiment, shared, clips = record.experiment, Shared(trained.network), in_a_row(clips)
    rates, lengths = [rate_of(clip) for clip in clips], [count_frames(clip.path) for clip in clips]
    seconds = float(np.mean([length / rate for length, rate in zip(lengths, rates)]))
    chosen = {(name, 0.0): way for name, way in compared(experiment.frames, seconds).items()}
    chosen |= {(n, share): chosen[n, 0.0] for n in (timeline.PUBLISHED, timeline.BY_TIME) for share in timeline.DROPS}
    running = {key: OnlineRecogniser.of(trained, way, network=shared, together=1) for key, way in chosen.items()}
    rows: list[tuple[str, int, int]] = []
    probabilities: list[tuple[int, np.ndarray]] = []  # as published, by frame
    cuts: list[int] = []
    number, now = 0, 0.0
    with exact_float32(), progress(len(clips), f"{record.name}: {len(running)} ways") as advance:
        for clip, length, rate in zip(clips, lengths, rates):
            for frame in iter_frames(clip.path, range(length)):
                shared.forget()
                for (name, share), online in running.items():
                    if int((number + 1) * (1 - share) + 1e-9) == int(number * (1 - share) + 1e-9):
                        continue  # dropped
                    streams = online.streams
                    guess = online.push(frame, now)
                    if online.streams != streams:
                        cuts.append(number)
                    if guess is not None:
                        rows.append((timeline.dropping(name, share), number, int(guess.argmax())))
                        if (name, share) == (timeline.PUBLISHED, 0.0):
                            probabilities.append((number, guess))
                number, now = number + 1, now + 1 / rate
            advance(1)
    rows += _held_back(probabilities, record.classes)
    offline = record.predictions.set_index("clip")[[f"logit_{name}" for name in record.classes]]
    of_clips = [
        {name: getattr(clip, name) for name in ("name", "group", "label")}
        | {"frames": length, "rate": round(rate, 6), "offline": int(offline.loc[clip.name].to_numpy().argmax())}
        for clip, length, rate in zip(clips, lengths, rates)
    ]
    content = about(experiment) | {"classes": list(record.classes), "seconds": round(seconds, 4)}
    return content | {"clips": of_clips, "cuts": cuts}, pd.DataFrame(rows, columns=COLUMNS)


def _held_back(probabilities: Sequence[tuple[int, np.ndarray]], classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Rows of the same decisions under each hysteresis and threshold."""
    numbers = {name: label for label, name in enumerate(classes)} | {UNKNOWN: timeline.UNKNOWN}
    habits = {timeline.holding(h): Labelling(classes, hysteresis=h) for h in timeline.HYSTERESES}
    habits |= {timeline.knowing(t): Labelling(classes, unknown_below=t) for t in timeline.THRESHOLDS}
    return [(name, at, numbers[habit.label(p)]) for name, habit in habits.items() for at, p in probabilities]


def measure(
    record: Record, clips_per_class: int | None = None, *, results: Path = RESULTS, work: Path = WORK
) -> Measurement:
    """`measure_once`: the first test clips of each class (None: all) in a row, by every way.

    Of clips that are frames it files only that they have no times. Raises ValueError for a video without a frame rate.
    """
    with _threads_of(record):
        recognised = partial(recognise, record)
        return measure_once(record, timeline.NAME, clips_per_class, recognised, results=results, work=work)


@contextmanager
def _threads_of(record: Record) -> Iterator[None]:
    """As many threads as the run had, where its fields fix them: the last digits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(record.experiment.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m repro.bench.online_row", description="Recognise test clips in a row."
    )
    parser.add_argument("run", metavar="STUDY/RUN", help="a record under results/, trained on this machine")
    parser.add_argument("--clips-per-class", type=int, default=None, help="(all)")
    arguments = parser.parse_args()
    try:
        found = measure(read_record(RESULTS / arguments.run), arguments.clips_per_class)
    except (ValueError, OSError) as error:
        print(f"repro: {error}", file=sys.stderr)
        return 1
    print(f"{found.path}: shown on the report's page of Figure 5 (make book)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
