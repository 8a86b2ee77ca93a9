"""repro.records.scores: what a record says of each clip, and one network against another, worked out by hand."""

import numpy as np
import pytest
from made import DEMO, backwards_scores, labels_of, logits, record
from scipy import stats

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.records.scores import backwards_table, is_right, mistaken_for_partner, paired_difference, per_clip


def test_per_clip_averages_the_seeds(tmp_path):
    labels = [0, 1, 2]
    made = [
        record(tmp_path, labels=labels, scores=logits(predicted, 3), seed=seed, groups=["g1", "g1", "g2"])
        for seed, predicted in enumerate(([0, 1, 0], [0, 0, 0]))
    ]
    table = per_clip(made, is_right)
    assert table["value"].tolist() == [1.0, 0.5, 0.0]
    assert table["group"].tolist() == ["g1", "g1", "g2"]


def both(folder, first_right, second_right, *, groups=None, **fields):
    """A baseline and an attention run with clips right as given."""
    labels = np.zeros(len(first_right), int)
    return tuple(
        record(
            folder, labels=labels, scores=logits(1 - np.asarray(right, int), 3), model=model, groups=groups, **fields
        )
        for model, right in ((BASELINE, first_right), (ATTENTION, second_right))
    )


def test_paired_difference_is_second_minus_first(tmp_path):
    pairs = [both(tmp_path, [1, 1, 0, 0, 0], [1, 0, 1, 1, 0])]
    gain = paired_difference(pairs, is_right)
    assert gain.point == pytest.approx(0.2) and gain.n == 5
    back = paired_difference([pair[::-1] for pair in pairs], is_right)
    assert back.point == pytest.approx(-0.2)


def test_paired_difference_resamples_groups(tmp_path):
    """Two clips a group that go together: twice the clips say no more, so the interval is that of one a group."""
    rng = np.random.default_rng(0)
    first, second = rng.random(40) < 0.4, rng.random(40) < 0.6
    single = paired_difference([both(tmp_path, first, second, study="one")], is_right)
    twice = both(tmp_path, np.repeat(first, 2), np.repeat(second, 2), groups=np.repeat(np.arange(40), 2), study="two")
    doubled = paired_difference([twice], is_right)
    assert doubled.n == single.n == 40
    assert doubled.point == pytest.approx(single.point)
    assert (doubled.low, doubled.high) == pytest.approx((single.low, single.high), abs=0.01)


def test_paired_difference_averages_seeds_before_it_resamples(tmp_path):
    pairs = [
        both(tmp_path, [0, 0, 1, 1], [1, 1, 1, 1], seed=0),  # +0.5
        both(tmp_path, [0, 1, 1, 1], [0, 0, 1, 1], seed=1),  # -0.25
    ]
    gain = paired_difference(pairs, is_right)
    assert gain.point == pytest.approx(0.125) and gain.n == 4


def test_mistaken_for_partner_by_hand(tmp_path):
    classes = ("Drink", "Eat", "Run")
    labels, predicted = [0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 0, 2]
    made = record(tmp_path, classes=classes, labels=labels, scores=logits(predicted, 3))
    assert mistaken_for_partner(made).tolist() == [False, True, False, True, False, False, False]


def test_backwards_table_counts_with_n_halved(tmp_path):
    labels = labels_of(12, 10)
    right = np.ones(120, bool)
    right[80:85] = False  # 5 of Sit's 10 taken for Stand: 15 of 20 right
    made = record(tmp_path, classes=DEMO, labels=labels, scores=backwards_scores(labels, right), model=CONTROL, seed=4)
    table = backwards_table([made])
    assert table["pair"].tolist() == ["Sit / Stand", "Pick / Put"]
    assert table["right"].tolist() == [15, 20] and table["clips"].tolist() == [20, 20]
    assert table["point"].tolist() == [0.75, 1.0]
    low, high = stats.binomtest(7, 10).proportion_ci(method="wilson")  # half of 15, rounded down
    assert (table["low"][0], table["high"][0]) == pytest.approx((low, high))
    assert table["model"].tolist() == [CONTROL] * 2 and table["seed"].tolist() == [4, 4]


def test_backwards_table_asks_the_two_logits_alone(tmp_path):
    """Both clips are taken for Wave; inside the pair the first is right and the second wrong."""
    scores = np.zeros((2, 12))
    scores[:, 0], scores[0, 8], scores[1, 8] = 9, 1, 1
    made = record(tmp_path, classes=DEMO, labels=[8, 9], scores=scores)
    (row,) = backwards_table([made]).to_dict("records")
    assert (row["right"], row["clips"]) == (1, 2)


def test_backwards_table_leaves_out_what_holds_no_reversals(tmp_path):
    labels = [0, 1] * 5
    hmdb = record(tmp_path, classes=("sit", "stand"), labels=labels, scores=logits(labels, 2), study="hmdb")
    other = record(tmp_path, labels=labels, scores=logits(labels, 3), study="other")
    one = record(tmp_path, classes=("Sit", "Stand", "Run"), labels=[0, 2], scores=logits([0, 2], 3), study="one")
    assert backwards_table([hmdb, other, one]).empty
    assert backwards_table([]).empty
