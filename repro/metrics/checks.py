"""Input checks shared by the metrics: unsound labels or scores are refused with one clear ValueError."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIMING_COLUMNS = ["round", "position", "case", "seconds", "clips"]  # of a table of timings


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """`values` (array, list or torch tensor) as a numpy array; ValueError for what has no array form."""
    try:
        return np.asarray(values)
    except (TypeError, RuntimeError) as error:  # torch: bfloat16, tensors that require gradients or lie on a GPU
        raise ValueError(f"{name} cannot be read as an array: {error}") from error


def check_labels(labels: ArrayLike, classes: int, name: str = "labels") -> NDArray[np.int64]:
    """(n,) integers in 0..classes-1, n >= 1."""
    found = as_array(labels, name)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"{name} must have shape (n,) with n >= 1, not {found.shape}")
    if found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {found.dtype}")
    if found.min() < 0 or found.max() >= classes:
        raise ValueError(f"{name} must lie in 0..{classes - 1}, found {found.min()}..{found.max()}")
    return found.astype(np.int64)


def check_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Scores (n, C), numbers without NaN, with labels (n,) in 0..C-1."""
    rows = as_array(scores, "scores")
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise ValueError(f"scores must be numbers of shape (n, C), not {rows.dtype} of shape {rows.shape}")
    truth = check_labels(labels, rows.shape[1])
    if len(truth) != len(rows):
        raise ValueError(f"{len(rows)} rows of scores, but {len(truth)} labels")
    if np.isnan(rows).any():
        raise ValueError(f"scores of {int(np.isnan(rows).any(axis=1).sum())} clips contain NaN")
    return rows, truth
