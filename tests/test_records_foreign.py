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
from made import DEMO, DIGEST, FULL, PROVENANCE, both_networks, demo_record, labels_of, logits, record, trained

from repro.claims.verdicts import gather, judge
from repro.data.clips import ClipFields, read_split
from repro.data.counts import clips_digest, count_lists
from repro.paper.cells import load
from repro.records import foreign
from repro.records.foreign import add, record_folders, sound
from repro.records.measure import write_measurement
from repro.records.record import read_record, write_record
from repro.report import tables

ROOT = Path(__file__).parents[1]


@pytest.fixture
def sent(tmp_path):
    """The folder of a record as somebody else made it."""
    return demo_record(tmp_path / "theirs", seed=5, wrong=range(7), layout="folder").folder


@pytest.fixture
def here(tmp_path):
    return tmp_path / "results"


def check(folder, results, *, today=DIGEST, **options) -> list[foreign.Finding]:
    (found,) = foreign.check([folder], today, results=results, **options)
    return found


def said(folder, results, **options) -> str:
    return "\n".join(map(str, check(folder, results, **options)))


def faults(folder, results, **options) -> list[str]:
    found = check(folder, results, **options)
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


def test_a_rate_is_the_one_that_its_tuning_study_chose(tmp_path, here):
    """Two rates, one of which its validation clips chose."""
    model = "res34_se_im_net"
    for rate, validated in ((0.1, 0.6), (0.2, 0.7)):
        history = pd.DataFrame({"epoch": [0, 1], "train_top1": [0.1, 0.9], "validation_top1": [0.9, validated]})
        fields = {"model": model, "learning_rate": rate, "role": "tuning", "study": f"rates-{rate:g}"}
        demo_record(here, history=history, **fields)

    def found(study, rate, **fields):
        fields = {"model": model, "learning_rate": rate, "rate_chosen_by": "rates", "layout": "folder"} | fields
        return faults(demo_record(tmp_path / "theirs", study=study, wrong=range(rate > 0.1, 9), **fields).folder, here)

    assert found("right", 0.2) == []
    assert "learning_rate: 0.1, but the validation clips of rates chose 0.2" in found("wrong", 0.1)[0]
    assert "no runs of rates are there" in found("other", 0.2, model="resnet34_3dres18")[0]


def test_a_sound_record_passes_and_its_accuracy_comes_from_its_scores(sent, here):
    text = said(sent, here)
    assert "FAULT" not in text
    assert "top-1 94.17%, top-5 " in text and "n = 120 clips, 12 classes" in text
    assert "made 2026-01-02 03:04 on CPU, 1 thread(s) of Made 1 in 2 minutes, commit 0123456789, torch 2.0" in text
    assert "note   commit 0123456789abcdef is not in this repository" in text
    assert "note   made clips is no official dataset as a whole" in text


def test_checking_writes_nothing(sent, here):
    before = {path: path.read_bytes() for path in sent.parents[1].rglob("*") if path.is_file()}
    check(sent, here)
    assert not here.exists()
    assert before == {path: path.read_bytes() for path in sent.parents[1].rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["run", "study", "file", "drafts beside it"])
def test_what_can_be_sent(sent, form):
    path = {"run": sent, "file": sent / "record.json"}.get(form, sent.parent)
    if form == "drafts beside it":
        shutil.copytree(sent, sent.with_name(".other.draft"))
    assert [read_record(folder).name for folder in record_folders(path)] == ["made/res34_se_im_net-split1-seed5"]


# ---------------------------------------- faults


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.pop("digest"), "digest: Field required"),  # and what else cannot be read: tests/test_records.py
        (lambda c: c["provenance"].pop("processor"), "provenance: processor: Field required"),
        (lambda c: c["provenance"].update(started="2026-01-02"), "no time with its zone"),
        (lambda c: c["provenance"].update(started="2999-01-01T00:00Z"), "no time with its zone, or one to come"),
        (lambda c: c["provenance"].update(seconds="90"), "provenance: seconds: '90'"),
        (lambda c: c["provenance"].update(contributor=["A"]), "provenance: contributor: ['A']"),
        (lambda c: c.update(digest={}), "digest: says nothing of sampling"),
        (lambda c: c["digest"].update(sampling=[1.0, 2.5]), "differently in sampling; run it again with this code"),
        (lambda c: c["history"].pop(), "history: 1 epochs, but the experiment has 2"),
    ],
)
def test_a_fault_in_the_fields(sent, here, change, words):
    edit(sent, change)
    (text,) = faults(sent, here)
    assert words in text and str(sent) in text


@pytest.mark.parametrize("field, value", [("seed", 1), ("split", 2), ("model", "resnet34_3dres18")])
def test_a_copy_under_another_seed_split_or_network_is_found(tmp_path, here, field, value):
    own = trained(here, 0)
    sent = trained(tmp_path / "t", **{"seed": 0, field: value}, by=lambda a, b: a + 1)
    (text,) = faults(sent.folder, here)
    assert f"those of {own.folder}, which has another {field}: one of them is a copy" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(group=[f"{g}-{k % 2}" for k, g in enumerate(t["group"])]),
        lambda t: t.assign(label=np.roll(t["label"], 1)),
        lambda t: t.assign(clip=t["clip"].str.replace("clip", "video")),
    ],
)
def test_one_hash_stands_for_the_same_clips_labels_and_groups(tmp_path, here, change):
    """Groups split up make more of them, of a folder's clips no name tells."""
    trained(here, 0)
    sent = trained(tmp_path / "t", 1).folder
    assert not faults(sent, here)
    edit_scores(sent, change)
    (text,) = faults(sent, here)
    assert "data.hash: its hash of the clips is that of" in text and "labels or groups are others" in text


def test_a_run_that_is_here_is_not_replaced_by_a_larger_study(tmp_path, here):
    """Of a run that two studies hold the larger one's counts: our seeds and one more would replace ours."""
    own = trained(here, 0)
    sent = trained(tmp_path / "t", 0, study="larger", by=lambda a, b: b)
    (text,) = faults(sent.folder, here)
    assert f"{own.folder} is this very run with other scores; run seeds that nobody has" in text
    assert "or call a repetition role: tuning" in text
    again = trained(tmp_path / "t", 0, study="again")
    assert not faults(again.folder, here)
    repetition = trained(tmp_path / "t", 0, study="repetition", role="tuning", by=lambda a, b: b)
    assert not faults(repetition.folder, here)


def test_copies_within_what_is_sent_are_found(sent, here):
    demo_record(sent.parents[1], seed=6, wrong=range(7), layout="folder")
    found = foreign.check(record_folders(sent.parents[1]), DIGEST, results=here)
    assert len(found) == 2 and not any(map(sound, found))
    with pytest.raises(ValueError, match="one of them is a copy"):
        add(sent.parents[1], DIGEST, contributor="A. Stranger", results=here)


def test_scores_that_are_not_those_of_the_history_are_found(tmp_path, here):
    """Where the test clips steered a run, its history holds the accuracy of the weights that were evaluated."""
    history = pd.DataFrame({"epoch": [0, 1], "train_top1": [0.2, 0.3], "test_top1": [113 / 120, 0.5]})
    fields = {"layout": "folder", "watch": "test", "history": history}
    made = demo_record(tmp_path / "theirs", wrong=range(7), **fields)
    assert not faults(made.folder, here)
    edit_scores(made.folder, lambda t: t.assign(logit_Wave=np.where(t["label"] == 0, 3.0, t["logit_Wave"])))
    (text,) = faults(made.folder, here)
    assert "history: the best test_top1 is 94.17%, but the scores give 100.00%" in text


def test_uncommitted_changes_are_noted(tmp_path, here):
    made = demo_record(tmp_path / "theirs", layout="folder", provenance=PROVENANCE | {"uncommitted_changes": True})
    assert "note   the code had uncommitted changes" in said(made.folder, here)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"sent: there is no such file or folder"):
        record_folders(tmp_path / "sent")
    with pytest.raises(ValueError, match=f"{tmp_path}: holds no record.json; unpack what was sent"):
        record_folders(tmp_path)
    archive = tmp_path / "sent.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(ValueError, match=f"{archive}: holds no record.json; unpack what was sent and give the folder"):
        record_folders(archive)


def test_an_archive_of_windows_says_how_to_unpack_it(sent, tmp_path):
    with zipfile.ZipFile(tmp_path / "sent.zip", "w") as archive:
        for path in sent.iterdir():
            archive.writestr(f"made\\run\\{path.name}", path.read_bytes())
    zipfile.ZipFile(tmp_path / "sent.zip").extractall(tmp_path / "unpacked")
    with pytest.raises(ValueError, match="unpack what was packed on Windows with unzip or 7z") as caught:
        record_folders(tmp_path / "unpacked")
    assert "made\\run\\record.json: folders became part of the file's name" in str(caught.value)


# ---------------------------------------- the official lists


@pytest.fixture
def lists(tmp_path):
    """Lists of a small dataset in UCF101's layout, and a record of its whole test split."""
    data = tiny.write_ucf101(tmp_path / "data")
    split = read_split(ClipFields(**data))
    labels = [clip.label for clip in split.test]
    scores = logits(labels, len(split.classes))
    made = record(tmp_path / "theirs", classes=split.classes, labels=labels, scores=scores, layout="ucf101", split=1)
    names = [clip.name for clip in split.test]
    edit_scores(made.folder, lambda t: t.assign(clip=names, group=[clip.group for clip in split.test]))
    return Path(data["annotations"]), split, made.folder


def test_clips_labels_and_groups_are_those_of_the_list(lists, here):
    annotations, split, folder = lists
    text = said(folder, here, annotations=annotations)
    assert "FAULT" not in text and f"lists in {annotations}, {len(split.test)} clips" in text


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t, s: t.assign(clip=[s.train[0].name, *t["clip"].iloc[1:]]), "of the training list are scored as test"),
        (lambda t, s: t.assign(clip=["Foo/none.avi", *t["clip"].iloc[1:]]), "1 clips that no list names are scored"),
        (lambda t, s: t.assign(label=[1 - t["label"][0], *t["label"].iloc[1:]]), "label: 1 clips have another one"),
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
    films = [f"film{k}" for k in range(len(labels))]
    names = [f"{classes[y]}/{film}_{classes[y]}_walk_f_cm_np1_ba_med_0.avi" for film, y in zip(films, labels)]
    edit_scores(made.folder, lambda t: t.assign(clip=names, group=films))
    made = read_record(made.folder)
    tests = {"1": clips_digest(zip(made.predictions["clip"], labels))}
    assert "not checked" in said(made.folder, here)
    write_measurement("datasets", "lists", {"counts": {"hmdb51": {"tests": tests}}}, provenance={}, results=here)
    assert not faults(made.folder, here) and "HMDB51's official split, all 1530" in said(made.folder, here)
    edit_scores(made.folder, lambda t: t.assign(clip=t["clip"].str.replace("ba_med_0", "ba_med_1")))
    (text,) = faults(made.folder, here)
    assert "1530 clips with their labels are not the 1530 of HMDB51's official test split 1" in text


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.assign(label=1 - t["label"]), "label: Bar/v_Bar_g"),
        (lambda t: t.assign(group=t["group"].iloc[0]), "group: "),
        (lambda t: t.assign(clip=[f"{k}.avi" for k in range(len(t))]), "label: 0.avi is no name of a clip of class"),
    ],
)
def test_labels_and_groups_are_those_of_the_names_where_no_list_is_at_hand(lists, here, change, words):
    folder = lists[2]
    assert "pass --annotations to check its clip names" in said(folder, here)
    edit_scores(folder, change)
    (text,) = faults(folder, here)
    assert words in text and "predictions.parquet" in text


def test_the_recorded_digests_are_those_of_the_official_lists(shared_data):
    recorded = json.loads((ROOT / "results" / "datasets" / "lists.json").read_text(encoding="utf-8"))["counts"]
    for name in ("hmdb51", "ucf101", "something_v1"):
        assert recorded[name]["tests"] == count_lists(name, shared_data / "annotations" / name)["tests"]


def test_a_subset_of_ucf101_is_checked_against_the_official_lists(shared_data, tmp_path):
    lists = shared_data / "annotations" / "ucf101"
    classes = ["BabyCrawling", "Punch", "PushUps"]
    fields = ClipFields("ucf101", shared_data / "ucf101-3" / "videos", lists, 1, classes)
    test = read_split(fields, check=False).test
    options = {"layout": "ucf101", "split": 1, "classes": tuple(classes)}
    labels = [clip.label for clip in test]
    made = record(tmp_path / "theirs", labels=labels, scores=logits(labels, 3), **options).folder
    edit(made, lambda c: c["experiment"].update(classes=classes))
    names, groups = [clip.name for clip in test], [clip.group for clip in test]
    edit_scores(made, lambda t: t.assign(clip=names, group=groups))
    assert faults(made, tmp_path / "none", annotations=lists) == []
    assert f"groups are those of the lists in {lists}, 104 clips" in said(made, tmp_path / "none", annotations=lists)
    edit_scores(made, lambda t: t.assign(clip=[t["clip"][0].replace("_c0", "_c9"), *t["clip"].iloc[1:]]))
    assert "no list names" in faults(made, tmp_path, annotations=lists)[0]


# ---------------------------------------- filing


def _noisy(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(scale=0.2, size=(len(table), table.shape[1] - 3))
    return table.assign(**(table.iloc[:, 3:] + noise))


def test_added_records_are_pooled_and_their_contributor_is_named(tmp_path, here):
    """Our seed 0 and their seeds 1 and 2 are one body of evidence; the report says whose they are."""
    fields = {"wrong_first": range(60), "wrong_second": range(10), "layout": "folder"}
    both_networks(here, **fields, seeds=[0])
    both_networks(tmp_path / "theirs", **fields, seeds=[1, 2], study="made-elsewhere")
    for k, folder in enumerate(sorted((tmp_path / "theirs" / "made-elsewhere").iterdir())):  # none is another's copy
        edit_scores(folder, lambda t, k=k: _noisy(t, seed=k))
    filed = add(tmp_path / "theirs", DIGEST, contributor=" A. Stranger ", results=here)
    assert len(filed) == 4 and {r.provenance["contributor"] for r in filed} == {"A. Stranger"}
    evidence = gather(DIGEST, {}, {}, here)
    found = judge(load().claim("se-im-beats-baseline"), evidence)
    assert found.outcome == "reproduced" and "3 pairs of runs" in found.evidence
    assert "runs of A. Stranger among them" in found.evidence and "A. Stranger" in found.scope
    assert {source.contributor for source in found.sources} == {"", "A. Stranger"}
    places = tables.provenance_table(evidence.records)["started (UTC), by"]
    assert {text.partition(", ")[2] for text in places} == {"this study", "A. Stranger"}
    assert set(tables.accuracy_table(evidence.records)["run by"]) == {
        f"{who}, {PROVENANCE['device']}" for who in ("this study", "A. Stranger")
    }


def test_all_are_filed_or_none(tmp_path, here):
    good = demo_record(tmp_path / "theirs", seed=1, wrong=range(3), layout="folder")
    bad = demo_record(tmp_path / "theirs", seed=2, wrong=range(4), layout="folder", digest={"sampling": [7.0]})
    with pytest.raises(ValueError, match="nothing was filed") as raised:
        add(tmp_path / "theirs", DIGEST, contributor="A. Stranger", results=here)
    assert "sampling" in str(raised.value) and not here.exists()
    shutil.rmtree(bad.folder)
    (filed,) = add(tmp_path / "theirs", DIGEST, contributor="A. Stranger", results=here)
    assert filed.name == good.name and np.array_equal(filed.scores, good.scores)
    assert not add(tmp_path / "theirs", DIGEST, contributor="Another", results=here)  # the same again
    assert read_record(filed.folder).provenance["contributor"] == "A. Stranger"
    assert dataclasses.asdict(filed.experiment) == dataclasses.asdict(good.experiment) and filed.classes == DEMO


def test_a_run_that_is_here_is_never_replaced(sent, here):
    own = demo_record(here, seed=5, wrong=range(20))
    with pytest.raises(ValueError, match="is here already: run seeds that nobody has"):
        add(sent, DIGEST, contributor="A. Stranger", results=here)
    assert np.array_equal(read_record(own.folder).scores, own.scores)


def filling(patch, records: int) -> None:
    """The disk is full after so many records."""
    write, written = foreign.write_record, []

    def write_record(**fields):
        if len(written) == records:
            raise OSError(28, "No space left on device")
        written.append(write(**fields))
        return written[-1]

    patch.setattr(foreign, "write_record", write_record)


def test_a_disk_that_fills_leaves_nothing(tmp_path, here, monkeypatch):
    for seed in (1, 2, 3):
        demo_record(tmp_path / "theirs", seed=seed, wrong=range(seed), layout="folder")
    filling(monkeypatch, 2)
    with pytest.raises(OSError, match="No space left"):
        add(tmp_path / "theirs", DIGEST, contributor="A. Stranger", results=here)
    assert not list(here.iterdir())


def test_runs_made_here_get_their_contributor_in_place(here, monkeypatch):
    """As for a pull request: the runs lie under results/ already."""
    own = [demo_record(here, seed=seed, wrong=range(seed), layout="folder") for seed in (1, 2)]
    altered = {"shuffled": own[0].scores}
    kept = {"altered": altered, "gates": {"start": [{"unit": 1}], "end": []}}
    write_record(**{f.name: getattr(own[0], f.name) for f in dataclasses.fields(own[0])[1:8]}, **kept, results=here)
    with monkeypatch.context() as patch:
        filling(patch, 1)
        with pytest.raises(OSError, match="No space left"):
            add(here / "made", DIGEST, contributor="A. Stranger", results=here)
    assert [read_record(r.folder).provenance for r in own] == [PROVENANCE] * 2
    filed = add(here / "made", DIGEST, contributor="A. Stranger", results=here)
    assert [r.folder.name for r in filed] == [r.folder.name for r in own]
    for before, after in zip(own, filed):
        assert after.provenance == PROVENANCE | {"contributor": "A. Stranger"}
        pd.testing.assert_frame_equal(before.predictions, after.predictions)
    assert filed[0].gates == kept["gates"] and np.array_equal(filed[0].altered["shuffled"], altered["shuffled"])
    assert sorted(path.name for path in here.iterdir()) == ["made"]
    assert not add(here / "made", DIGEST, contributor="Another", results=here)  # a name is not replaced


def test_a_folder_of_that_name_is_never_replaced(sent, here):
    """Also where the record in it says that it is another run."""
    other = demo_record(here, seed=7, wrong=range(20), layout="folder").folder
    shutil.move(other, other.with_name(sent.name))
    with pytest.raises(ValueError, match="is here already"):
        add(sent, DIGEST, contributor="A. Stranger", results=here)
    assert read_record(here / "made" / sent.name).experiment.seed == 7


def test_a_study_of_that_name_with_other_settings(sent, here):
    demo_record(here, seed=0, layout="folder", learning_rate=0.02, dataset="ours")
    assert "note   study made: " in said(sent, here) and "has learning_rate: 0.001, but" in said(sent, here)
    with pytest.raises(ValueError, match=r"learning_rate: 0.001, but .* has 0.02; give one of the studies"):
        add(sent, DIGEST, contributor="A. Stranger", results=here)
    shutil.rmtree(here)
    demo_record(here, seed=0, layout="folder", rate_chosen_by="rates")
    assert "note   study made: " in said(sent, here) and "has rate_chosen_by: None, but" in said(sent, here)


@pytest.mark.parametrize("name", [" ", "A\nB"])
def test_a_contributor_must_be_named(sent, here, name):
    with pytest.raises(ValueError, match="contributor: say in one line who"):
        add(sent, DIGEST, contributor=name, results=here)


def test_the_same_run_twice_in_one_zip(sent, here, tmp_path):
    shutil.copytree(sent, tmp_path / "theirs" / "again" / sent.name)
    with pytest.raises(ValueError, match="is in it twice"):
        add(tmp_path / "theirs", DIGEST, contributor="A", results=here)
