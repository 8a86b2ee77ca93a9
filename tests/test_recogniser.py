"""The arithmetic of a training step: what reaches the network, what a step is the mean of, and 16 bits on a CPU."""

import math

import lightning as L
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F

from repro.data.batches import Batches, Order, mean_over_views
from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.models import build
from repro.models.blocks import BasicBlock
from repro.training import loop as training
from repro.training.loop import train
from repro.training.optimiser import freeze_statistics
from repro.training.processes import environment
from repro.training.recogniser import TIMINGS, Recogniser

FROZEN = {"batch_norm": "none", "dropout": 0.0}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "todays_digest", lambda: {"sampling": [1.0]})
    peak = training.measure_peak
    monkeypatch.setattr(training, "measure_peak", lambda *a, **k: peak("cpu", "32-true", seconds=0.05))


def run(experiment, folder):
    record = train(experiment, results=folder / "results", work=folder / "work")
    return record, torch.load(folder / "work" / "tiny" / experiment.run / "weights.pt", weights_only=True)


# --- accumulation


def flat(state) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in state.values()])


def test_a_step_is_the_mean_over_its_clips_however_they_are_cut(tmp_path):
    """10 clips: steps of 6 and 4 as passes of 2, 2, 2 | 2, 2 or 3, 3 | 3, 1; of 8 and 2 as 4, 4 | 2."""
    data = tiny.write_ucf101(tmp_path / "set", train_groups=range(3, 8))
    weights = {}
    for batch, accumulate in ((6, 1), (2, 3), (3, 2), (8, 1), (4, 2)):
        fields = {"batch_size": batch, "accumulate": accumulate, "run": f"batch{batch}", **FROZEN}
        record, state = run(tiny.experiment(data, **fields), tmp_path)
        assert record.experiment.effective_batch == (8 if batch in (8, 4) else 6)
        weights[batch] = flat(state)
    torch.manual_seed(0)
    start = flat(build("res34_se_im_net", classes=2, width=0.125, dropout=0.0).state_dict())
    for whole, cut in ((6, 2), (6, 3), (8, 4)):
        moved, differing = (weights[whole] - start).norm(), (weights[cut] - weights[whole]).norm()
        assert differing < 1e-5 * moved and differing < 1e-6 * weights[whole].norm()
    assert (weights[8] - weights[6]).norm() > 0.01 * moved  # another effective batch is another run


class Line(nn.Module):
    """Two logits, w times the clip's mean value and 0: a network whose step can be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, clips):
        logit = self.weight * clips.mean((1, 2, 3, 4))
        return torch.stack([logit, torch.zeros_like(logit)], dim=1)


class Loop:
    """As much of Lightning's Trainer as a step asks for."""

    world_size = 1


def test_the_gradient_of_an_accumulated_step_by_hand():
    """Passes of 2 and 1 clips make one step: d/dw of the mean loss over 3 clips, by d loss / dw = (p - y) v."""
    recogniser = Recogniser(Line(), Experiment(batch_size=2, accumulate=2, **{"values": "eco_pytorch"}))
    recogniser._trainer = Loop()
    recogniser.windows = [3, 3]
    levels, labels = [117, 116, 118], [0, 1, 0]
    for part, (first, last) in enumerate(((0, 2), (2, 3))):
        clips = torch.stack([torch.full((1, 3, 8, 8), level, dtype=torch.uint8) for level in levels[first:last]])
        loss = recogniser.training_step((clips, torch.tensor(labels[first:last]), torch.arange(first, last)), part)
        (loss / 2).backward()  # Lightning divides by the accumulation
    by_hand = 0.0
    for level, label in zip(levels, labels):
        value = level - (104 + 117 + 128) / 3
        probability = 1 / (1 + math.exp(-value))  # of class 0
        by_hand += (probability - (label == 0)) * value / 3
    assert recogniser.network.weight.grad.item() == pytest.approx(by_hand, rel=1e-4)


class Constant(nn.Module):
    """Logits 0 and w for every clip: the gradient of a clip's loss is p - label, with p = 1 / (1 + exp(-w))."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))

    def forward(self, clips):
        return torch.stack([self.weight * 0, self.weight]).expand(len(clips), 2)


class Five(torch.utils.data.Dataset):
    def __getitem__(self, index: int):
        return torch.zeros(1, 3, 1, 1, dtype=torch.uint8), (1, 1, 1, 0, 0)[index], index


def test_two_accumulated_steps_by_hand():
    """Lightning's loop over passes of 2, 2 | 1 clips labelled 1, 1, 1, 0 | 0, at a rate of 0.4."""
    fields = {"learning_rate": 0.4, "momentum": 0.0, "weight_decay": 0.0, "epochs": 1}
    fields |= {"schedule": "cosine", "validation_fraction": 0.0, "batch_size": 2, "accumulate": 2}
    recogniser = Recogniser(Constant(), Experiment(**fields))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "plugins": [environment()]}
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", accumulate_grad_batches=2, **quiet)
    with training._quiet():
        trainer.fit(recogniser, torch.utils.data.DataLoader(Five(), batch_sampler=Batches(Order(5), batch_size=2)))
    # p = 0.5: (-0.5 - 0.5 - 0.5 + 0.5) / 4 = -0.25, so w = 0.1; then p = 1 / (1 + exp(-0.1)) = 0.5249792, label 0
    assert recogniser.network.weight.item() == pytest.approx(0.1 - 0.4 * 0.5249792, abs=1e-6)
    (row,) = recogniser.history
    assert row["gradient_norm"] == pytest.approx((0.25 + 0.5249792) / 2, abs=1e-6)
    assert row["gradient_norm_largest"] == pytest.approx(0.5249792, abs=1e-6)
    # four clips at w = 0: ln 2 each; the last at w = 0.1: ln(1 + exp(0.1))
    assert row["train_loss"] == pytest.approx((4 * math.log(2) + math.log1p(math.exp(0.1))) / 5, abs=1e-6)


def test_frozen_statistics_stay_frozen_after_a_validation(tmp_path):
    """Lightning puts the network back into the mode it had: partial batch norm in the second epoch as in the first."""
    data = tiny.write_ucf101(tmp_path / "set")
    fields = {"schedule": "plateau", "validation_fraction": 0.34, "batch_size": 4, "batch_norm": "first"}
    record, _ = run(tiny.experiment(data, **fields), tmp_path)
    folder = tmp_path / "work" / "tiny" / record.experiment.run
    weights = torch.load(folder / "last.ckpt", weights_only=False)["state_dict"]  # weights.pt is the better epoch's
    means = {name: value for name, value in weights.items() if name.endswith("running_mean")}
    assert [name for name, value in means.items() if value.any()] == ["network.trunk.bn1.running_mean"]
    steps = {name: int(value) for name, value in weights.items() if name.endswith("num_batches_tracked")}
    assert steps.pop("network.trunk.bn1.num_batches_tracked") == 2 and not any(steps.values())


# --- clipping, history


@pytest.mark.parametrize("clipping, same_as_unclipped", [("before_step", False), ("after_step", True)])
def test_clipping_after_the_step_clips_nothing(tmp_path, clipping, same_as_unclipped):
    data = tiny.write_ucf101(tmp_path / "set")
    fields = {"batch_size": 6, "epochs": 1, **FROZEN}
    record, clipped = run(tiny.experiment(data, run="a", clip_gradient=0.01, clipping=clipping, **fields), tmp_path)
    _, free = run(tiny.experiment(data, run="b", clip_gradient=1e9, **fields), tmp_path)
    assert torch.equal(clipped["head.fc.weight"], free["head.fc.weight"]) is same_as_unclipped
    assert record.history["gradient_norm"][0] > 0.01  # as it was before clipping


def test_a_history_has_what_a_reader_asks_for(tmp_path):
    classes = tuple("ABCDEF")
    data = tiny.write_ucf101(tmp_path / "set", classes=classes, train_groups=(8, 9), test_groups=(1,))
    watched = {"watch": "test", "schedule": "plateau"}
    record, _ = run(tiny.experiment(data, batch_size=12, epochs=2, **watched, **FROZEN), tmp_path)
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
    dataset = training.make_dataset(record.experiment, split.train, lengths, split.classes, "train")
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


def test_top5_of_five_classes_says_nothing_and_is_left_out(tmp_path):
    record, _ = run(tiny.experiment(tiny.write_ucf101(tmp_path / "set"), epochs=1), tmp_path)
    assert "train_top5" not in record.history


def test_a_gradient_that_is_not_finite_names_clips(tmp_path, monkeypatch):
    data = tiny.write_ucf101(tmp_path / "set")
    clip = nn.utils.clip_grad_norm_
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda *arguments: clip(*arguments) * math.inf)
    with pytest.raises(ValueError, match=r"the gradient's norm is inf in epoch 0: lower the learning rate; clips .*_g"):
        run(tiny.experiment(data), tmp_path)
    with pytest.raises(ValueError, match="or use precision: 32-true; clips"):
        run(tiny.experiment(data, run="16bit", precision="bf16-mixed"), tmp_path)


# --- what reaches the network


class See(nn.Module):
    """Keeps what it is given."""

    def forward(self, clips):
        self.seen = clips
        return clips.new_zeros(len(clips), 2)


@pytest.mark.parametrize("values, seen", [
    ("imagenet", [(10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225]),
    ("eco_pytorch", [200 - 104, 100 - 117, 10 - 128]),
    ("eco_pytorch_resnet", [200 - 0.485, 100 - 0.456, 10 - 0.406]),
])  # fmt: skip
def test_the_values_that_networks_are_fed(values, seen):
    network = See()
    clip = torch.tensor([10, 100, 200], dtype=torch.uint8).view(1, 1, 3, 1, 1)  # red, green, blue
    Recogniser(network, Experiment(values=values))(clip)
    assert network.seen.flatten().tolist() == pytest.approx(seen, rel=1e-5)


class Several(nn.Module):
    """Logits that are the first and the last value of a view."""

    def forward(self, clips):
        flat = clips.flatten(1)
        return flat[:, [0, -1]]


def test_several_views_are_averaged_as_probabilities():
    views = torch.randint(256, (2, 3, 2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    recogniser = Recogniser(Several(), Experiment())
    single = [recogniser(views[:, k]).softmax(1) for k in range(3)]
    torch.testing.assert_close(recogniser(views).softmax(1), torch.stack(single).mean(0))
    torch.testing.assert_close(recogniser(views).exp().sum(1), torch.ones(2))


def test_two_views_by_hand():
    """Probabilities (1/4, 3/4) and (1/2, 1/2): mean (3/8, 5/8). One view's logits stay as they are."""
    recogniser = Recogniser(Several(), Experiment(values="eco_pytorch"))
    logits = torch.tensor([[[0.0, math.log(3)]], [[7.0, 7.0]]])
    assert mean_over_views(logits)[0].tolist() == pytest.approx([math.log(3 / 8), math.log(5 / 8)], rel=1e-6)
    single = torch.full((1, 1, 3, 2, 2), 118, dtype=torch.uint8)
    assert recogniser(single).tolist() == [[118 - 104, 118 - 128]]
    seen = recogniser(single[:, None].repeat(1, 2, 1, 1, 1, 1))[0]
    torch.testing.assert_close(seen, torch.tensor([14.0, -10.0]).log_softmax(0))


def test_views_and_device_crops_reach_a_record(tmp_path):
    data = tiny.write_ucf101(tmp_path / "set")
    plain, weights = run(tiny.experiment(data, run="plain"), tmp_path)
    device, same = run(tiny.experiment(data, run="device", crop_on="device"), tmp_path)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert (plain.scores == device.scores).all()
    many, same = run(tiny.experiment(data, run="many", test_clips=2, test_crops=3), tmp_path)
    assert all(torch.equal(weights[name], same[name]) for name in weights)  # trained alike
    assert many.scores.shape == plain.scores.shape and not (many.scores == plain.scores).all()


# --- 16 bits on a CPU


def test_the_head_stays_in_fp32(monkeypatch):
    """torch 2.15 computes weight gradients of 3x3x3 convolutions wrongly in bf16 where maps are a few cells wide.

    With AVX-512 and bf16, (4, 128, 2, 1, 1) gives values up to 1e36. On a CPU the head's gradients must be fp32's own.
    """
    torch.manual_seed(0)
    network = build("res34_se_im_net", classes=5, width=0.25, dropout=0.0).train()
    maps, labels = torch.randn(4, 128, 8, 4, 4), torch.tensor([0, 1, 2, 3])
    monkeypatch.setattr(network, "stack", lambda clips: maps)
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        network.zero_grad()
        recogniser = Recogniser(network, Experiment(precision=precision))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision != "32-true"):
            loss = F.cross_entropy(recogniser(torch.zeros(4, 8, 3, 112, 112, dtype=torch.uint8)), labels)
        loss.backward()
        found[precision] = {n: p.grad.clone() for n, p in network.head.named_parameters()}
    for name, exact in found["32-true"].items():  # in bf16 they would differ by a hundredth at least
        assert (found["bf16-mixed"][name] - exact).abs().max() < 1e-3 * max(exact.abs().max(), 0.1), name


def gradients(model: str, frames: int, size: int, precision: str) -> dict[str, torch.Tensor]:
    """Of a quarter-width network's parameters, from weights and clips that are the same for every precision.

    The memory that torch is about to take is filled with 1e30 before each of the head's convolutions goes backwards:
    the faulty ones take in what lies there, which is often 0. Statistics are frozen, since those of four clips amplify
    the rounding of 16 bits.
    """
    torch.manual_seed(0)
    network = build(model, classes=3, width=0.25, dropout=0.0).train()
    for module in network.modules():
        if isinstance(module, BasicBlock):
            nn.init.constant_(module.bn2.weight, 0.5)  # at its start of 0 the branches have no gradient
    freeze_statistics(network, "none")

    def spoil(elements: int) -> None:
        for _ in range(2):
            junk = [torch.full((elements * share // 2,), 1e30) for share in (1, 2, 2, 4, 8)]
            del junk

    def before_backward(module, _inputs, output) -> None:
        output.register_hook(lambda _gradient: spoil(module.weight.numel()))

    for module in network.head.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(before_backward)
    pictures = torch.randint(256, (4 * frames, 3, 4, 4)).float()
    clips = F.interpolate(pictures, size=size, mode="bilinear").byte().unflatten(0, (4, frames))
    recogniser = Recogniser(network, Experiment(model=model, precision=precision))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision != "32-true"):
        loss = F.cross_entropy(recogniser(clips), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    return {name: parameter.grad.double() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("model", ["resnet34_3dres18", "res34_se_im_net"])
@pytest.mark.parametrize("frames, size", [(4, 64), (8, 64), (4, 112), (8, 112)])
def test_gradients_in_bf16_are_those_of_fp32(model, frames, size):
    """With the head in bf16 too, torch 2.15 gives NaN or values 1e13 to 1e38 times too large in all of these."""
    exact, rounded = (gradients(model, frames, size, precision) for precision in ("32-true", "bf16-mixed"))
    everything = [torch.cat([each.flatten() for each in found.values()]) for found in (exact, rounded)]
    assert F.cosine_similarity(*everything, dim=0) > 0.95
    for name, gradient in exact.items():
        assert rounded[name].abs().max() < 0.1 + 10 * gradient.abs().max(), name
        if gradient.ndim > 2:  # convolutions; a gate's few hidden units may have next to no gradient
            assert F.cosine_similarity(gradient.flatten(), rounded[name].flatten(), dim=0) > 0.9, name


# Channels in, out, side, kernel, stride of the trunk's convolutions at 64 and 112 pixels, at quarter width
TRUNK = [(3, 16, 64, 7, 2), (16, 16, 16, 3, 1), (16, 32, 16, 3, 2), (16, 32, 16, 1, 2), (32, 64, 8, 3, 2),
         (64, 128, 4, 3, 2),
         (64, 128, 4, 1, 2), (128, 128, 2, 3, 1), (64, 128, 7, 3, 2), (128, 128, 4, 3, 1)]  # fmt: skip


@pytest.mark.parametrize("channels_in, channels_out, side, kernel, stride", TRUNK)
def test_the_trunks_convolutions_are_right_in_bf16(channels_in, channels_out, side, kernel, stride):
    torch.manual_seed(0)
    x = torch.randn(32, channels_in, side, side).to(torch.bfloat16, memory_format=torch.channels_last)
    weight = (torch.randn(channels_out, channels_in, kernel, kernel) / (channels_in**0.5 * kernel)).bfloat16()
    out_side = (side - 1) // stride + 1
    arriving = torch.randn(32, channels_out, out_side, out_side).bfloat16()
    found = []
    for dtype in (torch.bfloat16, torch.float64):
        inputs = [x.detach().to(dtype).requires_grad_(), weight.detach().to(dtype).requires_grad_()]
        F.conv2d(*inputs, stride=stride, padding=kernel // 2).backward(arriving.to(dtype))
        found.append([each.grad.double() for each in inputs])
    for rounded, exact in zip(*found):
        assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()


def test_a_run_in_bf16_learns(tmp_path):
    data = tiny.write_ucf101(tmp_path / "set")
    fields = {"epochs": 6, "batch_size": 6, "frames": 4}
    exact, _ = run(tiny.experiment(data, run="exact", **fields), tmp_path)
    rounded, _ = run(tiny.experiment(data, run="rounded", precision="bf16-mixed", **fields), tmp_path)
    first, last = rounded.history["train_loss"].iloc[[0, -1]]
    assert last < first and abs(first - exact.history["train_loss"][0]) < 0.02
