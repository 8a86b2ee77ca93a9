"""Whether a run's scores are those of another run, as they are or disguised: asked of records that others made.

Two trainings err alike, but not in the same numbers. So scores are compared as they are, by the ranks of the classes,
by their correlation, and with those of two runs put together.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from repro.records.record import Record

COPY = 0.995
"""Correlation of scores above which two runs of different seeds are one. Among 111 runs recorded for this study no two
that were trained apart came above 0.962; scores multiplied, shifted, rounded or slightly noisy stay above 0.999."""
MIXED = 0.99
"""Correlation above which a run's scores are those of two others put together, each class's mean taken out. Among the
recorded runs none came above 0.944 (3 classes) or 0.712 (12)."""
LIKE = 0.95
"""Correlation above which two runs of different seeds are said to be very alike, each class's mean taken out. Among the
recorded runs none came above 0.916 (3 classes) or 0.645 (12)."""


def same_scores(one: Record, other: Record) -> bool:
    """Whether one record's scores are the other's as they are, moved without changing ranks, or given to other clips.

    Of the clips that both have: at least half of those of one of them.
    """
    both = _both(one, other)
    if both is None:
        return False
    a, b = both
    if np.array_equal(a, b):
        return True
    # of few classes two good networks may well rank all clips alike
    many = a.shape[1] > 5
    return _correlation(a, b) > COPY or (many and (np.array_equal(a.argsort(1), b.argsort(1)) or _same_rows(a, b)))


def _both(one: Record, other: Record) -> tuple[np.ndarray, np.ndarray] | None:
    """Their scores ``(clips, classes)`` of the clips that both have, classes in one order; None if these are few."""
    if set(one.classes) != set(other.classes):
        return None
    logits = [f"logit_{name}" for name in one.classes]
    first, second = (record.predictions.set_index("clip")[logits] for record in (one, other))
    common = first.index.intersection(second.index).sort_values()
    if 2 * len(common) < min(len(first), len(second)):
        return None
    return first.loc[common].to_numpy(float), second.loc[common].to_numpy(float)


def _same_rows(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether most clips' scores are those of some clip of the other, up to scale, if no two of a table are alike."""
    first, second = (_rows(table) for table in (a, b))
    distinct = min(len(set(rows)) for rows in (first, second)) > 0.9 * len(a)
    return distinct and len(set(first) & set(second)) > 0.5 * len(a)


def _rows(table: np.ndarray) -> list[bytes]:
    centred = table - table.mean(1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return [row.tobytes() for row in (unit.round(3) + 0.0)]


def alike_and_mixed(record: Record, others: Iterable[Record]) -> tuple[Record | None, tuple[Record, Record] | None]:
    """The first of the others whose scores are very like this run's, and which two of them, put together, make it.

    others: runs trained apart from this one. None where there is none. Those that scored only some of its clips are not
    asked.
    """
    near, tables, asked = None, [], []
    labels = record.predictions.sort_values("clip")["label"].to_numpy()
    for other in others:
        both = _both(record, other)
        if both is None or len(both[0]) < len(record.labels):  # of all clips, so that all have one shape
            continue
        own, theirs = (_without_class_means(table, labels) for table in both)
        if near is None and _correlation(own, theirs) > LIKE:
            near = other
        tables.append(theirs.ravel())
        asked.append(other)
    found = _mixture(own.ravel(), tables) if len(tables) > 1 and np.linalg.norm(own) > 0 else None
    return near, found and (asked[found[0]], asked[found[1]])


def _without_class_means(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The scores without each clip's mean and each true class's: what is this run's own."""
    centred = pd.DataFrame(table - table.mean(1, keepdims=True))
    return (centred - centred.groupby(labels).transform("mean")).to_numpy()


def _mixture(own: np.ndarray, others: Sequence[np.ndarray]) -> tuple[int, int] | None:
    """Which two of the others' scores, each times a number, make this run's; by their places."""
    table = np.stack([own, *others])
    norms = np.linalg.norm(table, axis=1)
    alike = table @ table.T / np.maximum(np.outer(norms, norms), 1e-12)
    first, second = np.triu_indices(len(others), k=1)
    x, y, between = alike[0, 1 + first], alike[0, 1 + second], alike[1 + first, 1 + second]
    fit = (x**2 + y**2 - 2 * x * y * between) / np.maximum(1 - between**2, 1e-6)  # squared multiple correlation
    fit = np.where(1 - between**2 > 1e-3, fit, 0)  # two copies of one run make no mixture
    best = int(fit.argmax())
    return (int(first[best]), int(second[best])) if fit[best] > MIXED**2 else None


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two tables of scores ``(clips, classes)``, each clip's mean taken out; 0 where one of them does not vary."""
    a, b = (table - table.mean(1, keepdims=True) for table in (a, b))
    norms = np.linalg.norm(a), np.linalg.norm(b)
    return float((a * b).sum() / (norms[0] * norms[1])) if all(norms) else 0.0
