"""Whether a run's scores are those of another run, as they are or disguised: asked of records that others made.

Two trainings err alike, but not in the same numbers. So scores are compared as they are, by the ranks of the classes,
and by their correlation.
"""

import numpy as np

from repro.records.record import Record

COPY = 0.995
"""Correlation of scores above which two runs of different seeds are one. Among 111 runs recorded for this study no two
that were trained apart came above 0.962; scores multiplied, shifted, rounded or slightly noisy stay above 0.999."""


def same_scores(one: Record, other: Record) -> bool:
    """Whether one record's scores are the other's as they are, moved without changing ranks, or given to other clips.

    Of the clips that both have: at least half of those of one of them.
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
    # of few classes two good networks may well rank all clips alike
    many = a.shape[1] > 5
    return _correlation(a, b) > COPY or (many and (np.array_equal(a.argsort(1), b.argsort(1)) or _same_rows(a, b)))


def _same_rows(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether most clips' scores are those of some clip of the other, up to scale, if no two of a table are alike."""
    first, second = (_rows(table) for table in (a, b))
    distinct = min(len(set(rows)) for rows in (first, second)) > 0.9 * len(a)
    return distinct and len(set(first) & set(second)) > 0.5 * len(a)


def _rows(table: np.ndarray) -> list[bytes]:
    centred = _centred(table)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return [row.tobytes() for row in (unit.round(3) + 0.0)]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two tables of scores ``(clips, classes)``, each clip's mean taken out; NaN where one of them does not vary."""
    with np.errstate(invalid="ignore"):
        return np.corrcoef(_centred(a).ravel(), _centred(b).ravel())[0, 1]


def _centred(table: np.ndarray) -> np.ndarray:
    return table - table.mean(1, keepdims=True)
