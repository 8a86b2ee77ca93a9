"""The ledger's picture: the largest measured effect first, every other open point named as not measured."""

import pytest
from made import demo_record
from matplotlib import pyplot as plt

from repro.paper.cells import load
from repro.report.ablations import variants
from repro.report.ledger import CHOICES
from repro.report.ledger_picture import ledger_figure, measured_points

POINTS = load().assumptions
OPEN = [a.id for a in POINTS if a.status == "open"]


@pytest.fixture
def found(tmp_path):
    """Two other readings of Equation 4 and one of the gate's start, three seeds each, 12, 36, 60 of 120 clips wrong."""
    runs = [demo_record(tmp_path, study="ref", seed=seed, wrong=range(6)) for seed in (0, 1, 2)]
    others = [
        demo_record(tmp_path, study=f"{CHOICES}-{group}", seed=seed, wrong=range(wrong), **fields)
        for group, wrong, fields in (
            ("gate-se", 12, {"gate": "se"}),
            ("gate-closed", 60, {"gate_bias": -4.0}),
            ("gate-vector", 36, {"gate": "se_im_vector"}),
            ("frames-4", 36, {"frames": 4}),  # of no open point
        )
        for seed in (0, 1, 2)
    ]
    return variants(runs, others)


def test_measured_points_by_size_of_effect_and_the_others(found):
    measured, others = measured_points(POINTS, found)
    assert [(a.id, v.title) for a, v in measured] == [
        ("se-gate-start", "gate bias: -4.0"), ("equation-4", "gate: se im vector"), ("equation-4", "gate: se"),
    ]  # fmt: skip
    assert [a.id for a in others] == [name for name in OPEN if name not in ("se-gate-start", "equation-4")]


def test_the_figure_has_a_row_a_reading_and_names_the_rest(found):
    fig, alt = ledger_figure(POINTS, found)
    axis, beside = fig.subfigs[0].axes
    points = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"]
    assert points == pytest.approx([-45, -25, -5])
    assert beside.get_yticklabels()[0].get_text() == "gate bias: -4.0, 3 seeds"
    assert "At which value does the gate start? (gate bias: -4.0): -45.0 points [" in alt
    assert "Not measured: Which layers make up 3DRes18, the head?; " in alt
    plt.close(fig)


def test_without_variants_every_open_point_is_not_measured():
    fig, alt = ledger_figure(POINTS, [])
    words = " ".join(text.get_text() for text in fig.axes[0].texts)
    assert f"not measured ({len(OPEN)})" in words and words.count("–") >= len(OPEN) and "none measured" in alt
    plt.close(fig)
