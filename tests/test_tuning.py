"""Learning rates are chosen on validation clips alone, and the networks compared at their own."""

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest
from made import demo_record
from matplotlib import pyplot as plt

from repro.experiment.fields import ATTENTION, BASELINE
from repro.report import tuning


def run(results, model, rate, seed, validation, wrong):
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.1, 0.2]})
    if validation is not None:
        history["validation_top1"] = [0.9, validation]  # the first epoch's is not what is kept
    fields = {"model": model, "learning_rate": rate, "seed": seed, "study": f"ablation-rate-{rate:g}", "role": "tuning"}
    return demo_record(results, history=history, wrong=range(wrong), **fields)


@pytest.fixture
def runs(tmp_path):
    """Of 120 test clips; the baseline's best rate on the test clips (0.02) is not the one that validation picks."""
    table = [
        (BASELINE, 0.02, (0.50, 0.52), (10, 10)),
        (BASELINE, 0.04, (0.60, 0.62), (40, 30)),
        (ATTENTION, 0.02, (0.80, 0.70), (20, 24)),
        (ATTENTION, 0.04, (0.70, 0.60), (50, 50)),
    ]
    return [
        run(tmp_path, model, rate, seed, validation[seed], wrong[seed])
        for model, rate, validation, wrong in table
        for seed in (0, 1)
    ]


def test_the_rate_is_chosen_by_the_mean_of_the_validation_clips(runs):
    assert tuning.chosen(tuning.by_rate(runs, BASELINE)) == 0.04
    assert tuning.chosen(tuning.by_rate(runs, ATTENTION)) == 0.02
    with pytest.raises(ValueError, match="no run with validation clips"):
        tuning.chosen({})


def test_the_networks_are_compared_at_their_own_rates(runs):
    pairs = tuning.tuned_pairs(runs)
    assert [(a.experiment.learning_rate, b.experiment.learning_rate) for a, b in pairs] == [(0.04, 0.02)] * 2
    assert [(a.experiment.seed, b.experiment.seed) for a, b in pairs] == [(0, 0), (1, 1)]
    text = tuning.tuning_text(runs)
    assert "ResNet34-3DRes18 0.04, Res34-SE-IM-Net 0.02; chosen on validation clips among 2 rates" in text
    assert "+10.8 points [" in text and "each pair of runs: +16.7, +5.0." in text  # (20 + 6) / 240
    assert "The best rate of ResNet34-3DRes18 and Res34-SE-IM-Net is the smallest or largest tried" in text


def test_a_rate_inside_the_range_is_not_at_the_edge(runs, tmp_path):
    more = [run(tmp_path, model, rate, 0, 0.1, 90) for model in (BASELINE, ATTENTION) for rate in (0.01, 0.08)]
    assert "or largest tried" not in tuning.tuning_text(runs + more)


def test_the_table(runs):
    table = tuning.tuning_table(runs).set_index("learning rate")
    assert table.loc["0.04", "ResNet34-3DRes18: validation (%)"] == "61.0 (60.0 to 62.0) (chosen)"
    assert table.loc["0.02", "ResNet34-3DRes18: test (%)"] == "91.7 (91.7 to 91.7)"
    assert table.loc["0.02", "test, SE-IM minus baseline [95 %]"].startswith("-10.0 points [")
    assert list(table["pairs of runs"]) == [2, 2]


def test_what_was_not_run_is_said(runs, tmp_path):
    assert tuning.tuning_text([]).startswith("**Not run:**") and tuning.tuned_pairs(runs[:4]) == []
    table = tuning.tuning_table(runs[:4])
    assert list(table["Res34-SE-IM-Net: test (%)"]) == ["not run", "not run"]
    without = run(tmp_path / "other", BASELINE, 0.02, 0, None, 5)  # no validation clips: chooses nothing
    assert tuning.by_rate([without], BASELINE) == {}


def test_the_figure(runs):
    fig, alt = tuning.tuning_figure(runs)
    assert alt.endswith("8 runs; means in the table.")
    fig.canvas.draw()
    assert [axis.get_xlabel() for axis in fig.axes] == ["learning rate"] * 2
    assert [label.get_text() for label in fig.axes[0].get_xticklabels()] == ["0.02", "0.04"]
    plt.close(fig)
