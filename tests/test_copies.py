"""Copies of another run's scores are found however they were disguised, and two trainings' own are none."""

from dataclasses import replace

import numpy as np
import pytest
from made import DEMO, labels_of, logits, record, trained

from repro.records.scores import same_scores


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
