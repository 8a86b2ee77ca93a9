"""Test clips streamed from files, frame by frame, through a trained network: what is right after how many frames."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from repro.data.clips import Clip
from repro.data.decode import count_frames, read_frames
from repro.metrics.accuracy import topk_correct
from repro.metrics.confusion import two_way_choice
from repro.online.recogniser import OnlineRecogniser
from repro.records.record import Record


@dataclass(frozen=True)
class Streamed:
    """What came of some clips, in their order."""

    clips: tuple[str, ...]  # names
    labels: np.ndarray  # int (clips,)
    decisions: tuple[np.ndarray, ...]  # of each clip: class probabilities (decisions, classes), one each N frames
    frames: int  # N
    frames_per_second: float  # of cropping and network, without decoding

    @property
    def final(self) -> np.ndarray:
        """The last class probabilities of each clip, ``(clips, classes)``."""
        return np.stack([guesses[-1] for guesses in self.decisions])

    @property
    def seen(self) -> list[int]:
        """The numbers of frames after which every clip has a decision."""
        return [self.frames * (k + 1) for k in range(min(map(len, self.decisions)))]

    @property
    def top1(self) -> list[float]:
        """Top-1 after each of `seen`, 0 to 1."""
        steps = (np.stack([guesses[k] for guesses in self.decisions]) for k in range(len(self.seen)))
        return [float(topk_correct(scores, self.labels, 1).mean()) for scores in steps]


def stream(online: OnlineRecogniser, clips: Sequence[Clip]) -> Streamed:
    """Push every frame of every clip, each clip from a new start.

    Raises ValueError for a clip with fewer frames than one decision takes.
    """
    decisions, busy, pushed = [], 0.0, 0
    for clip in clips:
        frames = read_frames(clip.path, range(count_frames(clip.path)))
        if len(frames) < online.frames:
            raise ValueError(f"{clip.name}: {len(frames)} frames are fewer than the network's {online.frames}")
        online.reset()
        begin = time.perf_counter()
        guesses = [found for frame in frames if (found := online.push(frame)) is not None]
        busy += time.perf_counter() - begin
        pushed += len(frames)
        decisions.append(np.stack(guesses))
    labels = np.array([clip.label for clip in clips])
    return Streamed(tuple(c.name for c in clips), labels, tuple(decisions), online.frames, pushed / busy)


def whole_clips_top1(record: Record, streamed: Streamed) -> float:
    """Top-1 of the same clips, each scored whole, from the record of the same run."""
    rows = record.predictions.set_index("clip").loc[list(streamed.clips)]
    return float(topk_correct(rows[[f"logit_{name}" for name in record.classes]].to_numpy(), streamed.labels, 1).mean())


def content(record: Record, streamed: Streamed) -> dict[str, Any]:
    """What is filed of it, as ``online.json`` beside the run: the verdict on online recognition reads these fields."""
    experiment = record.experiment
    names = {name.lower(): label for label, name in enumerate(record.classes)}
    drink_eat = None  # of the clips of both: how many are told from the other, where the classes have them
    if {"drink", "eat"} <= set(names):
        told = two_way_choice(streamed.final, streamed.labels, (names["drink"], names["eat"]))
        drink_eat = {"right": int(told.sum()), "clips": len(told)}
    return {
        "run": experiment.run,
        "dataset": experiment.dataset,
        "width": experiment.width,
        "size": experiment.size,
        "frames": experiment.frames,
        "clips": len(streamed.clips),
        "top1": float(topk_correct(streamed.final, streamed.labels, 1).mean()),
        "top1_whole_clip": whole_clips_top1(record, streamed),
        "frames_per_second": streamed.frames_per_second,
        "drink_eat": drink_eat,
    }
