"""Input checks shared by the metrics: unsound labels or scores are refused with one clear ValueError."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_labels(labels: ArrayLike, classes: int, name: str = "labels") -> NDArray[np.int64]:
    """(n,) integers in 0..classes-1, n >= 1."""
    found = np.asarray(labels)
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be n >= 1 integers, not {found.dtype} of shape {found.shape}")
    if found.min() < 0 or found.max() >= classes:
        raise ValueError(f"{name} must lie in 0..{classes - 1}, found {found.min()}..{found.max()}")
    return found.astype(np.int64)


def check_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Scores (n, C), numbers without NaN, with labels (n,) in 0..C-1."""
    rows = np.asarray(scores)
    if rows.ndim != 2:
        raise ValueError(f"scores must be of shape (n, C), not {rows.shape}")
    truth = check_labels(labels, rows.shape[1])
    if len(truth) != len(rows):
        raise ValueError(f"{len(rows)} rows of scores, but {len(truth)} labels")
    if np.isnan(rows).any():
        raise ValueError(f"scores of {int(np.isnan(rows).any(axis=1).sum())} clips contain NaN")
    return rows, truth
