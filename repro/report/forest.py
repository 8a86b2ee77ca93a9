"""The gain of one network over the other study by study: a forest plot, as reviews of trials draw it."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import with_interval
from repro.report.figures import COLOURS


@dataclass(frozen=True)
class Row:
    """What one set of like runs says."""

    name: str
    gain: Estimate
    single: Sequence[float] = ()  # of each pair of runs, fractions as the estimate


def forest_figure(rows: Sequence[Row]) -> tuple[Figure, str]:
    """Gains with their 95 % intervals in the rows' order, with the alternative text; ValueError without rows.

    A thin tick is a single pair of runs. Hollow: one pair alone, whose interval lacks the chance of training.
    """
    if not rows:
        raise ValueError("a forest plot needs a row or more")
    fig, axis = plt.subplots(figsize=(7.5, 1.0 + 0.36 * len(rows)), layout="constrained")
    for at, row in enumerate(rows):
        colour, whole = COLOURS[ATTENTION], row.gain.sd_runs is not None
        axis.plot([100 * row.gain.low, 100 * row.gain.high], [at, at], color=colour, linewidth=2 if whole else 1)
        axis.plot([100 * gain for gain in row.single], [at] * len(row.single), "|", color="#888888", markersize=9)
        fill = colour if whole else "none"
        axis.plot(100 * row.gain.point, at, "o", color=colour, markerfacecolor=fill, markersize=7)
    axis.axvline(0, color="black", linestyle=":", linewidth=1)
    axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("gain in test top-1 (points), Res34-SE-IM-Net minus baseline", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    beside = axis.twinx()
    beside.set_yticks(range(len(rows)), [_counted(row.gain) for row in rows], fontsize=8)
    beside.set_ylim(len(rows) - 0.5, -0.5)
    beside.tick_params(length=0)
    for each in (axis, beside):
        each.spines[["top", "left", "right"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    listed = "; ".join(
        f"{row.name} {with_interval(row.gain, signed=True)}, {_counted(row.gain)}"
        f"{'' if row.gain.sd_runs is not None else ' (hollow: without the chance of training)'}"
        for row in rows
    )
    return fig, f"Gain in test top-1, {TITLES[ATTENTION]} minus {TITLES[BASELINE]}, with 95 % intervals: {listed}."


def _counted(gain: Estimate) -> str:
    return f"{gain.runs} pair{'s' if gain.runs > 1 else ''}, {gain.clips} clips, {gain.groups} groups"
