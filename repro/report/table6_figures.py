"""Table 6's figures from its record: accuracy against cost, time by part, the roofline.

Each figure function returns the figure with what it shows in words, its alternative text.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from torch import nn

from repro.claims.official import OWN
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.complexity import multiply_adds
from repro.models import build
from repro.models.blocks import Gate
from repro.models.peers.rows import Row, rows
from repro.paper.cells import Paper, Peer
from repro.records.table6 import Measured
from repro.report.architecture import stages
from repro.report.figures import COLOURS
from repro.report.labels import label_points
from repro.report.table6 import DATASETS

GROUP_COLOURS = {"ours": "#D55E00", "peer": "#0072B2", "today": "#009E73"}
GROUP_WORDS = {"ours": "this study's", "peer": "compared with", "today": "what one would take today"}
COSTS = (("speed", "clips/s, float32, one clip a call", False), ("gmacs", "GMACs a clip", True))


# ---- accuracy against cost


def accuracy(row: Row, paper: Paper, dataset: str) -> Peer | None:
    """A published RGB accuracy of a network, one that was read in a source first; None where there is none."""
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.method in row.accuracy_of]
    peers = [p for p in peers if "flow" not in p.modality.lower()]
    return min(peers, key=lambda p: not p.verified, default=None)


def bubble_points(measured: Measured, paper: Paper, dataset: str) -> pd.DataFrame:
    """Networks with a published accuracy, and the paper's two: NaN where its text states none.

    Columns name, title, group, accuracy (%), stated (by the paper of its own network), verified, speed (clips/s),
    gmacs, parameters (10^6).
    """
    points = []
    for name, row in rows().items():
        rate = measured.rate(name)
        if name not in measured.networks or rate is None:
            continue
        peer = accuracy(row, paper, dataset)
        if peer is None and name not in OWN:
            continue
        own = next((c.value for c in paper.claims if c.id == f"accuracy-{dataset}" and name == ATTENTION), None)
        entry = measured.networks[name]
        points.append(
            {
                "name": name, "title": row.title, "group": row.group,
                "accuracy": (np.nan if own is None else own) if peer is None else float(peer.value),
                "stated": peer is None,
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
    """Published accuracy against speed and against multiply-adds; areas are parameters, dashed lines Pareto fronts.

    The paper's own network has no measured accuracy at full size: what its text states is drawn hollow, beside the
    fronts of the others.
    """
    fig, axes = plt.subplots(2, 1, figsize=(9, 6.6), layout="constrained")
    published, fronts = points[~points["stated"]], []
    for axis, (cost, label, lower) in zip(axes, COSTS, strict=True):
        for _, point in points.iterrows():
            colour = GROUP_COLOURS[point["group"]]
            fill = 0 if point["stated"] else 0.75 if point["verified"] else 0.2
            look = {"facecolor": (colour, fill), "edgecolor": colour, "linewidth": 1.4}
            axis.scatter(point[cost], point["accuracy"], s=6 * point["parameters"], **look)
        front = pareto(published, cost=cost, lower_is_better=lower)
        fronts.append(f"by {label.split(',')[0]}: {', '.join(front['title']) or 'none'}")
        axis.plot(front[cost], front["accuracy"], color="#888888", linestyle="--", linewidth=1, zorder=0)
        axis.set(xscale="log", xlabel=label, ylabel=f"top-1 on {DATASETS[dataset]} (%)")
        axis.margins(x=0.12, y=0.12)
        _plain_ticks(axis.xaxis)
    axes[0].set_title(f"{DATASETS[dataset]}: accuracy as published, cost as measured here", fontsize=10)
    fig.legend(handles=_bubble_marks(points), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    names = points["title"] + points["stated"].map({True: ",\nas the paper states", False: ""})
    names = names.where(points["accuracy"].notna(), points["title"] + ",\nno accuracy stated")
    for axis, (cost, _, _) in zip(axes, COSTS, strict=True):
        low = axis.get_ylim()[0]
        unknown = points[points["accuracy"].isna()]
        axis.plot(unknown[cost], [low] * len(unknown), "^", color=GROUP_COLOURS["ours"], mfc="none", clip_on=False)
        axis.set_ylim(bottom=low)
        radii = np.sqrt(6 * points["parameters"] / np.pi)  # points: a marker's area is that of a square
        label_points(axis, points[cost], points["accuracy"].fillna(low), names, radii=radii)
    listed = []
    for p in points.itertuples():
        said = "no accuracy stated" if np.isnan(p.accuracy) else f"{p.accuracy:g} %{' as the paper states' * p.stated}"
        listed.append(f"{p.title} {said}, {p.speed:.2f} clips/s, {p.gmacs:.0f} GMACs")
    return fig, f"{DATASETS[dataset]} top-1 against cost: {'; '.join(listed)}. Pareto front {'; '.join(fronts)}."


def _bubble_marks(points: pd.DataFrame) -> list[Line2D]:
    """What colours and fills mean, of those that occur."""
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 8}
    marks = [
        Line2D([], [], color=colour, alpha=0.75, label=GROUP_WORDS[group], **look)
        for group, colour in GROUP_COLOURS.items()
        if group in set(points["group"][~points["stated"]])
    ]
    fills = (
        (points["stated"].any(), "none", GROUP_COLOURS["ours"], "hollow: as the paper states, not measured here"),
        ((~points["verified"]).any(), (GROUP_COLOURS["peer"], 0.2), GROUP_COLOURS["peer"], "pale: not verified"),
    )
    marks += [
        Line2D([], [], markerfacecolor=fill, color=edge, label=words, **look)
        for occurs, fill, edge, words in fills
        if occurs
    ]
    return [*marks, Line2D([], [], color="#888888", linestyle="--", label="Pareto front of what others published")]


# ---- where the time goes


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
    """Reached GFLOP/s against operations a byte, under the measured peak and bandwidth.

    Both axes keep to the points and the roof above them: where copying would limit a network is said in words.
    """
    peak, bandwidth = measured.content["peak fp32"]["flops"] / 1e9, measured.content["bandwidth"] / 1e9
    fig, axis = plt.subplots(figsize=(9, 6.5), layout="constrained")
    reach = np.geomspace(points["intensity"].min() / 1.5, 2 * points["intensity"].max(), 100)
    axis.plot(reach, np.minimum(peak, bandwidth * reach), color="black", linewidth=1)
    ridge = peak / bandwidth
    axis.annotate(f"measured peak {peak:.0f} GFLOP/s; below {ridge:.1f} FLOP/B copying at {bandwidth:.0f} GB/s limits",
                  (reach[-1], peak), (-4, 4), textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
    for group in points["group"].sort_values().unique():
        some = points[points["group"] == group]
        axis.plot(some["intensity"], some["rate"], "o", color=GROUP_COLOURS[group], label=GROUP_WORDS[group])
    axis.set(xscale="log", yscale="log", xlabel="operations a byte (FLOP/B), layer by layer", ylabel="GFLOP/s reached")
    axis.set(xlim=(reach[0], reach[-1]), ylim=(points["rate"].min() / 1.4, 1.4 * max(peak, points["rate"].max())))
    axis.set_title("Roofline, float32, one clip a call", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    _plain_ticks(axis.xaxis)
    _plain_ticks(axis.yaxis)
    some = points.drop_duplicates("family")  # of a network measured at several frame counts, one name
    rest = points.drop(some.index)[["intensity", "rate"]].to_numpy()
    label_points(axis, some["intensity"], some["rate"], some["title"], others=rest)
    listed = "; ".join(f"{p.title} {p.rate:.0f} GFLOP/s at {p.intensity:.0f} FLOP/B" for p in points.itertuples())
    return fig, f"Roofline under {peak:.0f} GFLOP/s and {bandwidth:.0f} GB/s. {listed}."


def _plain_ticks(axis: Axis) -> None:
    """1, 2, 5, 10, ... on a logarithmic axis whose limits stand; other round numbers where these are under three."""
    low, high = axis.get_view_interval()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for ticks in (np.outer(powers, (1, 2, 5)).ravel(), MaxNLocator(5).tick_values(low, high)):
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    axis.set_major_locator(FixedLocator(inside))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


# ---- where a clip's multiply-adds and its time go within a network

TRUNK = ("trunk, stem", "trunk, layer1", "trunk, layer2", "trunk, layer3", "trunk, layer4", "trunk, batch norm")
PARTS = (*TRUNK, "gates", "head, stage1", "head, stage2", "head, stage3", "the rest")
FRAMES = 16


def counted_shares(model: str) -> pd.Series:
    """The share of a clip's multiply-adds by `PARTS` at the paper's size, fractions; none are counted of batch norm."""
    network = build(model, classes=51).eval().to("meta")
    found = dict.fromkeys(PARTS, 0)
    for name, part, entry in stages(network, FRAMES, 224):
        gates = 0
        for gate in (module for module in part.modules() if isinstance(module, Gate)):
            squeezed = torch.empty(FRAMES, gate.fc1.in_features, device="meta")  # one squeezed map a frame
            gates += multiply_adds(nn.Sequential(gate.fc1, gate.fc2), squeezed)
        where, _, what = name.partition(":")[0].partition(" ")
        what = what.replace(" ", "")  # "2D layer 1" is "trunk, layer1"
        found["gates"] += gates
        found[{"2D": f"trunk, {what}", "3D": f"head, {what}"}.get(where, "the rest")] += (
            multiply_adds(part, entry) - gates
        )
    return pd.Series(found) / sum(found.values())


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
