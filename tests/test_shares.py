"""Shares of multiply-adds and time: they add up, gates are counted by hand, what was not measured is left out."""

import dataclasses

import made
import pytest
from matplotlib import pyplot as plt

from repro.experiment.fields import ATTENTION, BASELINE
from repro.report.shares import PARTS, counted_shares, shares_figure, timed_shares


def measured():
    layers = [
        {"round": k, "part": part, "seconds": seconds}
        for k in range(3)
        for part, seconds in (("trunk, layer1: convolutions", 0.6), ("trunk: batch norm", 0.1), ("gates", 0.1),
                              ("the rest", 0.2))
    ]  # fmt: skip
    found = made.table6()
    return dataclasses.replace(found, content={**found.content, f"layers {ATTENTION}": layers})


def test_the_counted_shares_are_the_networks():
    base, gated = counted_shares(BASELINE), counted_shares(ATTENTION)
    assert list(base.index) == list(PARTS) and base.sum() == pytest.approx(1) == pytest.approx(gated.sum())
    assert base["gates"] == 0 and base["trunk, stem"] == pytest.approx(0.0303, abs=5e-4)
    by_hand = 16 * 2 * sum(units * c * c // 16 for units, c in ((3, 64), (4, 128), (6, 256), (3, 512)))  # 16 frames
    assert gated["gates"] == pytest.approx(by_hand / 62.3e9, rel=0.01)


def test_the_timed_shares_have_the_records_names():
    timed = timed_shares(measured(), ATTENTION)
    assert timed["trunk, layer1"] == pytest.approx(0.6) and timed["trunk, batch norm"] == pytest.approx(0.1)
    assert timed["head, stage1"] == 0 and timed_shares(measured(), BASELINE) is None


def test_the_figure_says_what_is_counted_and_what_measured():
    fig, alt = shares_figure(measured())
    first, second = fig.axes
    assert [len(axis.containers) for axis in (first, second)] == [1, 2]
    assert "Res34-SE-IM-Net, time, measured: trunk, stem 0.0 %; trunk, layer1 60.0 %" in alt
    assert "ResNet34-3DRes18, time" not in alt and "gates 0.004 %" in alt
    plt.close(fig)
