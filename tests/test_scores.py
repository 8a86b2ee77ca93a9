"""repro.records.scores: what a record says of each clip, and one network against another, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from made import DEMO, backwards_scores, labels_of, logits, predicted, record, trained
from scipy import stats

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.records.scores import backwards_table, confusion_gain, confusion_of, gain_of, is_right, same_scores, share_of


def both(folder, first_right, second_right, *, groups=None, **fields):
    """A baseline and an attention run with clips right as given."""
    labels = np.zeros(len(first_right), int)
    return tuple(
        record(
            folder, labels=labels, scores=logits(1 - np.asarray(right, int), 3), model=model, groups=groups, **fields
        )
        for model, right in ((BASELINE, first_right), (ATTENTION, second_right))
    )


def test_a_gain_is_second_minus_first_paired_by_clip_and_run(tmp_path):
    pairs = [
        both(tmp_path, [0, 0, 1, 1], [1, 1, 1, 1], seed=0),  # +0.5
        both(tmp_path, [0, 1, 1, 1], [0, 0, 1, 1], seed=1),  # -0.25
    ]
    gain = gain_of(pairs, is_right)
    assert gain.point == pytest.approx(0.125) and (gain.runs, gain.groups, gain.clips) == (2, 4, 4)
    assert gain.sd_runs == pytest.approx(0.75 / np.sqrt(2))
    assert gain_of([pair[::-1] for pair in pairs], is_right).point == pytest.approx(-0.125)
    assert share_of([second for _, second in pairs], is_right).point == pytest.approx(0.75)
    other = both(tmp_path, [0, 0, 1], [1, 1, 1], study="other")
    with pytest.raises(ValueError, match="the same clips"):
        gain_of([(pairs[0][0], other[1])], is_right)


def confused(folder, taken, *, seed, model=BASELINE, groups=7):
    """A run on two classes of 39 and 30 clips in as many groups each, of which these clips are taken for the other."""
    labels = np.repeat([0, 1], [39, 30])
    guesses = labels.copy()
    guesses[list(taken)] ^= 1
    names = [f"{label}-{k % groups}" for label, count in enumerate((39, 30)) for k in range(count)]
    return predicted(folder, labels, guesses, groups=names, seed=seed, model=model)


def test_the_indicator_is_as_sure_as_its_groups_and_runs(tmp_path):
    """The audit's case: five runs on 39 and 30 clips, c = 0.268; counting 195 and 150 clips gives [0.205, 0.352]."""
    rng = np.random.default_rng(1)
    hard = [k for k in range(69) if (k if k < 39 else k - 39) % 7 in (1, 4)]  # of two groups in seven
    runs = []
    for seed, (first, second) in enumerate(((3, 4), (2, 7), (2, 8), (3, 5), (2, 7))):  # 12 of 195 and 31 of 150
        one, other = [k for k in hard if k < 39], [k for k in hard if k >= 39]
        taken = [*rng.permutation(one)[:first], *rng.permutation(other)[:second]]
        runs.append(confused(tmp_path, taken, seed=seed))
    found = confusion_of(runs, (0, 1))
    assert found.point == pytest.approx(12 / 195 + 31 / 150) and (found.groups, found.clips, found.runs) == (14, 69, 5)
    assert 0.03 < found.low < 0.12 and 0.45 < found.high < 0.75  # groups resampled, runs averaged: [0.069, 0.523]


def test_the_indicator_of_runs_far_apart_is_not_known_well(tmp_path):
    """The audit's case: five runs give 0.48, 0.38, 0.10, 0.25 and 0.06; counts added up gave [0.204, 0.318]."""
    runs = [
        confused(tmp_path, rng.permutation(39)[:count], seed=seed)
        for seed, count in enumerate((19, 15, 4, 10, 2))
        for rng in [np.random.default_rng(seed)]
    ]
    found, single = confusion_of(runs, (0, 1)), [0.487, 0.385, 0.103, 0.256, 0.051]
    assert found.point == pytest.approx(np.mean(single), abs=1e-3)
    half = 2.776 * np.std(single, ddof=1) / np.sqrt(5)  # Student's t over the five alone
    assert found.high - found.low > 0.95 * 2 * half and 0 <= found.low < 0.12 and found.high > 0.45


def test_indicators_are_compared_by_pair_of_runs(tmp_path):
    pairs = [
        (confused(tmp_path, range(13), seed=s), confused(tmp_path, range(6), seed=s, model=ATTENTION)) for s in (0, 1)
    ]
    found = confusion_gain(pairs, (0, 1))
    assert found.point == pytest.approx((6 - 13) / 39) and found.low < found.point < found.high
    back = confusion_gain([pair[::-1] for pair in pairs], (0, 1))
    assert (back.low, back.p) == pytest.approx((-found.high, found.p))


def test_an_indicator_needs_clips_of_both_classes(tmp_path):
    one = record(tmp_path, labels=[0, 0], scores=logits([0, 1], 3))
    assert confusion_of([one], (0, 1)) is None and confusion_gain([(one, one)], (0, 1)) is None
    both = record(tmp_path, labels=[0, 1], scores=logits([1, 1], 3), study="both")
    assert confusion_of([one, both], (0, 1)).point == 1.0


def test_backwards_table_takes_a_scene_for_one(tmp_path):
    """A clip and its reversal come from one scene: ten of a class and their reversals are ten groups."""
    labels = labels_of(12, 10)
    right = np.ones(120, bool)
    right[[80, 81, 82, 90, 91, 92]] = False  # three scenes of ten wrong both ways: 14 of 20 right
    groups = [f"{label // 2}-{k}" for label in range(12) for k in range(10)]
    scores = backwards_scores(labels, right)
    options = {"classes": DEMO, "labels": labels, "scores": scores, "model": CONTROL, "seed": 4}
    table = backwards_table([record(tmp_path, groups=groups, **options)])
    assert table["pair"].tolist() == ["Sit / Stand", "Pick / Put"]
    assert table["right"].tolist() == [14, 20] and table["clips"].tolist() == [20, 20]
    assert table["point"].tolist() == [0.7, 1.0]
    half = stats.t.ppf(0.975, 9) * np.sqrt(0.7 * 0.3 / 9)
    c = half**2 / 0.21  # Wilson's formula, but for the caution near 0 and 1
    low = (0.7 + c / 2 - np.sqrt(c * (0.21 + c / 4))) / (1 + c)
    assert table["low"][0] == pytest.approx(low, abs=0.01) and table["high"][1] == 1 and table["low"][1] < 0.7
    apart = backwards_table([record(tmp_path, study="apart", **options)])
    assert apart["low"][0] > table["low"][0] + 0.05  # each clip for itself
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


# ---- copies are found however they were disguised, and two trainings' own scores are none


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
