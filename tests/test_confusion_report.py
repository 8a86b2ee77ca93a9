"""Pairs picked by looking at the results: how large the illusion is, by hand and by simulation."""

import numpy as np
import pytest
from made import DEMO, demo_record, labels_of, logits, record

from repro.metrics.confusion import chosen_and_reported
from repro.report.confusion import halves, picked_pairs_table
from repro.report.tables import ATTENTION, BASELINE


def counts(*taken):
    """Ten clips of each of three classes, so many of 0 taken for 1, of 0 for 2, of 1 for 2."""
    a, b, c = taken
    return np.array([[10 - a - b, a, b], [0, 10 - c, c], [0, 0, 10]])


def test_by_hand():
    """The first network's worst pair is 0 / 1 on the first clips; the others say what it is worth."""
    found = chosen_and_reported((counts(5, 1, 2), counts(2, 2, 2)), (counts(3, 4, 2), counts(3, 1, 1)), top=1)
    assert found == pytest.approx({
        "chosen_first": 0.5, "chosen_second": 0.2, "reported_first": 0.3, "reported_second": 0.3,
    })  # fmt: skip
    two = chosen_and_reported((counts(5, 1, 2), counts(2, 2, 2)), (counts(3, 4, 2), counts(3, 1, 1)), top=2)
    assert two["chosen_first"] == pytest.approx((0.5 + 0.2) / 2)
    assert two["reported_second"] == pytest.approx((0.3 + 0.1) / 2)


def test_pairs_without_clips_are_an_error():
    with pytest.raises(ValueError, match="no pair has test clips of both classes in both sets"):
        chosen_and_reported((counts(1, 1, 1),) * 2, (np.diag([5, 0, 0]),) * 2, top=1)


def test_halves_keep_groups_whole():
    groups = np.repeat([f"g{k}" for k in range(10)], 3)
    half = halves(groups, np.random.default_rng(0))
    assert half.sum() == 15 and all(len(set(half[groups == g])) == 1 for g in np.unique(groups))


def test_networks_that_confuse_alike_gain_only_where_the_pairs_were_picked(tmp_path):
    """Both networks err at random on 30 clips a class: picking makes a gain, the other clips show none."""
    rng, labels = np.random.default_rng(3), labels_of(len(DEMO), 60)
    runs = []
    for model in (BASELINE, ATTENTION):
        wrong = rng.random(len(labels)) < 0.5
        predicted = np.where(wrong, rng.integers(0, len(DEMO), len(labels)), labels)
        runs.append(record(tmp_path, classes=DEMO, labels=labels, scores=logits(predicted, len(DEMO)), model=model))
    table, pairs = picked_pairs_table(runs, top=5, repeats=30)
    picked, others = table["gain"]
    assert pairs == 1 and picked > 0.05 and abs(others) < picked / 3
    assert table["baseline"][0] > table["baseline"][1]


def test_a_real_gain_stays_on_the_other_clips(tmp_path):
    runs = [
        demo_record(tmp_path, model=model, to_partner=range(count)) for model, count in ((BASELINE, 60), (ATTENTION, 0))
    ]
    table, _ = picked_pairs_table(runs, top=3, repeats=10)
    # half of the classes are taken for their look-alike: c = 2 for the picked pairs, on both halves
    assert table["gain"].tolist() == pytest.approx([2.0, 2.0])


def test_without_both_networks_there_is_nothing(tmp_path):
    table, pairs = picked_pairs_table([demo_record(tmp_path, model=BASELINE)])
    assert table.empty and pairs == 0
