"""Accuracy of clip scores: top-k, and the mean over classes. All values are fractions, 0..1.

A tie counts against the network: the rank of the true class is the number of *other* classes with a score at least as
high. Breaking ties by class index, as argmax and argsort do, would give a network that answers a constant (dead, or
with a zero-initialised classifier) full marks on class 0, and results that change when classes are renumbered
(scikit-learn does so, hence the few lines here).
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def check_labels(labels: ArrayLike, classes: int, name: str = "labels") -> NDArray[np.int64]:
    """Labels as (n,) integers in 0..classes-1, n >= 1, else ValueError."""
    found = np.asarray(labels)
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be n >= 1 integers, not {found.dtype} of shape {found.shape}")
    if found.min() < 0 or found.max() >= classes:
        raise ValueError(f"{name} must lie in 0..{classes - 1}, found {found.min()}..{found.max()}")
    return found.astype(np.int64)


def check_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Scores (n, C), numbers without NaN, with labels (n,) in 0..C-1, else ValueError."""
    rows = np.asarray(scores)
    if rows.ndim != 2:
        raise ValueError(f"scores must be of shape (n, C), not {rows.shape}")
    truth = check_labels(labels, rows.shape[1])
    if len(truth) != len(rows):
        raise ValueError(f"{len(rows)} rows of scores, but {len(truth)} labels")
    if np.isnan(rows).any():
        raise ValueError(f"scores of {int(np.isnan(rows).any(axis=1).sum())} clips contain NaN")
    return rows, truth


def topk_correct(scores: ArrayLike, labels: ArrayLike, k: int) -> NDArray[np.bool_]:
    """Whether the true class is among the k best-scored ones.

    scores: (n, C) numbers, larger is better (logits or probabilities). labels: (n,) integers in 0..C-1. 1 <= k <= C.
    Returns (n,) bool. Raises ValueError for wrong shapes, n = 0, labels out of range, NaN scores, or k out of range.
    """
    rows, truth = check_scores(scores, labels)
    if not 1 <= k <= rows.shape[1]:
        raise ValueError(f"k must lie in 1..{rows.shape[1]} (the number of classes), not {k}")
    own = np.take_along_axis(rows, truth[:, None], axis=1)
    rank = (rows >= own).sum(axis=1) - 1  # the comparison includes the true class itself
    return rank < k


def topk_accuracy(scores: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    """Fraction of clips with `topk_correct`; same inputs and errors."""
    return float(topk_correct(scores, labels, k).mean())


def mean_class_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Top-1 accuracy within each class that has clips, averaged over these classes; errors as `topk_correct`."""
    return float(pd.Series(topk_correct(scores, labels, 1)).groupby(np.asarray(labels)).mean().mean())
