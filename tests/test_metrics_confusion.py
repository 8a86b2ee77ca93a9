"""repro.metrics.confusion: counts, the pair indicator and its interval, choosing pairs, two-way choices."""

import numpy as np
import pytest

from repro.metrics.confusion import chosen_and_reported, confusion_counts, confusion_indicator, two_way_choice


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
        ([0.0], [0], "labels must be n >= 1 integers"),
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


def test_class_without_clips_gives_nan():
    pairs = confusion_indicator([[5, 1, 0], [0, 0, 0], [2, 0, 4]])
    assert pairs.c.isna().tolist() == [True, False, True]
    assert pairs.n_j[0] == 0


def test_the_worst_pairs_by_hand():
    choose = np.array([[8, 2, 0], [2, 8, 0], [3, 0, 7]])  # c of (0, 1) is 0.4, of (0, 2) 0.3, of (1, 2) 0
    report = np.array([[10, 0, 0], [1, 9, 0], [0, 5, 5]])  # 0.1, 0 and 0.5
    found = chosen_and_reported((choose, report), (report, choose), 2)
    assert found == pytest.approx(
        {"chosen_first": 0.35, "chosen_second": 0.05, "reported_first": 0.05, "reported_second": 0.35}
    )
    with pytest.raises(ValueError, match="no pair has test clips"):
        chosen_and_reported((choose, choose), (np.diag([1, 0, 0]),) * 2, 1)


def test_two_way_choice_by_hand():
    scores = [[9, 2, 1], [9, 1, 2], [0, 1, 2], [9, 9, 9], [5, 0, 0], [9, 3, 3]]
    labels = [1, 1, 2, 2, 0, 1]
    # class 0 outscores both and does not matter; its own clip is left out; ties are wrong
    assert two_way_choice(scores, labels, (1, 2)).tolist() == [True, False, True, False, False]
    assert two_way_choice(scores, labels, (2, 1)).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("pair", "message"),
    [((1, 1), "two different"), ((0, 1, 2), "two different"), ((0, 3), "pair must lie in 0..2"), ((0, 2), "no clip")],
)
def test_two_way_choice_bad_input(pair, message):
    with pytest.raises(ValueError, match=message):
        two_way_choice(np.zeros((4, 3)), [1, 1, 1, 1], pair)
