"""Tables from made records: every number worked out by hand or by another library."""

import numpy as np
import pytest
from made import DIGEST, both_networks, demo_record, logits, record
from scipy import stats

from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper.cells import load
from repro.records.compare import partners
from repro.records.scores import gain_of, is_right
from repro.report import tables


def test_accuracy_table_by_hand(tmp_path):
    labels = [0, 0, 0, 1, 1, 2]
    scores = logits([0, 0, 1, 1, 0, 2], 3)  # right: 2 of 3, 1 of 2, 1 of 1
    (row,) = tables.accuracy_table([record(tmp_path, labels=labels, scores=scores, seed=7, gate="se")]).to_dict(
        "records"
    )
    assert row["right / clips"] == "4 / 6"
    assert row["top-1 [95 % over groups]"].startswith("66.7 % [")
    assert row["mean of classes"] == "72.2 %"  # (2/3 + 1/2 + 1) / 3
    assert row["top-5"] == "5 classes or fewer" and row["split, seed"] == "1, 7"
    assert row["network"].startswith("Res34-SE-IM-Net, gate se (width ×0.25)")


def test_clips_left_out_are_told(tmp_path):
    made = record(tmp_path, labels=[0, 1, 2], scores=np.eye(3))
    made.data["listed"] = {"train": 12, "test": 5}
    assert tables.accuracy_table([made])["right / clips"][0] == "3 / 3 of 5 listed"
    assert tables.clips_of(made, "train") == "10 of 12 listed"


def test_accuracy_table_counts_top5_where_there_are_more_classes(tmp_path):
    classes = tuple("ABCDEFG")
    scores = np.tile(np.arange(7.0), (7, 1))  # ranks 6 to 0: the last five classes are within the first five
    made = record(tmp_path, classes=classes, labels=range(7), scores=scores)
    (row,) = tables.accuracy_table([made]).to_dict("records")
    assert row["top-5"] == "71.4 %" and row["right / clips"] == "1 / 7"


def test_pairs_table_has_the_gain_of_each_pair(tmp_path):
    runs = both_networks(tmp_path, range(6), range(3), seeds=(0, 1))
    rows = tables.pairs_table(partners(runs, BASELINE, ATTENTION)).to_dict("records")
    assert [row["split, seed"] for row in rows] == ["1, 0", "1, 1"]
    first = rows[0]
    assert first["without gates: right / clips, top-1 [95 %]"].startswith("114 / 120, 95.0 % [")
    assert first["with gates: right / clips, top-1 [95 %]"].startswith("117 / 120, 97.5 % [")
    assert first["gain [95 %]"].startswith("+2.5 points [") and first["gain, mean of classes"] == "+2.5 points"
    assert tables.pairs_table([]).empty


def test_comparison_table_by_hand(tmp_path):
    right = {BASELINE: [1, 1, 1, 0, 0, 0, 0, 0], ATTENTION: [1, 0, 1, 1, 1, 1, 1, 0]}
    made = [
        record(tmp_path, labels=[0] * 8, scores=logits(1 - np.array(some), 3), model=model, seed=3)
        for model, some in right.items()
    ]
    (row,) = tables.comparison_table(made).to_dict("records")
    gain = np.array([0, -1, 0, 1, 1, 1, 1, 0])
    half = stats.t.ppf(0.975, 7) * gain.std(ddof=1) / np.sqrt(8)
    shown = row["difference [95 %]"].partition("; where both learned")[0]  # all clips are of one class
    assert shown == f"+37.5 points [{100 * (0.375 - half):+.1f}, {100 * (0.375 + half):+.1f}]"
    assert row["p"] == f"{stats.ttest_1samp(gain, 0).pvalue:.3f}"
    assert (row["ResNet34-3DRes18"], row["Res34-SE-IM-Net"]) == ("37.5 %", "75.0 %")
    assert row["clips / groups"] == "8 / 8"
    assert tables.comparison_table([]).empty


def test_paper_table_says_what_the_text_does_not_state():
    paper = load()
    for table in paper.tables:
        shown = tables.paper_table(table)
        assert list(shown.columns) == ["", *table.columns] and len(shown) == len(table.rows)
        known, cells = tables.stated(table)
        assert cells == len(table.rows) * len(table.columns)
        assert known == cells - sum(cell.value is None for row in table.rows for cell in row.cells)
    table = paper.table(7)
    assert tables.paper_caption(table).endswith("(– is not stated in the text)")
    flat = tables.paper_table(table).to_numpy().ravel().tolist()
    assert "71.85 %" in flat and tables.DASH in flat
    assert tables.stated(table)[0] == sum(text.endswith("%") for text in flat)


def paired_runs(tmp_path, wrong, seeds=(0, 1), **fields):
    """Both networks on the demo set's classes, 120 clips: the numbers of wrong ones by network and seed."""
    return [
        demo_record(tmp_path, model=model, seed=seed, wrong=range(count), **fields)
        for model, counts in zip((BASELINE, ATTENTION), wrong, strict=True)
        for seed, count in zip(seeds, counts, strict=True)
    ]


def test_a_comparison_by_split_carries_runs_and_groups(tmp_path):
    """Two pairs of runs of gains 20/120 and 14/120 in 60 groups: the runs widen the interval."""
    runs = paired_runs(tmp_path, [(60, 48), (40, 34)], groups=np.arange(120) // 2)
    (row,) = tables.comparison_table(runs).to_dict("records")
    found = gain_of(partners(runs, BASELINE, ATTENTION), is_right)
    assert row["difference [95 %]"] == f"+14.2 points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    of_runs = stats.t.ppf(0.975, 1) * 3 / 120  # half the distance of two, times Student's t
    assert of_runs < found.high - found.point < 1.1 * of_runs
    assert row["clips / groups"] == "120 / 60" and row["pairs of runs"] == 2


def test_p_values_are_corrected_for_the_splits(tmp_path):
    runs = [r for split in (1, 2) for r in paired_runs(tmp_path, [(6, 4), (0, 0)], split=split)]
    table = tables.comparison_table(runs)
    assert table["split"].tolist() == ["1", "2", "all"] and table["pairs of runs"].tolist() == [2, 2, 4]
    first, second = (float(p) for p in table["p"][:2])
    corrected = [float(p) for p in table["p, corrected for 2"][:2]]
    assert first == second and corrected == pytest.approx([2 * first] * 2, abs=0.002)
    assert table["p, corrected for 2"][2] == ""


def test_a_run_says_how_it_ended_and_whether_it_counts(tmp_path):
    made = demo_record(tmp_path, wrong=range(30))
    (row,) = tables.runs_table([made], DIGEST).to_dict("records")
    assert (row["run"], row["for"]) == (made.name, "main")
    assert (row["training top-1 (%)"], row["test top-1 (%)"]) == (100.0, 75.0)
    assert row["state"] == "fresh, converged; commit 0123456789" and row["minutes"] == 1.5
    made.provenance["uncommitted_changes"] = True
    assert tables.runs_table([made], DIGEST)["state"][0].startswith(
        "fresh, converged, by code with uncommitted changes; "
    )
    made.provenance["uncommitted_changes"] = False
    made.history["train_top1"] *= 0.5
    assert tables.runs_table([made], DIGEST)["state"][0].startswith("fresh, ended at 50.0 % of its training clips; ")
    stale = tables.runs_table([made], DIGEST | {"sampling": [1.0, 2.1]})
    assert stale["state"][0] == "stale: sampling"


def test_where_runs_ran_is_a_row_a_study_machine_and_code(tmp_path):
    made = [*both_networks(tmp_path), *both_networks(tmp_path, study="other", seeds=(0,))]
    made[0].provenance["contributor"] = "Ann"
    rows = tables.provenance_table(made).to_dict("records")
    assert [(row["study"], row["runs"]) for row in rows] == [("made", 1), ("made", 3), ("other", 2)]
    assert rows[0]["started (UTC), by"] == "2026-01-02 03:04, Ann" and rows[1]["commit"] == "0123456789"
    assert rows[1]["clips train / test; data"] == "10 / 120; made"


def test_the_settings_that_all_runs_share(tmp_path):
    table = tables.settings_table(both_networks(tmp_path)).set_index("field")["value"]
    assert table["width"] == "0.25" and table["study"] == "made"
    assert not {"seed", "model", "run", "remark"} & set(table.index)


def test_runs_from_scratch_started_from_nothing(tmp_path):
    assert tables.starts_table([demo_record(tmp_path)]).empty
