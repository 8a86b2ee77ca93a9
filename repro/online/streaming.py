"""Test clips streamed from files, frame by frame, through a trained network: what is right after how many frames."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.data.clips import Clip, first_of_each_class, read_split
from repro.data.decode import count_frames, read_frames
from repro.inference.trained import trained, weights_of
from repro.metrics.accuracy import topk_correct
from repro.metrics.confusion import two_way_choice
from repro.metrics.peak import exact_float32
from repro.online.recogniser import OnlineRecogniser
from repro.records.freshness import sources_state
from repro.records.measure import Measurement, device_name, measured, measured_before
from repro.records.record import RESULTS, Record
from repro.training.run_folder import WORK


@dataclass(frozen=True)
class Streamed:
    """What came of some clips, in their order."""

    clips: tuple[str, ...]  # names
    labels: np.ndarray  # int (clips,)
    groups: tuple[str, ...]  # sources that the clips were cut from
    decisions: tuple[np.ndarray, ...]  # of each clip: class probabilities (decisions, classes), one each N frames
    frames: int  # N
    seconds: np.ndarray  # float (all decisions,): cropping N frames and the network, without decoding

    @property
    def frames_per_second(self) -> float:
        """Of a camera with which the decisions keep up: N frames for each, none that cost no decision."""
        return self.frames * len(self.seconds) / float(self.seconds.sum())

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


def stream(
    online: OnlineRecogniser, clips: Sequence[Clip], *, clock: Callable[[], float] = time.perf_counter
) -> Streamed:
    """Push every frame of every clip, each clip from a new start; float32 is no TF32.

    clock: seconds, monotonic. Raises ValueError for a clip with fewer frames than one decision takes.
    """
    decisions: list[np.ndarray] = []
    seconds: list[float] = []
    for clip in clips:
        frames = read_frames(clip.path, range(count_frames(clip.path)))
        if len(frames) < online.frames:
            raise ValueError(
                f"{clip.name}: {len(frames)} frames are fewer than the network's {online.frames}; leave it out"
            )
        if not seconds:  # libraries are loaded and kernels picked at the first decision, which is not timed
            online.reset()
            _decide(online, frames[: online.frames], clock)
        online.reset()
        guesses, took = _decide(online, frames, clock)
        decisions.append(guesses)
        seconds += took
    labels = np.array([clip.label for clip in clips])
    names, groups = (tuple(getattr(clip, field) for clip in clips) for field in ("name", "group"))
    return Streamed(names, labels, groups, tuple(decisions), online.frames, np.array(seconds))


def _decide(online: OnlineRecogniser, frames: np.ndarray, clock: Callable[[], float]) -> tuple[np.ndarray, list[float]]:
    """Class probabilities ``(decisions, classes)`` and seconds of each decision, from the first of its N frames on."""
    guesses, seconds = [], []
    with exact_float32():
        begin = clock()
        for frame in frames:
            found = online.push(frame)
            if found is not None:
                guesses.append(found)
                seconds.append(clock() - begin)
                begin = clock()
    return np.stack(guesses), seconds


def whole_clips_top1(record: Record, streamed: Streamed) -> float:
    """Top-1 of the same clips, each scored whole, from the record of the same run."""
    rows = record.predictions.set_index("clip").loc[list(streamed.clips)]
    return float(topk_correct(rows[[f"logit_{name}" for name in record.classes]].to_numpy(), streamed.labels, 1).mean())


def content(record: Record, streamed: Streamed) -> dict[str, Any]:
    """What is filed of it, as ``online.json`` beside the run: the verdict on online recognition reads these fields."""
    experiment = record.experiment
    names = {name.lower(): label for label, name in enumerate(record.classes)}
    drink_eat = None  # of the clips of both, where the classes have them: whether each is told from the other
    if {"drink", "eat"} <= set(names):
        pair = (names["drink"], names["eat"])
        told = two_way_choice(streamed.final, streamed.labels, pair)
        of_both = [k for k, label in enumerate(streamed.labels) if label in pair]
        clips, groups = ([each[k] for k in of_both] for each in (streamed.clips, streamed.groups))
        of_class = [record.classes[streamed.labels[k]] for k in of_both]
        drink_eat = {"clip": clips, "group": groups, "class": of_class, "value": told.astype(float).tolist()}
    return {
        "run": experiment.run,
        "dataset": experiment.dataset,
        "width": experiment.width,
        "size": experiment.size,
        "frames": experiment.frames,
        "clips": len(streamed.clips),
        "top1": float(topk_correct(streamed.final, streamed.labels, 1).mean()),
        "top1_whole_clip": whole_clips_top1(record, streamed),
        "seen": streamed.seen,
        "top1_seen": streamed.top1,
        "decisions": len(streamed.seconds),
        "frames_per_second": streamed.frames_per_second,
        "drink_eat": drink_eat,
    }


def measure(record: Record, clips_per_class: int, *, results: Path = RESULTS, work: Path = WORK) -> Measurement:
    """Stream the first test clips of each class through the run's network and file :func:`content`.

    What is filed already of this very run, by this code (by any, where the run's weights are not here), is returned
    instead. Raises as :func:`repro.inference.trained.trained`.
    """
    experiment = record.experiment
    of: dict[str, Any] = {"run": record.name, "started": record.provenance["started"]}
    of |= {"clips_per_class": clips_per_class, "code": sources_state()}
    again = weights_of(experiment, work).is_file()
    if found := measured_before(experiment.study, "online", of, results, again=again):
        return found
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = trained(experiment, len(record.classes), work=work)
    frames, size, values = experiment.frames, experiment.size, experiment.values
    online = OnlineRecogniser(network, record.classes, frames=frames, size=size, values=values, device=device)
    clips = first_of_each_class(read_split(experiment).test, clips_per_class)
    with measured(experiment.study, "online", device=device_name(device), results=results) as found:
        found.content |= content(record, stream(online, clips)) | {"of": of}
    return found
