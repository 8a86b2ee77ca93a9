"""Input checks shared by the metrics: unsound labels or scores are refused with one clear ValueError."""

import numpy as np


def as_array(values, name: str) -> np.ndarray:
    """`values` (array, list or torch tensor) as a numpy array; ValueError for what has no array form."""
    try:
        return np.asarray(values)
    except (TypeError, RuntimeError) as error:  # torch: bfloat16, tensors that require gradients or lie on a GPU
        raise ValueError(f"{name} cannot be read as an array: {error}") from error


def check_labels(labels, classes: int, name: str = "labels") -> np.ndarray:
    """(n,) integers in 0..classes-1, n >= 1."""
    labels = as_array(labels, name)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must have shape (n,) with n >= 1, not {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"{name} must lie in 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    return labels.astype(np.int64)


def check_scores(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, C), numbers without NaN, with labels (n,) in 0..C-1."""
    scores = as_array(scores, "scores")
    if scores.ndim != 2 or scores.dtype.kind not in "fiu":
        raise ValueError(f"scores must be numbers of shape (n, C), not {scores.dtype} of shape {scores.shape}")
    labels = check_labels(labels, scores.shape[1])
    if len(labels) != len(scores):
        raise ValueError(f"{len(scores)} rows of scores, but {len(labels)} labels")
    if np.isnan(scores).any():
        raise ValueError(f"scores of {int(np.isnan(scores).any(axis=1).sum())} clips contain NaN")
    return scores, labels


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
