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


def confusion_fall(pairs: Sequence[tuple[Record, Record]], two: tuple[int, int]) -> Estimate | None:
    """How far the paper's indicator of two classes, c = P[i, j] + P[j, i] in 0..2, is lower under the second network.

    None where one of the classes has no test clip in some run.
    """
    asked = [(only(a, np.isin(a.labels, two)), only(b, np.isin(b.labels, two))) for a, b in pairs]
    if any(not (record.labels == each).any() for pair in asked for record in pair for each in two):
        return None
    # c is the mean over the clips of clips / clips of its class, for those taken for the other class
    scale = max(len(record.labels) / (record.labels == each).sum() for pair in asked for record in pair for each in two)

    def taken(record: Record) -> np.ndarray:
        other = np.where(record.labels == two[0], two[1], two[0])
        own = np.bincount(record.labels)[record.labels]
        return (record.scores.argmax(1) == other) * len(record.labels) / own / scale

    found = gain_of([(second, first) for first, second in asked], taken)
    spread = None if found.sd_runs is None else scale * found.sd_runs
    return replace(found, point=scale * found.point, low=scale * found.low, high=scale * found.high, sd_runs=spread)
