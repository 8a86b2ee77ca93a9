"""Training end to end on made clips: a step's arithmetic, the same result whatever interrupts it, clear refusals."""

import dataclasses
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F

import repro.training.loop as training
from repro.data.batches import Batches, Order
from repro.data.clips import read_split
from repro.data.decode import read_frames
from repro.data.prepare.frame_cache import cache_frames
from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.models import build
from repro.training import network_and_clips
from repro.training.history import TIMINGS, Pace
from repro.training.loop import train, train_epoch
from repro.training.optimiser import make_optimiser
from repro.training.processes import Place
from repro.training.recogniser import Recogniser

PLATEAU = {"schedule": "plateau", "validation_fraction": 0.34, "saturate": 1, "batch_size": 2}
EPOCHS = 3
FROZEN = {"batch_norm": "none", "dropout": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_ucf101(tmp_path_factory.mktemp("set") / "set")


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        tiny.quick(patch)
        yield


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(experiment, folder: Path):
    return train(experiment, results=folder / "results", work=folder / "work")


def weights_of(experiment, folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "work" / "tiny" / experiment.run / "weights.pt", weights_only=True)


def what_was_learnt(record):
    """The history without the columns that say how fast it went."""
    return record.history.drop(columns=list(TIMINGS))


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory, _quick):
    """Records of uninterrupted runs with no loader worker, by schedule."""
    here = os.getcwd()
    folder = tmp_path_factory.mktemp("whole")
    os.chdir(folder)  # the manifest's cache is filed under the working directory
    yield {
        name: run(tiny.experiment(data, epochs=EPOCHS, run=name, **fields), folder)
        for name, fields in (("cosine", {}), ("plateau", PLATEAU))
    }
    os.chdir(here)


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


@pytest.mark.parametrize("name, fields, workers", [("cosine", {}, 0), ("plateau", PLATEAU, 0), ("plateau", PLATEAU, 1)])
def test_an_interrupted_run_goes_on_to_the_same_predictions(
    uninterrupted, data, tmp_path, monkeypatch, capsys, name, fields, workers
):
    """And loader workers change nothing."""
    experiment = tiny.experiment(data, epochs=EPOCHS, run=name, **fields)
    with monkeypatch.context() as patch:
        tiny.fails_in(patch, "train_epoch", 1, tiny.raiser(RuntimeError("power cut")))
        with pytest.raises(RuntimeError, match="power cut"):
            run(experiment, tmp_path)
    tiny.fails_in(monkeypatch, "train_epoch", 0, lambda: pytest.fail("epoch 0 is trained again"))
    resumed = run(dataclasses.replace(experiment, workers=workers), tmp_path)
    assert re.search(rf": going on after 1 of {EPOCHS} epochs; the rest takes about \d", capsys.readouterr().out)
    assert what_was_learnt(resumed).equals(what_was_learnt(uninterrupted[name]))
    np.testing.assert_array_equal(resumed.scores, uninterrupted[name].scores)


def test_a_fresh_record_is_returned_and_nothing_trained(uninterrupted, monkeypatch, capsys):
    record = uninterrupted["cosine"]
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained again"))
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

    monkeypatch.setattr(training, "parts_of", begin)
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
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("training began"))
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
    assert why_not.startswith("empty;") and "No such file" in why_gone
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
def test_channels_last_only_where_torch_is_sound(data, width, channels_last):
    """With fewer than 8 channels torch 2.15 on a CPU corrupts memory in the backward of that layout."""
    network, _ = network_and_clips.make_network(tiny.experiment(data, width=width), classes=2)
    weight = network.trunk.layer4[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) is channels_last


# --- the arithmetic of a step ---


def flat(state) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in state.values()])


def test_a_step_is_the_mean_over_its_clips_however_they_are_cut(tmp_path):
    """10 clips: steps of 6 and 4 as passes of 2, 2, 2 | 2, 2 or 3, 3 | 3, 1; of 8 and 2 as 4, 4 | 2."""
    data = tiny.write_ucf101(tmp_path / "set", train_groups=range(3, 8))
    weights = {}
    for batch, accumulate in ((6, 1), (2, 3), (3, 2), (8, 1), (4, 2)):
        fields = {"batch_size": batch, "accumulate": accumulate, "run": f"batch{batch}", **FROZEN}
        record = run(tiny.experiment(data, **fields), tmp_path)
        assert record.experiment.effective_batch == (8 if batch in (8, 4) else 6)
        weights[batch] = flat(weights_of(record.experiment, tmp_path))
    torch.manual_seed(0)
    start = flat(build("res34_se_im_net", classes=2, width=0.125, dropout=0.0).state_dict())
    for whole, cut in ((6, 2), (6, 3), (8, 4)):
        moved, differing = (weights[whole] - start).norm(), (weights[cut] - weights[whole]).norm()
        assert differing < 1e-5 * moved and differing < 1e-6 * weights[whole].norm()
    assert (weights[8] - weights[6]).norm() > 0.01 * moved  # another effective batch is another run


class Constant(nn.Module):
    """Logits 0 and w for every clip: the gradient of a clip's loss is p - label, with p = 1 / (1 + exp(-w))."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))

    def forward(self, clips):
        return torch.stack([self.weight * 0, self.weight]).expand(len(clips), 2)


class Five(torch.utils.data.Dataset):
    def __getitem__(self, index: tuple[int, int]):
        _epoch, clip = index
        return torch.zeros(1, 3, 1, 1, dtype=torch.uint8), (1, 1, 1, 0, 0)[clip], clip


class Unshuffled(Order):
    def __iter__(self):
        return ((self.epoch, index) for index in range(self.size))


class Silent:
    def step(self, *_):
        """A log that keeps nothing."""


def test_two_accumulated_steps_by_hand():
    """Passes of 2, 2 | 1 clips labelled 1, 1, 1, 0 | 0, at a rate of 0.4."""
    fields = {"learning_rate": 0.4, "momentum": 0.0, "weight_decay": 0.0, "epochs": 1}
    fields |= {"schedule": "cosine", "validation_fraction": 0.0, "batch_size": 2, "accumulate": 2}
    experiment, place = Experiment(**fields), Place(0, 1, torch.device("cpu"))
    recogniser = Recogniser(Constant(), experiment)
    loader = torch.utils.data.DataLoader(Five(), batch_sampler=Batches(Unshuffled(5), batch_size=2))
    optimiser = make_optimiser(recogniser.parameters(), experiment)
    scaler, pace = torch.amp.GradScaler("cpu", enabled=False), Pace(7, None, 1)
    row = train_epoch(recogniser, loader, optimiser, scaler, experiment, place, pace, Silent(), epoch=0)
    # p = 0.5: (-0.5 - 0.5 - 0.5 + 0.5) / 4 = -0.25, so w = 0.1; then p = 1 / (1 + exp(-0.1)) = 0.5249792, label 0
    assert recogniser.network.weight.item() == pytest.approx(0.1 - 0.4 * 0.5249792, abs=1e-6)
    assert row["gradient_norm"] == pytest.approx((0.25 + 0.5249792) / 2, abs=1e-6)
    assert row["gradient_norm_largest"] == pytest.approx(0.5249792, abs=1e-6)
    # four clips at w = 0: ln 2 each; the last at w = 0.1: ln(1 + exp(0.1))
    assert row["train_loss"] == pytest.approx((4 * math.log(2) + math.log1p(math.exp(0.1))) / 5, abs=1e-6)
    assert row["flops"] == pytest.approx(6 * 7 * row["clips_per_second"])


def test_frozen_statistics_stay_frozen_after_a_validation(tmp_path, data):
    """Partial batch norm in the second epoch as in the first."""
    fields = {"schedule": "plateau", "validation_fraction": 0.34, "batch_size": 4, "batch_norm": "first"}
    record = run(tiny.experiment(data, **fields), tmp_path)
    folder = tmp_path / "work" / "tiny" / record.experiment.run
    weights = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]  # weights.pt is the better epoch's
    means = {name: value for name, value in weights.items() if name.endswith("running_mean")}
    assert [name for name, value in means.items() if value.any()] == ["network.trunk.bn1.running_mean"]
    steps = {name: int(value) for name, value in weights.items() if name.endswith("num_batches_tracked")}
    assert steps.pop("network.trunk.bn1.num_batches_tracked") == 2 and not any(steps.values())


@pytest.mark.parametrize("clipping, same_as_unclipped", [("before_step", False), ("after_step", True)])
def test_clipping_after_the_step_clips_nothing(tmp_path, data, clipping, same_as_unclipped):
    fields = {"batch_size": 6, "epochs": 1, **FROZEN}
    record = run(tiny.experiment(data, run="a", clip_gradient=0.01, clipping=clipping, **fields), tmp_path)
    free = run(tiny.experiment(data, run="b", clip_gradient=1e9, **fields), tmp_path)
    first, second = (weights_of(each.experiment, tmp_path)["head.fc.weight"] for each in (record, free))
    assert torch.equal(first, second) is same_as_unclipped
    assert record.history["gradient_norm"][0] > 0.01  # as it was before clipping


def test_a_history_has_what_a_reader_asks_for(tmp_path):
    classes = tuple("ABCDEF")
    data = tiny.write_ucf101(tmp_path / "set", classes=classes, train_groups=(8, 9), test_groups=(1,))
    steered = {"watch": "test", "schedule": "plateau"}
    record = run(tiny.experiment(data, batch_size=12, epochs=2, **steered, **FROZEN), tmp_path)
    columns = {"epoch", "train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5"}
    columns |= {"learning_rate", "gradient_norm", "gradient_norm_largest", *TIMINGS}
    assert set(record.history.columns) == columns
    first = record.history.iloc[0]
    assert first["gradient_norm"] == first["gradient_norm_largest"]  # one step
    # by hand: the untrained network on the first epoch's clips
    torch.manual_seed(0)
    network = build("res34_se_im_net", classes=6, width=0.125, dropout=0.0).train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    split, lengths, _ = training.select_clips(record.experiment)
    dataset = training.make_dataset(record.experiment, split.train, lengths, split.classes)
    items = [dataset[0, index] for index in range(12)]
    logits = network(normalise(torch.stack([clip for clip, _, _ in items])))
    labels = torch.tensor([label for _, label, _ in items])
    F.cross_entropy(logits, labels).backward()
    norm = torch.stack([p.grad.norm() for p in network.parameters()]).norm().item()
    assert first["gradient_norm"] == pytest.approx(norm, rel=1e-4)
    best = logits.topk(5).indices == labels[:, None]
    assert (first["train_top1"], first["train_top5"]) == pytest.approx(
        (best[:, 0].float().mean().item(), best.any(1).float().mean().item()), abs=1e-5
    )
    assert first["clips_per_second"] == pytest.approx(12 / first["seconds"], rel=1e-3)
    assert 0 <= first["waiting_share"] <= 1 and first["peak_share"] > 0


def test_a_run_in_bf16_learns(tmp_path, data):
    fields = {"epochs": 6, "batch_size": 6, "frames": 4}
    exact = run(tiny.experiment(data, run="exact", **fields), tmp_path)
    rounded = run(tiny.experiment(data, run="rounded", precision="bf16-mixed", **fields), tmp_path)
    first, last = rounded.history["train_loss"].iloc[[0, -1]]
    assert last < first and abs(first - exact.history["train_loss"][0]) < 0.02
