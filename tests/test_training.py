"""Training end to end on made clips: the same result whatever the workers and interruptions, and clear refusals."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

import repro.training.loop as training
from repro.data.clips import read_split
from repro.data.decode import read_frames
from repro.data.prepare.frame_cache import cache_frames
from repro.training.loop import Recogniser, train
from repro.training.recogniser import TIMINGS

PLATEAU = {"schedule": "plateau", "validation_fraction": 0.34, "saturate": 1, "batch_size": 2}
EPOCHS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_ucf101(tmp_path_factory.mktemp("set") / "set")


def what_was_learnt(record):
    """The history without the columns that say how fast it went."""
    return record.history.drop(columns=list(TIMINGS))


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
    """Four seconds saved a run: the digest and the peak have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "todays_digest", lambda: {"sampling": [1.0]})
        patch.setattr(training, "SECONDS_FOR_PEAK", 0.05)
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


@pytest.mark.parametrize(
    "name, fields, workers",
    [("cosine", {}, 0), ("plateau", PLATEAU, 0), pytest.param("plateau", PLATEAU, 2, marks=pytest.mark.slow)],
)
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
    assert what_was_learnt(resumed).equals(what_was_learnt(uninterrupted[name]))
    np.testing.assert_array_equal(resumed.scores, uninterrupted[name].scores)


@pytest.mark.slow
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


def test_a_record_of_another_experiment_is_not_replaced_in_silence(uninterrupted, data, monkeypatch, tmp_path, capsys):
    record = uninterrupted["cosine"]
    results = record.folder.parents[1]

    class Begun(Exception):
        """The run has got as far as it should."""

    def begin(*_arguments, **_options):
        raise Begun

    def said(experiment) -> str:
        with pytest.raises(Begun):
            train(experiment, results=results, work=tmp_path / "work")
        return capsys.readouterr().out

    monkeypatch.setattr(training, "build", begin)
    other = dataclasses.replace(record.experiment, epochs=9, learning_rate=0.5, frames=3, remark="another")
    message = f"{record.folder}: holds the record of another experiment, which differs in frames and epochs; it will be"
    assert message in said(other) and (record.folder / "record.json").is_file()
    elsewhere = tiny.write_ucf101(tmp_path / "set", train_groups=(8, 9))
    assert "differs in videos and annotations; it will be replaced when this run ends (set run: to keep both)" in said(
        dataclasses.replace(record.experiment, **elsewhere)
    )
    assert said(dataclasses.replace(other, run="another")) == ""
    monkeypatch.setattr(training, "todays_digest", lambda: {"sampling": [2.0]})  # stale: made again, as it should be
    assert said(record.experiment) == ""


def test_a_last_batch_of_one_clip_is_refused_before_the_first_step(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training.L, "Trainer", lambda *a, **k: pytest.fail("training began"))
    with pytest.raises(ValueError, match=r"batch of 1 clip\(s\).*the last, partial batch"):
        run(tiny.experiment(data, batch_size=5), tmp_path)  # 6 clips: 5 and 1
    assert not (tmp_path / "results").exists()


# --- each layout, from the tree to a record ---

HMDB51 = {
    name: {f"film{k}_{name}_f_cm_np1_le_med_{k}.avi": 1 + k // 4 for k in range(6)} for name in ("golf", "shoot_bow")
}
LAYOUTS = {
    "ucf101": (tiny.write_ucf101, {}, {"sampling": "eco_pytorch"}),
    "hmdb51": (tiny.write_hmdb51, {"files": HMDB51, "videos": True}, {}),
    "something_v1": (tiny.write_something_v1, {}, {"swap_labels": True}),
    "kinetics400": (tiny.write_kinetics400, {}, {}),
    "folder": (tiny.write_folder, {}, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tree_in_each_layout_trains(tmp_path, layout):
    write, options, fields = LAYOUTS[layout]
    record = run(tiny.experiment(write(tmp_path / "set", **options), epochs=1, **fields), tmp_path)
    split = read_split(record.experiment)
    assert record.data["clips"] == {"train": len(split.train), "test": len(split.test)}
    assert list(record.predictions["clip"]) == [clip.name for clip in split.test]
    assert record.labels.tolist() == [clip.label for clip in split.test]
    assert np.isfinite(record.scores).all() and "left_out" not in record.data


@pytest.mark.parametrize("layout", ["ucf101", "something_v1", "kinetics400", "folder"])
def test_the_frame_cache_gives_the_same_clips(tmp_path, layout):
    write, options, fields = LAYOUTS[layout]
    experiment = tiny.experiment(write(tmp_path / "set", **options), **fields)
    split, lengths, _ = training.select_clips(experiment)
    clips = {clip.name: clip for clip in (*split.train, *split.test)}
    cache_frames({name: clip.path for name, clip in clips.items()}, tmp_path / "set" / "frames", workers=1)
    cached, counted, _ = training.select_clips(dataclasses.replace(experiment, videos=str(tmp_path / "set" / "frames")))
    assert [clip.name for clip in cached.train] == [clip.name for clip in split.train]
    assert {clip.path.suffix for clip in (*cached.train, *cached.test)} == {".zip"}
    assert counted.to_dict() == lengths.to_dict()
    pixels = [read_frames(one.test[0].path, [0, 3]).astype(int) for one in (split, cached)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 3  # JPEG once more


# --- unusable clips ---


@pytest.fixture
def damaged(tmp_path):
    """Three clips a class and part; one training clip is cut to nothing, one test clip is gone."""
    data = tiny.write_ucf101(tmp_path / "set", test_groups=(1, 2, 3))
    folder = Path(data["videos"]) / "Foo"
    (folder / "v_Foo_g08_c01.avi").write_bytes(b"")
    (folder / "v_Foo_g01_c01.avi").unlink()
    return data


def test_unusable_clips_are_an_error_by_default(damaged, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"1 of 12 listed clips .* first Foo/v_Foo_g01_c01.avi"):
        run(tiny.experiment(damaged), tmp_path)
    tiny.write_video(Path(damaged["videos"]) / "Foo" / "v_Foo_g01_c01.avi")
    with pytest.raises(OSError, match=r"1 of 12 clips do not decode; first: .*v_Foo_g08_c01.avi"):
        run(tiny.experiment(damaged), tmp_path)
    assert not (tmp_path / "results").exists()


def test_left_out_clips_are_in_the_record_with_their_reasons(damaged, tmp_path, capsys):
    record = run(tiny.experiment(damaged, epochs=1, unusable="leave_out", batch_size=5), tmp_path)
    assert record.data["clips"] == {"train": 5, "test": 5} and record.data["listed"] == {"train": 6, "test": 6}
    ((train, why_not),) = record.data["left_out"]["train"]
    ((test, why_gone),) = record.data["left_out"]["test"]
    assert (train, test) == ("Foo/v_Foo_g08_c01.avi", "Foo/v_Foo_g01_c01.avi")
    assert "0 bytes" in why_not and "No such file" in why_gone
    assert test not in set(record.predictions["clip"]) and len(record.predictions) == 5
    assert "left out: 1 of 6 training and 1 of 6 test clips, first Foo/v_Foo_g08" in capsys.readouterr().out
    # the record is fresh while nothing changes, and not when a clip is mended
    select = training.select_clips(record.experiment).data
    assert select == record.data
    tiny.write_video(Path(damaged["videos"]) / "Foo" / "v_Foo_g01_c01.avi")
    assert training.select_clips(record.experiment).data["hash"] != record.data["hash"]


def test_nothing_left_out_leaves_no_trace(data, uninterrupted):
    chosen = training.select_clips(tiny.experiment(data, unusable="leave_out"))
    assert chosen.data == uninterrupted["cosine"].data


def test_a_class_of_which_nothing_is_left_is_an_error(damaged):
    for path in (Path(damaged["videos"]) / "Bar").glob("v_Bar_g0[123]*"):
        path.write_text("not a video")
    with pytest.raises(ValueError, match=r"class Bar: none of its test clips can be used, first Bar/v_Bar_g01_c01.avi"):
        training.select_clips(tiny.experiment(damaged, unusable="leave_out"))
    with pytest.raises(FileNotFoundError, match="videos: there is no folder"):
        training.select_clips(tiny.experiment(damaged, unusable="leave_out", videos="nowhere"))


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


@pytest.mark.parametrize("width, channels_last", [(0.1, False), (0.125, True)])
def test_channels_last_only_where_torch_is_sound(data, tmp_path, monkeypatch, width, channels_last):
    """With fewer than 8 channels torch 2.15 on a CPU corrupts memory in the backward of that layout."""
    layouts = []

    def fit(_trainer, module, *_loaders, **_options):
        layouts.append(module.network.trunk.layer4[0].conv1.weight.is_contiguous(memory_format=torch.channels_last))
        raise RuntimeError("enough seen")

    monkeypatch.setattr(training.L.Trainer, "fit", fit)
    with pytest.raises(RuntimeError, match="enough seen"):
        run(tiny.experiment(data, width=width), tmp_path)
    assert layouts == [channels_last]
