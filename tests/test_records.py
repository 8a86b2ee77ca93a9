"""Records: written whole or not at all, and refused when a part is missing or unsound."""

import json

import numpy as np
import pandas as pd
import pytest

import repro.records.record as records
from repro.experiment.fields import Experiment
from repro.records.record import read_record, read_study, studies, write_record

CLASSES = ("Bar", "Foo")


def content(**changes):
    predictions = pd.DataFrame(
        {"clip": ["a", "b", "c"], "label": [0, 1, 1], "group": ["g", "g", "h"],
         "logit_Bar": np.float32([0.1, -2, 3]), "logit_Foo": np.float32([1, 2, -0.5])}
    )  # fmt: skip
    return {
        "experiment": Experiment(study="s", run="r", learning_rate=0.1),
        "classes": CLASSES,
        "data": {"hash": "00ff", "clips": {"train": 9, "test": 3}},
        "provenance": {"commit": "abc"},
        "digest": {"sampling": [1.0, 2.0]},
        "history": pd.DataFrame({"epoch": [0, 1], "train_loss": [0.7, 0.123456]}),
        "predictions": predictions,
    } | changes


@pytest.fixture
def folder(tmp_path):
    return write_record(**content(), results=tmp_path).folder


def edit(folder, change):
    path = folder / "record.json"
    known = json.loads(path.read_text())
    change(known)
    path.write_text(json.dumps(known))


def test_what_is_written_is_read(folder, tmp_path):
    record, given = read_record(folder), content()
    assert record.experiment == given["experiment"] and record.classes == CLASSES and record.name == "s/r"
    assert record.digest == given["digest"] and record.data == given["data"]
    pd.testing.assert_frame_equal(record.predictions, given["predictions"])
    pd.testing.assert_frame_equal(record.history, given["history"])
    assert record.labels.tolist() == [0, 1, 1] and record.scores.shape == (3, 2)
    assert record.scores[2].tolist() == [3.0, -0.5]
    assert studies(tmp_path) == ["s"] and [r.name for r in read_study("s", tmp_path)] == ["s/r"]


def test_a_record_is_stale_where_behaviour_differs(folder):
    record = read_record(folder)
    assert record.stale({"sampling": [1.0, 2.0], "network another": [1.0]}) == []
    assert record.stale({"sampling": [1.0, 2.1]}) == ["sampling"]


def test_a_record_that_says_nothing_of_a_behaviour_is_stale(folder):
    assert read_record(folder).stale({"sampling": [1.0, 2.0], "other": [1.0]}) == ["other"]
    edit(folder, lambda known: known.update(digest={}))
    assert read_record(folder).stale({"sampling": [1.0, 2.0]}) == ["sampling"]


def test_what_was_altered_is_kept_to_16_bits(tmp_path):
    shuffled = np.float32([[0.1, 1], [-2, 2.001], [3, 1000.3]])
    record = write_record(**content(altered={"shuffled": shuffled, "reversed": -shuffled}), results=tmp_path)
    assert list(record.altered) == ["shuffled", "reversed"]
    np.testing.assert_allclose(record.altered["shuffled"], shuffled, rtol=1e-3)
    np.testing.assert_array_equal(record.altered["reversed"], -record.altered["shuffled"])
    assert not (write_record(**content(), results=tmp_path).folder / "altered.parquet").exists()
    huge = write_record(**content(altered={"shuffled": np.full((3, 2), -1e6)}), results=tmp_path)
    assert (huge.altered["shuffled"] == -65504).all()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.iloc[1:], "shuffled: its clips are not those of"),
        (lambda t: t.drop(columns="logit_Foo"), "columns are not altered, clip"),
        (lambda t: t.assign(logit_Foo=np.float16(np.inf)), "shuffled: a logit is not finite"),
    ],
)
def test_altered_scores_that_do_not_fit_are_refused(tmp_path, change, words):
    folder = write_record(**content(altered={"shuffled": np.ones((3, 2))}), results=tmp_path).folder
    change(pd.read_parquet(folder / "altered.parquet")).to_parquet(folder / "altered.parquet", index=False)
    with pytest.raises(ValueError, match=rf"altered.parquet: {words}"):
        read_record(folder)


def test_a_half_written_draft_is_not_a_record(folder, tmp_path):
    draft = folder.with_name(".other.draft")
    draft.mkdir()
    (draft / "record.json").write_text("{")
    assert [record.name for record in read_study("s", tmp_path)] == ["s/r"]


@pytest.mark.parametrize("field", ["digest", "history", "experiment", "classes"])
def test_a_missing_field_is_named(folder, field):
    edit(folder, lambda known: known.pop(field))
    with pytest.raises(ValueError, match=rf"record.json: {field}: Field required; .*run the experiment again"):
        read_record(folder)


def test_a_record_of_another_version_says_so_once(folder, shared_data):
    """A later version's record has fields that this one does not know: its schema is what the reader is told."""
    mend = r"record.json: schema: {}: this version of repro reads 1; a later version of repro wrote this record: update"
    edit(folder, lambda known: known.update(schema=99, more={}))
    with pytest.raises(ValueError, match=mend.format(99)):
        read_record(folder)
    later = (shared_data / "odd-files" / "record-of-a-later-version.json").read_text(encoding="utf-8")
    (folder / "record.json").write_text(later, encoding="utf-8")
    with pytest.raises(ValueError, match=mend.format(2)):
        read_record(folder)


def test_a_record_with_fields_that_are_gone_says_which(folder):
    edit(folder, lambda known: known["experiment"].update(crop_on="cpu", test_clips=1))
    with pytest.raises(ValueError, match="experiment: test_clips, crop_on: an earlier version wrote this record"):
        read_record(folder)


@pytest.mark.parametrize("name", ["predictions.parquet", "record.json"])
def test_a_truncated_or_missing_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be read"):
        read_record(folder)
    path.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        read_record(folder)


def damaged(change):
    table = content()["predictions"]
    return content(predictions=change(table))


DAMAGE = {
    "a clip short": (lambda t: t.iloc[:2], "2 scores for 2 different clips, but the split lists 3"),
    "a clip twice": (lambda t: t.assign(clip=["a", "b", "b"]), "3 scores for 2 different clips"),
    "nan": (lambda t: t.assign(logit_Foo=[1, np.nan, 2]), "a logit is not finite"),
    "label": (lambda t: t.assign(label=[0, 1, 2]), "a label not in range"),
    "column": (lambda t: t.drop(columns="group"), "columns are not clip, label, group, logit_Bar, logit_Foo"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_an_unsound_record_is_refused_and_the_old_one_stays(folder, tmp_path, kind):
    change, message = DAMAGE[kind]
    with pytest.raises(ValueError, match=message):
        write_record(**damaged(change), results=tmp_path)
    assert read_record(folder).experiment.learning_rate == 0.1


def test_a_record_is_replaced_whole_or_not_at_all(folder, tmp_path, monkeypatch):
    new = content(experiment=Experiment(study="s", run="r", learning_rate=0.2))

    def fail(_folder):
        raise ValueError("cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(records, "read_record", fail)
        with pytest.raises(ValueError, match="cannot be read"):
            write_record(**new, results=tmp_path)
    assert read_record(folder).experiment.learning_rate == 0.1
    assert write_record(**new, results=tmp_path).experiment.learning_rate == 0.2
    assert [path.name for path in folder.parent.iterdir()] == ["r"]  # no draft is left
