"""Table 6's figures from its record: accuracy against cost, cost by frames, time by part, the roofline.

Each figure function returns the figure with what it shows in words, its alternative text.
"""

import itertools

import numpy as np
import pandas as pd
from adjustText import adjust_text
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from repro.experiment.fields import ATTENTION, BASELINE
from repro.models.peers.rows import Row, rows
from repro.paper.cells import Paper, Peer
from repro.records.table6 import Measured
from repro.report.figures import COLOURS
from repro.report.table6 import DATASETS

GROUP_COLOURS = {"ours": "#D55E00", "peer": "#0072B2", "today": "#009E73"}
GROUP_WORDS = {"ours": "this study's", "peer": "compared with", "today": "what one would take today"}


# ---- accuracy against cost


def accuracy(row: Row, paper: Paper, dataset: str) -> Peer | None:
    """A published RGB accuracy of a network, one that was read in a source first; None where there is none."""
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.method in row.accuracy_of]
    peers = [p for p in peers if "flow" not in p.modality.lower()]
    return min(peers, key=lambda p: not p.verified, default=None)


def stated(row: Row, paper: Paper, dataset: str) -> float | None:
    """The accuracy that the paper's text states of its own network, in per cent."""
    values = [c.value for c in paper.claims if c.id == f"accuracy-{dataset}"]
    return values[0] if row.name == ATTENTION and values else None


def bubble_points(measured: Measured, paper: Paper, dataset: str) -> pd.DataFrame:
    """Networks with an accuracy: columns name, title, group, accuracy, verified, speed, gmacs, parameters."""
    points = []
    for name, row in rows().items():
        rate = measured.rate(name)
        if name not in measured.networks or rate is None:
            continue
        peer, own = accuracy(row, paper, dataset), stated(row, paper, dataset)
        if peer is None and own is None:
            continue
        entry = measured.networks[name]
        points.append(
            {
                "name": name, "title": row.title, "group": row.group,
                "accuracy": own if peer is None else float(peer.value),
                "verified": peer is None or peer.verified,
                "speed": rate["median"],
                "gmacs": entry["multiply_adds"] / 1e9,
                "parameters": entry["parameters"] / 1e6,
            }
        )  # fmt: skip
    return pd.DataFrame(points)


def pareto(points: pd.DataFrame, *, cost: str, lower_is_better: bool) -> pd.DataFrame:
    """The points that no other beats in accuracy at the same cost or less, by cost."""
    sign = 1 if lower_is_better else -1
    ordered = points.assign(order=sign * points[cost]).sort_values(["order", "accuracy"], ascending=[True, False])
    best = ordered["accuracy"].cummax()
    return ordered[(ordered["accuracy"] == best) & ~ordered["accuracy"].duplicated()].drop(columns="order")


def bubble_figure(points: pd.DataFrame, dataset: str) -> tuple[Figure, str]:
    """Accuracy against speed and against multiply-adds; areas are parameters, lines Pareto fronts."""
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, (cost, label, lower) in zip(
        axes, (("speed", "clips/s, float32, one clip a call", False), ("gmacs", "GMACs a clip", True)), strict=True
    ):
        for group, colour in GROUP_COLOURS.items():
            for verified, part in points[points["group"] == group].groupby("verified"):
                face, alpha = (colour, 0.75) if verified else ("none", 1.0)
                look = {"facecolor": face, "edgecolor": colour, "alpha": alpha, "linewidth": 1.4}
                axis.scatter(part[cost], part["accuracy"], s=6 * part["parameters"], **look)
        front = pareto(points, cost=cost, lower_is_better=lower)
        axis.plot(front[cost], front["accuracy"], color="#555555", linestyle="--", linewidth=1, zorder=0)
        axis.set(xscale="log", xlabel=label)
        axis.margins(x=0.15, y=0.12)
        _plain_ticks(axis.xaxis)
    axes[0].set(ylabel=f"published top-1 on {DATASETS[dataset]} (%)")
    for axis, cost in zip(axes, ("speed", "gmacs"), strict=True):
        _label_points(axis, points[cost], points["accuracy"], points["title"])
    fig.suptitle(f"{DATASETS[dataset]}: accuracy as published, cost as measured here", fontsize=11)
    listed = "; ".join(
        f"{p.title} {p.accuracy:g} %, {p.speed:.2f} clips/s, {p.gmacs:.0f} GMACs" for p in points.itertuples()
    )
    return fig, f"{DATASETS[dataset]} top-1 against cost: {listed}."


# ---- where the time goes


def frames_figure(table: pd.DataFrame) -> tuple[Figure, str]:
    """Seconds a clip by the number of frames."""
    fig, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    colours = itertools.cycle(("#0072B2", "#D55E00", "#009E73", "#7f7f7f"))
    for (name, some), mark in zip(table.groupby("name", sort=False), "oDs^v", strict=False):
        axis.plot(some["frames"], some["seconds a clip"], f"{mark}-", color=COLOURS.get(str(name), next(colours)),
                  label=some["network"].iloc[0])  # fmt: skip
    ticks = sorted(table["frames"].unique())
    axis.set(xscale="log", yscale="log", xlabel="frames N", ylabel="seconds a clip, float32", title="Cost by frames")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    listed = "; ".join(f"{r['network']} N = {r['frames']}: {r['seconds a clip']:.2f} s" for _, r in table.iterrows())
    return fig, f"Seconds a clip by frames. {listed}."


def layers_figure(table: pd.DataFrame) -> tuple[Figure, str]:
    """Milliseconds within the parts of both networks, side by side."""
    columns = [column for column in map(str, table.columns) if column.endswith(": ms")]
    fig, axis = plt.subplots(figsize=(8, 0.9 + 0.36 * len(table)), layout="constrained")
    places, height = np.arange(len(table)), 0.8 / len(columns)
    for number, (column, name) in enumerate(zip(columns, (BASELINE, ATTENTION))):
        axis.barh(
            places + number * height, table[column], height, color=COLOURS[name], label=column.removesuffix(": ms")
        )
    axis.set_yticks(places + 0.4 - height / 2, table["part"])
    axis.invert_yaxis()
    axis.set(xlabel="milliseconds a clip, float32", title="Where the time goes")
    axis.legend(frameon=False, fontsize=8)
    listed = "; ".join(f"{r['part']} " + " and ".join(f"{r[c]:.0f}" for c in columns) for _, r in table.iterrows())
    return fig, f"Milliseconds by part, baseline and SE-IM: {listed}."


def roofline_points(measured: Measured) -> pd.DataFrame:
    """Operations a byte and GFLOP/s reached of every network, float32: columns name, title, group, family, intensity,
    rate.

    Bytes: parameters once, and each layer's output written once and read once, so the least that layer by layer needs.
    """
    points = []
    for name, entry in measured.networks.items():
        rate = measured.rate(name)
        if rate is None or name not in rows():
            continue
        moved = 4 * (entry["parameters"] + 2 * entry["activations"])
        points.append(
            {
                "name": name, "title": rows()[name].title, "group": rows()[name].group,
                "family": rows()[name].factory,
                "intensity": 2 * entry["multiply_adds"] / moved,
                "rate": 2 * entry["multiply_adds"] * rate["median"] / 1e9,
            }
        )  # fmt: skip
    return pd.DataFrame(points)


def roofline_figure(measured: Measured, points: pd.DataFrame) -> tuple[Figure, str]:
    """Reached GFLOP/s against operations a byte, under the measured peak and bandwidth."""
    peak, bandwidth = measured.content["peak fp32"]["flops"] / 1e9, measured.content["bandwidth"] / 1e9
    fig, axis = plt.subplots(figsize=(8, 4.6), layout="constrained")
    reach = np.geomspace(min(1, points["intensity"].min() / 2), 3 * points["intensity"].max(), 100)
    axis.plot(reach, np.minimum(peak, bandwidth * reach), color="black", linewidth=1)
    axis.annotate(f"measured peak {peak:.0f} GFLOP/s", (reach[-1], peak), (-4, 4), textcoords="offset points",
                  ha="right", fontsize=8)  # fmt: skip
    axis.annotate(f"copying {bandwidth:.0f} GB/s", (reach[0], bandwidth * reach[0]), (8, -2),
                  textcoords="offset points", fontsize=8)  # fmt: skip
    for group in points["group"].sort_values().unique():
        some = points[points["group"] == group]
        axis.plot(some["intensity"], some["rate"], "o", color=GROUP_COLOURS[group], label=GROUP_WORDS[group])
    axis.set(xscale="log", yscale="log", xlabel="operations a byte (FLOP/B), layer by layer", ylabel="GFLOP/s reached")
    axis.set_title("Roofline, float32, one clip a call", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    _plain_ticks(axis.xaxis)
    _plain_ticks(axis.yaxis)
    some = points.drop_duplicates("family")  # of a network measured at several frame counts, one name
    _label_points(axis, some["intensity"], some["rate"], some["title"], size=6)
    listed = "; ".join(f"{p.title} {p.rate:.0f} GFLOP/s at {p.intensity:.0f} FLOP/B" for p in points.itertuples())
    return fig, f"Roofline. {listed}."


def _plain_ticks(axis: Axis) -> None:
    """1, 2, 5, 10, ... on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _label_points(axis: Axes, x: pd.Series, y: pd.Series, names: pd.Series, *, size: float = 7) -> None:
    """A name beside each point, moved until no two lie on one another, with a line to the point if it is far."""
    axis.figure.canvas.draw()  # the layout must stand before the names are moved
    texts = [axis.text(*at, fontsize=size) for at in zip(x, y, names, strict=True)]
    line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6}
    # by steps, not by time, so that the same points give the same picture
    adjust_text(texts, x=list(x), y=list(y), ax=axis, arrowprops=line, expand=(1.1, 1.4), iter_lim=500)
