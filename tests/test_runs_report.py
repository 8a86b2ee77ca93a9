"""Every run: how it ended, whether it counts, and where it ran, from made records."""

from made import DIGEST, both_networks, demo_record

from repro.report import runs


def test_a_run_says_how_it_ended_and_whether_it_counts(tmp_path):
    made = demo_record(tmp_path, wrong=range(30))
    (row,) = runs.runs_table([made], DIGEST).to_dict("records")
    assert (row["run"], row["for"]) == (made.name, "main")
    assert (row["training top-1 (%)"], row["test top-1 (%)"]) == (100.0, 75.0)
    assert row["state"] == "fresh, converged" and row["minutes"] == 1.5
    made.history["train_top1"] *= 0.5
    assert runs.runs_table([made], DIGEST)["state"][0] == "fresh, ended at 50.0 % of its training clips"
    stale = runs.runs_table([made], DIGEST | {"sampling": [1.0, 2.1]})
    assert stale["state"][0] == "stale: sampling"


def test_where_runs_ran_is_a_row_a_study_machine_and_code(tmp_path):
    made = [*both_networks(tmp_path), *both_networks(tmp_path, study="other", seeds=(0,))]
    made[0].provenance["contributor"] = "Ann"
    rows = runs.provenance_table(made).to_dict("records")
    assert [(row["study"], row["runs"]) for row in rows] == [("made", 1), ("made", 3), ("other", 2)]
    assert rows[0]["started (UTC), by"] == "2026-01-02 03:04, Ann" and rows[1]["commit"] == "0123456789"
    assert rows[1]["clips train / test; data"] == "10 / 120; made"


def test_the_settings_that_all_runs_share(tmp_path):
    table = runs.settings_table(both_networks(tmp_path)).set_index("field")["value"]
    assert table["width"] == "0.25" and table["study"] == "made"
    assert not {"seed", "model", "run", "remark"} & set(table.index)


def test_runs_from_scratch_started_from_nothing(tmp_path):
    assert runs.starts_table([demo_record(tmp_path)]).empty
