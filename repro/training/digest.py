"""The sections of the behaviour digest: what the code does with small fixed inputs, as numbers.

``repro.records.freshness`` compares them with those that a record keeps and says which of them a run depends on. Each
section goes through the functions that a run goes through, with values at which every option changes something:
whatever would change a run's scores should change a number here, and nothing else should. ``tests/test_behaviour.py``
edits the code in both ways.
"""

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from repro.data.batches import Batches, Order, window_clips
from repro.data.clips import Clip, Split
from repro.data.decode import DECODERS, count_frames, read_frames
from repro.data.loaders import train_loader
from repro.data.sampling import POLICIES
from repro.data.transforms import VALUES, normalise, swap_sides, train_crop
from repro.experiment.fields import Experiment
from repro.models import MODELS
from repro.models.blocks import GATES, BasicBlock, make_gate
from repro.records.freshness import COARSE
from repro.training.evaluation import evaluate
from repro.training.history import Log, Pace
from repro.training.loop import fit
from repro.training.network_and_clips import make_dataset, make_network, parts_of
from repro.training.optimiser import make_optimiser, make_schedule, parameter_groups
from repro.training.processes import Place
from repro.training.recogniser import Recogniser

CLIP = Path(__file__).with_name("digest.avi")  # 24 frames of 96 x 72 pixels, MPEG-4, made for this file
CLASSES = ("Turn left", "Turn right", "Jump")
HERE = Place(0, 1, torch.device("cpu"))


def digest() -> dict[str, list[float]]:
    """The digest of today's code: section name to numbers. Takes two to three seconds on a CPU."""
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    rng = _rng()
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
        sections = {f"sampling {name}": _sampling(name) for name in POLICIES}
        sections |= {f"frames {name}": _frames(name) for name in DECODERS}
        sections |= {f"values {name}": _values(name) for name in VALUES}
        sections |= {f"groups {name}": _groups(name) for name in ("one", "eco_pytorch")}
        sections |= {f"schedule {name}": _schedule(name) for name in ("plateau", "cosine")}
        sections["crops"] = [float(v) for _ in range(20) for v in train_crop(240, 320, rng)]
        sections |= {"labels swapped": _labels_swapped(), "batches": _batches()}
        sections |= {"items": _items(), "carving": _carving(), "steps": _steps()}
        sections |= {f"gate {name}": _gate(name) for name in GATES}
        for name in MODELS:
            sections |= _network(name)
    torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])  # fit sets it for the process
    digits = {name: 5 if name.partition(" ")[0] in COARSE else 9 for name in sections}
    return {name: [float(f"{value:.{digits[name]}g}") for value in values] for name, values in sections.items()}


def _rng() -> np.random.Generator:
    return np.random.default_rng(20200307)


# ---- clips


def _sampling(policy: str) -> list[float]:
    train_frames, test_frames = POLICIES[policy]
    lengths = [(1, 16), (7, 16), (16, 16), (29, 8), (40, 8), (186, 16)]
    rng = _rng()
    return [float(i) for f, n in lengths for i in (*train_frames(f, n, rng), *test_frames(f, n))]


def _means(frames: np.ndarray) -> list[float]:
    """Mean and spread over each quarter of the pictures ``(..., H, W)``, in 0 to 1: a unit more or less in a pixel, as
    between builds of OpenCV, hardly moves them."""
    height, width = (side // 2 for side in frames.shape[-2:])
    quarters = frames[..., : 2 * height, : 2 * width].reshape(*frames.shape[:-2], 2, height, 2, width) / 255
    return np.concatenate([quarters.mean((-3, -1)).ravel(), quarters.std((-3, -1)).ravel()]).tolist()


def _frames(decoder: str) -> list[float]:
    frames = read_frames(CLIP, [0, 11, 23], decoder=decoder)  # (3, H, W, RGB)
    return [float(count_frames(CLIP)), *_means(np.moveaxis(frames.astype(float), -1, 1))]


def _labels_swapped() -> list[float]:
    """The labels of mirror images, -1 for none; items with them."""
    names = ["Turn left", "Turn right", "from left to right", "from right to left", "upright", "pulling it right out"]
    labels = [-1 if label is None else label for label in swap_sides(names)]
    return [*map(float, labels), *_items(swap_labels=True)]


def _values(name: str) -> list[float]:
    colour = torch.tensor([10, 100, 200], dtype=torch.uint8).view(1, 3, 1, 1)
    return [round(float(v), 5) for v in normalise(colour, name).ravel()]


def _clips(number: int) -> list[Clip]:
    return [Clip(f"clip{k}", CLIP, k % len(CLASSES), f"group{k // 2}") for k in range(number)]


def _small(**fields: Any) -> Experiment:
    """Of 32 pixels, which is quick; the networks of a run take 64 or more."""
    experiment = Experiment.from_mapping(fields)
    object.__setattr__(experiment, "size", 32)
    return experiment


def _dataset(experiment: Experiment, clips: Sequence[Clip]) -> Any:
    return make_dataset(experiment, clips, pd.Series({clip.name: 24 for clip in clips}), CLASSES)


def _items(**fields: Any) -> list[float]:
    """What two epochs of training are given, item by item, in their order; two items of the test view."""
    experiment = _small(frames=3, seed=5, crop_scales=[1.0, 0.75, 0.6], **fields)
    dataset, values = _dataset(experiment, _clips(5)), []
    loader = train_loader(dataset, batch_size=2)
    for epoch in range(2):
        loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        for pixels, labels, indices in loader:
            values += [float(v) for v in (*labels, *indices)] + _summary(pixels)
    return values + [v for k in (0, 3) for v in _summary(dataset[k][0])]


def _summary(pixels: Tensor) -> list[float]:
    """Of ``(..., N, 3, H, W)``: first frame's red, last frame's blue, all frames' green."""
    array = pixels.numpy().astype(float)
    parts = array[..., 0, 0, :, :], array[..., -1, 2, :, :], array[..., 1, :, :].mean(-3)
    return [value for part in parts for value in _means(part)]


def _carving() -> list[float]:
    """Which clips are trained on and which steer: of 24 clips in 12 groups, some of which span classes."""
    split = Split(CLASSES, tuple(_clips(24)), tuple(_clips(2)))
    values = []
    for fields in ({"validation_fraction": 0.25}, {"validation_fraction": 0.0, "watch": "test"}):
        parts = parts_of(split, Experiment.from_mapping({"seed": 3} | fields))
        for part in ("train", "validation", "test"):
            values += [float(len(parts[part])), *(float(clip.name.removeprefix("clip")) for clip in parts[part])]
    return values


def _batches() -> list[float]:
    """What accumulation and the fate of the last batch make of 23 clips."""
    values = []
    for last_batch in ("keep", "drop_partial", "drop"):
        batches = Batches(Order(23, seed=1), batch_size=4, last_batch=last_batch)
        values += [float(len(batches)), *map(float, window_clips(batches.sizes(), 3))]
        values += [float(index) for batch in batches for _, index in batch]
    return values


# ---- steps


class _Small(nn.Module):
    """A network of 200 parameters whose numbers hardly depend on the machine: no random start, double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Linear(8, len(CLASSES))
        _fill(self.double())

    def forward(self, clips: Tensor) -> Tensor:  # (B, N, 3, H, W)
        early, late = (half.double().mean((1, -1)) for half in clips.chunk(2, dim=1))
        features = torch.cat([half.unflatten(-1, (2, -1)).mean(-1).flatten(1) for half in (early, late)], dim=1)
        return self.head(self.norm(self.layer(features)).relu())


def _steps() -> list[float]:
    """Runs of a small network through the loop and the evaluation of every run: weights, history, scores."""
    common = {"frames": 4, "batch_size": 4, "learning_rate": 0.1, "weight_decay": 0.05}
    runs = (
        {"epochs": 2, "schedule": "cosine", "validation_fraction": 0.0, "clip_gradient": 0.5},
        {"epochs": 3, "saturate": 1, "validation_fraction": 0.5, "nesterov": True, "seed": 1, "accumulate": 2},
    )
    values: list[float] = []
    for fields in runs:
        experiment = _small(**common, **fields)
        split = Split(CLASSES, tuple(_clips(18)), tuple(_clips(4)))
        datasets = {part: _dataset(experiment, clips) for part, clips in parts_of(split, experiment).items()}
        recogniser = Recogniser(_Small(), experiment)
        silent = Log(experiment, Path(), dataclasses.replace(HERE, rank=1))
        with tempfile.TemporaryDirectory() as folder:
            history = fit(recogniser, datasets, experiment, Path(folder), HERE, Pace(1, None, 1), silent)
        columns = ("train_loss", "train_top1", "learning_rate", "gradient_norm", "validation_loss", "validation_top1")
        values += [row[name] for row in history for name in columns if name in row]
        weights = [parameter.detach() for parameter in recogniser.parameters()]
        values += [float(value) for weight in weights for value in (weight.sum(), weight.norm())]
        scored = evaluate(recogniser, datasets["test"], CLASSES, experiment, HERE)
        values += scored.predictions.iloc[:, 3:].to_numpy().ravel().tolist()
        values += [v for logits in scored.altered.values() for v in logits.ravel().tolist()]
    return [float(value) for value in values]


def _groups(name: str) -> list[float]:
    """Rates and decays of the parameter groups, how many parameters each has, and two steps."""
    experiment = Experiment.from_mapping({"learning_rate": 0.1, "parameter_groups": name, "nesterov": True})
    groups = parameter_groups(make_network(_experiment("res34_se_im_net"), 3)[0], experiment)
    values = [float(v) for group in groups for v in (group["lr"], group["weight_decay"], len(group["params"]))]
    firsts = [torch.nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in groups]
    optimiser = make_optimiser([group | {"params": [first]} for group, first in zip(groups, firsts)], experiment)
    for _ in range(2):
        for first in firsts:
            first.grad = torch.full_like(first, 0.5)
        optimiser.step()
    return values + [first.item() for first in firsts]


def _schedule(name: str) -> list[float]:
    """The rate of nine epochs in which the accuracy stands still from the third on."""
    experiment = Experiment.from_mapping({"learning_rate": 0.1, "schedule": name, "epochs": 9})
    optimiser = make_optimiser([torch.nn.Parameter(torch.ones(1))], experiment)
    schedule: Any = make_schedule(optimiser, experiment)
    values = []
    for epoch in range(9):
        optimiser.step()
        schedule.step(min(epoch, 2)) if name == "plateau" else schedule.step()
        values.append(optimiser.param_groups[0]["lr"])
    return values


# ---- networks


def _fill(module: nn.Module) -> None:
    """Every parameter becomes a fixed function of its position."""
    with torch.no_grad():
        for parameter in module.parameters():
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            values = torch.sin(steps * 1.7 + 0.3) * (2 / fan_in) ** 0.5 + (parameter.ndim == 1)
            parameter.copy_(values.view_as(parameter))


def _experiment(model: str) -> Experiment:
    """The narrowest network in which a gate's ratio of 8 gives more hidden units than the fewest that it may have."""
    return Experiment(model=model, width=0.125, reduction=8, gate_bias=-0.5, dropout=0.3, head_stride=[1, 2, 1])


def _gate(mode: str) -> list[float]:
    """A residual unit with this gate: its parameters, its output and its gradient."""
    torch.manual_seed(1)
    unit = BasicBlock(128, 128, gate=make_gate(mode, 128, reduction=16, bias=-0.5)).double()
    start = [float(v) for p in unit.parameters() for v in (p.numel(), p.detach().abs().mean().round(decimals=3))]
    _fill(unit)
    x = torch.cos(torch.arange(2 * 128 * 4, dtype=torch.float64) * 0.37).view(2, 128, 2, 2)
    out = unit(x)
    out.square().mean().backward()
    norms = [float(p.grad.norm()) for p in unit.parameters() if p.grad is not None]
    return [*start, *map(float, (out.detach().mean(), out.detach().norm())), *out[:, 5, 0, 0].tolist(), *norms]


def _start(part: nn.Module) -> list[float]:
    """Number of parameters, sum of their tensors' norms and the same weighted by place; nothing for a part without."""
    sizes = [p.numel() for p in part.parameters()]
    norms = [float(p.detach().double().norm()) for p in part.parameters()]
    return [float(sum(sizes)), sum(norms), sum(k * norm for k, norm in enumerate(norms))] if sizes else []


def _network(name: str) -> dict[str, list[float]]:
    """How a network starts, and its logits and gradient norms with every parameter a fixed function of its position."""
    torch.manual_seed(7)
    network: Any = make_network(_experiment(name), len(CLASSES))[0]
    start = [v for part in (*network.trunk.children(), *network.head.children()) for v in _start(part)]
    dropped = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    network.double().train()
    _fill(network)
    steps = torch.arange(2 * 4 * 3 * 64 * 64, dtype=torch.float64)
    clips = torch.cos(steps * 0.37).view(2, 4, 3, 64, 64)
    maps = network.stack(clips)
    drops = not torch.equal(network.head(maps), network.head(maps))  # dropout is all that differs from pass to pass
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    logits = network.head(maps)
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    norms = [network.trunk.conv1.weight.grad.norm(), network.head.fc.weight.grad.norm()]
    values = [float(drops), *dropped, *logits.flatten().tolist(), *map(float, norms)]
    return {f"start {name}": start, f"network {name}": values}
