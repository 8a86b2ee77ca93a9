"""Records from outsiders: what is sound passes, every fault is named, nothing is filed by halves."""

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from made import DEMO, DIGEST, FULL, PROVENANCE, both_networks, demo_record, labels_of, logits, record

from repro import contributions
from repro.contributions import add, check, record_folders, sound
from repro.data.clips import read_split
from repro.data.counts import clips_digest, count_lists
from repro.paper import load
from repro.records import read_record, write_measurement
from repro.report import tables
from repro.report.claims import gather, judge

ROOT = Path(__file__).parents[1]


@pytest.fixture
def sent(tmp_path):
    """The folder of a record as somebody else made it."""
    return demo_record(tmp_path / "theirs", seed=5, wrong=range(7)).folder


@pytest.fixture
def here(tmp_path):
    return tmp_path / "results"


def faults(folder, results, **options) -> list[str]:
    found = check(folder, results=results, today=options.pop("today", DIGEST), **options)
    assert sound(found) == (not [f for f in found if f.state == "FAULT"])
    return [finding.text for finding in found if finding.state == "FAULT"]


def edit(folder: Path, change) -> None:
    path = folder / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_scores(folder: Path, change) -> None:
    path = folder / "predictions.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)


# ---------------------------------------- sound ones


def test_a_sound_record_passes_and_its_accuracy_comes_from_its_scores(sent, here):
    text = "\n".join(map(str, check(sent, results=here, today=DIGEST)))
    assert "FAULT" not in text
    assert "top-1 94.17%, top-5 " in text and "n = 120 clips, 12 classes" in text
    assert "made 2026-01-02 03:04 by not named" in text and "Made 1 in 2 minutes, torch 2.0, commit 0123456789" in text
    assert "note   made clips is no official dataset as a whole" in text


def test_checking_writes_nothing(sent, here):
    before = {path: path.read_bytes() for path in sent.parents[1].rglob("*") if path.is_file()}
    check(sent, results=here, today=DIGEST)
    assert not here.exists()
    assert before == {path: path.read_bytes() for path in sent.parents[1].rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["run", "study", "file", "zip"])
def test_what_can_be_sent(sent, tmp_path, form):
    archive = shutil.make_archive(tmp_path / "sent", "zip", sent.parents[1])
    path = {"run": sent, "study": sent.parent, "file": sent / "record.json", "zip": Path(archive)}[form]
    with record_folders(path) as folders:
        assert [read_record(folder).name for folder in folders] == ["made/res34_se_im_net-split1-seed5"]
    assert all(folder.exists() for folder in folders) == (form != "zip")  # what was unpacked is gone


# ---------------------------------------- faults


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.update(schema=99), "schema 99 is not 1"),
        (lambda c: c.pop("digest"), "field 'digest' is missing"),
        (lambda c: c["experiment"].update(lerning_rate=1), "unknown name 'lerning_rate'; did you mean 'learning_rate'"),
        (lambda c: c["experiment"].update(frames="8"), "frames: '8' is not int"),
        (lambda c: c["data"].pop("clips"), "not understood: KeyError('clips')"),
        (lambda c: c["data"]["clips"].update(test=121), "120 scores for 120 different clips, but the split lists 121"),
        (lambda c: c["provenance"].pop("processor"), "provenance: 'processor' is missing"),
        (lambda c: c["provenance"].update(started="2026-01-02"), "no time with its zone"),
        (lambda c: c.update(digest={}), "digest: is empty"),
        (lambda c: c["provenance"].update(seconds="long"), "not understood: TypeError"),
        (lambda c: c["provenance"].update(libraries=None), "not understood: AttributeError"),
        (lambda c: c["provenance"].update(commit=None), "not understood: TypeError"),
        (lambda c: c["digest"].update(sampling=[1.0, 2.5]), "digest: today's code behaves differently in sampling"),
    ],
)
def test_a_fault_in_the_fields(sent, here, change, words):
    edit(sent, change)
    (text,) = faults(sent, here)
    assert words in text


def _with_nan(table):
    table.loc[3, "logit_Eat"] = np.nan
    return table


@pytest.mark.parametrize(
    "change, words",
    [
        (_with_nan, "a logit is not finite"),
        (lambda t: t.assign(label=t["label"] + 12), "a label not in range"),
        (lambda t: t.iloc[:-1], "119 scores for 119 different clips, but the split lists 120"),
        (lambda t: t.assign(clip=["clip00000.avi", *t["clip"].iloc[:-1]]), "120 scores for 119 different clips"),
        (lambda t: t.drop(columns="group"), "columns are not clip, label, group"),
    ],
)
def test_a_fault_in_the_scores(sent, here, change, words):
    edit_scores(sent, change)
    (text,) = faults(sent, here)
    assert words in text and "predictions.parquet" in text


def test_a_stale_record_names_what_differs(sent, here):
    (text,) = faults(sent, here, today=DIGEST | {"sampling": [9.0]})
    assert "sampling; run it again with this code" in text


def test_a_copy_under_another_seed_is_found(sent, here):
    demo_record(here, seed=0, wrong=range(7))
    (text,) = faults(sent, here)
    assert "seed0, which has another seed: one of them is a copy" in text
    demo_record(here, seed=0, wrong=range(8))
    assert not faults(sent, here)


def test_uncommitted_changes_are_noted(tmp_path, here):
    made = demo_record(tmp_path / "theirs", provenance=PROVENANCE | {"uncommitted_changes": True})
    assert any(f.state == "note" and "uncommitted" in f.text for f in check(made.folder, results=here, today=DIGEST))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "holds no record.json"),
        (lambda path: path.write_text("not a zip"), "nor a whole zip"),
        (lambda path: _zip(path, "a/readme.txt"), "holds no record.json"),
        (lambda path: _zip(path, "../record.json"), "names a place outside itself"),
        (lambda path: _zip(path, "/tmp/record.json"), "names a place outside itself"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, words):
    path = tmp_path / "sent.zip"
    make(path)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as raised, record_folders(path):
        pass
    assert str(path) in str(raised.value) and not (tmp_path.parent / "record.json").exists()


def _zip(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")


# ---------------------------------------- the official lists


@pytest.fixture
def lists(tmp_path):
    """Lists of a small dataset in UCF101's layout, and a record of its whole test split."""
    data = tiny.write_ucf101(tmp_path / "data")
    split = read_split("ucf101", videos=data["videos"], annotations=data["annotations"], split=1)
    labels = [clip.label for clip in split.test]
    scores = logits(labels, len(split.classes))
    made = record(tmp_path / "theirs", classes=split.classes, labels=labels, scores=scores, layout="ucf101", split=1)
    names = [clip.name for clip in split.test]
    edit_scores(made.folder, lambda t: t.assign(clip=names, group=[clip.group for clip in split.test]))
    return Path(data["annotations"]), split, made.folder


def test_clips_labels_and_groups_are_those_of_the_list(lists, here):
    annotations, split, folder = lists
    found = check(folder, annotations=annotations, results=here, today=DIGEST)
    assert sound(found) and any(f"lists in {annotations}, {len(split.test)} clips" in f.text for f in found)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t, s: t.assign(clip=[s.train[0].name, *t["clip"].iloc[1:]]), "of the training list are scored as test"),
        (lambda t, s: t.assign(clip=["Foo/none.avi", *t["clip"].iloc[1:]]), "1 clips that no list names are scored"),
        (
            lambda t, s: t.assign(label=[1 - t["label"].iloc[0], *t["label"].iloc[1:]]),
            "label: 1 clips have another one",
        ),
        (lambda t, s: t.assign(group=["x", *t["group"].iloc[1:]]), "group: 1 clips have another one"),
    ],
)
def test_a_list_that_is_not_the_official_one(lists, here, change, words):
    annotations, split, folder = lists
    edit_scores(folder, lambda t: change(t, split))
    (text,) = faults(folder, here, annotations=annotations)
    assert words in text and "predictions.parquet" in text and str(annotations) in text


def test_a_test_clip_without_a_score_must_be_named_as_unusable(lists, here):
    annotations, split, folder = lists
    edit_scores(folder, lambda t: t.iloc[1:])
    edit(folder, lambda c: c["data"]["clips"].update(test=len(split.test) - 1))
    (text,) = faults(folder, here, annotations=annotations)
    assert f"1 test clips of the list have no score, {split.test[0].name}" in text
    edit(folder, lambda c: c["data"].update(left_out={"train": [], "test": [[split.test[0].name, "does not decode"]]}))
    assert not faults(folder, here, annotations=annotations)


def test_lists_of_another_dataset_do_not_fit(lists, here, tmp_path):
    (text,) = faults(lists[2], here, annotations=tmp_path / "nowhere")
    assert "do not fit this record" in text


def test_a_whole_split_is_checked_without_lists_by_its_digest(tmp_path, here):
    """A made HMDB51 of 51 classes and 1530 test clips, as its lists' digest was recorded."""
    labels, classes = labels_of(51, 30), tuple(f"class{k:02d}" for k in range(51))
    fields = {"classes": classes, "labels": labels, "layout": "hmdb51", "dataset": "HMDB51", **FULL}
    made = record(tmp_path / "theirs", scores=logits(labels, 51), **fields)
    tests = {"1": clips_digest(zip(made.predictions["clip"], labels))}
    assert any("not checked" in f.text for f in check(made.folder, results=here, today=DIGEST))
    write_measurement("datasets", "lists", {"counts": {"hmdb51": {"tests": tests}}}, provenance={}, results=here)
    found = check(made.folder, results=here, today=DIGEST)
    assert sound(found) and any("HMDB51's official split, all 1530" in f.text for f in found)
    edit_scores(made.folder, lambda t: t.assign(label=(t["label"] + 1) % 51))
    (text,) = faults(made.folder, here)
    assert "1530 clips with their labels are not the 1530 of HMDB51's official test split 1" in text


def test_the_recorded_digests_are_those_of_the_official_lists(shared_data):
    recorded = json.loads((ROOT / "results" / "datasets" / "lists.json").read_text(encoding="utf-8"))["counts"]
    for name in ("hmdb51", "ucf101", "something_v1"):
        assert recorded[name]["tests"] == count_lists(name, shared_data / "annotations" / name)["tests"]


def test_our_own_records_of_real_clips_are_the_official_lists_clips(shared_data, tmp_path):
    folder = ROOT / "results" / "ucf101-3" / "res34_se_im_net-split1-seed0"
    lists = shared_data / "annotations" / "ucf101"
    digest = read_record(folder).digest
    found = check(folder, annotations=lists, results=tmp_path, today=digest)
    assert sound(found) and any("104 clips" in f.text and "groups are those" in f.text for f in found)
    copy = shutil.copytree(folder, tmp_path / "copy")
    edit_scores(copy, lambda t: t.assign(clip=[t["clip"][0].replace("_c0", "_c9"), *t["clip"].iloc[1:]]))
    assert "no list names" in faults(copy, tmp_path, annotations=lists, today=digest)[0]


# ---------------------------------------- filing


def test_added_records_are_pooled_and_their_contributor_is_named(tmp_path, here):
    """Our seed 0 and their seeds 1 and 2 are one body of evidence; the report says whose they are."""
    fields = {"wrong_first": range(60), "wrong_second": range(10)}
    both_networks(here, **fields, seeds=[0])
    both_networks(tmp_path / "theirs", **fields, seeds=[1, 2], study="made-elsewhere")
    for k, (path, seed) in enumerate((p, s) for p in [tmp_path / "theirs" / "made-elsewhere"] for s in (1, 2)):
        for folder in path.glob(f"*seed{seed}"):  # no seed is another's copy
            edit_scores(folder, lambda t, k=k: t.assign(logit_Wave=t["logit_Wave"] + 0.01 * (k + 1)))
    filed = add(tmp_path / "theirs", contributor=" A. Stranger ", results=here, today=DIGEST)
    assert len(filed) == 4 and {r.provenance["contributor"] for r in filed} == {"A. Stranger"}
    evidence = gather(here, today=DIGEST)
    found = judge(load().claim("se-im-beats-baseline"), evidence)
    assert found.outcome == "reproduced" and "3 pairs of runs" in found.evidence
    assert "runs of A. Stranger among them" in found.evidence and "A. Stranger" in found.scope
    assert {source.contributor for source in found.sources} == {"", "A. Stranger"}
    table = tables.provenance_table(evidence.records, DIGEST)
    assert set(table["by"]) == {"this study", "A. Stranger"}
    assert set(tables.accuracy_table(evidence.records)["run by"]) == {
        f"{who}, {PROVENANCE['device']}" for who in ("this study", "A. Stranger")
    }


def test_all_are_filed_or_none(tmp_path, here):
    good = demo_record(tmp_path / "theirs", seed=1, wrong=range(3))
    bad = demo_record(tmp_path / "theirs", seed=2, wrong=range(4), digest={"sampling": [7.0]})
    with pytest.raises(ValueError, match="nothing was filed") as raised:
        add(tmp_path / "theirs", contributor="A. Stranger", results=here, today=DIGEST)
    assert "sampling" in str(raised.value) and not here.exists()
    shutil.rmtree(bad.folder)
    (filed,) = add(tmp_path / "theirs", contributor="A. Stranger", results=here, today=DIGEST)
    assert filed.name == good.name and np.array_equal(filed.scores, good.scores)
    assert dataclasses.asdict(filed.experiment) == dataclasses.asdict(good.experiment) and filed.classes == DEMO


def test_a_full_disk_leaves_none_of_them(tmp_path, here, monkeypatch):
    for seed in (1, 2):
        demo_record(tmp_path / "theirs", seed=seed, wrong=range(seed))
    write, calls = contributions.write_record, []

    def full(**parts):
        calls.append(parts)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(**parts)

    monkeypatch.setattr(contributions, "write_record", full)
    with pytest.raises(OSError, match="No space left"):
        add(tmp_path / "theirs", contributor="A. Stranger", results=here, today=DIGEST)
    assert len(calls) == 2 and not list(here.rglob("record.json"))


def test_a_run_that_is_here_is_never_replaced(sent, here):
    own = demo_record(here, seed=5, wrong=range(20))
    with pytest.raises(ValueError, match="is here already: run seeds that nobody has"):
        add(sent, contributor="A. Stranger", results=here, today=DIGEST)
    assert np.array_equal(read_record(own.folder).scores, own.scores)


def test_a_contributor_must_be_named(sent, here):
    with pytest.raises(ValueError, match="contributor: say who"):
        add(sent, contributor=" ", results=here, today=DIGEST)


def test_the_same_run_twice_in_one_zip(sent, here, tmp_path):
    shutil.copytree(sent, tmp_path / "theirs" / "again" / sent.name)
    with pytest.raises(ValueError, match="is in it twice"):
        add(tmp_path / "theirs", contributor="A", results=here, today=DIGEST)
