"""The folder of a run at work: whole checkpoints, refusals that say what differs, damaged files, a full disk."""

import dataclasses
import json
from pathlib import Path

import pytest
import tiny
import torch

from repro.training import loop as training
from repro.training import run_folder as runfolder
from repro.training.loop import train
from repro.training.run_folder import prepare_folder, read_checkpoint, save_whole, write_whole

SECTIONS, DATA = {"sampling": [1.0, 2.0]}, {"hash": "0123"}
START = [{"part": "trunk", "digest": "aa"}]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "todays_digest", lambda: SECTIONS)
    monkeypatch.setattr(training, "SECONDS_FOR_PEAK", 0.05)


@pytest.fixture
def begun(tmp_path):
    """An experiment whose run was interrupted after an epoch, and its folder."""
    experiment, folder = tiny.experiment({}), tmp_path / "work" / "run"
    assert prepare_folder(folder, experiment, SECTIONS, DATA, START) is None
    (folder / "last.ckpt").write_bytes(b"weights")
    return experiment, folder


def test_the_same_settings_go_on(begun, capsys):
    experiment, folder = begun
    assert prepare_folder(folder, experiment, SECTIONS, DATA, START) == folder / "last.ckpt"
    assert "going on from the last finished epoch" in capsys.readouterr().out
    machine = dataclasses.replace(experiment, threads=3, workers=2, precision="bf16-mixed", remark="other words")
    assert prepare_folder(folder, machine, SECTIONS, DATA, START) == folder / "last.ckpt"
    identity = json.loads((folder / "identity.json").read_text())
    for name in ("sampling", "accumulate"):  # a run begun before there were these fields goes on
        del identity["fields"][name]
    del identity["start"]
    identity["digest"] = json.dumps(identity["digest"])
    (folder / "identity.json").write_text(json.dumps(identity))
    assert prepare_folder(folder, experiment, SECTIONS, DATA, []) == folder / "last.ckpt"


@pytest.mark.parametrize("change, said", [
    ({"fields": {"learning_rate": 0.5}}, r"learning_rate is 0\.5 here, 0\.02 there\. Set run: to another name to keep"),
    ({"fields": {"frames": 4, "seed": 1}}, "frames is 4 here, 2 there; seed is 1 here, 0 there"),
    ({"data": {"hash": "4567"}}, "the clips themselves are others"),
    ({"start": [{"part": "trunk", "digest": "bb"}]}, "the weights it starts from are others"),
    ({"sections": {"sampling": [1.0, 3.0]}}, "the code behaves otherwise in sampling"),
])  # fmt: skip
def test_another_run_is_refused_and_nothing_lost(begun, change, said):
    experiment, folder = begun
    other = dataclasses.replace(experiment, **change.get("fields", {}))
    arguments = (change.get("sections", SECTIONS), change.get("data", DATA), change.get("start", START))
    with pytest.raises(
        ValueError, match=rf"{folder}: an unfinished run is there, and this one differs from it: {said}"
    ):
        prepare_folder(folder, other, *arguments)
    assert (folder / "last.ckpt").read_bytes() == b"weights"
    assert prepare_folder(folder, experiment, SECTIONS, DATA, START) == folder / "last.ckpt"


def test_a_finished_run_of_other_settings_is_set_aside(begun, capsys):
    experiment, folder = begun
    (folder / "weights.pt").write_bytes(b"done")
    assert prepare_folder(folder, dataclasses.replace(experiment, epochs=9), SECTIONS, DATA, START) is None
    assert [path.name for path in folder.iterdir()] == ["identity.json"]
    (aside,) = (path for path in folder.parent.iterdir() if path.name.startswith("run."))
    assert (aside / "weights.pt").read_bytes() == b"done"
    assert f"epochs is 9 here, 2 there); moved to {aside}" in capsys.readouterr().out


def test_a_folder_without_an_identity_is_begun_anew(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "identity.json.draft").write_text("{")
    assert prepare_folder(folder, tiny.experiment({}), SECTIONS, DATA) is None
    (folder / "identity.json").write_text('{"fields": ')
    with pytest.raises(ValueError, match=r"identity.json: not readable .*; delete the folder .*run to begin anew"):
        prepare_folder(folder, tiny.experiment({}), SECTIONS, DATA)


# --- files


def test_a_full_disk_is_one_message_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    write_whole(path, b"old")
    (tmp_path / "last.ckpt.draft").symlink_to("/dev/full")  # every write to it finds the disk full
    with pytest.raises(
        OSError, match=r"last.ckpt: the disk is full \(0 MB were to be written\); what was there before is"
    ):
        save_whole({"weights": torch.zeros(10)}, path)
    assert path.read_bytes() == b"old" and sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.fixture
def trained(tmp_path):
    data = tiny.write_ucf101(tmp_path / "set")
    fields = {"validation_fraction": 0.34, "schedule": "plateau", "batch_size": 2}
    experiment = tiny.experiment(data, epochs=2, **fields)
    record = train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    return experiment, record, tmp_path / "work" / "tiny" / experiment.run


def test_best_and_last_are_kept_and_hold_what_a_run_needs(trained):
    _experiment, _record, folder = trained
    assert sorted(path.name for path in folder.glob("*.ckpt*")) == ["best.ckpt", "last.ckpt"]
    content = torch.load(folder / "last.ckpt", weights_only=True)
    assert {"state_dict", "optimizer_states", "lr_schedulers", "random_state", "history", "epoch", "loops"} <= set(
        content
    )
    assert content["optimizer_states"][0]["state"][0]["momentum_buffer"].shape == (8, 3, 7, 7)
    assert content["lr_schedulers"][0]["num_bad_epochs"] >= 0 and len(content["history"]) == 2
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


def test_a_full_disk_in_training_keeps_the_epoch_before(tmp_path, monkeypatch):
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"), epochs=3)
    folder = tmp_path / "work" / "tiny" / experiment.run
    end = training.Recogniser.on_train_epoch_end

    def fill(self):
        end(self)
        if self.current_epoch == 1:
            (folder / "last.ckpt.draft").symlink_to("/dev/full")

    with monkeypatch.context() as patch:
        patch.setattr(training.Recogniser, "on_train_epoch_end", fill)
        with pytest.raises(OSError, match=r"last.ckpt: the disk is full .* goes on from its last finished epoch"):
            train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    assert len(torch.load(folder / "last.ckpt", weights_only=True)["history"]) == 1
    assert not list(tmp_path.rglob("*.draft"))
    assert len(train(experiment, results=tmp_path / "results", work=tmp_path / "work").history) == 3


def test_the_best_is_known_after_the_folder_was_moved(tmp_path, monkeypatch):
    """The first epoch is the best: after going on elsewhere, a later, worse one does not take its place."""
    fields = {"validation_fraction": 0.34, "schedule": "plateau", "batch_size": 2, "epochs": 3}
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"), **fields)
    means = training.Recogniser._means

    def falling(self, part):
        if part == "validation" and self.current_epoch == stop:
            raise RuntimeError("power cut")
        return means(self, part) | {f"{part}_top1": 1 / (1 + self.current_epoch)}

    monkeypatch.setattr(training.Recogniser, "_means", falling)
    stop = 1
    with pytest.raises(RuntimeError, match="power cut"):
        train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    best = tmp_path / "moved" / "tiny" / experiment.run / "best.ckpt"
    (tmp_path / "work").rename(tmp_path / "moved")
    content, stop = best.read_bytes(), None
    train(experiment, results=tmp_path / "results", work=tmp_path / "moved")
    assert best.read_bytes() == content


def test_an_interrupted_write_leaves_no_draft(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runfolder.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "last.ckpt", b"new")
    assert list(tmp_path.iterdir()) == []


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"not a checkpoint"}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "text"])
def test_a_damaged_checkpoint_is_named(trained, tmp_path, how):
    experiment, record, folder = trained
    damage(folder / "last.ckpt", how)
    (folder / "weights.pt").unlink()
    with pytest.raises(
        ValueError,
        match=rf"{folder / 'last.ckpt'}: this checkpoint cannot be read .*; put a copy of it back, or delete",
    ):
        train(dataclasses.replace(experiment, remark="x"), results=tmp_path / "none", work=tmp_path / "work")
    assert (folder / "best.ckpt").is_file() and record.folder.is_dir()


def test_a_checkpoint_of_another_class_count_is_refused(trained, tmp_path):
    experiment, _record, folder = trained
    three = tiny.write_ucf101(tmp_path / "three", classes=("Bar", "Foo", "Goo"))
    other = tiny.experiment(three, run="three", validation_fraction=0.34, schedule="plateau", batch_size=2)
    other_folder = tmp_path / "work" / "tiny" / "three"
    _split, _, data = training.select_clips(other)
    prepare_folder(other_folder, other, SECTIONS, data)
    (folder / "last.ckpt").rename(other_folder / "last.ckpt")
    message = r"last.ckpt: a checkpoint of another network: head.fc.weight is \(2, 64\) there, \(3, 64\) here .*a row"
    with pytest.raises(ValueError, match=message):
        train(other, results=tmp_path / "results", work=tmp_path / "work")
    network = training.make_network(experiment, 2)[0]
    with pytest.raises(ValueError, match="this checkpoint cannot be read"):
        read_checkpoint(tmp_path / "nowhere.ckpt", network)


def test_two_at_the_same_run_is_one_too_many(tmp_path, monkeypatch):
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"))
    start = training.Recogniser.on_train_epoch_start

    def again(self):
        with pytest.raises(BlockingIOError, match="another process is at this work"):
            train(experiment, results=tmp_path / "results", work=tmp_path / "work")
        start(self)

    monkeypatch.setattr(training.Recogniser, "on_train_epoch_start", again)
    record = train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    assert len(record.history) == 2
    assert [path.name for path in (tmp_path / "work" / "tiny").iterdir()] == [experiment.run]
