"""Copies of another run's scores are found however they were disguised, and two trainings' own are none."""

from dataclasses import replace

import numpy as np
import pytest
from made import DEMO, labels_of, logits, record, trained

from repro.records.copies import alike_and_mixed, same_scores


@pytest.mark.parametrize("disguise", [lambda s: 2 * s, lambda s: s + 7, np.exp, lambda s: s.round(1), lambda s: s**3])
def test_a_copy_whose_scores_were_changed_is_found(disguise, tmp_path):
    """One network's scores, changed so that no number is the same."""
    rng = np.random.default_rng(0)
    labels = labels_of(len(DEMO), 10)
    own, other = (rng.normal(size=(len(labels), len(DEMO))) + logits(labels, len(DEMO)) for _ in range(2))
    first, copy, honest = (
        record(tmp_path, classes=DEMO, labels=labels, scores=scores, seed=seed)
        for seed, scores in enumerate((own, disguise(own), other))
    )
    assert same_scores(first, copy) and same_scores(copy, first)
    assert not same_scores(first, honest)


def test_scores_given_to_other_clips_of_their_class_are_found(tmp_path):
    order = np.concatenate([10 * k + np.random.default_rng(k).permutation(10) for k in range(12)])
    assert same_scores(trained(tmp_path, 0), trained(tmp_path, 1, by=lambda a, b: 3 * a[order]))


def test_a_copy_whose_classes_stand_in_another_order_is_found(tmp_path):
    own = trained(tmp_path, 0)
    order = np.random.default_rng(0).permutation(12)
    moved = np.argsort(order)[own.labels]
    copy = record(tmp_path, classes=np.array(DEMO)[order], labels=moved, scores=own.scores[:, order], seed=1)
    assert same_scores(own, copy)


def test_a_part_of_a_copy_is_found(tmp_path):
    own = trained(tmp_path, 0)
    part = replace(own, predictions=own.predictions.iloc[:80])
    assert same_scores(own, part) and same_scores(part, own)
    assert not same_scores(own, replace(own, predictions=own.predictions.assign(clip=lambda t: "other " + t["clip"])))


@pytest.mark.parametrize(
    "by",
    [
        lambda a, b: (a + b) / 2,
        lambda a, b: a + 0.3 * b + 1,
        lambda a, b: 2 * a + 0.5 * b + np.random.default_rng(5).normal(scale=0.05, size=a.shape),
    ],
)
def test_scores_of_two_runs_put_together_are_found(tmp_path, by):
    """The mean of two seeds' scores is no third training."""
    others = [trained(tmp_path, seed) for seed in (0, 1, 2)]
    assert alike_and_mixed(trained(tmp_path, 3), others) == (None, None)
    assert alike_and_mixed(trained(tmp_path, 4, by=by), others)[1] == (others[0], others[1])


def test_scores_that_are_like_others_beyond_chance_are_found(tmp_path):
    others = [trained(tmp_path, seed) for seed in (0, 2)]
    noisy = trained(tmp_path, 4, by=lambda a, b: a + np.random.default_rng(5).normal(scale=0.3, size=a.shape))
    assert alike_and_mixed(noisy, others) == (others[0], None)
