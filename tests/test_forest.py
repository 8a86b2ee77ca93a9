"""The forest plot: rows in their order, hollow without the chance of training, what each stands on at its right."""

from dataclasses import replace

import pytest
from made import both_networks
from matplotlib import pyplot as plt

from repro.experiment.fields import ATTENTION, BASELINE
from repro.records.compare import partners
from repro.records.scores import gain_of, gains_by_seed, is_right
from repro.report.forest import Row, forest_figure


@pytest.fixture
def rows(tmp_path):
    """Three pairs of runs (60 and 10 clips of 120 wrong), and a pair under another rate."""
    runs = [partners(both_networks(tmp_path, seeds=(0, 1, 2)), BASELINE, ATTENTION)]
    one = both_networks(tmp_path, study="single", seeds=(0,), wrong_second=range(30), learning_rate=0.5)
    runs.append(partners(one, BASELINE, ATTENTION))
    return [Row(pairs[0][0].experiment.study, gain_of(pairs, is_right), gains_by_seed(pairs)) for pairs in runs]


def test_rows_stand_in_their_order_and_a_single_pair_is_hollow(rows):
    first = replace(rows[0].gain, point=0.1, low=0.05, high=0.15)
    second, third = replace(first, low=-0.2, high=0.4), replace(rows[1].gain, point=0.0, low=-0.1, high=0.1)
    given = [Row("narrow", first), Row("one pair", third, (0.0,)), Row("wide", second, (0.0, 0.2))]
    fig, alt = forest_figure(given)
    axis, beside = fig.axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["narrow", "one pair", "wide"]
    assert [text.get_text() for text in beside.get_yticklabels()][:2] == [
        "3 pairs, 120 clips, 120 groups", "1 pair, 120 clips, 120 groups",
    ]  # fmt: skip
    points = [line for line in axis.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([10, 0, 10])
    assert [line.get_markerfacecolor() == "none" for line in points] == [False, True, False]
    spans = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "None"]
    assert spans[:3] == [pytest.approx([5, 15]), pytest.approx([-10, 10]), pytest.approx([-20, 40])]
    assert spans[3] == [0, 0] and fig.get_size_inches()[0] == 7.5
    ticks = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "|"]
    assert ticks == [[], [0], pytest.approx([0, 20])]
    assert "one pair +0.0 points [-10.0, +10.0], 1 pair, 120 clips, 120 groups (hollow" in alt
    plt.close(fig)


def test_without_rows_there_is_nothing_to_draw():
    with pytest.raises(ValueError, match="a row or more"):
        forest_figure([])
