"""Figures from records and from clips. Every function returns a matplotlib figure; ``repro.report.show.show`` shows it.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL, TITLES
from repro.records.record import Record

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
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
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
    """Training loss and top-1 (and validation top-1 where there is one) by epoch, a line a run."""
    fig, (losses, rights) = plt.subplots(1, 2, figsize=(10, 3.4))
    named = set()
    for record in records:
        model, history = record.experiment.model, record.history
        label = TITLES[model] if model not in named else None
        named.add(model)
        epochs = history["epoch"] + 1
        losses.plot(epochs, history["train_loss"], color=COLOURS[model], alpha=0.8, label=label)
        rights.plot(epochs, 100 * history["train_top1"], color=COLOURS[model], alpha=0.8)
        steering = f"{record.experiment.watch}_top1"  # on the clips that steer schedule and checkpoint
        if steering in history:
            rights.plot(epochs, 100 * history[steering], color=COLOURS[model], linestyle="--", alpha=0.8)
    steered_by = " or ".join(sorted({record.experiment.watch for record in records}))
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats), training", title="Loss")
    rights.set(xlabel="epoch", ylabel="top-1 (%)", title=f"Training top-1 (dashed: {steered_by})", ylim=(0, 100))
    losses.set_ylim(bottom=0)
    losses.legend(frameon=False, fontsize=8)
    fig.tight_layout()
    return fig


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


def confusion_plot(matrices: Mapping[str, np.ndarray], classes: Sequence[str], order: Sequence[int]) -> Figure:
    """Confusion matrices side by side in per cent of the true class, and after two of them their difference.

    matrices: counts ``(C, C)`` by title, rows true classes. order: of the classes on both axes.
    """
    shares = {title: 100 * c / np.maximum(c.sum(1, keepdims=True), 1) for title, c in matrices.items()}
    panels = [(f"{title} (% of the true class)", share, False) for title, share in shares.items()]
    if len(shares) == 2:
        (first, a), (second, b) = shares.items()
        panels.append((f"{second} minus {first} (points)", b - a, True))
    few = len(order) <= LEGIBLE
    side = 5.2 if few else 6.6
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(side * columns, (side + 0.3) * lines), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    names = [classes[k] for k in order]
    for (title, share, signed), axis in zip(panels, axes.flat, strict=False):
        share = share[np.ix_(order, order)]
        limit = max(np.abs(share).max(), 1)
        low, high, colours = (-limit, limit, "PuOr_r") if signed else (0, 100, "cividis")
        axis.imshow(share, cmap=colours, vmin=low, vmax=high)
        for i, j in np.argwhere(np.abs(share) >= 0.5) if few else ():
            dark = abs(share[i, j]) > 0.6 * limit if signed else share[i, j] < 60
            text = f"{share[i, j]:+.0f}" if signed else f"{share[i, j]:.0f}"
            axis.text(j, i, text, ha="center", va="center", color="white" if dark else "black", fontsize=7)
        size = 9 if few else max(2.5, 9 - 0.07 * len(order))
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axis.set_yticks(range(len(names)), names, fontsize=size)
        axis.set(xlabel="predicted", ylabel="true")
        axis.set_title(title, fontsize=9)
    fig.tight_layout()
    return fig


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
        axis.set(title=f"{pair} ({rows['clips'].iloc[0]} clips)", xlabel="right (%), 95 % interval", xlim=(0, 102))
        axis.set_yticks(range(len(rows)), [f"{TITLES[r['model']]}, seed {r['seed']}" for _, r in rows.iterrows()])
    axes[0][0].invert_yaxis()
    fig.tight_layout()
    return fig


def pair_plot(table: pd.DataFrame) -> Figure:
    """Confusion indicator of look-alike pairs, baseline against SE-IM: columns ``pair, baseline, attention``."""
    fig, axis = plt.subplots(figsize=(8, 0.9 + 0.4 * len(table)))
    rows = np.arange(len(table))
    axis.hlines(rows, table["baseline"], table["attention"], color="#bbbbbb", linewidth=2)
    axis.plot(table["baseline"], rows, "o", color=COLOURS[BASELINE], label=TITLES[BASELINE])
    axis.plot(table["attention"], rows, "D", color=COLOURS[ATTENTION], label=TITLES[ATTENTION])
    axis.set_yticks(rows, table["pair"])
    axis.set(title="Classes taken for each other")
    axis.set(xlabel="confusion indicator c = P[i,j] + P[j,i] (0 to 2; lower is better)")
    axis.set_xlim(left=-0.02)
    axis.invert_yaxis()
    axis.legend(frameon=False, fontsize=8)
    fig.tight_layout()
    return fig
