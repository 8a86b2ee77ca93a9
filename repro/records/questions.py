"""What is asked of runs beyond a mean over all clips: of some clips, of frames in another order, above a threshold."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from repro.experiment.fields import BASELINE, CONTROL
from repro.metrics.statistics import Estimate, gain
from repro.paper.look_alikes import look_alikes_of, named_pairs
from repro.records.record import Record, to_16_bits
from repro.records.scores import Score, is_right, share_of, values_of


def only(record: Record, keep: np.ndarray) -> Record:
    """The record with the test clips for which ``keep``, bool ``(clips,)``, is true."""
    altered = {name: scores[keep] for name, scores in record.altered.items()}
    return replace(record, predictions=record.predictions[keep].reset_index(drop=True), altered=altered)


def seen(record: Record, order: str) -> Record:
    """The record as if it had been scored with the frames in this order: ``shuffled`` or ``reversed``."""
    return _scored(record, record.altered[order])


def in_16_bits(record: Record) -> Record:
    """The record with its scores rounded as those of altered clips are kept: else rounding alone would tell the two
    apart, for a tie counts as wrong."""
    return _scored(record, to_16_bits(record.scores).astype(np.float32))


def _scored(record: Record, scores: np.ndarray) -> Record:
    columns = {f"logit_{name}": column for name, column in zip(record.classes, scores.T)}
    return replace(record, predictions=record.predictions.assign(**columns))


def above(records: Sequence[Record], score: Score, threshold: float) -> Estimate:
    """How far the mean of ``score`` over clips and runs is above a threshold, 0..1; p is of a mean that equals it."""
    values = values_of(records, score)
    return gain(values.assign(value=threshold), values)


def of_look_alikes(record: Record) -> Record:
    """The record with the test clips of classes that have a named look-alike."""
    return only(record, np.isin(record.labels, named_pairs(record.classes)))


def one_start_text(records: Iterable[Record]) -> str:
    """In words, if a network's runs all start from one run's weights: none tells how another would have come out."""
    starts: dict[str, set[str | None]] = {}
    for record in records:
        starts.setdefault(record.experiment.model, set()).add(record.experiment.start_from)
    one = all(len(found) == 1 and None not in found for found in starts.values())
    return "; each network started from one pre-training, whose chance is not in the interval" if one else ""


def unlike_starts(records: Iterable[Record], among: Sequence[Record]) -> list[Record]:
    """The runs among others whose weights these started from, where those had unlike learning rates: the baseline's
    first. Empty where they had one."""
    starts = {record.experiment.start_from for record in records}
    runs = [record for record in among if record.name in starts]
    unlike = len({run.experiment.learning_rate for run in runs}) > 1
    return sorted(runs, key=lambda run: run.experiment.model != BASELINE) if unlike else []


def errors_with_look_alike(runs: Sequence[Record]) -> tuple[list[Record], float]:
    """The clips of classes with a named look-alike that each run has wrong, and the share of them that would be taken
    for it if errors fell anywhere; [] and NaN where there are none."""
    inside = [only(r, np.isin(r.labels, named_pairs(r.classes)) & ~is_right(r)) for r in runs]
    inside = [record for record in inside if len(record.labels)]
    if not inside:
        return [], math.nan
    partners_of = look_alikes_of(runs[0].classes)
    labels = np.concatenate([record.labels for record in inside])
    return inside, float(np.mean([len(partners_of[label]) for label in labels])) / (len(runs[0].classes) - 1)


def learned_nothing(record: Record) -> bool:
    """Whether a run is right no more often than one answer to every clip would be, by its 95 % interval.

    A handful of clips shows neither that it learned nor that it did not: the interval ends below half of the way to 1.
    """
    constant = max(np.bincount(record.labels).max() / len(record.labels), 1 / len(record.classes))
    found = share_of([record], is_right)
    return found.low <= constant and found.high < (1 + constant) / 2


CONVERGED = 0.98  # training top-1 at the end, with dropout and augmentation


def training_top1(record: Record) -> float:
    """Training top-1 in the last epoch, 0..1."""
    return float(record.history["train_top1"].iloc[-1])


def has_converged(record: Record) -> bool:
    """Whether a run had learned its training clips when it ended.

    Under the paper's schedule always: it lowers the rate when nothing gets better any more.
    """
    return record.experiment.schedule == "plateau" or training_top1(record) >= CONVERGED


def have_converged(records: Sequence[Record]) -> bool:
    """Whether at least half of the runs of each network had learned their training clips.

    The control without a 3D head is not asked: it cannot tell apart what only order does, however long it trains.
    """
    by_network: dict[str, list[bool]] = {}
    for record in records:
        if record.experiment.model != CONTROL:
            by_network.setdefault(record.experiment.model, []).append(has_converged(record))
    return all(2 * sum(found) >= len(found) for found in by_network.values())
