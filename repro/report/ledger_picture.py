"""The ledger of assumptions as a picture: which open point of the paper's text moves accuracy, and by how much."""

import textwrap
from collections.abc import Sequence
from typing import Any, cast

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from repro.metrics.text import with_interval
from repro.paper.cells import Assumption
from repro.report.ablations import Variant
from repro.report.forest import draw_gains
from repro.report.ledger import measured

POINT_WIDTH, LIST_WIDTH = 46, 68  # characters of a line: of a measured point, of a point that was not measured
LINE = 0.155  # inches from line to line of the list


def measured_points(
    assumptions: Sequence[Assumption], found: Sequence[Variant]
) -> tuple[list[tuple[Assumption, Variant]], list[Assumption]]:
    """The open points with each variant that runs another reading of them, the largest effect first; and the others.

    found: of any ablation; a variant is of a point where the point names the group of its runs. One that cannot act in
    its runs measures nothing.
    """
    pairs = []
    for assumption in assumptions:
        pairs += [(assumption, variant) for variant in measured(assumption, found) if not variant.idle]
    pairs.sort(key=lambda pair: -abs(pair[1].difference().point))
    known = {assumption.id for assumption, _ in pairs}
    return pairs, [a for a in assumptions if a.status == "open" and a.id not in known]


def ledger_figure(assumptions: Sequence[Assumption], found: Sequence[Variant]) -> tuple[Figure, str]:
    """What each measured reading does to top-1, with its 95 % interval, and below it the points not measured."""
    known, others = measured_points(assumptions, found)
    lists = _columns([f"– {textwrap.fill(a.point, LIST_WIDTH, subsequent_indent='   ')}" for a in others])
    rows, tall = 0.42 * len(known) + 0.7, LINE * max(map(len, lists)) + 0.35
    fig = plt.figure(figsize=(9, rows * bool(known) + tall), layout="constrained" if known else None)
    rest: FigureBase = fig
    if known:
        above, rest = cast(Any, fig.subfigures(2, 1, height_ratios=[rows, tall]))
        _effects(above.subplots(), known)
    _not_measured(rest, lists, len(others), tall)
    effects = "; ".join(
        f"{a.point.rstrip('.')} ({v.title}): {with_interval(v.difference(), signed=True)}" for a, v in known
    )
    unknown = "; ".join(a.point.rstrip(".") for a in others)
    return fig, (
        f"Effect of other readings of the paper's open points on test top-1: {effects or 'none measured'}. "
        f"Not measured: {unknown or 'none'}."
    )


def _effects(axis: Axes, measured: Sequence[tuple[Assumption, Variant]]) -> None:
    names = [textwrap.fill(assumption.point, POINT_WIDTH) for assumption, _ in measured]
    seeds = [f"{v.title}, {len(v.pairs)} seed{'s' if len(v.pairs) > 1 else ''}" for _, v in measured]
    beside = [textwrap.fill(text, 34) for text in seeds]
    draw_gains(axis, names, [variant.difference() for _, variant in measured], beside, [()] * len(measured))
    axis.set_xlabel("change of test top-1 (points) by the other reading, 95 % interval", fontsize=9)


def _columns(entries: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of the entries in two columns of about one height, no entry parted."""
    left: list[str] = []
    right: list[str] = []
    half = sum(entry.count("\n") + 1 for entry in entries) / 2
    for entry in entries:
        (left if len(left) < half else right).extend(entry.split("\n"))
    return left, right


def _not_measured(part: FigureBase, lists: tuple[list[str], list[str]], number: int, tall: float) -> None:
    axis = part.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.text(0.01, 1 - 0.05 / tall, f"not measured ({number})", va="top", fontsize=9, weight="bold")
    for x, lines in zip((0.01, 0.51), lists):
        axis.text(x, 1 - 0.27 / tall, "\n".join(lines), va="top", fontsize=8, linespacing=1.3)
