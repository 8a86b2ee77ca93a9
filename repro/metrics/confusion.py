"""Which classes a network confuses: counts, the paper's pair indicator, and choices within a pair.

A confusion matrix has the true class in its rows, the predicted class in its columns.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from repro.metrics.accuracy import check_labels, check_scores


def confusion_counts(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """(C, C) int: clips of true class i predicted as j. labels, predictions: (n,) integers in 0..classes-1.

    Raises ValueError for other values, n = 0 or different lengths. A tie at the top, which `topk_correct` counts as
    wrong, may appear on the diagonal here: predictions are argmax.
    """
    true, predicted = check_labels(labels, classes), check_labels(predictions, classes, "predictions")
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} labels, but {len(predicted)} predictions")
    counts = np.zeros((classes, classes), dtype=np.int64)
    # as scikit-learn's confusion_matrix, but without its checks, which take some 50 times as long
    np.add.at(counts, (true, predicted), 1)
    return counts


def confusion_indicator(counts: ArrayLike) -> pd.DataFrame:
    """The paper's indicator c(i, j) = P[i, j] + P[j, i] for all pairs i < j; P has rows that sum to 1.

    counts: (C, C) non-negative integers, C >= 2. Returns a row a pair, in order: i, j, c (0..2), k_ij (clips of i taken
    for j), n_i (clips of i), k_ji, n_j; c is NaN where a class has no test clip. Its interval needs runs and groups:
    `repro.records.scores.confusion_of`.
    """
    taken_for = np.asarray(counts)
    i, j = np.triu_indices(len(taken_for), k=1)
    clips = taken_for.sum(axis=1)
    pairs = pd.DataFrame(
        {"i": i, "j": j, "k_ij": taken_for[i, j], "n_i": clips[i], "k_ji": taken_for[j, i], "n_j": clips[j]}
    )
    tested = (pairs.n_i > 0) & (pairs.n_j > 0)
    k_ij, k_ji = (pairs[name].where(tested).astype(float) for name in ("k_ij", "k_ji"))
    pairs.insert(2, "c", k_ij / pairs.n_i + k_ji / pairs.n_j)
    return pairs


def chosen_and_reported(choose: Sequence[ArrayLike], report: Sequence[ArrayLike], top: int) -> dict[str, float]:
    """What picking the first network's `top` worst pairs makes of two networks, on the picking clips and on others.

    choose, report: each (counts of the first network, counts of the second), (C, C) integers, over two sets of clips.
    Returns mean c of the picked pairs: ``chosen_first`` and ``chosen_second`` on the clips that picked them,
    ``reported_first`` and ``reported_second`` on the others. Raises ValueError where no pair has clips in both sets.

    The worst of many pairs are partly the unlucky ones, whose c falls in any second measurement with nothing having
    improved (regression to the mean). The gain among the first two holds that, the one among the last two does not.
    """
    found = pd.DataFrame(
        {
            f"{clips}_{network}": confusion_indicator(counts).set_index(["i", "j"])["c"]
            for clips, both in (("chosen", choose), ("reported", report))
            for network, counts in zip(("first", "second"), both)
        }
    )
    picked = found.dropna(subset="chosen_first").sort_values("chosen_first", ascending=False, kind="stable").head(top)
    means = picked.dropna().mean()
    if means.isna().any():
        raise ValueError("no pair has test clips of both classes in both sets")
    return {str(name): float(value) for name, value in means.items()}


def two_way_choice(scores: ArrayLike, labels: ArrayLike, pair: ArrayLike) -> NDArray[np.bool_]:
    """Right or wrong when only the pair's two logits compete, for the clips whose label is in the pair, in their order.

    scores: (n, C), labels: (n,) integers, pair: two different classes. Returns (m,) bool, m = clips of the two classes;
    chance is 1/2, a tie counts as wrong. Raises ValueError for bad scores or pair, or if m = 0. Where one class is the
    other played backwards this asks about time alone.
    """
    rows, truth = check_scores(scores, labels)
    two = check_labels(pair, rows.shape[1], "pair")
    if len(two) != 2 or two[0] == two[1]:
        raise ValueError(f"pair must be two different classes, not {two.tolist()}")
    inside = np.isin(truth, two)
    if not inside.any():
        raise ValueError(f"no clip has a label in the pair {two.tolist()}")
    first, second = rows[inside][:, two].T
    return np.where(truth[inside] == two[0], first > second, second > first)
