"""Figures that several pages show: frames of clips, the course of runs, confusion matrices, gains; the colours of all.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import percent
from repro.records.questions import CONVERGED, training_top1
from repro.records.record import Record
from repro.report.svg import in_figure

COLOURS = {BASELINE: "#0072B2", ATTENTION: "#D55E00", CONTROL: "#7f7f7f", TEMPORAL: "#009E73"}
HIGHLIGHT = "#D55E00"


def frame_strip(rows: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """One row of frames a clip: ``rows`` of (name, uint8 RGB (N, H, W, 3)), all of one N."""
    count = len(rows[0][1])
    height, breadth = rows[0][1].shape[1:3]
    width = 10  # inches
    cell = width / count
    fig, axes = plt.subplots(
        len(rows), count, figsize=(width, len(rows) * (cell * height / breadth + 0.06)), squeeze=False
    )
    for (name, frames), line in zip(rows, axes, strict=True):
        for axis, frame in zip(line, frames, strict=True):
            axis.imshow(frame)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_frame_on(False)
        line[0].set_ylabel(in_figure(name), rotation=0, ha="right", va="center", fontsize=9)
    fig.subplots_adjust(wspace=0.03, hspace=0.06)
    return fig


def learning_curves(records: Sequence[Record]) -> tuple[Figure, str]:
    """Training loss and top-1 by epoch: the mean over each network's runs, in a band from the lowest to the highest.

    Dashed: top-1 on the clips that steer schedule and checkpoint, where there are such. With the alternative text,
    which names the runs that did not converge.
    """
    fig, (losses, rights) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    table = pd.concat([_course(record) for record in records], ignore_index=True)
    for axis, column, style in ((losses, "loss", "-"), (rights, "training", "-"), (rights, "steering", "--")):
        if table[column].notna().any():
            _bands(axis, table.dropna(subset=column), column, style)
    rights.axhline(100 * CONVERGED, color="black", linestyle=":", linewidth=1)
    rights.text(1.01, 100 * CONVERGED, "converged", va="center", fontsize=8, transform=rights.get_yaxis_transform())
    steered_by = " or ".join(sorted({record.experiment.watch for record in records}))
    for axis in (losses, rights):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats), training", title="Loss")
    dashed = f" (dashed: {steered_by})" if table["steering"].notna().any() else ""
    rights.set(xlabel="epoch", ylabel="top-1 (%)", title=f"Training top-1{dashed}", ylim=(0, 103))
    losses.set_ylim(bottom=0)
    losses.legend(frameon=False, fontsize=8)
    ends = {record.experiment.run: training_top1(record) for record in records}
    short = "; ".join(f"{run} {percent(end)}" for run, end in ends.items() if end < CONVERGED)
    return fig, (
        f"Training loss and top-1 by epoch of the {len(records)} runs of {records[0].experiment.study}: the mean of "
        "each network in a band from its lowest to its highest run. Training top-1 ends at "
        f"{percent(min(ends.values()))} to {percent(max(ends.values()))}. Not converged, ends below "
        f"{percent(CONVERGED, 0)}: {short or 'none'}."
    )


def _course(record: Record) -> pd.DataFrame:
    """A run's history with the columns model, epoch (from 1), loss (nats), training and steering top-1 (%)."""
    history, steering = record.history, f"{record.experiment.watch}_top1"
    return pd.DataFrame(
        {
            "model": record.experiment.model,
            "epoch": history["epoch"] + 1,
            "loss": history["train_loss"],
            "training": 100 * history["train_top1"],
            "steering": 100 * history[steering] if steering in history else np.nan,
        }
    )


def _bands(axis: Axes, table: pd.DataFrame, column: str, style: str) -> None:
    """A line a network and the band of its runs; the legend says of how many."""
    for model in [model for model in TITLES if model in set(table["model"])]:
        some = table[table["model"] == model]
        runs = int(some.groupby("epoch").size().max())
        label = f"{TITLES[model]} ({runs} run{'s' if runs > 1 else ''})"
        seaborn.lineplot(
            some, x="epoch", y=column, ax=axis, color=COLOURS[model], errorbar=("pi", 100), label=label,
            legend=False, linestyle=style,
        )  # fmt: skip


def pace_plot(record: Record) -> Figure:
    """The course of one run: gradient norm and learning rate, clips a second, shares of time and of the peak."""
    history = record.history
    epochs = history["epoch"] + 1
    fig, (norms, rates, shares) = plt.subplots(1, 3, figsize=(11, 3.1), layout="constrained")
    norms.plot(epochs, history["gradient_norm"], color=COLOURS[BASELINE], label="mean")
    norms.plot(epochs, history["gradient_norm_largest"], color=COLOURS[BASELINE], linestyle=":", label="largest")
    norms.set(
        xlabel="epoch", ylabel="gradient norm before clipping", title="Gradient norm, learning rate", yscale="log"
    )
    steps = norms.twinx()
    steps.plot(epochs, history["learning_rate"], color=HIGHLIGHT, label="learning rate")
    steps.set(ylabel="learning rate")
    steps.set_ylim(bottom=0)
    lines = [*norms.get_lines(), *steps.get_lines()]
    norms.legend(lines, [line.get_label() for line in lines], frameon=False, fontsize=8)
    rates.plot(epochs, history["clips_per_second"], color=COLOURS[BASELINE])
    rates.set(xlabel="epoch", ylabel="clips/s", title="Training speed")
    rates.set_ylim(bottom=0)
    shares.plot(epochs, 100 * history["waiting_share"], color=HIGHLIGHT, label="time waiting for clips")
    if "peak_share" in history:
        shares.plot(epochs, 100 * history["peak_share"], color=COLOURS[BASELINE], label="of the measured peak")
    shares.set(xlabel="epoch", ylabel="%", title="Shares", ylim=(0, 105))
    shares.legend(frameon=False, fontsize=8)
    return fig


LEGIBLE = 30  # classes up to which a matrix has its numbers written in
WIDTH = 9.0  # inches of a figure


def confusion_plot(matrices: Mapping[str, np.ndarray], classes: Sequence[str], order: Sequence[int]) -> Figure:
    """Confusion matrices in per cent of the true class, and after two of them their difference.

    matrices: counts ``(C, C)`` by title, rows true classes. order: of the classes on both axes. Of many classes the
    axes name as many as have room.
    """
    shares = {title: 100 * c / np.maximum(c.sum(1, keepdims=True), 1) for title, c in matrices.items()}
    panels = [(f"{title} (% of the true class)", share, False) for title, share in shares.items()]
    if len(shares) == 2:
        (first, a), (second, b) = shares.items()
        panels.append((f"{second} minus {first} (points)", b - a, True))
    side = min(WIDTH, max(WIDTH / 2, 1.5 + 0.25 * len(order)))  # room for numbers of 8 points in each cell
    columns = min(int(WIDTH / side), len(panels))
    lines = -(-len(panels) // columns)
    fig, axes = plt.subplots(
        lines, columns, figsize=(side * columns, (side + 0.2) * lines), squeeze=False, layout="compressed"
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    names = [in_figure(classes[k]) for k in order]
    for (title, share, signed), axis in zip(panels, axes.flat, strict=False):
        _matrix(axis, share[np.ix_(order, order)], names, signed=signed)
        axis.set_title(title, fontsize=9)
    return fig


def _matrix(axis: Axes, share: np.ndarray, names: Sequence[str], *, signed: bool) -> None:
    """One matrix, its numbers of half a point and more written in where they can be read."""
    limit = max(np.abs(share).max(), 1)
    low, high, colours = (-limit, limit, "PuOr_r") if signed else (0, 100, "cividis")
    texts = np.where(np.abs(share) >= 0.5, np.char.mod("%+.0f" if signed else "%.0f", share), "")
    few = len(names) <= LEGIBLE
    every = max(1, -(-len(names) // 45))  # at 8 points there is room for about 45 names along 9 inches
    seaborn.heatmap(
        share, ax=axis, cmap=colours, vmin=low, vmax=high, square=True, cbar=False, rasterized=not few,
        annot=texts if few else None, fmt="", annot_kws={"fontsize": 8},
    )  # fmt: skip
    at = range(0, len(names), every)
    axis.set_xticks([k + 0.5 for k in at], [names[k] for k in at], rotation=90, fontsize=8)
    axis.set_yticks([k + 0.5 for k in at], [names[k] for k in at], rotation=0, fontsize=8)
    axis.set(xlabel="predicted", ylabel="true")


# ---- gains, row by row with their intervals


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
    axis.axvline(0, color="#888888", linestyle=":", linewidth=1)
    axis.tick_params(axis="x", labelsize=8)
    right = axis.twinx()
    for each, words in ((axis, names), (right, beside)):
        each.set_yticks(range(len(gains)), words, fontsize=8)
        each.set_ylim(len(gains) - 0.5, -0.5)
        each.tick_params(axis="y", length=0)
        each.spines[["top", "left", "right"]].set_visible(False)
