"""What is asked of runs beyond a mean over all clips: of some clips, of frames in another order, above a threshold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repro.metrics.statistics import Estimate, gain
from repro.records.record import Record
from repro.records.scores import Score, gain_of, is_right, share_of, values_of


def only(record: Record, keep: np.ndarray) -> Record:
    """The record with the test clips for which ``keep``, bool ``(clips,)``, is true."""
    altered = {name: scores[keep] for name, scores in record.altered.items()}
    return replace(record, predictions=record.predictions[keep].reset_index(drop=True), altered=altered)


def seen(record: Record, order: str) -> Record:
    """The record as if it had been scored with the frames in this order: ``shuffled`` or ``reversed``."""
    logits = [f"logit_{name}" for name in record.classes]
    return replace(record, predictions=record.predictions.assign(**dict(zip(logits, record.altered[order].T))))


def above(records: Sequence[Record], score: Score, threshold: float) -> Estimate:
    """How far the mean of ``score`` over clips and runs is above a threshold, 0..1; p is of a mean that equals it."""
    values = values_of(records, score)
    return gain(values.assign(value=threshold), values)


def learned_nothing(record: Record) -> bool:
    """Whether a run is right no more often than one answer to every clip would be, by its 95 % interval."""
    constant = np.bincount(record.labels).max() / len(record.labels)
    return share_of([record], is_right).low <= max(constant, 1 / len(record.classes))


def both_tested(records: Sequence[Record], two: tuple[int, int]) -> bool:
    """Whether every record has test clips of both classes."""
    return all(np.isin(two, record.labels).all() for record in records)


def confusion_fall(pairs: Sequence[tuple[Record, Record]], two: tuple[int, int]) -> Estimate:
    """How far the paper's indicator of two classes, c = P[i, j] + P[j, i] in 0..2, is lower under the second network.

    Both classes have test clips in every run (`both_tested`).
    """
    asked = [(only(a, np.isin(a.labels, two)), only(b, np.isin(b.labels, two))) for a, b in pairs]
    # c is the mean over these clips of all of them / those of the clip's class, where it was taken for the other one
    scale = max(len(a.labels) / (a.labels == each).sum() for a, _ in asked for each in two)

    def taken(record: Record) -> np.ndarray:
        labels = record.labels
        other = np.where(labels == two[0], two[1], two[0])
        return (record.scores.argmax(1) == other) * len(labels) / np.bincount(labels)[labels] / scale

    found = gain_of([(second, first) for first, second in asked], taken)
    spread = None if found.sd_runs is None else scale * found.sd_runs
    return replace(found, point=scale * found.point, low=scale * found.low, high=scale * found.high, sd_runs=spread)
