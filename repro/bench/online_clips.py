"""Test clips streamed from files, frame by frame, through a run's own network: what is right after how many frames.

Measured and filed once (`measure_once`), however often the page is made.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from repro.data.clips import Clip, first_of_each_class, read_split
from repro.data.decode import count_frames, read_frames
from repro.experiment.fields import Experiment
from repro.inference.trained import Trained, trained, weights_of
from repro.metrics.accuracy import topk_accuracy
from repro.metrics.confusion import two_way_choice
from repro.metrics.peak import exact_float32
from repro.online.recogniser import OnlineRecogniser
from repro.records.freshness import sources_state
from repro.records.measure import Measurement, device_name, measured, read_measurements
from repro.records.record import RESULTS, Record
from repro.training.run_folder import WORK

Recognise = Callable[[Trained, list[Clip]], tuple[dict[str, Any], pd.DataFrame | None]]
"""From a network and clips to what is filed: content and table."""


def measure_once(
    record: Record, name: str, clips_per_class: int | None, recognise: Recognise, *, results: Path, work: Path
) -> Measurement:
    """File what ``recognise`` finds of the first test clips of each class (None: all) under the run's study.

    What is filed already of this very run, by this code (by any, where the run's weights are not here), is returned
    instead. Raises as :func:`repro.inference.trained.trained`.
    """
    experiment = record.experiment
    of = {"run": record.name, "started": record.provenance["started"], "clips_per_class": clips_per_class}
    content = read_measurements(name, results).get(experiment.study, {})
    filed = content.get("of", {})
    of["code"] = sources_state() if weights_of(experiment, work).is_file() else filed.get("code")
    if filed == of:
        provenance = content.pop("provenance")
        return Measurement(results / experiment.study / f"{name}.json", provenance["device"], provenance, content)
    network = trained(experiment, len(record.classes), work=work)
    clips = list(read_split(experiment).test)
    if clips_per_class is not None:
        clips = first_of_each_class(clips, clips_per_class)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with measured(experiment.study, name, device=device_name(device), results=results) as found:
        content, found.table = recognise(Trained(record.name, network, experiment, record.classes), clips)
        found.content |= content | {"of": of}
    return found


def stream(
    online: OnlineRecogniser, clips: Sequence[Clip], *, clock: Callable[[], float] = time.perf_counter
) -> tuple[list[np.ndarray], list[float]]:
    """Push every frame of every clip, each clip from a new start; float32 is no TF32.

    Returns of each clip the class probabilities ``(decisions, classes)``, a decision each N frames, and the seconds of
    all decisions: cropping N frames and the network, without decoding. Raises ValueError for a clip with fewer frames
    than one decision takes.
    """
    decisions: list[np.ndarray] = []
    seconds: list[float] = []
    with exact_float32():
        online.warm_up()  # the first decision is not timed
        for clip in clips:
            frames = read_frames(clip.path, range(count_frames(clip.path)))
            if len(frames) < online.frames:
                few = f"{len(frames)} frames are fewer than the network's {online.frames}"
                raise ValueError(f"{clip.name}: {few}; leave it out")
            online.reset()
            guesses, begin = [], clock()
            for frame in frames:
                if (found := online.push(frame)) is not None:
                    guesses.append(found)
                    seconds.append(clock() - begin)
                    begin = clock()
            decisions.append(np.stack(guesses))
    return decisions, seconds


def content(
    record: Record, clips: Sequence[Clip], decisions: Sequence[np.ndarray], seconds: Sequence[float]
) -> dict[str, Any]:
    """What is filed of it, as ``online.json`` beside the run: the verdict on online recognition reads these fields.

    Top-1 is of each clip's last decision; after so many frames as `seen` says; and of the clips scored whole, from the
    record. The rate is that of a camera with which the decisions keep up: N frames for each, none that cost none.
    """
    experiment, labels = record.experiment, np.array([clip.label for clip in clips])
    final = np.stack([guesses[-1] for guesses in decisions])
    whole = record.predictions.set_index("clip").loc[[clip.name for clip in clips]].filter(like="logit_").to_numpy()
    steps = range(min(map(len, decisions)))  # of which every clip has a decision
    return about(experiment) | {
        "clips": len(clips),
        "top1": topk_accuracy(final, labels),
        "top1_whole_clip": topk_accuracy(whole, labels),
        "seen": [experiment.frames * (k + 1) for k in steps],
        "top1_seen": [topk_accuracy([guesses[k] for guesses in decisions], labels) for k in steps],
        "decisions": len(seconds),
        "frames_per_second": experiment.frames * len(seconds) / sum(seconds),
        "drink_eat": _drink_eat(record.classes, clips, final),
    }


def about(experiment: Experiment) -> dict[str, Any]:
    """What is filed of the run that was streamed."""
    return {name: getattr(experiment, name) for name in ("run", "dataset", "width", "size", "frames")}


def _drink_eat(classes: Sequence[str], clips: Sequence[Clip], final: np.ndarray) -> dict[str, list[Any]] | None:
    """Of the clips of drink and eat, whether each is told from the other; None where they are no classes."""
    names = {name.lower(): label for label, name in enumerate(classes)}
    if not {"drink", "eat"} <= set(names):
        return None
    pair = (names["drink"], names["eat"])
    told = two_way_choice(final, np.array([clip.label for clip in clips]), pair)
    both = [clip for clip in clips if clip.label in pair]
    return {
        "clip": [clip.name for clip in both],
        "group": [clip.group for clip in both],
        "class": [classes[clip.label] for clip in both],
        "value": told.astype(float).tolist(),
    }


def measure(record: Record, clips_per_class: int, *, results: Path = RESULTS, work: Path = WORK) -> Measurement:
    """`measure_once`: the first test clips of each class, streamed one by one, make :func:`content`."""
    return measure_once(
        record,
        "online",
        clips_per_class,
        lambda trained, clips: (content(record, clips, *stream(OnlineRecogniser.of(trained), clips)), None),
        results=results,
        work=work,
    )
