"""The page on statistics: what a study could have shown, from made runs."""

import pytest
from made import DIGEST, both_networks
from matplotlib import pyplot as plt

from repro.metrics.statistics import runs_needed, smallest_gain
from repro.report import statistics
from repro.report.study import shown

ONE, MANY = "Made clips, 2 epochs", "Made clips, 3 epochs"


@pytest.fixture
def gains(tmp_path):
    few = both_networks(tmp_path, study="one", seeds=(0,))
    many = both_networks(tmp_path, study="four", seeds=(0, 1), epochs=3)
    many += both_networks(tmp_path, range(40), range(20), study="four", seeds=(2, 3), epochs=3)
    return {study.name: study.gain for study in shown([*few, *many], DIGEST)}


def test_studies_are_named_and_those_that_say_more_come_first(gains):
    assert list(gains) == [MANY, ONE] and gains[MANY].runs == 4
    assert gains[MANY].point == pytest.approx((50 + 50 + 20 + 20) / 480)


def test_the_smallest_gain_stands_with_that_of_more_pairs(gains):
    table = statistics.power_table(gains, wanted=0.15).set_index("study")
    moved = table["sd of pairs (points); trained again within"].tolist()
    # sd of two of 50 / 120, two of 20 / 120; then 3.18 times it, times the root of 2 / 4
    assert moved == ["14.4; ±32.5 points", "one: not known"]
    four = table.loc[MANY]
    assert four["smallest gain that gives a verdict"] == f"{100 * statistics.detected(gains[MANY]):.1f} points"
    assert four["with 20 pairs"] == f"{100 * statistics.detected(gains[MANY], runs=20):.1f} points"
    assert four["pairs to show 15 points"] == f"{runs_needed(gains[MANY], 0.15, confidence=0.99):.0f}"
    assert table.loc[ONE, "with 20 pairs"] == "not known" == table.loc[ONE, "pairs to show 15 points"]
    never = statistics.power_table(gains, wanted=0.0001).set_index("study")
    assert never.loc[MANY, "pairs to show 0.01 points"] == "never: more clips are needed"
    assert statistics.points(1.2) == "no gain"


def test_one_pair_does_not_tell_the_chance_of_training(gains):
    assert "how far runs spread is not known from one pair" in statistics.power_text(gains[ONE])
    text = statistics.power_text(gains[MANY])
    assert "120 clips in 120 groups and 4 pairs of runs give a verdict (p below 0.01) on a true gain of" in text
    assert "20 pairs would on" in text and statistics.detected(gains[MANY]) > smallest_gain(gains[MANY])


def test_the_figure_names_each_study_of_several_pairs(gains):
    fig, alt = statistics.power_figure(gains)
    assert alt.endswith(f"as run: {MANY} {100 * statistics.detected(gains[MANY]):.1f} points.")
    plt.close(fig)


def test_coverage_is_shown_for_every_kind_of_number():
    table = statistics.coverage_tables((3, 6), (20,), studies=40, seed=0)
    assert table["95 % interval of"].unique().tolist() == list(statistics.KINDS) and len(table) == 8
    text = statistics.coverage_text(table)
    assert "over 5 kinds of chance: training counts most; videos" in text and "with fewer in" in text
    assert "with fewer" not in statistics.coverage_text(table[table["runs, or pairs of runs"] == 6])
