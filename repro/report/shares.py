"""Where a clip's multiply-adds and its time go within a network: counted on shapes, measured by Table 6's record."""

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.complexity import multiply_adds
from repro.models import build
from repro.models.blocks import Gate
from repro.records.table6 import Measured
from repro.report.architecture import stages
from repro.report.figures import COLOURS

TRUNK = ("trunk, stem", "trunk, layer1", "trunk, layer2", "trunk, layer3", "trunk, layer4", "trunk, batch norm")
PARTS = (*TRUNK, "gates", "head, stage1", "head, stage2", "head, stage3", "the rest")
FRAMES = 16


def counted_shares(model: str) -> pd.Series:
    """The share of a clip's multiply-adds by `PARTS` at the paper's size, fractions; none are counted of batch norm."""
    network = build(model, classes=51).eval().to("meta")
    found = dict.fromkeys(PARTS, 0)
    for name, part, entry in stages(network, FRAMES, 224):
        gates = sum(_gate_costs(module) for module in part.modules() if isinstance(module, Gate))
        found["gates"] += gates
        found[_stage(name)] += multiply_adds(part, entry) - gates
    return pd.Series(found) / sum(found.values())


def _stage(name: str) -> str:
    """A part's name for that of a stage: ``2D layer 1`` is ``trunk, layer1``."""
    where, _, what = name.partition(":")[0].partition(" ")
    what = what.replace(" ", "")
    return {"2D": f"trunk, {what}", "3D": f"head, {what}"}.get(where, "the rest")


def _gate_costs(gate: Gate) -> int:
    """Multiply-adds of one gate: its two layers, on one squeezed map a frame."""
    squeezed = torch.empty(FRAMES, gate.fc1.in_features, device="meta")
    return multiply_adds(nn.Sequential(gate.fc1, gate.fc2), squeezed)


def timed_shares(measured: Measured, model: str) -> pd.Series | None:
    """The share of a clip's time by `PARTS`, medians over rounds, fractions; None where it was not measured."""
    timings = pd.DataFrame(measured.content.get(f"layers {model}") or [], columns=["round", "part", "seconds"])
    if timings.empty:
        return None
    # the record's names: "trunk, layer1: convolutions", "trunk: batch norm", "gates", "head, stage1", "the rest"
    part = timings["part"].str.removesuffix(": convolutions").str.replace(": ", ", ")
    seconds = timings["seconds"].groupby(part).median().reindex(PARTS, fill_value=0.0)
    return seconds / seconds.sum()


def shares_figure(measured: Measured) -> tuple[Figure, str]:
    """Shares by part of both networks, multiply-adds beside time where it was measured, with the alternative text."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True, sharex=True, layout="constrained")
    listed, rows = [], np.arange(len(PARTS))
    for axis, model in zip(axes, (BASELINE, ATTENTION)):
        timed = timed_shares(measured, model)
        kinds = [("multiply-adds, counted", counted_shares(model), 0.25)] + (
            [] if timed is None else [("time, measured", timed, 0.75)]
        )
        height = 0.8 / len(kinds)
        for number, (label, shares, alpha) in enumerate(kinds):
            look = {"facecolor": (COLOURS[model], alpha), "edgecolor": COLOURS[model], "label": label}
            bars = axis.barh(rows + (number + 0.5) * height - 0.4, 100 * shares, height, **look)
            axis.bar_label(bars, [_percent(share) for share in shares], padding=3, fontsize=8)
            listed.append(f"{TITLES[model]}, {label}: " + "; ".join(f"{p} {_percent(s)}" for p, s in shares.items()))
        axis.set_title(TITLES[model], fontsize=10)
        axis.set_xlabel("share of one clip (%)", fontsize=9)
        axis.legend(frameon=False, fontsize=8, loc="lower right")
    axes[0].set_yticks(rows, PARTS, fontsize=8)
    axes[0].invert_yaxis()
    axes[0].margins(x=0.15)
    return fig, f"Shares of one clip by part. {'. '.join(listed)}."


def _percent(share: float) -> str:
    """``3.0 %``; a small share keeps a digit that is not 0, so that the gates' is told from none."""
    if 0 < share < 1e-5:
        return "< 0.001 %"
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else f"{100 * share:.1g} %"
