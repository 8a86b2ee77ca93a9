"""The folder of a run at work: what a checkpoint holds, refusals that say what differs, damaged files."""

import dataclasses
import json

import pytest
import tiny
import torch

from repro.training import loop as training
from repro.training.checkpoint import read_checkpoint
from repro.training.loop import train
from repro.training.recogniser import Recogniser
from repro.training.run_folder import prepare_folder

SECTIONS = {"sampling": [1.0, 2.0]}
DATA = {"hash": "0123", "start": [{"part": "trunk", "digest": "aa"}]}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.quick(monkeypatch)
    monkeypatch.setattr(training, "todays_digest", lambda: SECTIONS)


@pytest.fixture
def begun(tmp_path):
    """An experiment whose run was interrupted after an epoch, and its folder."""
    experiment, folder = tiny.experiment({}), tmp_path / "work" / "run"
    prepare_folder(folder, experiment, SECTIONS, DATA)
    (folder / "last.ckpt").write_bytes(b"weights")
    return experiment, folder


def test_the_same_settings_go_on(begun):
    experiment, folder = begun
    prepare_folder(folder, experiment, SECTIONS, DATA)
    machine = dataclasses.replace(experiment, threads=3, workers=2, prefetch=5, remark="other words")
    prepare_folder(folder, machine, SECTIONS, DATA)
    identity = json.loads((folder / "identity.json").read_text())
    for name in ("sampling", "accumulate"):  # a run begun before there were these fields goes on
        del identity["fields"][name]
    (folder / "identity.json").write_text(json.dumps(identity))
    prepare_folder(folder, experiment, SECTIONS, DATA)
    assert (folder / "last.ckpt").read_bytes() == b"weights"


@pytest.mark.parametrize("change, said", [
    ({"fields": {"learning_rate": 0.5}}, r"learning_rate is 0\.5 here, 0\.02 there\. Set run: to another name to keep"),
    ({"fields": {"frames": 4, "seed": 1}}, "frames is 4 here, 2 there; seed is 1 here, 0 there"),
    ({"data": DATA | {"hash": "4567"}}, "the clips themselves are others"),
    ({"data": DATA | {"start": [{"part": "trunk", "digest": "bb"}]}}, "the weights it starts from are others"),
    ({"sections": {"sampling": [1.0, 3.0]}}, "the code behaves otherwise in sampling"),
])  # fmt: skip
def test_another_run_is_refused_and_nothing_lost(begun, change, said):
    experiment, folder = begun
    other = dataclasses.replace(experiment, **change.get("fields", {}))
    arguments = (change.get("sections", SECTIONS), change.get("data", DATA))
    with pytest.raises(
        ValueError, match=rf"{folder}: an unfinished run is there, and this one differs from it: {said}"
    ):
        prepare_folder(folder, other, *arguments)
    prepare_folder(folder, experiment, SECTIONS, DATA)
    assert (folder / "last.ckpt").read_bytes() == b"weights"


def test_a_finished_run_of_other_settings_is_set_aside(begun, capsys):
    experiment, folder = begun
    (folder / "weights.pt").write_bytes(b"done")
    prepare_folder(folder, dataclasses.replace(experiment, epochs=9), SECTIONS, DATA)
    assert [path.name for path in folder.iterdir()] == ["identity.json"]
    (aside,) = (path for path in folder.parent.iterdir() if path.name.startswith("run."))
    assert (aside / "weights.pt").read_bytes() == b"done"
    assert f"epochs is 9 here, 2 there); moved to {aside}" in capsys.readouterr().out


def test_a_folder_without_an_identity_is_begun_anew(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "identity.json.draft").write_text("{")
    prepare_folder(folder, tiny.experiment({}), SECTIONS, DATA)
    (folder / "identity.json").write_text('{"fields": ')
    with pytest.raises(ValueError, match=r"identity.json: not readable .*; delete the folder .*run to begin anew"):
        prepare_folder(folder, tiny.experiment({}), SECTIONS, DATA)


# --- checkpoints


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
    assert set(content) == {"state_dict", "optimiser", "schedule", "scaler", "history"}
    assert content["optimiser"]["state"][0]["momentum_buffer"].shape == (8, 3, 7, 7)
    assert content["schedule"]["num_bad_epochs"] >= 0 and len(content["history"]) == 2
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


def test_the_best_is_known_after_the_folder_was_moved(tmp_path, monkeypatch):
    """The first epoch is the best: after going on elsewhere, a later, worse one does not take its place."""
    fields = {"validation_fraction": 0.34, "schedule": "plateau", "batch_size": 2, "epochs": 3}
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"), **fields)
    falling = iter((0.9, 0.5, 0.4))
    monkeypatch.setattr(training, "validate", lambda *_: {"validation_loss": 1.0, "validation_top1": next(falling)})
    with monkeypatch.context() as patch:
        tiny.fails_in(patch, "train_epoch", 1, tiny.raiser(RuntimeError("power cut")))
        with pytest.raises(RuntimeError, match="power cut"):
            train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    best = tmp_path / "moved" / "tiny" / experiment.run / "best.ckpt"
    (tmp_path / "work").rename(tmp_path / "moved")
    content = best.read_bytes()
    train(experiment, results=tmp_path / "results", work=tmp_path / "moved")
    assert best.read_bytes() == content


def test_a_checkpoint_of_another_network_or_program_is_refused(trained):
    experiment, _record, folder = trained
    (narrow, _), (three, _) = (training.make_network(experiment, classes) for classes in (2, 3))
    path = folder / "last.ckpt"
    assert read_checkpoint(path, Recogniser(narrow, experiment))["history"]
    message = r"last.ckpt: a checkpoint of another network: head.fc.weight is \(2, 64\) there, \(3, 64\) here .*a row"
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path, Recogniser(three, experiment))
    content = torch.load(path, weights_only=True)
    more = content["state_dict"] | {"network.trunk.gate": torch.zeros(3)}
    torch.save(content | {"state_dict": more}, path)
    with pytest.raises(ValueError, match=r"trunk.gate is \(3,\) there, absent here"):
        read_checkpoint(path, Recogniser(narrow, experiment))
    torch.save({"state_dict": content["state_dict"]}, path)
    with pytest.raises(ValueError, match=r"cannot be read \(it has no optimiser: another program, or another version"):
        read_checkpoint(path, Recogniser(narrow, experiment))
    with pytest.raises(ValueError, match="this checkpoint cannot be read"):
        read_checkpoint(folder / "nowhere.ckpt", Recogniser(narrow, experiment))


def test_two_at_the_same_run_is_one_too_many(tmp_path, monkeypatch):
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"))

    def again():
        with pytest.raises(BlockingIOError, match="another process is at this work"):
            train(experiment, results=tmp_path / "results", work=tmp_path / "work")

    tiny.fails_in(monkeypatch, "train_epoch", 0, again)
    record = train(experiment, results=tmp_path / "results", work=tmp_path / "work")
    assert len(record.history) == 2
    assert [path.name for path in (tmp_path / "work" / "tiny").iterdir()] == [experiment.run]
