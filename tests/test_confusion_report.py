"""Pairs picked by looking at the results: how large the illusion is, by hand and by simulation."""

import numpy as np
import pytest
from made import DEMO, demo_record, labels_of, logits, record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.confusion import chosen_and_reported
from repro.report.confusion import (
    CASES,
    all_pairs,
    clustered,
    counts_of,
    example_clips,
    gates_table,
    gates_text,
    halves,
    pairs_shown,
    picked_pairs_table,
    raised_channels,
    with_clips,
)


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


def test_clustering_puts_what_is_confused_side_by_side():
    counts = np.diag([10, 10, 10, 10])
    counts[0, 2] = counts[2, 0] = 5
    counts[1, 3] = 4
    order = clustered(counts)
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == 1 and abs(order.index(1) - order.index(3)) == 1
    assert clustered(np.diag([3, 3])) == [0, 1]
    assert sorted(clustered(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))) == [0, 1, 2]  # a class without clips


def test_all_pairs_by_hand(tmp_path):
    """Two seeds, added up: 3 and 1 of 20 clips of Wave taken for Clap under the baseline, 1 and 1 under SE-IM."""
    taken = {BASELINE: (range(3), range(1)), ATTENTION: (range(1), range(1))}
    runs = [
        demo_record(tmp_path, model=model, seed=seed, to_partner=which, per_class=20)
        for model, by_seed in taken.items()
        for seed, which in enumerate(by_seed)
    ]
    table, pairs = all_pairs(runs)
    assert pairs == 2 and len(table) == 12 * 11 // 2
    first = table.iloc[0]
    assert (first["pair"], first["named"]) == ("Wave / Clap", True)
    assert first[f"c_{BASELINE}"] == pytest.approx(4 / 40) and first[f"c_{ATTENTION}"] == pytest.approx(2 / 40)
    assert first["difference"] == pytest.approx(-2 / 40)
    assert first[f"clips_{BASELINE}"] == "4/40 + 0/40"
    assert table["named"].sum() == 6 and (table["difference"][1:] == 0).all()
    assert pairs_shown(table, 2)["pair"].iloc[0] == "Wave / Clap" and len(pairs_shown(table, 2)) == 6
    assert "(4/40 + 0/40)" in with_clips(table.head(1))["ResNet34-3DRes18"][0]
    assert counts_of(runs)[0, 1] == 6


def test_where_no_look_alike_is_named_only_confused_pairs_are_shown(tmp_path):
    labels = labels_of(3, 4)
    predicted = labels.copy()
    predicted[0] = 2
    runs = [record(tmp_path, labels=labels, scores=logits(predicted, 3), model=m) for m in (BASELINE, ATTENTION)]
    table, _ = all_pairs(runs)
    assert list(pairs_shown(table, 3)["pair"]) == ["A / C"]
    assert all_pairs(runs[:1])[0].empty


def test_example_clips_right_and_wrong(tmp_path):
    """Clips 0-3 of Wave: wrong for SE-IM alone, both, none, the baseline alone; clip 4 is taken for a third class."""
    first = demo_record(tmp_path, model=BASELINE, to_partner=(1, 3), wrong=(4,))
    second = demo_record(tmp_path, model=ATTENTION, to_partner=(0, 1))
    found = example_clips((first, second), (0, 1))
    assert list(found["case"]) == list(CASES)
    assert list(found["clip"]) == [f"clip0000{k}.avi" for k in (3, 0, 1, 2)]
    one = found.iloc[0]
    largest, other = np.exp(2) / (np.exp(2) + 11), 1 / (np.exp(2) + 11)
    assert one[f"said_{BASELINE}"] == 1 and one[f"said_{ATTENTION}"] == 0
    assert one[f"true_{BASELINE}"] == pytest.approx(other) and one[f"other_{BASELINE}"] == pytest.approx(largest)
    assert one[f"true_{ATTENTION}"] == pytest.approx(largest)
    assert len(example_clips((first, second), (0, 1), each=2)) > 4
    assert list(example_clips((first, second), (2, 3))["case"]) == ["both right"]


def test_raised_channels_reports_on_other_clips():
    """Channel 2 tells the classes apart everywhere; the noise that picked the others does not come back."""
    rng = np.random.default_rng(0)
    labels, groups = np.tile([0, 1], 40), np.repeat(np.arange(20), 4)
    s = 0.5 + 0.01 * rng.standard_normal((80, 64))
    s[labels == 0, 2] += 0.3
    found = raised_channels({"a": s}, labels, groups, (0, 1), top=3)
    assert found["channel"][0] == 2 and list(found["unit"]) == ["a"] * 3
    assert found["first, others"][0] - found["second, others"][0] == pytest.approx(0.3, abs=0.02)
    noise = found.iloc[1:]
    picked = (noise["first, picking"] - noise["second, picking"]).abs().mean()
    assert (noise["first, others"] - noise["second, others"]).abs().mean() < picked
    assert raised_channels({"a": s}, labels, np.zeros(80), (0, 1)).empty


def test_gates_text():
    still, moved = {"u": np.full((4, 2), 0.5)}, {"u": np.array([[0.3, 0.8], [0.5, 0.8]])}
    text = gates_text(moved, still)
    assert "between 0.40 and 0.80" in text and "by 1.40 to 1.80" in text
    assert "differs by 0.0500" in text and "before the training by 0.0000" in text


def test_gates_table_by_hand():
    (row,) = gates_table({"u": np.array([[0.4, 0.8], [0.4, 0.6]])}).to_dict("records")
    assert row["channels"] == 2 and row["mean s"] == pytest.approx(0.55) and row["raised (s > 0.5)"] == "50 %"
    assert row["sd between clips"] == pytest.approx(0.05) and row["highest channel"] == pytest.approx(0.7)
