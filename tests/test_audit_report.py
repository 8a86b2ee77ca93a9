"""The audit as the report shows it: made once, taken from a prepared dataset, recorded so that it needs no clips."""

import pandas as pd
import pytest
from tiny import write_ucf101

from repro.data.clips import ClipFields, read_split
from repro.data.manifest import STORE
from repro.data.prepare.audit import audit
from repro.report.audit import audit_split, file_audit, recorded_audit


@pytest.fixture
def found(tmp_path):
    fields = write_ucf101(tmp_path / "set")
    return read_split(ClipFields(**fields)), tmp_path / "set" / "videos"


def test_a_filed_audit_needs_no_clips(found, tmp_path):
    split, videos = found
    table = audit_split(split, videos, study="s", work=tmp_path / "work")
    assert list(table["name"]) == [clip.name for clip in (*split.train, *split.test)]
    assert (table["frames"] >= 6).all() and table["verdict"].eq("ok").all()
    file_audit("s", split, table, {"dataset": "d"}, provenance={"commit": "c"}, results=tmp_path)
    again, rows, filed = recorded_audit("s", tmp_path)
    assert filed["dataset"] == "d" and filed["provenance"] == {"commit": "c"} and again.classes == split.classes
    for part in ("train", "test"):
        clips = [(c.name, c.label, c.group) for c in getattr(again, part)]
        assert clips == [(c.name, c.label, c.group) for c in getattr(split, part)]
    assert rows.equals(table.drop(columns="modified")[list(rows.columns)])


def test_a_prepared_dataset_s_audit_is_taken_as_it_is(found, tmp_path):
    split, videos = found
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    audit(paths | {"Foo/another.avi": next(iter(paths.values()))}, videos.parent / STORE, workers=1)
    marked = pd.read_parquet(videos.parent / STORE).assign(frames=77)
    marked.to_parquet(videos.parent / STORE)
    table = audit_split(split, videos, study="s", work=tmp_path / "work")
    assert table["frames"].eq(77).all() and len(table) == len(paths)
    assert len(pd.read_parquet(videos.parent / STORE)) == len(paths) + 1  # and left whole
    assert not (tmp_path / "work").exists()


def test_what_was_never_recorded_is_none(tmp_path):
    assert recorded_audit("s", tmp_path) is None
