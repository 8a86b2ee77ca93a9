"""The sections of the behaviour digest: what the code does, on small fixed inputs, as numbers.

``repro.records.freshness`` compares them with those that a record keeps. Networks run in double precision so that
machines agree to many digits.
"""

from typing import Any

import numpy as np
import torch

from repro.data.batches import Batches, Order, window_clips
from repro.data.sampling import POLICIES
from repro.data.transforms import VALUES, augment, normalise, swap_sides, test_view, train_crop, train_view
from repro.experiment.fields import Experiment
from repro.models import MODELS, build, options_of
from repro.training.optimiser import make_optimiser, make_schedule, parameter_groups

DIGITS = 9


def digest() -> dict[str, list[float]]:
    """The digest of today's code: section name to numbers. Takes about two seconds on a CPU."""
    sections = {"sampling": _sampling("paper_text"), "transforms": _transforms(), "optimisation": _optimisation()}
    sections |= {f"sampling {name}": _sampling(name) for name in POLICIES if name != "paper_text"}
    sections["labels swapped"] = _labels_swapped()
    sections |= {f"values {name}": _values(name) for name in VALUES if name != "imagenet"}
    sections |= {"groups eco_pytorch": _groups(), "batches": _batches()}
    sections |= {f"network {name}": _network(name) for name in MODELS}
    return {name: [float(f"{value:.{DIGITS}g}") for value in values] for name, values in sections.items()}


def _rng() -> np.random.Generator:
    return np.random.default_rng(20200307)


def _sampling(policy: str) -> list[float]:
    train_frames, test_frames = POLICIES[policy]
    lengths = [(1, 16), (7, 16), (16, 16), (29, 8), (40, 8), (186, 16)]
    rng = _rng()
    return [float(i) for f, n in lengths for i in (*train_frames(f, n, rng), *test_frames(f, n))]


def _transforms() -> list[float]:
    rng = _rng()
    values = [float(v) for _ in range(20) for v in train_crop(240, 320, rng)]
    ramp = np.add.outer(np.arange(48) * 2, np.arange(64)).astype(np.uint8)
    frames = np.stack([ramp, 255 - ramp, np.roll(ramp, 9, 1)], axis=-1)[None].repeat(2, axis=0)
    for _ in range(4):
        # Coarse: bilinear resizing of uint8 differs by a unit between OpenCV builds
        values += [round(float(v), 0) for v in train_view(frames, 32, rng).mean((1, 2)).ravel()]
    values += [round(float(v), 0) for v in test_view(frames, 32).mean((1, 2)).ravel()]
    grey = torch.full((1, 3, 1, 1), 128, dtype=torch.uint8)
    return values + [round(float(v), 5) for v in normalise(grey).ravel()]


def _labels_swapped() -> list[float]:
    """The labels of mirror images, -1 for none, and which views are mirror images."""
    names = ["Turn left", "Turn right", "from left to right", "from right to left", "upright", "pulling it right out"]
    rng, frames = _rng(), np.zeros((1, 8, 8, 3), np.uint8)
    labels = [-1 if label is None else label for label in swap_sides(names)]
    return [float(value) for value in (*labels, *(augment(frames, 4, rng)[1] for _ in range(12)))]


def _values(name: str) -> list[float]:
    colour = torch.tensor([10, 100, 200], dtype=torch.uint8).view(1, 3, 1, 1)
    return [round(float(v), 5) for v in normalise(colour, name).ravel()]


def _groups() -> list[float]:
    """Rates and decays of the published code's parameter groups, how many parameters each has, and two steps."""
    network = build("res34_se_im_net", classes=3, width=0.125)
    experiment = Experiment(learning_rate=0.1, parameter_groups="eco_pytorch", nesterov=True)
    groups = parameter_groups(network, experiment)
    values = [float(v) for group in groups for v in (group["lr"], group["weight_decay"], len(group["params"]))]
    firsts = [torch.nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in groups]
    optimiser = make_optimiser([group | {"params": [first]} for group, first in zip(groups, firsts)], experiment)
    for _ in range(2):
        for first in firsts:
            first.grad = torch.full_like(first, 0.5)
        optimiser.step()
    return values + [first.item() for first in firsts]


def _batches() -> list[float]:
    """What accumulation and the fate of the last batch make of 23 clips."""
    values = []
    for last_batch in ("keep", "drop_partial", "drop"):
        batches = Batches(Order(23, seed=1), batch_size=4, last_batch=last_batch)
        values += [float(len(batches)), *map(float, window_clips(batches.sizes(), 3))]
        values += [float(index) for batch in batches for _, index in batch]
    return values


def _optimisation() -> list[float]:
    values = []
    for options in ({"schedule": "plateau"}, {"schedule": "cosine", "validation_fraction": 0.0, "epochs": 9}):
        experiment = Experiment(learning_rate=0.1, **options)
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        optimiser = make_optimiser([weight], experiment)
        schedule = make_schedule(optimiser, experiment)
        for epoch in range(9):
            optimiser.zero_grad()
            (weight**2).sum().backward()
            optimiser.step()
            schedule.step(min(epoch, 2)) if experiment.schedule == "plateau" else schedule.step()
            values += [optimiser.param_groups[0]["lr"], *weight.tolist()]
    return values


def _network(name: str) -> list[float]:
    """Logits and gradient norms of a narrow network whose every parameter is a fixed function of its position."""
    options: dict[str, Any] = {"classes": 3, "width": 0.125, "dropout": 0.0}
    if "gate_bias" in options_of(name):
        options["gate_bias"] = -0.5
    network: Any = build(name, **options).double().train()
    with torch.no_grad():
        for parameter in network.parameters():
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.copy_(
                (torch.sin(steps * 1.7 + 0.3) * (2 / fan_in) ** 0.5 + (parameter.ndim == 1)).view_as(parameter)
            )
    steps = torch.arange(2 * 4 * 3 * 64 * 64, dtype=torch.float64)
    logits = network(torch.cos(steps * 0.37).view(2, 4, 3, 64, 64))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    norms = [network.trunk.conv1.weight.grad.norm(), network.head.fc.weight.grad.norm()]
    return [*logits.flatten().tolist(), *(float(norm) for norm in norms)]
