"""repro.metrics.confusion: counts, the pair indicator and its interval, choosing pairs, two-way choices."""

import numpy as np
import pytest

from repro.metrics.confusion import confusion_counts, confusion_indicator, two_way_choice, worst_pairs


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
    assert pairs.columns.tolist() == ["i", "j", "c", "k_ij", "n_i", "k_ji", "n_j"]
    assert pairs[["i", "j", "k_ij", "n_i", "k_ji", "n_j"]].values.tolist() == [
        [0, 1, 3, 30, 6, 30],
        [0, 2, 3, 30, 0, 10],
        [1, 2, 0, 30, 0, 10],
    ]
    assert pairs.c.tolist() == pytest.approx([3 / 30 + 6 / 30, 3 / 30, 0])


def test_one_clip_of_thirty_moves_the_indicator_by_a_thirtieth():
    counts = np.array([[30, 0], [0, 30]])
    moved = np.array([[29, 1], [0, 30]])
    assert confusion_indicator(moved).c[0] - confusion_indicator(counts).c[0] == pytest.approx(1 / 30)


def test_class_without_clips_gives_nan():
    pairs = confusion_indicator([[5, 1, 0], [0, 0, 0], [2, 0, 4]])
    assert pairs.c.isna().tolist() == [True, False, True]
    assert pairs.n_j[0] == 0


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
