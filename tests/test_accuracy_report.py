"""Table 7 by network: means and spread over made seeds, by hand."""

import numpy as np
from made import demo_record, labels_of, logits, record
from matplotlib import pyplot as plt

from repro.experiment.fields import ATTENTION, BASELINE
from repro.records.scores import is_right, share_of
from repro.report.accuracy import accuracy_figure, networks_table


def test_networks_table_averages_seeds_of_one_network_and_split(tmp_path):
    wrong = {(BASELINE, 0, 1): 60, (BASELINE, 1, 1): 48, (ATTENTION, 0, 1): 24, (BASELINE, 0, 2): 12}
    runs = [
        demo_record(tmp_path, model=model, seed=seed, split=split, wrong=range(count))
        for (model, seed, split), count in wrong.items()
    ]
    first, second, third = networks_table(runs).to_dict("records")
    assert [row["split"] for row in (first, second, third)] == [1, 1, 2]
    assert first["network"] == third["network"] == "ResNet34-3DRes18 (width ×0.25)"
    found = share_of(runs[:2], is_right)
    assert first["top-1 [95 %]"] == f"55.0 % [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    assert first["sd of runs (points)"] == f"{100 * np.std([60 / 120, 72 / 120], ddof=1):.1f}"
    assert (first["runs"], first["clips / groups"], first["mean of classes"]) == (2, "120 / 120", "55.0 %")
    assert second["sd of runs (points)"] == "one: not known"


def test_networks_table_of_unequal_classes(tmp_path):
    labels, predicted = [0, 0, 0, 1], [0, 0, 0, 0]  # all of one class right, none of the other
    (row,) = networks_table([record(tmp_path, labels=labels, scores=logits(predicted, 3))]).to_dict("records")
    assert row["top-1 [95 %]"].startswith("75.0 % [") and row["mean of classes"] == "50.0 %"
    assert row["top-5"] == "5 classes or fewer" and row["clips / groups"] == "4 / 4"


def test_networks_table_keeps_datasets_and_gates_apart(tmp_path):
    labels = labels_of(3, 2)
    made = [
        record(tmp_path, labels=labels, scores=logits(labels, 3), run=str(k), **fields)
        for k, fields in enumerate([{}, {"dataset": "others"}, {"gate": "times_1.5"}])
    ]
    assert networks_table(made)["runs"].tolist() == [1, 1, 1]
    assert networks_table([]).empty


def test_the_figure_names_every_run(tmp_path):
    runs = [demo_record(tmp_path, model=m, wrong=range(n)) for m, n in ((BASELINE, 60), (ATTENTION, 12))]
    fig, alt = accuracy_figure(runs)
    assert alt.endswith("interval. ResNet34-3DRes18: 50.0 %; Res34-SE-IM-Net: 90.0 %.")
    plt.close(fig)
