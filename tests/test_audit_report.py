"""The audit as the report shows it: made once, taken from a prepared dataset, recorded so that it needs no clips."""

import shutil

import pandas as pd
import pytest
from tiny import write_ucf101, write_video

from repro.data.clips import ClipFields, read_split
from repro.data.facts import STORE
from repro.data.prepare import audit
from repro.report.audit import audit_split, content_text, find_audit, find_set, recorded_audit, risks, sets_table


@pytest.fixture
def fields(tmp_path):
    return ClipFields(**write_ucf101(tmp_path / "set"))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Processes take seconds to start; the audit's own tests start them."""
    run_all = audit.run_all
    monkeypatch.setattr(audit, "run_all", lambda *tasks, workers, **options: run_all(*tasks, workers=1, **options))


@pytest.fixture
def places(tmp_path):
    return {"work": tmp_path / "work", "results": tmp_path / "results"}


def test_a_filed_audit_needs_no_clips(fields, places):
    made = find_audit("s", "d", fields, **places)
    split, table = made.split, made.table
    assert made.at_hand and made.note == "" and list(table["name"]) == [c.name for c in (*split.train, *split.test)]
    assert (table["frames"] >= 6).all() and table["verdict"].eq("ok").all()
    again, rows, filed = recorded_audit("s", places["results"])
    assert (filed["dataset"], filed["layout"], filed["split"]) == ("d", "ucf101", 1) and again.classes == split.classes
    assert filed["provenance"]["device"] == "CPU"
    for part in ("train", "test"):
        clips = [(c.name, c.label, c.group) for c in getattr(again, part)]
        assert clips == [(c.name, c.label, c.group) for c in getattr(split, part)]
    assert rows.equals(table.drop(columns="modified")[list(rows.columns)])
    shutil.rmtree(fields.videos)
    with pytest.raises(FileNotFoundError, match="videos: there is no folder"):
        find_audit("s", "d", fields, **places)
    shown = find_audit("s", "d", fields, if_missing="note", **places)
    assert not shown.at_hand and "The audit is as recorded at 20" in shown.note
    assert content_text(shown) == content_text(made)
    assert find_audit("other", "d", fields, if_missing="note", **places).startswith("**The clips are not at hand")


def test_a_study_that_is_only_shown_keeps_its_record(fields, places):
    assert find_audit("s", "d", fields, if_missing="note", **places).at_hand
    assert recorded_audit("s", places["results"]) is None
    for name in ("if_missing", "unusable"):
        with pytest.raises(ValueError, match=f"^{name}: 'stop' is not one of error, "):
            find_audit("s", "d", fields, **{name: "stop"}, **places)


def test_a_prepared_dataset_s_audit_is_taken_as_it_is(fields, tmp_path):
    split, store = read_split(fields), tmp_path / "set" / STORE
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    audit.audit(paths | {"Foo/another.avi": next(iter(paths.values()))}, store)
    pd.read_parquet(store).assign(frames=77).to_parquet(store)
    table = audit_split(split, fields.videos, study="s", work=tmp_path / "work")
    assert table["frames"].eq(77).all() and len(table) == len(paths)
    assert len(pd.read_parquet(store)) == len(paths) + 1  # and left whole
    assert not (tmp_path / "work").exists()


def test_what_is_said_of_clips(fields, places):
    split = read_split(fields)
    content = write_video(split.train[0].path, frames=40).read_bytes()
    split.train[0].path.write_bytes(content[: len(content) * 6 // 10])  # cut short
    split.test[0].path.unlink()
    found = find_audit("s", "d", fields, unusable="leave_out", **places)
    text = content_text(found)
    assert text.startswith("10 clips, ") and text.endswith("codecs: MJPG (9), none (1).")
    (counts, _), (odd, caption), *_ = risks(found, left_out=True)
    assert counts["found"].tolist()[:3] == [1, 1, 0] and "(announced minus decoded: 0 to " in counts["question"][1]
    assert len(odd) == 2 and caption == "Clips that are not what they announce, left out where unusable"


def test_a_set_of_clips_is_found_or_said_to_be_missing(fields, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"study": "s", "dataset": "made clips", "remark": "Made.", "videos": str(fields.videos), "frames": 3}
    values |= {"annotations": str(fields.annotations), "if_missing": "note"}
    here, gone = find_set(values), find_set(values | {"study": "t", "dataset": "others", "videos": "nowhere"})
    assert here.at_hand and here.text.startswith("Made.\n\n10 clips, ") and here.frames == 3
    assert not gone.at_hand and gone.audit is None and "not at hand on this machine" in gone.text
    rows = sets_table([here, gone]).to_dict("records")
    assert (rows[0]["classes"], rows[0]["train"], rows[0]["test"]) == ("2", 6, 4) and rows[0]["frames"].startswith(
        "6 to"
    )
    assert rows[1]["classes"] == "not at hand"
    with pytest.raises(ValueError, match="unknown name 'frame'"):
        find_set(values | {"frame": 3})
