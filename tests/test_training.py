"""Training end to end on made clips: the same result whatever the workers and interruptions, and clear refusals."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

import repro.training as training
from repro.training import Recogniser, train

PLATEAU = {"schedule": "plateau", "validation_fraction": 0.34, "saturate": 1, "batch_size": 2}
EPOCHS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_ucf101(tmp_path_factory.mktemp("set") / "set")


def run(experiment, folder: Path):
    return train(experiment, results=folder / "results", work=folder / "work")


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory, _the_same_digest):
    """Records of uninterrupted runs with no loader worker, by schedule."""
    here = os.getcwd()
    folder = tmp_path_factory.mktemp("whole")
    os.chdir(folder)  # the manifest's cache is filed under the working directory
    yield {
        name: run(tiny.experiment(data, epochs=EPOCHS, run=name, **fields), folder)
        for name, fields in (("cosine", {}), ("plateau", PLATEAU))
    }
    os.chdir(here)


@pytest.fixture(scope="module", autouse=True)
def _the_same_digest():
    """Two seconds saved a run: the digest has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "todays_digest", lambda: {"sampling": [1.0]})
        yield


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def interrupt(monkeypatch, epoch: int) -> None:
    """Stop every run at the start of ``epoch`` until the monkeypatch is undone."""
    start = Recogniser.on_train_epoch_start

    def stop(self):
        start(self)
        if self.current_epoch == epoch:
            raise RuntimeError("power cut")

    monkeypatch.setattr(Recogniser, "on_train_epoch_start", stop)


def test_a_record_holds_every_test_clip_once_and_a_row_an_epoch(uninterrupted):
    record = uninterrupted["plateau"]
    assert record.data["clips"] == {"train": 6, "test": 4}
    assert sorted(record.predictions["clip"]) == sorted(
        f"{c}/v_{c}_g{g:02d}_c01.avi" for c in tiny.CLASSES for g in (1, 2)
    )
    assert record.labels.tolist() == [tiny.CLASSES.index(name.split("/")[0]) for name in record.predictions["clip"]]
    assert record.history["epoch"].tolist() == list(range(EPOCHS))
    assert {"train_loss", "learning_rate", "validation_top1"} <= set(record.history.columns)


def test_the_cosine_rate_falls_once_an_epoch(uninterrupted):
    # 0.02 * (1 + cos(pi * epoch / 3)) / 2
    assert uninterrupted["cosine"].history["learning_rate"].tolist() == pytest.approx([0.02, 0.015, 0.005], abs=1e-6)


@pytest.mark.parametrize("name, fields", [("cosine", {}), ("plateau", PLATEAU)])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_goes_on_to_the_same_predictions(
    uninterrupted, data, tmp_path, monkeypatch, name, fields, workers
):
    experiment = tiny.experiment(data, epochs=EPOCHS, run=name, workers=workers, **fields)
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=1)
        with pytest.raises(RuntimeError, match="power cut"):
            run(experiment, tmp_path)
    assert (tmp_path / "work" / "tiny" / name / "last.ckpt").is_file()
    epochs = []
    start = Recogniser.on_train_epoch_start
    monkeypatch.setattr(
        Recogniser, "on_train_epoch_start", lambda self: (epochs.append(self.current_epoch), start(self))[1]
    )
    resumed = run(experiment, tmp_path)
    assert epochs == [1, 2]  # epoch 0 is not trained again
    assert resumed.history.to_dict() == uninterrupted[name].history.to_dict()
    np.testing.assert_array_equal(resumed.scores, uninterrupted[name].scores)


def test_two_workers_give_the_same_predictions_as_none(uninterrupted, data, tmp_path):
    again = run(tiny.experiment(data, epochs=EPOCHS, run="cosine", workers=2), tmp_path)
    np.testing.assert_array_equal(again.scores, uninterrupted["cosine"].scores)


def test_a_fresh_record_is_returned_and_nothing_trained(uninterrupted, monkeypatch, capsys):
    record = uninterrupted["cosine"]
    monkeypatch.setattr(training, "build", lambda *a, **k: pytest.fail("trained again"))
    experiment = dataclasses.replace(record.experiment, workers=2, remark="another remark")
    found = run(experiment, record.folder.parents[2])
    assert "nothing to train" in capsys.readouterr().out
    np.testing.assert_array_equal(found.scores, record.scores)


def test_changed_settings_set_the_old_checkpoints_aside(data, tmp_path):
    folder = tmp_path / "run"
    experiment, known = tiny.experiment(data), {"hash": "0123"}
    assert training._prepare_folder(folder, experiment, {}, known) is None
    (folder / "last.ckpt").write_bytes(b"weights")
    assert training._prepare_folder(folder, experiment, {}, known) == folder / "last.ckpt"
    other = dataclasses.replace(experiment, learning_rate=0.5)
    assert training._prepare_folder(folder, other, {}, known) is None
    assert not (folder / "last.ckpt").exists()
    (aside,) = (path for path in tmp_path.iterdir() if path.name.startswith("run."))
    assert (aside / "last.ckpt").read_bytes() == b"weights"


def test_a_last_batch_of_one_clip_is_refused_before_the_first_step(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training.L, "Trainer", lambda *a, **k: pytest.fail("training began"))
    with pytest.raises(ValueError, match=r"batch of 1 clip\(s\).*the last, partial batch"):
        run(tiny.experiment(data, batch_size=5), tmp_path)  # 6 clips: 5 and 1
    assert not (tmp_path / "results").exists()


def test_a_diverging_run_names_clips_and_keeps_its_checkpoint(data, tmp_path):
    with pytest.raises(ValueError) as caught:
        run(tiny.experiment(data, learning_rate=1e20, clip_gradient=1e30, batch_size=6, epochs=4), tmp_path)
    message = str(caught.value)
    assert "lower the learning rate" in message and "Foo/v_Foo_g" in message
    assert list((tmp_path / "work").rglob("last.ckpt"))
    assert not list(tmp_path.rglob("record.json"))


def test_gradients_are_clipped_before_the_step(data, tmp_path, monkeypatch):
    moves = []
    step = torch.optim.SGD.step

    def stepped(self, closure=None):
        weights = [p for group in self.param_groups for p in group["params"]]
        old = [p.detach().clone() for p in weights]
        out = step(self, closure)
        moved = torch.stack([(p.detach() - q).norm() for p, q in zip(weights, old)]).norm()
        moves.append(float(moved))
        return out

    monkeypatch.setattr(torch.optim.SGD, "step", stepped)
    fields = {"momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1.0, "clip_gradient": 0.01, "batch_size": 6}
    run(tiny.experiment(data, epochs=1, **fields), tmp_path)
    assert moves == pytest.approx([0.01], rel=1e-3)  # rate 1 x the largest norm allowed
