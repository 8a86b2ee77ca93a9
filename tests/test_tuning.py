"""Learning rates on their page: what validation clips said of each, and which was taken."""

from matplotlib import pyplot as plt
from test_rates import made, run

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.text import percent
from repro.report import tuning


def test_the_text_says_what_was_chosen_by_how_much(tmp_path):
    runs = made(tmp_path)
    text = tuning.tuning_text(runs)
    assert f"ResNet34-3DRes18: 0.04 of 0.02, 0.04, with {percent(0.61)} of the validation clips right" in text
    assert f"; 0.02 comes next with {percent(0.51)}. Res34" in text, "0.60 and 0.62 are above 0.50 and 0.52"
    assert "The range of its seeds overlaps with that at 0.04: they cannot be told apart." in text, "of Res34-SE-IM-Net"
    assert "The best rate of ResNet34-3DRes18 and Res34-SE-IM-Net is the smallest or largest tried" in text
    more = [run(tmp_path, model, rate, 0, 0.1) for model in (BASELINE, ATTENTION) for rate in (0.01, 0.08)]
    assert "or largest tried" not in tuning.tuning_text(runs + more)


def test_the_table(tmp_path):
    runs = made(tmp_path)
    table = tuning.tuning_table(runs).set_index("learning rate")
    assert table.loc["0.04", "ResNet34-3DRes18 (%)"] == "61.0 (60.0 to 62.0) (chosen)"
    assert table.loc["0.02", "Res34-SE-IM-Net (%)"] == "75.0 (70.0 to 80.0) (chosen)"
    assert list(tuning.tuning_table(runs[:4])["Res34-SE-IM-Net (%)"]) == ["not run", "not run"]


def test_what_was_not_run_is_said(tmp_path):
    assert tuning.tuning_text([]) == tuning.tuning_text(made(tmp_path)[:4]) == tuning.NOT_RUN


def test_the_figure(tmp_path):
    fig, alt = tuning.tuning_figure(made(tmp_path))
    assert alt.endswith("8 runs; means in the table.")
    fig.canvas.draw()
    (axis,) = fig.axes
    assert axis.get_xlabel() == "learning rate"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.02", "0.04"]
    plt.close(fig)
