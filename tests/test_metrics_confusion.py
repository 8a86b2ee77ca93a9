"""repro.metrics.confusion: counts, the pair indicator and its interval, choosing pairs, two-way choices."""

import itertools
import math

import numpy as np
import pytest
from scipy import linalg, stats

from repro.metrics.confusion import confusion_counts, confusion_indicator, two_way_choice, worst_pairs


def wilson(k, n):
    interval = stats.binomtest(k, n).proportion_ci(method="wilson")
    return interval.low, interval.high


def test_counts_by_hand():
    counts = confusion_counts([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2], 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0, 3], "predictions must lie in 0..2, found 0..3"),
        ([0, 3], [0, 1], "labels must lie in 0..2, found 0..3"),
        ([0, 1], [0], "2 labels, but 1 predictions"),
        ([], [], "n >= 1"),
        ([0.0], [0], "labels must be integers"),
    ],
)
def test_counts_bad_input(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_counts(labels, predictions, 3)


def test_indicator_by_hand():
    counts = np.array([[24, 3, 3], [6, 24, 0], [0, 0, 10]])
    pairs = confusion_indicator(counts)
    assert pairs.columns.tolist() == ["i", "j", "c", "low", "high", "k_ij", "n_i", "k_ji", "n_j"]
    assert pairs[["i", "j", "k_ij", "n_i", "k_ji", "n_j"]].values.tolist() == [
        [0, 1, 3, 30, 6, 30],
        [0, 2, 3, 30, 0, 10],
        [1, 2, 0, 30, 0, 10],
    ]
    assert pairs.c.tolist() == pytest.approx([3 / 30 + 6 / 30, 3 / 30, 0])
    (low_a, high_a), (low_b, high_b) = wilson(3, 30), wilson(6, 30)
    assert pairs.low[0] == pytest.approx(0.3 - math.hypot(0.1 - low_a, 0.2 - low_b))
    assert pairs.high[0] == pytest.approx(0.3 + math.hypot(high_a - 0.1, high_b - 0.2))
    assert pairs.low[2] == 0 and pairs.high[2] > 0.1  # nothing seen is not nothing there


def test_one_clip_of_thirty_moves_the_indicator_by_a_thirtieth():
    counts = np.array([[30, 0], [0, 30]])
    moved = np.array([[29, 1], [0, 30]])
    assert confusion_indicator(moved).c[0] - confusion_indicator(counts).c[0] == pytest.approx(1 / 30)


def test_class_without_clips_gives_nan():
    pairs = confusion_indicator([[5, 1, 0], [0, 0, 0], [2, 0, 4]])
    assert pairs.c.isna().tolist() == [True, False, True]
    assert pairs.low.isna().tolist() == pairs.high.isna().tolist() == [True, False, True]
    assert pairs.n_j[0] == 0


def test_interval_covers_the_truth():
    """Exact coverage over all outcomes of 30 clips a class, as HMDB51 has, for rare and for common confusions."""
    n, k = 30, np.arange(31)
    low, high = np.empty((31, 31)), np.empty((31, 31))
    for k_ij in k:  # 31 pairs of classes at once, each confused with its partner alone
        counts = linalg.block_diag(*([[n - k_ij, k_ij], [k_ji, n - k_ji]] for k_ji in k))
        pairs = confusion_indicator(counts)
        pairs = pairs[(pairs.i % 2 == 0) & (pairs.j == pairs.i + 1)]
        low[k_ij], high[k_ij] = pairs.low, pairs.high

    def coverage(fractions):
        covered = []
        for i_to_j, j_to_i in itertools.product(fractions, repeat=2):
            weight = np.outer(stats.binom.pmf(k, n, i_to_j), stats.binom.pmf(k, n, j_to_i))
            truth = i_to_j + j_to_i
            covered.append((weight * ((low <= truth) & (truth <= high))).sum())
        return np.array(covered)

    common, rare = coverage(np.linspace(0.1, 0.5, 9)), coverage(np.linspace(0.005, 0.09, 18))
    assert common.min() > 0.92 and common.mean() == pytest.approx(0.945, abs=0.01)
    assert rare.min() > 0.88 and rare.mean() == pytest.approx(0.935, abs=0.015)


def random_counts(rng, *, classes=51, clips=30, confused=0.01):
    """Every pair is confused equally often in truth, so that any difference between pairs is luck."""
    row = np.full(classes, confused)
    counts = np.zeros((classes, classes), int)
    for true in range(classes):
        p = row.copy()
        p[true] = 1 - confused * (classes - 1)
        counts[true] = rng.multinomial(clips, p)
    return counts


def test_chosen_pairs_regress_to_the_mean_where_they_are_reported():
    rng = np.random.default_rng(0)
    pairs = worst_pairs(random_counts(rng), random_counts(rng), 40)
    assert len(pairs) == 40
    assert pairs.c_choose.is_monotonic_decreasing
    assert pairs.c_choose.mean() > 4 * 0.02  # the truth is 0.02 for each
    assert pairs.c_report.mean() == pytest.approx(0.02, abs=0.012)
    assert (pairs.low_choose > 0.02).mean() > 0.5  # intervals of chosen pairs miss the truth
    assert (pairs.low_report > 0.02).mean() < 0.2


def test_worst_pairs_by_hand():
    choose = np.array([[8, 2, 0], [2, 8, 0], [3, 0, 7]])
    report = np.array([[10, 0, 0], [1, 9, 0], [0, 5, 5]])
    pairs = worst_pairs(choose, report, 2)
    assert pairs[["i", "j"]].values.tolist() == [[0, 1], [0, 2]]
    assert pairs.c_choose.tolist() == pytest.approx([0.4, 0.3])
    assert pairs.c_report.tolist() == pytest.approx([0.1, 0.0])
    assert pairs.k_ji_report.tolist() == [1, 0]


def test_worst_pairs_ties_keep_class_order_and_missing_classes_are_never_chosen():
    choose = np.array([[9, 1, 1, 0], [1, 9, 0, 0], [1, 0, 9, 0], [0, 0, 0, 0]])
    pairs = worst_pairs(choose, choose, 10)
    assert pairs[["i", "j"]].values.tolist() == [[0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], "shape"),
        ([[1]], "C >= 2"),
        ([[0.5, 0.5], [0.1, 0.9]], "non-negative integers"),
        ([[1, -1], [0, 1]], "non-negative integers"),
    ],
)
def test_indicator_bad_input(counts, message):
    with pytest.raises(ValueError, match=message):
        confusion_indicator(counts)
    with pytest.raises(ValueError, match=message):
        worst_pairs(counts, counts, 1)


def test_worst_pairs_bad_input():
    with pytest.raises(ValueError, match="differ in classes"):
        worst_pairs(np.eye(3, dtype=int), np.eye(4, dtype=int), 1)
    with pytest.raises(ValueError, match="top must be at least 1"):
        worst_pairs(np.eye(3, dtype=int), np.eye(3, dtype=int), 0)


def test_two_way_choice_by_hand():
    scores = [[9, 2, 1], [9, 1, 2], [0, 1, 2], [9, 9, 9], [5, 0, 0], [9, 3, 3]]
    labels = [1, 1, 2, 2, 0, 1]
    # class 0 outscores both and does not matter; its own clip is left out; ties are wrong
    assert two_way_choice(scores, labels, (1, 2)).tolist() == [True, False, True, False, False]
    assert two_way_choice(scores, labels, (2, 1)).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("seed", range(3))
def test_two_way_choice_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(3, size=(200, 5)), rng.integers(5, size=200)
    expected = [row[y] > row[4 - y] for row, y in zip(scores, labels) if y in (1, 3)]
    assert two_way_choice(scores, labels, (1, 3)).tolist() == expected


@pytest.mark.parametrize(
    ("pair", "message"),
    [((1, 1), "two different"), ((0, 1, 2), "two different"), ((0, 3), "pair must lie in 0..2"), ((0, 2), "no clip")],
)
def test_two_way_choice_bad_input(pair, message):
    with pytest.raises(ValueError, match=message):
        two_way_choice(np.zeros((4, 3)), [1, 1, 1, 1], pair)
