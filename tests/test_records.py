"""Records: written whole or not at all, and refused when a part is missing or unsound."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import repro.records.record as records
from repro.experiment.fields import Experiment
from repro.records.record import read_all, read_record, write_record

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
    assert [record.name for record in read_all(tmp_path)] == ["s/r"]


@pytest.mark.parametrize(
    "change, words",
    [
        *((lambda c, name=name: c.pop(name), f"{name}: Field required") for name in ("digest", "history", "classes")),
        (lambda c: c["data"].pop("clips"), "data.clips: Field required"),
        (lambda c: c.update(digset={}), "unknown name 'digset'; did you mean 'digest'"),
        (lambda c: c["experiment"].update(lerning_rate=1), "unknown name 'lerning_rate'; did you mean 'learning_rate'"),
        (lambda c: c["experiment"].update(frames="8"), "frames: '8': input should be a valid integer"),
        (lambda c: c["experiment"].update(study="../../elsewhere"), "becomes a folder's name: no slashes"),
        (lambda c: c.update(history="none"), "history: 'none': input should be a valid list"),
        (lambda c: c.update(classes=["A", "A"]), "classes: a class is named twice"),
        (lambda c: c["data"].update(left_out=["clip"]), "data.left_out: ['clip']: input should be a valid dictionary"),
        (lambda c: c["digest"].update(sampling=None), "digest.sampling: None: input should be a valid list"),
    ],
)
def test_a_fault_in_the_fields_is_named(folder, change, words):
    edit(folder, change)
    with pytest.raises(ValueError, match=rf"record.json: .*{re.escape(words)}.*run the experiment again"):
        read_record(folder)


@pytest.mark.parametrize("content", ["[1]", "null"])
def test_what_is_no_object_of_fields(folder, content):
    (folder / "record.json").write_text(content)
    with pytest.raises(ValueError, match="input should be a valid dictionary"):
        read_record(folder)


def test_a_record_of_another_version_says_so_once(folder, shared_data):
    """Whatever a later version's fields and other files are: its schema is what the reader is told."""
    mend = r"record.json: schema: {}: this version of repro reads 1; a later version of repro wrote this record: update"
    edit(folder, lambda known: known.update(schema=99, more={}))
    with pytest.raises(ValueError, match=mend.format(99)):
        read_record(folder)
    later = (shared_data / "odd-files" / "record-of-a-later-version.json").read_text(encoding="utf-8")
    (folder / "record.json").write_text(later, encoding="utf-8")
    (folder / "predictions.parquet").unlink()
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


def test_a_table_of_which_pandas_own_notes_are_spoilt_is_named(folder):
    """A fuzz test's find: a KeyError of pyarrow's."""
    path = folder / "predictions.parquet"
    table = pq.read_table(path)
    notes = table.schema.metadata[b"pandas"].replace(b'"name"', b'"nbme"')
    pq.write_table(table.replace_schema_metadata({b"pandas": notes}), path)
    with pytest.raises(ValueError, match=r"predictions.parquet: cannot be read \(KeyError: .*; "):
        read_record(folder)


DAMAGE = {
    "a clip short": (lambda t: t.iloc[:2], "2 scores for 2 different clips, but the split lists 3"),
    "a clip twice": (lambda t: t.assign(clip=["a", "b", "b"]), "3 scores for 2 different clips"),
    "nan": (lambda t: t.assign(logit_Foo=[1, np.nan, 2]), "a logit is not finite"),
    "label": (lambda t: t.assign(label=[0, 1, 2]), "a label not in range"),
    "column": (lambda t: t.drop(columns="group"), "columns are not clip, label, group, logit_Bar, logit_Foo"),
    "half a label": (lambda t: t.assign(label=t["label"] + 0.5), "label a whole number"),
    "text": (lambda t: t.assign(logit_Foo="2.0"), "logits floating-point numbers"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_an_unsound_record_is_refused_and_the_old_one_stays(folder, tmp_path, kind):
    change, message = DAMAGE[kind]
    with pytest.raises(ValueError, match=message):
        write_record(**content(predictions=change(content()["predictions"])), results=tmp_path)
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
