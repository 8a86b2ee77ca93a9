"""Table 3's page: which settings the text states, and in which of them the runs shown are other ones."""

from made import DIGEST, both_networks

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
    assert f"learning rate (0.001 → {rates})" in text and "dropout" not in text and "of 7 that its text states" in text
    assert training.departures_text([]) == ""


def test_each_study_of_several_says_its_own_values_in_words(tmp_path):
    fields = {"study": "two", "dropout": 0.3, "epochs": 9, "start_from": "one/r", "schedule": "plateau", "saturate": 4}
    fields["validation_fraction"] = 0.1
    runs = both_networks(tmp_path) + both_networks(tmp_path, **fields)
    studies = shown(runs, DIGEST)
    table = training.settings_table(studies).set_index("setting")["runs shown"]
    one, two = (next(s.name for s in studies if s.records[0].experiment.start_from == each) for each in (None, "one/r"))
    assert f"{two}: 0.3" in table["dropout"] and f"{one}: " in table["dropout"]
    assert f"{two}: those of study one, then fine-tuned" in table["starting weights"]
    assert table["epochs without a better top-1 before the rate falls"] == "4"
    assert not table.index[table.index.str.contains("_")].any() and table["pixel values"].startswith("RGB")
