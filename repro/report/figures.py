"""Figures from records and from clips. Every function returns a matplotlib figure; ``repro.report.show.show`` shows it.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL, TITLES
from repro.metrics.statistics import Estimate
from repro.records.questions import CONVERGED
from repro.records.record import Record
from repro.report.names import in_figure

COLOURS = {BASELINE: "#0072B2", ATTENTION: "#D55E00", CONTROL: "#7f7f7f", TEMPORAL: "#009E73"}
HIGHLIGHT = "#D55E00"


def frame_strip(rows: Sequence[tuple[str, np.ndarray]], *, width: float = 10) -> Figure:
    """One row of frames a clip: ``rows`` of (name, uint8 RGB (N, H, W, 3)), all of one N."""
    count = len(rows[0][1])
    height, breadth = rows[0][1].shape[1:3]
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


def sampling_plot(length: int, segments: int, taken: Mapping[str, np.ndarray]) -> Figure:
    """Which frames are taken of a clip, on its time axis: a row of indices for each name, tests as squares."""
    fig, axis = plt.subplots(figsize=(9, 0.9 + 0.4 * len(taken)))
    for edge in np.arange(segments + 1) * length / segments:
        axis.axvline(edge - 0.5, color="#dddddd", linewidth=1)
    for row, (name, indices) in enumerate(taken.items()):
        marker, colour = ("s", HIGHLIGHT) if "test" in name else ("o", COLOURS[BASELINE])
        axis.plot(indices, np.full(len(indices), row), linestyle="", markersize=5, marker=marker, color=colour)
    axis.set_yticks(range(len(taken)), taken, fontsize=8)
    axis.set_xlabel(f"frame (clip of {length} frames, {segments} segments)")
    axis.set(xlim=(-0.5, length - 0.5), ylim=(len(taken) - 0.4, -0.6))
    axis.set_title("Frames taken", fontsize=10)
    fig.tight_layout()
    return fig


def crop_plot(frame: np.ndarray, crop_height: int, crop_width: int, offsets: Sequence[tuple[int, int]]) -> Figure:
    """The fixed (top, left) places of one crop size, each drawn on the frame (uint8 RGB); 14 at most."""
    height, width = frame.shape[:2]
    fig, axes = plt.subplots(2, 7, figsize=(10, 2.2 * 2 * height / width + 0.4))
    for axis in axes.flat:
        axis.axis("off")
    for number, ((top, left), axis) in enumerate(zip(offsets, axes.flat), 1):
        axis.imshow(frame)
        axis.add_patch(Rectangle((left, top), crop_width, crop_height, fill=False, edgecolor=HIGHLIGHT, linewidth=2))
        axis.set_title(f"{number}", fontsize=8)
    fig.tight_layout()
    return fig


def clip_histograms(audit: pd.DataFrame) -> Figure:
    """What the clips are: decoded frames, seconds, frames a second and picture sizes of an audit's rows."""
    fig, axes = plt.subplots(1, 4, figsize=(11, 2.7), layout="constrained")
    for axis, (column, label) in zip(
        axes, (("frames", "decoded frames"), ("seconds", "duration (s)"), ("fps", "frames a second")), strict=False
    ):
        axis.hist(audit[column].dropna(), bins=24, color=COLOURS[BASELINE])
        axis.set(xlabel=label, ylabel="clips" if column == "frames" else "")
    sizes = (audit["width"].astype(str) + " × " + audit["height"].astype(str)).value_counts()
    shown = sizes.head(6)
    if len(sizes) > len(shown):
        shown = pd.concat([shown, pd.Series({f"{len(sizes) - 6} others": sizes.iloc[6:].sum()})])
    axes[3].barh(range(len(shown)), shown, color=COLOURS[BASELINE])
    axes[3].set_yticks(range(len(shown)), shown.index)
    axes[3].invert_yaxis()
    axes[3].set(xlabel="clips", title="width × height (pixels)")
    axes[3].title.set_fontsize(9)
    return fig


def learning_curves(records: Sequence[Record]) -> Figure:
    """Training loss and top-1 by epoch: the mean over each network's runs, in a band from the lowest to the highest.

    Dashed: top-1 on the clips that steer schedule and checkpoint, where there are such.
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
    return fig


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


def gradcam_plot(rows: Sequence[tuple[str, np.ndarray, np.ndarray | None]], *, width: float = 10) -> Figure:
    """Frames of clips with Grad-CAM maps laid over them, a row a clip and network.

    rows: label, frames uint8 RGB ``(N, H, W, 3)``, maps ``(N, h, w)`` from 0 to 1 or None for plain frames.
    """
    fig = frame_strip([(name, frames) for name, frames, _ in rows], width=width)
    axes = np.array(fig.axes).reshape(len(rows), -1)
    for (_, frames, maps), line in zip(rows, axes, strict=True):
        height, breadth = frames.shape[1:3]
        for axis, each in zip(line, maps if maps is not None else (), strict=False):
            # each cell covers its part of the frame; opaque where it speaks for the class, clear where not
            axis.imshow(
                np.ones_like(each),
                cmap="autumn",
                vmin=0,
                vmax=1.6,
                alpha=0.65 * each,
                extent=(-0.5, breadth - 0.5, height - 0.5, -0.5),
                interpolation="bilinear",
            )
    return fig


def backwards_plot(table: pd.DataFrame) -> Figure:
    """Choice inside each backwards pair: share right with its 95 % interval, a point a run (``backwards_table``)."""
    pairs = list(dict.fromkeys(table["pair"]))
    fig, axes = plt.subplots(
        1, len(pairs), figsize=(9, 0.9 + 0.36 * len(table) / len(pairs)), sharey=True, squeeze=False
    )
    for pair, axis in zip(pairs, axes[0], strict=True):
        rows = table[table["pair"] == pair].reset_index(drop=True)
        for at, row in rows.iterrows():
            axis.plot([100 * row["low"], 100 * row["high"]], [at, at], color=COLOURS[row["model"]], linewidth=2)
            axis.plot(100 * row["point"], at, "o", color=COLOURS[row["model"]])
        axis.axvline(50, color="black", linestyle=":", linewidth=1)
        axis.set(
            title=f"{in_figure(pair)} ({rows['clips'].iloc[0]} clips)", xlabel="right (%), 95 % interval", xlim=(0, 102)
        )
        axis.set_yticks(range(len(rows)), [f"{TITLES[r['model']]}, seed {r['seed']}" for _, r in rows.iterrows()])
    axes[0][0].invert_yaxis()
    fig.tight_layout()
    return fig


def pair_plot(rows: Sequence[tuple[str, Estimate | None, Estimate | None]]) -> Figure:
    """Confusion indicator of pairs of classes with 95 % intervals, a row a pair.

    rows: of (pair, baseline, SE-IM); None where there are no test clips.
    """
    fig, axis = plt.subplots(figsize=(8, 1.1 + 0.45 * len(rows)), layout="constrained")
    for place, model, shape, shift in ((1, BASELINE, "o", -0.13), (2, ATTENTION, "D", 0.13)):
        marks = [(at + shift, found) for at, row in enumerate(rows) if isinstance(found := row[place], Estimate)]
        for at, found in marks:
            axis.plot([found.low, found.high], [at, at], color=COLOURS[model], linewidth=2)
        points, heights = [found.point for _, found in marks], [at for at, _ in marks]
        axis.plot(points, heights, shape, color=COLOURS[model], label=TITLES[model])
    axis.set_yticks(range(len(rows)), [in_figure(pair) for pair, _, _ in rows])
    axis.set(title="Classes taken for each other", ylim=(len(rows) - 0.5, -0.5))
    axis.set(xlabel="confusion indicator c = P[i,j] + P[j,i] (0 to 2; lower is better), 95 % interval")
    axis.set_xlim(left=-0.02)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return fig
