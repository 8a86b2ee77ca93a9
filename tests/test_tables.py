"""Tables from made records: every number worked out by hand or by another library."""

import numpy as np
import pandas as pd
import pytest
from made import DEMO, DIGEST, backwards_scores, demo_record, labels_of, logits, record
from scipy import stats

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.paper.cells import NOT_STATED, load
from repro.records.scores import is_right
from repro.report import tables


def test_accuracy_table_by_hand(tmp_path):
    labels = [0, 0, 0, 1, 1, 2]
    scores = logits([0, 0, 1, 1, 0, 2], 3)  # right: 2 of 3, 1 of 2, 1 of 1
    (row,) = tables.accuracy_table([record(tmp_path, labels=labels, scores=scores, seed=7)]).to_dict("records")
    low, high = stats.binomtest(4, 6).proportion_ci(method="wilson")
    assert row["right / clips"] == "4 / 6"
    assert row["top-1 [95 %]"] == f"66.7 % [{100 * low:.1f}, {100 * high:.1f}]"
    assert row["mean of classes"] == "72.2 %"  # (2/3 + 1/2 + 1) / 3
    assert row["chance"] == "33.3 %" and row["top-5"] == "5 classes or fewer"
    assert (row["split"], row["seed"]) == (1, 7)
    assert row["network"] == "Res34-SE-IM-Net (width ×0.25)"


def test_clips_left_out_are_told(tmp_path):
    made = record(tmp_path, labels=[0, 1, 2], scores=np.eye(3))
    made.data["listed"] = {"train": 12, "test": 5}
    assert tables.accuracy_table([made])["right / clips"][0] == "3 / 3 of 5 listed"
    assert tables.provenance_table([made], DIGEST)["clips train / test"][0] == "10 of 12 listed / 3 of 5 listed"


def test_accuracy_table_counts_top5_where_there_are_more_classes(tmp_path):
    classes = tuple("ABCDEFG")
    scores = np.tile(np.arange(7.0), (7, 1))  # ranks 6 to 0: the last five classes are within the first five
    (row,) = tables.accuracy_table([record(tmp_path, classes=classes, labels=range(7), scores=scores)]).to_dict(
        "records"
    )
    assert row["top-5"] == "71.4 %" and row["right / clips"] == "1 / 7"


def test_a_tie_at_the_top_is_not_right(tmp_path):
    made = record(tmp_path, labels=[0, 1], scores=np.zeros((2, 3)))
    assert not is_right(made).any()


@pytest.fixture
def pair(tmp_path):
    """A baseline and an attention run that differ in the network alone; ``change`` makes the second another."""
    labels = [0, 1, 2]

    def make(data_hash="made", **fields):
        a = record(tmp_path, labels=labels, scores=logits(labels, 3), model=BASELINE)
        b = record(
            tmp_path, labels=labels, scores=logits(labels, 3), data_hash=data_hash, **{"model": ATTENTION} | fields
        )
        return a, b

    return make


def names(pairs):
    return [(a.experiment.run, b.experiment.run) for a, b in pairs]


@pytest.mark.parametrize("fields", [{}, {"gate": "se_im"}, {"run": "another-name"}])
def test_partners_differ_in_the_network_alone(pair, fields):
    a, b = pair(**fields)
    assert names(tables.partners([b, a], BASELINE, ATTENTION)) == [(a.experiment.run, b.experiment.run)]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"split": 2}, {"learning_rate": 0.5}, {"data_hash": "other"}, {"width": 0.5}, {"reduction": 8},
     {"gate": "se"}, {"gate": "constant"}, {"model": CONTROL}],
)  # fmt: skip
def test_runs_that_differ_otherwise_are_no_partners(pair, change):
    assert tables.partners(pair(**change), BASELINE, ATTENTION) == []


def test_each_seed_finds_its_own_partner(tmp_path):
    made = [
        record(tmp_path, labels=[0, 1], scores=np.eye(3)[:2], model=model, seed=seed)
        for seed in (0, 1, 2)
        for model in (ATTENTION, BASELINE)
        if (model, seed) != (ATTENTION, 1)
    ]
    found = tables.partners(made, BASELINE, ATTENTION)
    assert [(a.experiment.seed, b.experiment.seed) for a, b in found] == [(0, 0), (2, 2)]


def test_per_clip_averages_the_seeds(tmp_path):
    labels = [0, 1, 2]
    made = [
        record(tmp_path, labels=labels, scores=logits(predicted, 3), seed=seed, groups=["g1", "g1", "g2"])
        for seed, predicted in enumerate(([0, 1, 0], [0, 0, 0]))
    ]
    table = tables.per_clip(made, is_right)
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
    gain = tables.paired_difference(pairs, is_right)
    assert gain.point == pytest.approx(0.2) and gain.n == 5
    back = tables.paired_difference([pair[::-1] for pair in pairs], is_right)
    assert back.point == pytest.approx(-0.2)


def test_paired_difference_resamples_groups(tmp_path):
    """Two clips a group that go together: twice the clips say no more, so the interval is that of one a group."""
    rng = np.random.default_rng(0)
    first, second = rng.random(40) < 0.4, rng.random(40) < 0.6
    single = tables.paired_difference([both(tmp_path, first, second, study="one")], is_right)
    twice = both(tmp_path, np.repeat(first, 2), np.repeat(second, 2), groups=np.repeat(np.arange(40), 2), study="two")
    doubled = tables.paired_difference([twice], is_right)
    assert doubled.n == single.n == 40
    assert doubled.point == pytest.approx(single.point)
    assert (doubled.low, doubled.high) == pytest.approx((single.low, single.high), abs=0.01)


def test_paired_difference_averages_seeds_before_it_resamples(tmp_path):
    pairs = [
        both(tmp_path, [0, 0, 1, 1], [1, 1, 1, 1], seed=0),  # +0.5
        both(tmp_path, [0, 1, 1, 1], [0, 0, 1, 1], seed=1),  # -0.25
    ]
    gain = tables.paired_difference(pairs, is_right)
    assert gain.point == pytest.approx(0.125) and gain.n == 4


def test_comparison_table_by_hand(tmp_path):
    made = both(tmp_path, [1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 1, 1, 1, 1, 1, 0], seed=3)
    (row,) = tables.comparison_table(made).to_dict("records")
    assert row["only first right / only second right"] == "1 / 4"
    assert row["McNemar p"] == f"{stats.binomtest(1, 5).pvalue:.3f}" == "0.375"
    assert row["difference [95 %]"].startswith("+37.5 points [")
    assert (row["ResNet34-3DRes18"], row["Res34-SE-IM-Net"], row["clips"]) == ("37.5 %", "75.0 %", 8)
    assert tables.comparison_table([]).empty


@pytest.mark.parametrize(
    "classes, expected",
    [
        (("flic_flac", "run", "cartwheel"), [(2, 0)]),
        (("FlicFlac", "Cartwheel"), [(1, 0)]),
        (("flic-flac", "CARTWHEEL", "Eat", "drink"), [(3, 2), (1, 0)]),
        (("cartwheel", "run"), []),
        (("wave_hands", "clap"), []),
        (DEMO, [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]),
        (("BabyCrawling", "Punch", "PushUps"), []),
        # HMDB51 has videos of sitting and of standing, which the paper does not name and nobody reversed
        (("sit", "stand", "pick", "put"), []),
    ],
)
def test_named_pairs(classes, expected):
    assert tables.named_pairs(classes) == expected


def test_mistaken_for_partner_by_hand(tmp_path):
    classes = ("Drink", "Eat", "Run")
    labels, predicted = [0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 0, 2]
    made = record(tmp_path, classes=classes, labels=labels, scores=logits(predicted, 3))
    assert tables.mistaken_for_partner(made).tolist() == [False, True, False, True, False, False, False]


def test_backwards_table_counts_with_n_halved(tmp_path):
    labels = labels_of(12, 10)
    right = np.ones(120, bool)
    right[80:85] = False  # 5 of Sit's 10 taken for Stand: 15 of 20 right
    made = record(tmp_path, classes=DEMO, labels=labels, scores=backwards_scores(labels, right), model=CONTROL, seed=4)
    table = tables.backwards_table([made])
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
    (row,) = tables.backwards_table([made]).to_dict("records")
    assert (row["right"], row["clips"]) == (1, 2)


def test_backwards_table_leaves_out_what_holds_no_reversals(tmp_path):
    labels = [0, 1] * 5
    hmdb = record(tmp_path, classes=("sit", "stand"), labels=labels, scores=logits(labels, 2), study="hmdb")
    other = record(tmp_path, labels=labels, scores=logits(labels, 3), study="other")
    one = record(tmp_path, classes=("Sit", "Stand", "Run"), labels=[0, 2], scores=logits([0, 2], 3), study="one")
    assert tables.backwards_table([hmdb, other, one]).empty
    assert tables.backwards_table([]).empty


def test_paper_table_says_what_the_text_does_not_state():
    paper = load()
    for table in paper.tables:
        shown = tables.paper_table(table)
        assert list(shown.columns) == ["", *table.columns] and len(shown) == len(table.rows)
        known, cells = tables.stated(table)
        assert cells == len(table.rows) * len(table.columns)
        assert known == cells - sum(cell.value is None for row in table.rows for cell in row.cells)
    table = paper.table(7)
    flat = tables.paper_table(table).to_numpy().tolist()
    assert any("71.85 %" in row for row in flat) and any(NOT_STATED in row for row in flat)
    assert tables.stated(table)[0] == sum(text.endswith("%") for row in flat for text in row[1:])


def test_provenance_table_fresh_and_stale(tmp_path):
    made = record(tmp_path, labels=[0], scores=logits([0], 3))
    (row,) = tables.provenance_table([made], DIGEST).to_dict("records")
    assert row["state"] == "fresh" and row["minutes"] == "1.5" and row["commit"] == "0123456789"
    assert row["clips train / test"] == "10 / 1" and row["started (UTC)"] == "2026-01-02T03:04:05"
    (row,) = tables.provenance_table([made], DIGEST | {"sampling": [1.0, 2.1]}).to_dict("records")
    assert row["state"] == "stale: sampling"
    (row,) = tables.provenance_table([made], DIGEST | {"a section of another network": [9.0]}).to_dict("records")
    assert row["state"] == "fresh"


def test_formats():
    interval = tables.Interval(0.625, 0.581, 0.667, 9, 0.95)
    assert tables.with_interval(interval) == "62.5 % [58.1, 66.7]"
    assert tables.with_interval(interval, signed=True) == "+62.5 points [+58.1, +66.7]"
    assert tables.percent(0.12346, 2) == "12.35 %" and tables.percent(1) == "100.0 %"


def test_title_names_gate_and_width(tmp_path):
    made = demo_record(tmp_path, gate="se")
    assert tables.title(made) == "Res34-SE-IM-Net, gate se (width ×0.25)"
    assert isinstance(tables.accuracy_table([made]), pd.DataFrame)


def paired_runs(tmp_path, wrong, seeds=(0, 1), **fields):
    """Both networks on the demo set's classes, 120 clips: the numbers of wrong ones by network and seed."""
    return [
        demo_record(tmp_path, model=model, seed=seed, wrong=range(count), **fields)
        for model, counts in zip((BASELINE, ATTENTION), wrong, strict=True)
        for seed, count in zip(seeds, counts, strict=True)
    ]


def test_splits_table_puts_three_kinds_of_chance_side_by_side(tmp_path):
    runs = paired_runs(tmp_path, [(60, 48), (24, 36)], groups=np.arange(120) // 2)
    (row,) = tables.splits_table(runs).to_dict("records")
    gains = [36 / 120, 12 / 120]
    half = stats.t.ppf(0.975, 1) * np.std(gains, ddof=1) / np.sqrt(2)
    assert row["top-1, over seeds"] == f"+20.0 points [{100 * (0.2 - half):+.1f}, {100 * (0.2 + half):+.1f}]"
    assert row["clips / groups"] == "120 / 60" and row["seeds"] == 2
    assert row["sd over seeds (points)"] == pytest.approx(100 * np.std(gains, ddof=1))
    assert row["mean of classes"] == row["top-5"] == "+20.0 points"  # the made scores tie below the first
    clips, groups = (row[f"top-1, {kind} resampled"] for kind in ("clips", "groups"))
    assert clips.startswith("+20.0 points [") and groups.startswith("+20.0 points [") and clips != groups


def test_p_values_are_corrected_for_the_rows(tmp_path):
    table = tables.comparison_table(paired_runs(tmp_path, [(6, 4), (0, 0)]))
    assert table["McNemar p"].tolist() == ["0.031", "0.125"]  # 2 * 0.5 ** 6, 2 * 0.5 ** 4
    assert table["corrected for 2"].tolist() == ["0.062", "0.125"]


def test_power_is_said_beside_the_set(tmp_path):
    runs = paired_runs(tmp_path, [(60, 48), (24, 36)])
    text = tables.power_text(tables.partners(runs, BASELINE, ATTENTION))
    # 15 %: 2.80 * sqrt(0.15 / 120); here 20 %: 2.80 * sqrt(0.2 / 120)
    assert "about 9.9 points or more. Here 20.0 % are discordant: about 11.4 points or more" in text
    assert "standard deviation of 14.1 points" in text and "takes 7 pairs of seeds; 2 were run" in text
    assert "not known from one pair" in tables.power_text(tables.partners(runs[::2], BASELINE, ATTENTION))
