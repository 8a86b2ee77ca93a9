"""The paper's Figures 2, 3 and 4, drawn from the built networks: what is in them is read off modules, never typed.

Shapes are those of one clip, run on torch's meta device. Every function returns the figure with its alternative text.
"""

from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import nn

from repro.experiment.fields import ATTENTION, BASELINE, TEMPORAL, TITLES
from repro.models import build
from repro.models.blocks import BasicBlock
from repro.report.architecture import stages
from repro.report.figures import COLOURS

PLAIN, GATED, IN_TIME = (COLOURS[name] for name in (BASELINE, ATTENTION, TEMPORAL))  # units by gate: none, 2D, 3D
GREY = "#888888"
SIZE = 8  # points of all text
TOP, ROW = 6.4, 0.4  # inches in Figure 4: where the titles stand, from row to row


# ---- Figures 2 and 3: a whole network


@dataclass(frozen=True)
class Part:
    """A part of a network as it is drawn: one column."""

    title: str
    boxes: tuple[str, ...]  # one a residual unit, or what the part does
    colour: str
    output: str  # maps and their size


def parts_of(model: str, *, classes: int, frames: int, size: int) -> list[Part]:
    """The parts of a network in the order in which a clip passes them, the frames first and the class scores last."""
    network = build(model, classes=classes).eval().to("meta")
    found = [Part("frames", (f"{frames} frames",), GREY, f"3 maps\n{size} × {size}")]
    for name, part, entry in stages(network, frames, size):
        if name == "classifier":
            continue
        with torch.no_grad():
            after = part(entry).shape[1:]
        if name == "3D stage 1":
            found.append(Part("stack", ("in time",), GREY, _maps(entry.shape[1:])))
        units = [unit for unit in part if isinstance(unit, BasicBlock)] if isinstance(part, nn.Sequential) else []
        title, _, words = name.partition(": ")
        boxes, colour = tuple(words.split(", ")), GREY
        if units:  # output channels, and by how much a unit shrinks the map
            strides = [max(unit.conv1.stride) for unit in units]
            boxes = tuple(f"{u.conv2.out_channels}" + (f" /{s}" if s > 1 else "") for u, s in zip(units, strides))
            gated = any(unit.gate is not None for unit in units)
            colour = (GATED if title.startswith("2D") else IN_TIME) if gated else PLAIN
        found.append(Part(title[3:], boxes, colour, _maps(after)))
    head = network.head
    last = ("average", f"dropout {head.dropout.p:g}", f"FC {head.fc.in_features}→{head.fc.out_features}")
    return [*found, Part("classifier", last, GREY, f"{head.fc.out_features} scores")]


def _maps(shape: torch.Size) -> str:
    return f"{shape[0]} maps\n{' × '.join(map(str, shape[1:]))}"


def network_figure(model: str, *, classes: int, frames: int, size: int) -> tuple[Figure, str]:
    """A network as the paper's Figures 2 and 3 show it, a box a residual unit, with its alternative text."""
    parts = parts_of(model, classes=classes, frames=frames, size=size)
    most = max(len(part.boxes) for part in parts)
    step, height, room = 0.8, 0.24, 0.31  # inches: from column to column, of a box, from box to box
    wide, high = step * len(parts) + 0.2, room * most + 1.75
    widths = [0.8 if part.title == "classifier" else 0.64 for part in parts]
    fig, axis = _canvas(wide, high)
    middle = 0.95 + room * most / 2
    for column, part in enumerate(parts):
        x = 0.05 + step * (column + 0.5)
        half = room * len(part.boxes) / 2
        axis.text(x, middle + half + 0.1, part.title, ha="center", va="bottom", fontsize=SIZE, weight="bold")
        for row, text in enumerate(part.boxes):
            y = middle + half - room * (row + 0.5)
            _box(axis, x, y, widths[column], height, text, part.colour)
        axis.text(x, middle - half - 0.08, part.output, ha="center", va="top", fontsize=SIZE, linespacing=1.25)
        if column:
            _arrow(axis, (x - step + widths[column - 1] / 2, middle), (x - widths[column] / 2, middle))
    stack = next(k for k, part in enumerate(parts) if part.title == "stack")
    for first, last, words in (
        (1, stack, f"2D trunk, on each of the {frames} frames"),
        (stack + 1, len(parts) - 1, "3D head, on the stack"),
    ):
        left, right = 0.1 + step * first, step * last
        axis.plot([left, right], [0.3, 0.3], color=GREY, linewidth=1.2)
        axis.text((left + right) / 2, 0.24, words, ha="center", va="top", fontsize=SIZE)
    colours = {part.colour for part in parts}
    legend = "A box under a stage is a residual unit with its output channels; /2 halves the map."
    legend += " Orange: units with the SE-IM gate." if GATED in colours else ""
    legend += " Green: with temporal attention." if IN_TIME in colours else ""
    axis.text(0.1, high - 0.08, legend, ha="left", va="top", fontsize=SIZE)

    units = {part.title: len(part.boxes) for part in parts if part.colour != GREY}
    listed = "; ".join(
        f"{part.title}{f', {len(part.boxes)} units' if part.title in units else ''}: "
        f"{' of '.join(part.output.splitlines())}"
        for part in parts
    )
    gated = sum(len(part.boxes) for part in parts if part.colour in (GATED, IN_TIME))
    words = f"{sum(units.values())} residual units, {gated or 'none'}{' of them' if gated else ''} with a gate"
    return fig, f"{TITLES[model]} from frames to class scores, {words}. {listed}."


# ---- Figure 4: a residual unit, its gate, and the two together


def unit_figure(*, size: int) -> tuple[Figure, str]:
    """The paper's Figure 4: (a) BasicBlock, (b) the SE module, (c) SE-IM-BasicBlock as Equation 4 reads here.

    Of the last unit of the first layer of the built Res34-SE-IM-Net.
    """
    network = build(ATTENTION, classes=2).eval().to("meta")
    units = network.trunk.layer1
    entry = next(entry for name, _, entry in stages(network, 1, size) if name == "2D layer 1")
    unit: Any = units[-1]
    with torch.no_grad():
        shape = units[:-1](entry).shape[1:]
    convolutions = [
        f"conv {' × '.join(map(str, conv.kernel_size))}, {conv.out_channels}" for conv in (unit.conv1, unit.conv2)
    ]
    linear = [f"FC {fc.in_features} → {fc.out_features}" for fc in (unit.gate.fc1, unit.gate.fc2)]
    branch = [convolutions[0], "batch norm", "ReLU", convolutions[1], "batch norm"]
    gate = ["squeeze: average", linear[0], "ReLU", linear[1], "sigmoid"]
    fig, axis = _canvas(9.0, 6.6)
    maps = " × ".join(map(str, shape))
    _basic(axis, 1.3, branch, maps)
    _module(axis, 4.1, gate, maps)
    _se_im(axis, 6.65, branch, gate, maps)
    hidden = unit.gate.fc1.out_features
    alt = (
        f"(a) BasicBlock: {', '.join(branch)}, plus the shortcut X, then ReLU. (b) SE module: {', '.join(gate)}, times "
        f"the branch U. (c) SE-IM-BasicBlock: X + (U + s U), then ReLU. Of the last unit of layer 1: maps "
        f"{maps}, squeezed to {shape[0]} numbers, {hidden} hidden (r = {shape[0] // hidden}), {shape[0]} weights s."
    )
    return fig, alt


def _basic(axis: Axes, x: float, branch: list[str], maps: str) -> None:
    _title(axis, x, "(a) BasicBlock")
    y = _down(axis, x, TOP - ROW, branch, PLAIN, head=f"X: {maps}")
    _around(axis, x, y - ROW, "identity mapping")
    _node(axis, x, y - ROW, "+")
    _arrow(axis, (x, y - 0.13), (x, y - ROW + 0.11))
    _last(axis, x, y - 2 * ROW)


def _module(axis: Axes, x: float, gate: list[str], maps: str) -> None:
    _title(axis, x, "(b) SE module")
    y = _down(axis, x, TOP - ROW, gate, GATED, head=f"U: {maps}")
    _around(axis, x, y - ROW, "U")
    _node(axis, x, y - ROW, "×")
    _arrow(axis, (x, y - 0.13), (x, y - ROW + 0.11), "s")
    axis.text(x, y - 2 * ROW, f"s U: {maps}", ha="center", va="center", fontsize=SIZE)
    _arrow(axis, (x, y - ROW - 0.11), (x, y - 2 * ROW + 0.1))


def _se_im(axis: Axes, x: float, branch: list[str], gate: list[str], maps: str) -> None:
    """Panel (c): the branch, the gate to its right, the shortcut to its left."""
    _title(axis, x + 0.5, "(c) SE-IM-BasicBlock")
    y = _down(axis, x, TOP - ROW, branch, PLAIN, head=f"X: {maps}")
    split = y - 0.55 * ROW
    axis.plot([x, x], [y - 0.13, split], color=GREY, linewidth=1.2)
    axis.text(x - 0.08, split - 0.05, "U", ha="right", va="top", fontsize=SIZE)
    right = x + 1.5
    axis.plot([x, right], [split, split], color=GREY, linewidth=1.2)
    below = split - 0.6 * ROW
    _arrow(axis, (right, split), (right, below + 0.13))
    low = _down(axis, right, below, gate, GATED)
    times = low - ROW
    _arrow(axis, (right, low - 0.13), (right, times + 0.11), "s")
    _node(axis, right, times, "×")
    _arrow(axis, (x, split), (x, times - ROW + 0.11))
    _arrow(axis, (x, times), (right - 0.11, times))
    axis.plot([right, right], [times - 0.11, times - ROW], color=GREY, linewidth=1.2)
    _arrow(axis, (right, times - ROW), (x + 0.11, times - ROW), "s U")
    _node(axis, x, times - ROW, "+")
    _arrow(axis, (x, times - ROW - 0.11), (x, times - 2 * ROW + 0.11), "U + s U")
    _node(axis, x, times - 2 * ROW, "+")
    _around(axis, x, times - 2 * ROW, "identity mapping")
    _last(axis, x, times - 3 * ROW)


def _down(axis: Axes, x: float, y: float, steps: list[str], colour: str, head: str = "") -> float:
    """Boxes one below the other, from ``y`` on, below the words of ``head``; returns where the last one is."""
    if head:
        axis.text(x, y, head, ha="center", va="center", fontsize=SIZE)
        y -= ROW
    for number, text in enumerate(steps):
        if head or number:
            _arrow(axis, (x, y + ROW - (0.1 if number == 0 else 0.13)), (x, y + 0.13))
        _box(axis, x, y, 1.25, 0.26, text, colour)
        y -= ROW
    return y + ROW


def _last(axis: Axes, x: float, y: float) -> None:
    """The ReLU after the sum, which stands one row above ``y``."""
    _arrow(axis, (x, y + 0.29), (x, y + 0.13))
    _box(axis, x, y, 1.25, 0.26, "ReLU", PLAIN)


def _around(axis: Axes, x: float, end: float, words: str) -> None:
    """A line past the boxes, from below the column's head to a node."""
    left, start = x - 0.95, TOP - ROW - 0.13
    axis.plot([x, left, left], [start, start, end], color=GREY, linewidth=1.2)
    _arrow(axis, (left, end), (x - 0.11, end))
    axis.text(left - 0.06, (start + end) / 2, words, ha="right", va="center", rotation=90, fontsize=SIZE)


def _title(axis: Axes, x: float, text: str) -> None:
    axis.text(x, TOP, text, ha="center", va="center", fontsize=SIZE + 1, weight="bold")


# ---- drawing in inches


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose data are inches from its lower left corner."""
    fig = plt.figure(figsize=(width, height))
    axis = fig.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.set_axis_off()
    return fig, axis


def _box(axis: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    shape = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.05", linewidth=1.3,
        edgecolor=colour, facecolor=(colour, 0.15),
    )  # fmt: skip
    axis.add_patch(shape)
    axis.text(x, y, text, ha="center", va="center", fontsize=SIZE)


def _node(axis: Axes, x: float, y: float, sign: str) -> None:
    axis.add_patch(Circle((x, y), 0.11, edgecolor=GREY, facecolor="none", linewidth=1.2))
    axis.text(x, y, sign, ha="center", va="center_baseline", fontsize=SIZE + 2)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], words: str = "") -> None:
    look = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    axis.annotate("", end, start, arrowprops=look)
    if words:
        flat = start[1] == end[1]
        x, y = (start[0] + end[0]) / 2 + (0 if flat else 0.08), (start[1] + end[1]) / 2 + (0.05 if flat else 0)
        axis.text(x, y, words, ha="center" if flat else "left", va="bottom" if flat else "center", fontsize=SIZE)
