"""Pairs picked by looking at the results: how large the illusion is, by hand and by simulation."""

import numpy as np
import pytest
from made import DEMO, DIGEST, both_networks, demo_record, labels_of, logits, record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.confusion import chosen_and_reported
from repro.records.compare import partners
from repro.report import confusion
from repro.report.confusion import all_pairs, clustered, counts_of, halves, pairs_shown, picked_pairs_table
from repro.report.study import shown


def pairs_of(runs):
    return partners(runs, BASELINE, ATTENTION)


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
    table = picked_pairs_table(pairs_of(runs), top=5, repeats=30)
    picked, others = table["gain"]
    assert picked > 0.05 and abs(others) < picked / 3
    assert table["baseline"][0] > table["baseline"][1]
    assert (
        f"lower c by {picked:+.3f}; on the other clips, which did not pick them, by {others:+.3f}."
        in confusion.picked_text(table)
    )
    caption = confusion.picked_caption(pairs_of(runs), 5)
    assert "the baseline's 5 worst pairs (1 pair of runs, 720 clips in 720 groups)" in caption


def test_a_real_gain_stays_on_the_other_clips(tmp_path):
    runs = [demo_record(tmp_path, model=BASELINE, to_partner=range(60)), demo_record(tmp_path, model=ATTENTION)]
    table = picked_pairs_table(pairs_of(runs), top=3, repeats=10)
    # half of the classes are taken for their look-alike: c = 2 for the picked pairs, on both halves
    assert table["gain"].tolist() == pytest.approx([2.0, 2.0])


def test_without_both_networks_there_is_nothing(tmp_path):
    runs = pairs_of([demo_record(tmp_path, model=BASELINE)])
    assert picked_pairs_table(runs).empty and all_pairs(runs).empty


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
    """Two seeds: 3 and 1 of 20 clips of Wave taken for Clap under the baseline, 1 and 1 under SE-IM."""
    taken = {BASELINE: (range(3), range(1)), ATTENTION: (range(1), range(1))}
    runs = [
        demo_record(tmp_path, model=model, seed=seed, to_partner=which, per_class=20)
        for model, by_seed in taken.items()
        for seed, which in enumerate(by_seed)
    ]
    assert confusion.counted(pairs_of(runs)) == "2 pairs of runs"
    table = all_pairs(pairs_of(runs))
    assert len(table) == 12 * 11 // 2
    first = table.iloc[0]
    assert (first["pair"], first["named"]) == ("Wave / Clap", True)
    assert first[f"c_{BASELINE}"] == pytest.approx(4 / 40) and first[f"c_{ATTENTION}"] == pytest.approx(2 / 40)
    assert first["difference"] == pytest.approx(-2 / 40)
    assert first[f"clips_{BASELINE}"] == "2 of 20 + 0 of 20"
    assert table["named"].sum() == 6 and (table["difference"][1:] == 0).all()
    assert pairs_shown(table, 2)["pair"].iloc[0] == "Wave / Clap" and len(pairs_shown(table, 2)) == 6
    assert counts_of(runs)[0, 1] == 6 and confusion.choice_text(table) == ""
    every = confusion.every_pair_table(table)
    assert (every["named beforehand"] == "yes").sum() == 6
    assert list(every["difference in c"]) == list(table["difference"])
    fig, alt = confusion.pairs_figure(pairs_shown(table, 2), pairs_of(runs))
    assert "of 6 pairs for both networks with 95 % intervals; the attention network's is lower for 1 of 6" in alt
    assert "Baseline and SE-IM: Wave / Clap 0.100 [" in alt
    marked = {line.get_label(): line.get_xdata()[0] for line in fig.axes[0].lines if line.get_marker() != "None"}
    assert marked == pytest.approx({"ResNet34-3DRes18": 4 / 40, "Res34-SE-IM-Net": 2 / 40})
    spans = [line.get_xdata() for line in fig.axes[0].lines if line.get_marker() == "None"]
    assert len(spans) == 2 * 6 and f"{spans[0][0]:.3f}, {spans[0][1]:.3f}] and" in alt


def test_where_no_look_alike_is_named_only_confused_pairs_are_shown(tmp_path):
    labels = labels_of(3, 4)
    predicted = labels.copy()
    predicted[0] = 2
    runs = [record(tmp_path, labels=labels, scores=logits(predicted, 3), model=m) for m in (BASELINE, ATTENTION)]
    table = all_pairs(pairs_of(runs))
    assert list(pairs_shown(table, 3)["pair"]) == ["A / C"] == list(confusion.confused_pairs(table, 3)["pair"])
    assert "the 1 pairs that the two networks together confuse most" in confusion.choice_text(pairs_shown(table, 3))
    assert confusion.choice_text(table.head(0)) == "Neither network takes a clip of one class for another."


def test_matrices_of_the_papers_networks_stand_beside_their_difference_and_others_apart(tmp_path):
    runs = [*both_networks(tmp_path), demo_record(tmp_path, model="resnet34_frame_average")]
    (both, alt), (other, of_other) = confusion.matrices(runs)
    assert [len(fig.axes) for fig in (both, other)] == [3, 1]
    assert (
        "of ResNet34-3DRes18 and Res34-SE-IM-Net, and their difference" in alt
        and "added up: 2 of ResNet34-3DRes18; 2 of" in alt
    )
    assert "of ResNet-34, frames averaged; runs added up" in of_other


def test_how_many_errors_fall_on_the_look_alike(tmp_path):
    """20 wrong clips of the baseline, all taken for their partner, of 12 classes with one look-alike each."""
    runs = both_networks(tmp_path, range(20), range(2), kind="to_partner", seeds=range(2))
    lines = confusion.errors_text(shown(runs, DIGEST)).splitlines()
    assert lines[0].startswith("**Do errors fall on the look-alike?**") and len(lines) == 3
    assert lines[2].startswith("- Made clips: of the errors of ResNet34-3DRes18 100.0 % [")
    assert "; of the errors of Res34-SE-IM-Net 100.0 % [" in lines[2] and lines[2].endswith("by chance 9.1 %.")
    for run in runs:
        run.history["train_top1"] = 0.5
    assert confusion.errors_text(shown(runs, DIGEST)) == confusion.errors_text([]) == ""


def test_the_answer_says_which_look_alikes_fall_and_which_do_not(tmp_path):
    runs = both_networks(tmp_path, range(20), range(2), kind="to_partner", seeds=range(5))
    (study,) = shown(runs, DIGEST)
    text = confusion.answer_text([study])
    assert text.startswith(
        "- **Made clips**: with gates the confusion of look-alikes is lower for 1 (Wave / Clap), the"
    )
    assert "the same for 5 (Drink / Eat" in text and "; beyond chance: Wave / Clap -1.8" in text
    assert text.endswith("] (5 pairs of runs).")
    whole, some = confusion.taken_table([study], {"Made clips": {0.16: study.pairs[:2]}}, []).to_dict("records")
    assert whole["taken for the look-alike: without → with gates"] == "16.7 % → 1.7 %"
    assert whole["change, the look-alike [95 %]"].startswith("-15.0 points [")
    assert whole["taken for any other class: without → with gates"] == "0.0 % → 0.0 %"
    assert whole["change, any other class [95 %]"].endswith(", p 1.000")
    assert [whole["pairs of runs"], some["pairs of runs"]] == ["5", "2"]
    assert some["clips"] == "Made clips, both at 0.16"
    (other,) = shown(both_networks(tmp_path, range(20), range(2), seeds=range(2), study="other"), DIGEST)
    (elsewhere,) = confusion.taken_table([other], {}, []).to_dict("records")
    assert elsewhere["taken for any other class: without → with gates"] == "16.7 % → 1.7 %"
    (alike,) = shown(both_networks(tmp_path, range(2), range(2), kind="to_partner", study="alike"), DIGEST)
    assert "the same for 6 (" in (same := confusion.answer_text([alike])) and "none of it beyond chance" in same
    for run in runs:
        run.history["train_top1"] = 0.5
    assert confusion.answer_text(shown(runs, DIGEST)).startswith("**Not known yet:** these runs ended before")
    assert confusion.taken_table(shown(runs, DIGEST), {}, []).empty
    assert confusion.answer_text([]).startswith("**Not run:**")
