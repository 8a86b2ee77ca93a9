"""How fast training is, measured: ways to run the same step side by side, batch sizes, and training from real clips.

Notebook 13 files the results as ``results/<study>/training.json`` and ``precision.json`` (with the scores of each clip
beside it), so that the report needs neither the clips nor the machine.
"""

import copy
import dataclasses
import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.metrics.peak import Peak, measure_peak, training_flops
from repro.metrics.speed import measure_speed
from repro.metrics.timings import paired_ratio, summary
from repro.models import build, options_of
from repro.models.blocks import Conv3d
from repro.training.loop import train
from repro.training.optimiser import make_optimiser, parameter_groups
from repro.training.plan import size_of
from repro.training.recogniser import Recogniser

PLAIN = "plain eager fp32 loop"


@dataclass(frozen=True)
class Way:
    """A way to run a training step of the same network."""

    precision: str = "32-true"
    channels_last: bool = True  # memory layout of the trunk
    own_conv: bool = True  # repro.models.blocks.Conv3d, which leaves out what only meets padding
    compile: bool = False


WAYS = {
    PLAIN: Way(channels_last=False, own_conv=False),
    "fp32, as repro trains": Way(),
    "bf16-mixed, as repro trains": Way("bf16-mixed"),
    "fp32, torch.compile": Way(compile=True),
    "bf16-mixed, torch.compile": Way("bf16-mixed", compile=True),
}


def training_step(experiment: Experiment, way: Way, network: nn.Module, batch: int, device: torch.device) -> Callable:
    """A function that trains ``network`` on the same random uint8 clips once: forward, backward, clipping, step."""
    network = copy.deepcopy(network)
    if not way.own_conv:
        for module in network.modules():
            if type(module) is Conv3d:
                module.__class__ = nn.Conv3d
    network.to(device).train()
    if way.channels_last:
        network.trunk.to(memory_format=torch.channels_last)
    if way.compile:
        network.trunk.compile()
        network.head.compile()
    experiment = dataclasses.replace(experiment, precision=way.precision)
    optimiser = make_optimiser(parameter_groups(network, experiment), experiment)
    forward = Recogniser(network, experiment) if way.own_conv else lambda clips: network(normalise(clips))
    generator = torch.Generator().manual_seed(0)
    shape = (batch, experiment.frames, 3, experiment.size, experiment.size)
    clips = torch.randint(256, shape, dtype=torch.uint8, generator=generator).to(device)
    labels = torch.arange(batch, device=device) % 2
    cast = {"bf16-mixed": torch.bfloat16}.get(way.precision)

    def step() -> float:
        optimiser.zero_grad()
        with torch.autocast(device.type, dtype=cast, enabled=cast is not None):
            loss = F.cross_entropy(forward(clips).float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), experiment.clip_gradient)
        optimiser.step()
        return float(loss.detach())

    return step


def compare_ways(
    experiment: Experiment,
    ways: dict[str, Way],
    *,
    batch: int,
    repeats: int,
    device: torch.device,
    seconds: float = 2.0,
) -> dict[str, Any]:
    """Clips/s of each way in interleaved rounds, its ratio to the plain loop, and its share of the measured peak.

    Raises ValueError where a way's loss is not finite.
    """
    torch.manual_seed(0)
    network = build(experiment.model, classes=51, **experiment.model_options(options_of(experiment.model)))
    steps = {name: training_step(experiment, way, network, batch, device) for name, way in ways.items()}
    for name, step in steps.items():
        if not math.isfinite(step()):
            raise ValueError(f"{name}: the loss of the first step is not finite; its speed means nothing")
    peaks = {p: measure_peak(device, p, seconds=seconds) for p in dict.fromkeys(way.precision for way in ways.values())}
    timings = measure_speed(steps, device=device, repeats=repeats, warmup=1, clips_per_call=batch)
    rates = summary(timings)
    macs = size_of(network, experiment).multiply_adds
    rows = {}
    for name, way in ways.items():
        rate = {key: float(rates.loc[name, key]) for key in ("median", "q25", "q75")}
        rows[name] = asdict(way) | {"clips_per_second": rate} | _share(macs, rate["median"], peaks[way.precision])
        if name != PLAIN and PLAIN in ways:
            ratio = paired_ratio(timings, name, PLAIN)
            rows[name]["ratio"] = {"median": ratio.point, "low": ratio.low, "high": ratio.high}
    return {
        "batch": batch, "repeats": repeats, "threads": torch.get_num_threads(), "multiply_adds": macs,
        "peaks": {p: {"flops": peak.flops, "case": peak.case, "by_case": peak.by_case} for p, peak in peaks.items()},
        "ways": rows,
    }  # fmt: skip


def _share(multiply_adds: int, clips_per_second: float, peak: Peak) -> dict[str, float]:
    flops = training_flops(multiply_adds) * clips_per_second
    return {"flops": flops, "peak_share": flops / peak.flops}


def compare_batches(
    experiment: Experiment, batches: Sequence[int], *, repeats: int, device: torch.device, seconds: float = 2.0
) -> list[dict[str, Any]]:
    """Clips/s, memory and share of the measured peak for each batch size; one that does not fit says so."""
    torch.manual_seed(0)
    network = build(experiment.model, classes=51, **experiment.model_options(options_of(experiment.model)))
    size = size_of(network, experiment)
    peak = measure_peak(device, experiment.precision, seconds=seconds)
    rows = []
    for batch in batches:
        row: dict[str, Any] = {"batch": batch, "memory_expected": size.memory.total(batch), "memory_used": None}
        rows.append(row)
        try:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            step = training_step(experiment, Way(experiment.precision), network, batch, device)
            timings = measure_speed({"step": step}, device=device, repeats=repeats, warmup=2, clips_per_call=batch)
        except torch.OutOfMemoryError:
            row["clips_per_second"] = None
        else:
            row["clips_per_second"] = float(summary(timings).loc["step", "median"])
            row |= _share(size.multiply_adds, row["clips_per_second"], peak)
            if device.type == "cuda":
                row["memory_used"] = torch.cuda.max_memory_allocated(device)
        step = None
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return rows


def train_in_both_precisions(experiments: Sequence[Experiment], *, folder: Path) -> tuple[list[dict], pd.DataFrame]:
    """Train each experiment in fp32 and in bf16-mixed, from real clips; keep how fast, and every test clip's scores.

    Returns a row a run (clips/s, share of time waiting for clips, share of peak: medians over epochs) and a table with
    columns ``precision, seed, clip, group, label, predicted``. Records stay under ``folder``, so that a killed
    measurement goes on.
    """
    rows, tables = [], []
    for experiment in experiments:
        for precision in ("32-true", "bf16-mixed"):
            one = dataclasses.replace(experiment, precision=precision, run=f"{precision}-seed{experiment.seed}")
            record = train(one, results=folder / "results", work=folder / "runs")
            names = ("clips_per_second", "waiting_share", "peak_share")
            rates = {name: float(record.history[name].median()) for name in names if name in record.history}
            right = int((record.scores.argmax(1) == record.labels).sum())
            rows.append({"precision": precision, "seed": one.seed, "right": right, "clips": len(record.labels)} | rates)
            table = record.predictions[["clip", "group", "label"]].assign(precision=precision, seed=one.seed)
            tables.append(table.assign(predicted=record.scores.argmax(1)))
    return rows, pd.concat(tables, ignore_index=True)
