"""The data's page: an audit is made once and needs no clips after; lists at hand are counted and filed."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import tiny
from tiny import write_ucf101, write_video

from repro.data.catalogue import CATALOGUE
from repro.data.clips import read_split
from repro.data.facts import STORE
from repro.data.prepare import audit
from repro.experiment.fields import Experiment
from repro.paper.cells import load
from repro.report.datasets import (
    answer_text,
    audit_split,
    content_text,
    count_at_hand,
    counts_table,
    find_set,
    recorded_audit,
    risks,
    sets_table,
    table2,
    terms_table,
)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Processes take seconds to start; the audit's own tests start them."""
    run_all = audit.run_all
    monkeypatch.setattr(audit, "run_all", lambda *tasks, workers, **options: run_all(*tasks, workers=1, **options))


@pytest.fixture
def values(tmp_path, monkeypatch):
    """A set of ten clips; what is filed lies in this test's own folder."""
    monkeypatch.chdir(tmp_path)
    return write_ucf101(tmp_path / "set") | {"study": "s", "dataset": "d"}


def test_a_filed_audit_needs_no_clips(values):
    found = find_set(values)
    split, table, at_hand = found.audit
    assert at_hand and list(table["name"]) == [clip.name for clip in (*split.train, *split.test)]
    assert (table["frames"] >= 6).all() and table["verdict"].eq("ok").all()
    again, rows, _ = recorded_audit("s")
    filed = json.loads(Path("results/s/audit.json").read_text())
    assert (filed["dataset"], filed["layout"], filed["split"]) == ("d", "ucf101", 1) and again.classes == split.classes
    assert filed["provenance"]["device"] == "CPU"
    for part in ("train", "test"):
        clips = [(c.name, c.label, c.group) for c in getattr(again, part)]
        assert clips == [(c.name, c.label, c.group) for c in getattr(split, part)]
    assert rows.equals(table.drop(columns="modified")[list(rows.columns)])
    shutil.rmtree(values["videos"])
    with pytest.raises(FileNotFoundError, match="videos: there is no folder"):
        find_set(values)
    shown = find_set(values | {"if_missing": "note"})
    assert not shown.at_hand and "The audit is as recorded at 20" in shown.text
    assert content_text(shown.audit) == content_text(found.audit) and content_text(found.audit) in shown.text
    other = find_set(values | {"study": "t", "if_missing": "note"})
    assert content_text(other.audit) == content_text(found.audit), "another study of the same clips"


def test_a_study_that_is_only_shown_keeps_its_record(values):
    assert find_set(values | {"if_missing": "note"}).at_hand
    assert recorded_audit("s") is None


def test_a_prepared_dataset_s_audit_is_taken_as_it_is(values, tmp_path):
    run = Experiment(**values)
    split, store = read_split(run), tmp_path / "set" / STORE
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    audit.audit(paths | {"Foo/another.avi": next(iter(paths.values()))}, store)
    pd.read_parquet(store).assign(frames=77).to_parquet(store)
    table = audit_split(split, run)
    assert table["frames"].eq(77).all() and len(table) == len(paths)
    assert len(pd.read_parquet(store)) == len(paths) + 1  # and left whole
    assert not Path("build").exists()


def test_what_is_said_of_clips(values):
    split = read_split(Experiment(**values))
    content = write_video(split.train[0].path, frames=40).read_bytes()
    split.train[0].path.write_bytes(content[: len(content) * 6 // 10])  # cut short
    split.test[0].path.unlink()
    found = find_set(values | {"unusable": "leave_out"}).audit
    text = content_text(found)
    assert text.startswith("10 clips, ") and text.endswith("codecs: MJPG (9), none (1).")
    (counts, _), (odd, caption), *_ = risks(found, left_out=True)
    assert counts["found"].tolist()[:3] == [1, 1, 0] and "(announced minus decoded: 0 to " in counts["question"][1]
    assert len(odd) == 2 and caption == "Clips that are not what they announce, left out where unusable"


def test_a_set_of_clips_is_found_or_said_to_be_missing(values):
    values |= {"remark": "Made.", "if_missing": "note"}
    here, gone = find_set(values), find_set(values | {"study": "t", "dataset": "others", "videos": "nowhere"})
    assert here.at_hand and here.text.startswith("Made.\n\n10 clips, ")
    assert not gone.at_hand and gone.audit is None and "not at hand on this machine" in gone.text
    first, second = sets_table([here, gone]).to_dict("records")
    assert (first["classes"], first["train"], first["test"]) == ("2", 6, 4) and first["frames"].startswith("6 to")
    assert second["classes"] == "not at hand"
    with pytest.raises(ValueError, match="unknown name 'frame'"):
        find_set(values | {"frame": 3})


def test_lists_at_hand_are_counted_and_filed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tiny.write_ucf101(tmp_path / "set", videos=False)
    for part in ("train", "test"):
        for split in (2, 3):
            first = tmp_path / f"set/annotations/{part}list01.txt"
            shutil.copy(first, first.with_name(f"{part}list0{split}.txt"))
    assert count_at_hand("s", {"ucf101": "nowhere"}) == {} and not Path("results").exists()
    counts = count_at_hand("s", {"ucf101": data["annotations"], "hmdb51": "nowhere"})
    assert counts["ucf101"]["found"]["classes"] == 2
    assert json.loads(Path("results/s/lists.json").read_text())["counts"] == counts
    assert count_at_hand("s", {"ucf101": "nowhere"}) == counts  # as last counted
    table = counts_table(counts)
    states = {name: set(rows[""]) for name, rows in table.groupby("dataset")}
    assert states["UCF101"] == {"DIFFERS"} and states["HMDB51"] == {""}
    text = answer_text(counts, [])
    assert f"differ from this study's catalogue in **{(table[''] == 'DIFFERS').sum()}** of" in text
    assert "not counted: HMDB51" in text and text.endswith("clips here: none.")


def test_terms_of_every_dataset():
    table = terms_table()
    assert table["dataset"].tolist() == [one.title for one in CATALOGUE.values()]
    assert table["cite"].str.len().gt(0).all() and "UCF101.rar (6.9 GB)" in table["archives"].tolist()


def test_the_paper_s_cells_stand_beside_what_its_lists_hold():
    counts = {"something_v1": {"found": {"classes": 174, "clips": 108499, "split 1: test": 11522}}}
    table = table2(load().table(2), counts).set_index("")
    assert table.loc["Something-Something v1"].tolist() == [
        "– (174)", "more than 100,000 (108,499)", "–", "– (11,522)", "–",
    ]  # fmt: skip
    assert table.loc["HMDB51"].eq("–").all()
