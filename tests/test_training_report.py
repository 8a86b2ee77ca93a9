"""Table 3's page: which settings the text states, in which of them the runs shown are other ones; learning rates."""

from dataclasses import replace

from made import DIGEST, both_networks
from test_rates import made, run

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.text import percent
from repro.report import training
from repro.report.study import shown


def test_stated_settings_stand_apart_from_readings_and_each_network_has_its_own_rate(tmp_path):
    runs = [
        run
        for rate, model in ((0.16, "res34_se_im_net"), (0.08, "resnet34_3dres18"))
        for run in both_networks(tmp_path, learning_rate=rate, dropout=0.5, rate_chosen_by="rates")
        if run.experiment.model == model
    ]
    studies = shown(runs, DIGEST)
    table = training.settings_table(studies).set_index("setting")
    assert table.loc["dropout", "the paper"] == "0.5" and table.loc["Nesterov's momentum", "the paper"] == "–"
    assert table.loc["frames that are taken", "the paper"].startswith("a random")
    assert table.loc["starting weights", ["the paper", "runs shown"]].tolist() == [
        "pre-trained on Kinetics, then fine-tuned",
        "from scratch",
    ]
    rates = "0.08 (ResNet34-3DRes18), 0.16 (Res34-SE-IM-Net)"
    assert table.loc["learning rate", "runs shown"] == rates
    text = training.departures_text(studies)
    assert "of 9 whose value its text states all runs shown have " in text
    assert f"learning rate (0.001 → {rates})" in text and "dropout (" not in text
    assert training.departures_text([]) == ""


def test_each_study_of_several_says_its_own_values_in_words(tmp_path):
    fields = {"study": "two", "dropout": 0.3, "epochs": 9, "start_from": "one/r", "schedule": "plateau", "saturate": 4}
    fields["validation_fraction"] = 0.1
    runs = both_networks(tmp_path) + both_networks(tmp_path, **fields)
    studies = shown(runs, DIGEST)
    table = training.settings_table(studies).set_index("setting")["runs shown"]
    one, two = (next(s.name for s in studies if s.records[0].experiment.start_from == each) for each in (None, "one/r"))
    assert f"{two}: 0.3" in table["dropout"] and f"{one}: " in table["dropout"]
    assert f"{two}: study one's, then fine-tuned" in table["starting weights"]
    assert table["epochs without a better top-1 before the rate falls"] == "4"
    assert not table.index[table.index.str.contains("_")].any() and table["pixel values"].startswith("RGB")


def test_the_text_says_what_was_chosen_by_how_much(tmp_path):
    runs = made(tmp_path)
    text = training.tuning_text(runs)
    assert f"ResNet34-3DRes18: 0.04 of 0.02, 0.04, with {percent(0.61)} of the validation clips right" in text
    assert f"; 0.02 comes next with {percent(0.51)}. Res34" in text, "0.60 and 0.62 are above 0.50 and 0.52"
    assert "The range of its seeds overlaps with that at 0.04: they cannot be told apart." in text, "of Res34-SE-IM-Net"
    assert "The best rate of ResNet34-3DRes18 and Res34-SE-IM-Net is the smallest or largest tried" in text
    more = [run(tmp_path, model, rate, 0, 0.1) for model in (BASELINE, ATTENTION) for rate in (0.01, 0.08)]
    assert "or largest tried" not in training.tuning_text(runs + more)


def test_the_table(tmp_path):
    runs = made(tmp_path)
    table = training.tuning_table(runs).set_index("learning rate")
    assert table.loc["0.04", "ResNet34-3DRes18 (%)"] == "61.0 (60.0 to 62.0) (best)"
    assert table.loc["0.02", "Res34-SE-IM-Net (%)"] == "75.0 (70.0 to 80.0) (best)"
    assert list(training.tuning_table(runs[:4])["Res34-SE-IM-Net (%)"]) == ["not run", "not run"]


def test_what_was_not_run_is_said(tmp_path):
    assert training.tuning_text([]) == training.tuning_text(made(tmp_path)[:4]) == training.NOT_RUN


def test_each_study_that_tried_rates_is_a_search_of_its_own(tmp_path):
    """Runs of 60 and of 120 epochs, for one, are not averaged; runs without validation clips choose nothing."""
    short = made(tmp_path)
    long = [replace(r, experiment=replace(r.experiment, study="again-" + r.experiment.study)) for r in short]
    other = run(tmp_path, BASELINE, 0.16, 0, None)
    assert training.searches([*short, other, *long]) == [short, long] and training.searches([other]) == []
    by = long[0].experiment.study.rpartition("-")[0]
    taken = replace(other, experiment=replace(other.experiment, rate_chosen_by=by))
    assert training.searches([*short, *long, taken]) == [long, short], "the search that chose comes first"
    assert training.has_chosen(long, [taken]) and not training.has_chosen(short, [taken])
    assert training.waiting_text(short).endswith(f": {len(short)} runs so far, from which no run here takes its rate")


def test_the_figure(tmp_path):
    fig, alt = training.tuning_figure(made(tmp_path))
    assert alt.endswith("8 runs; means in the table.")
    fig.canvas.draw()
    (axis,) = fig.axes
    assert axis.get_xlabel() == "learning rate"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.02", "0.04"]
