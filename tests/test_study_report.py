"""What pages say of a study as a whole."""

import pandas as pd
from made import both_networks
from matplotlib import pyplot as plt

from repro.report.study import curves_figure, settings_table, study_text


def test_a_study_is_introduced_or_said_to_be_not_run(tmp_path):
    runs = both_networks(tmp_path, remark="Made up.")
    assert study_text("made", runs) == "Study `made`: **made clips**. Made up."
    assert study_text("no-such", []).startswith("**Not run:** `results/no-such` holds no record.")


def test_the_curves_end_where_the_runs_end(tmp_path):
    fig, alt = curves_figure(both_networks(tmp_path, seeds=(0,)))
    assert alt.startswith("Training loss and top-1 by epoch of the 2 runs of made: the mean of each network")
    assert "Not converged, ends below 98 %: resnet34_3dres18-split1-seed0 75.0 %; res34_se_im_net" in alt
    plt.close(fig)


def test_runs_that_converged_are_not_named(tmp_path):
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": [1.0, 0.1], "train_top1": [0.5, 0.98]})
    fig, alt = curves_figure(both_networks(tmp_path, history=history))
    assert alt.endswith("Training top-1 ends at 98.0 % to 98.0 %. Not converged, ends below 98 %: none.")
    plt.close(fig)


def test_the_settings_that_all_runs_share(tmp_path):
    table = settings_table(both_networks(tmp_path)).set_index("field")["value"]
    assert table["width"] == "0.25" and table["study"] == "made"
    assert not {"seed", "model", "run", "remark"} & set(table.index)
