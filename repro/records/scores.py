"""What a record's scores say of each test clip, and of one network against another on the same clips."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from repro.metrics.accuracy import topk_correct
from repro.metrics.confusion import two_way_choice
from repro.metrics.statistics import Estimate, gain, share, twice
from repro.paper.look_alikes import backwards_pairs, look_alikes_of
from repro.records.record import Record

Score = Callable[[Record], np.ndarray]
"""A value for each test clip of a record, ``(clips,)``."""


def is_right(record: Record) -> np.ndarray:
    """Whether each test clip's largest score is its own class's, bool ``(clips,)``."""
    return topk_correct(record.scores, record.labels, 1)


def taken_for(record: Record) -> np.ndarray:
    """What each test clip that is not right was taken for: the other class with the largest score.

    Where several have it, each by an equal part, so that the order of classes never matters. Array
    ``(clips, classes)``; all 0 for right clips.
    """
    others = record.scores.astype(float)
    others[np.arange(len(others)), record.labels] = -np.inf
    largest = others == others.max(1, keepdims=True)
    return largest / largest.sum(1, keepdims=True) * ~is_right(record)[:, None]


def mistaken_for_partner(record: Record) -> np.ndarray:
    """For each test clip: was it taken for a look-alike of its own class? 0 or 1, a part for ties, ``(clips,)``."""
    partners, taken = look_alikes_of(record.classes), taken_for(record)
    return np.array([row[[*partners.get(label, ())]].sum() for label, row in zip(record.labels, taken)])


def values_of(records: Sequence[Record], score: Score) -> pd.DataFrame:
    """``score(record)`` of each run and test clip: columns ``run`` (its place in records), ``group, clip, value``."""
    tables = [
        record.predictions[["group", "clip"]].assign(run=run, value=np.asarray(score(record), dtype=float))
        for run, record in enumerate(records)
    ]
    return pd.concat(tables, ignore_index=True)


def share_of(records: Sequence[Record], score: Score) -> Estimate:
    """Mean of ``score`` (0..1 a clip) over runs, with the interval of `repro.metrics.statistics.share`."""
    return share(values_of(records, score))


def gain_of(pairs: Sequence[tuple[Record, Record]], score: Score) -> Estimate:
    """Mean of ``score`` under the second network minus the first, with the interval of `repro.metrics.statistics.gain`.

    pairs: runs of like split, clips and seed; ValueError where the two of a pair have other test clips.
    """
    return gain(*(values_of([pair[k] for pair in pairs], score) for k in (0, 1)))


def gains_by_seed(pairs: Sequence[tuple[Record, Record]]) -> list[float]:
    """Difference in top-1 of each pair of runs, second minus first."""
    return [float(is_right(b).mean() - is_right(a).mean()) for a, b in pairs]


def confusion_of(records: Sequence[Record], pair: tuple[int, int]) -> Estimate | None:
    """The paper's indicator c(i, j), 0..2, of the runs that have test clips of both classes; None without any.

    c is the sum of two shares, of i taken for j and of j for i: twice the mean over the two classes that `share` knows.
    """
    runs = [record for record in records if _tested(record, pair)]
    return twice(share(_taken(runs, pair))) if runs else None


def confusion_gain(pairs: Sequence[tuple[Record, Record]], pair: tuple[int, int]) -> Estimate | None:
    """`confusion_of` the second networks minus the first, -2..2, paired by run and clip; below 0 fewer are confused."""
    runs = [both for both in pairs if all(_tested(record, pair) for record in both)]
    if not runs:
        return None
    return twice(gain(*(_taken([both[k] for both in runs], pair) for k in (0, 1))))


def _tested(record: Record, pair: tuple[int, int]) -> bool:
    return bool(np.isin(pair, record.labels).all())


def _taken(records: Sequence[Record], pair: tuple[int, int]) -> pd.DataFrame:
    """Of each run and clip of two classes: is it taken for the other? Columns as `values_of`, and ``class``."""
    i, j = pair
    tables = []
    for run, record in enumerate(records):
        inside = np.isin(record.labels, pair)
        labels = record.labels[inside]
        taken = taken_for(record)[inside, np.where(labels == i, j, i)]
        clips = record.predictions.loc[inside, ["group", "clip"]]
        tables.append(clips.assign(**{"run": run, "class": labels, "value": taken}))
    return pd.concat(tables, ignore_index=True)


def backwards_table(records: Sequence[Record]) -> pd.DataFrame:
    """Inside the backwards pairs, the choice between the pair's two logits: one row a run and pair."""
    rows = []
    for record in records:
        for pair in backwards_pairs(record.classes):
            if not _tested(record, pair):
                continue
            right = two_way_choice(record.scores, record.labels, pair)
            clips = record.predictions.loc[np.isin(record.labels, pair), ["group", "clip"]]
            found = share(clips.assign(run=0, value=right))
            row: dict[str, Any] = {"network": record.experiment.title}
            row |= {name: getattr(record.experiment, name) for name in ("model", "split", "seed")}
            row |= {"pair": " / ".join(record.classes[k] for k in pair), "right": int(right.sum()), "clips": len(right)}
            rows.append(row | {name: getattr(found, name) for name in ("low", "high", "point")})
    return pd.DataFrame(rows)


COPY = 0.995
"""Correlation of scores above which two runs of different seeds are one. Among 111 runs recorded for this study no two
that were trained apart came above 0.962; scores multiplied, shifted, rounded or slightly noisy stay above 0.999."""


def same_scores(one: Record, other: Record) -> bool:
    """Whether one record's scores are the other's as they are or disguised: asked of records that others made.

    Two trainings err alike, but not in the same numbers. So scores are compared as they are, by the ranks of classes
    and by their correlation, of the clips that both have: at least half of those of one of them.
    """
    if set(one.classes) != set(other.classes):
        return False
    tables = [record.predictions.set_index("clip").filter(like="logit_") for record in (one, other)]
    common = tables[0].align(tables[1], join="inner")
    if 2 * len(common[0]) < min(map(len, tables)):
        return False
    a, b = (table.to_numpy(float) for table in common)
    if np.array_equal(a, b):
        return True
    centred = [(table - table.mean(1, keepdims=True)).ravel() for table in (a, b)]
    with np.errstate(invalid="ignore"):  # NaN where one of them does not vary
        correlation = np.corrcoef(*centred)[0, 1]
    many = a.shape[1] > 5  # of few classes two good networks may well rank all clips alike
    return correlation > COPY or (many and np.array_equal(a.argsort(1), b.argsort(1)))
