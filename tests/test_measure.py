"""Measure and file: provenance, clock and files of what a machine measured."""

import json
import re
import subprocess

import pandas as pd
import pytest

from repro.files import write_whole
from repro.records.measure import device_name, measured, read_measured_table, read_measurements, write_measurement
from repro.records.provenance import commit_text, machine_text, make_provenance


def test_what_a_block_measured_is_filed_with_its_table_provenance_and_time(tmp_path):
    with measured("speeds", "rates", device="CPU, 1 thread", results=tmp_path) as found:
        found.content["rate"] = 2.5
        found.table = pd.DataFrame({"seconds": [0.4]})
    assert found.path == tmp_path / "speeds/rates.json"
    filed = read_measurements("rates", tmp_path)["speeds"]
    assert filed == json.loads(found.path.read_text()) and filed["rate"] == 2.5
    assert filed["provenance"]["device"] == "CPU, 1 thread" and filed["provenance"]["seconds"] >= 0
    assert {"commit", "started", "processor", "libraries"} <= filed["provenance"].keys()
    assert read_measured_table("speeds", "rates", tmp_path)["seconds"].tolist() == [0.4]


def test_nothing_is_filed_after_an_error_or_when_nothing_was_measured(tmp_path):
    with pytest.raises(RuntimeError), measured("speeds", "rates", results=tmp_path) as found:
        found.content["rate"] = 1
        raise RuntimeError
    with measured("speeds", "rates", results=tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_cpu_is_named_with_its_threads():
    assert device_name().startswith("CPU, ") and device_name().endswith(" thread(s)")
    assert machine_text({"device": "CPU, 1 thread(s)", "processor": "P"}) == "CPU, 1 thread of P"
    assert machine_text({"device": "CPU, 12 thread(s)", "processor": "P"}) == "CPU, 12 threads of P"


def test_a_measurement_brings_its_table(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "frames": [3, 4]})
    path = write_measurement("s", "audit", {"split": 1}, provenance={"commit": "c"}, table=table, results=tmp_path)
    assert path == tmp_path / "s" / "audit.json" and json.loads(path.read_text())["split"] == 1
    assert read_measured_table("s", "audit", tmp_path).equals(table)
    assert sorted(file.name for file in path.parent.iterdir()) == ["audit.json", "audit.parquet"]
    assert read_measured_table("s", "other", tmp_path) is None
    path.with_suffix(".parquet").write_text("no table")
    with pytest.raises(ValueError, match=r"audit.parquet: cannot be read .* delete it and measure again"):
        read_measured_table("s", "audit", tmp_path)


def test_only_changes_of_the_code_are_uncommitted_changes(tmp_path, monkeypatch):
    """A run that finds its record fresh may write other threads or folders into it."""
    monkeypatch.chdir(tmp_path)
    for name in ("results/run/record.json", "code.py"):
        write_whole(tmp_path / name, "1")
    assert commit_text() == "unknown commit"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    write_whole(tmp_path / "results" / "run" / "record.json", "2")
    assert make_provenance()["uncommitted_changes"] is False
    write_whole(tmp_path / "code.py", "2")
    assert make_provenance()["uncommitted_changes"] is True
    assert re.fullmatch("commit [0-9a-f]{10} with uncommitted changes", commit_text())
