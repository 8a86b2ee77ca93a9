"""Gains row by row with their intervals, as reviews of trials draw them in a forest plot."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from repro.experiment.fields import ATTENTION
from repro.metrics.statistics import Estimate
from repro.report.figures import COLOURS


def draw_gains(
    axis: Axes,
    names: Sequence[str],
    gains: Sequence[Estimate],
    beside: Sequence[str],
    single: Sequence[Sequence[float]],
) -> None:
    """Gains in points with their 95 % intervals, from the top, between their names and what stands beside them.

    A thin tick is a single pair of runs (single: gains of each row, fractions). Hollow: one pair alone, whose interval
    lacks the chance of training.
    """
    colour = COLOURS[ATTENTION]
    for at, (gain, ticks) in enumerate(zip(gains, single, strict=True)):
        whole = gain.sd_runs is not None
        axis.plot([100 * gain.low, 100 * gain.high], [at, at], color=colour, linewidth=2 if whole else 1)
        axis.plot([100 * tick for tick in ticks], [at] * len(ticks), "|", color="#888888", markersize=9)
        axis.plot(100 * gain.point, at, "o", color=colour, markerfacecolor=colour if whole else "none", markersize=7)
    axis.axvline(0, color="black", linestyle=":", linewidth=1)
    axis.tick_params(axis="x", labelsize=8)
    right = axis.twinx()
    for each, words in ((axis, names), (right, beside)):
        each.set_yticks(range(len(gains)), words, fontsize=8)
        each.set_ylim(len(gains) - 0.5, -0.5)
        each.tick_params(axis="y", length=0)
        each.spines[["top", "left", "right"]].set_visible(False)
