"""repro.metrics.accuracy: hand-computed cases, scikit-learn as the independent answer, ties, and bad input."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy, topk_correct

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.6, 0.1, 0.3]])
LABELS = np.array([1, 1, 2, 2])  # ranks of the true class: 0, 1, 0, 1


def test_by_hand():
    assert topk_correct(SCORES, LABELS, 1).tolist() == [True, False, True, False]
    assert topk_correct(SCORES, LABELS, 2).all()
    assert topk_accuracy(SCORES, LABELS) == 0.5


def test_a_class_without_clips_is_left_out_of_the_mean():
    assert mean_class_accuracy(SCORES, LABELS) == 0.5
    assert mean_class_accuracy(SCORES, [1, 1, 1, 0]) == pytest.approx((1 / 3 + 1) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(3, 60))
    scores, labels = rng.normal(size=(300, classes)), rng.integers(classes, size=300)
    scores[np.arange(300), labels] += 1
    labels[:classes] = np.arange(classes)  # balanced_accuracy_score takes the classes from the labels
    for k in (1, 2, classes - 1):
        assert topk_accuracy(scores, labels, k) == pytest.approx(
            top_k_accuracy_score(labels, scores, k=k, labels=np.arange(classes))
        )
    assert topk_accuracy(scores, labels, classes) == 1
    assert mean_class_accuracy(scores, labels) == pytest.approx(balanced_accuracy_score(labels, scores.argmax(axis=1)))


def test_ties_count_against():
    """A constant network must not look right on class 0, however its classes are numbered."""
    assert topk_accuracy(np.zeros((50, 10)), np.zeros(50, int)) == 0
    assert topk_accuracy(np.zeros((50, 10)), np.zeros(50, int), 9) == 0
    assert topk_accuracy(np.zeros((50, 10)), np.zeros(50, int), 10) == 1
    assert topk_correct([[3, 3, 1]], [0], 1).tolist() == [False]
    assert topk_correct([[3, 3, 1]], [0], 2).tolist() == [True]
    assert topk_correct([[np.inf, np.inf]], [1], 1).tolist() == [False]


@pytest.mark.parametrize("seed", range(3))
def test_renumbering_the_classes_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    scores, labels, order = rng.integers(4, size=(200, 6)), rng.integers(6, size=200), rng.permutation(6)
    renumbered = np.argsort(order)[labels]
    for k in (1, 3):
        assert (topk_correct(scores, labels, k) == topk_correct(scores[:, order], renumbered, k)).all()


def test_takes_torch_tensors_and_lists():
    assert topk_accuracy(torch.tensor(SCORES), torch.tensor(LABELS)) == 0.5
    assert topk_accuracy(SCORES.tolist(), LABELS.tolist()) == 0.5
    assert mean_class_accuracy(torch.tensor(SCORES), LABELS.astype(np.uint64)) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "k", "message"),
    [
        (SCORES, LABELS, 4, "k must lie in 1..3"),
        (SCORES, LABELS, 0, "k must lie in 1..3"),
        (SCORES, [0, 1, 2, 3], 1, r"labels must lie in 0..2, found 0..3"),
        (SCORES, [-1, 1, 2, 0], 1, "found -1..2"),
        (SCORES, [0.0, 1.0, 2.0, 0.0], 1, "labels must be n >= 1 integers"),
        (SCORES, [0, 1, 2], 1, "4 rows of scores, but 3 labels"),
        (SCORES[0], LABELS, 1, "of shape"),
        (np.empty((0, 3)), np.empty(0, int), 1, "n >= 1"),
        (np.where(SCORES == 0.7, np.nan, SCORES), LABELS, 1, "scores of 1 clips contain NaN"),
    ],
)
def test_bad_input(scores, labels, k, message):
    with pytest.raises(ValueError, match=message):
        topk_correct(scores, labels, k)
