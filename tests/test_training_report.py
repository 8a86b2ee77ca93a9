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
    assert table.loc["dropout", "the paper"] == "0.5" and table.loc["nesterov", "the paper"] == "–"
    assert table.loc["sampling", "the paper"].startswith("a random frame a segment")
    rates = "0.08 (ResNet34-3DRes18); 0.16 (Res34-SE-IM-Net)"
    assert table.loc["learning rate", "runs shown"] == rates
    text = training.departures_text(studies)
    assert f"learning rate 0.001 → {rates}" in text and "dropout" not in text and "of 5 values" in text
    assert training.departures_text([]) == ""
