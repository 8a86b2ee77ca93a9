"""Table 6 from its record: tables, figures and sentences of ``results/table6/<device>.json`` (``bench.table6``)."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from adjustText import adjust_text
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.statistics import Interval
from repro.models.peers.rows import Row, not_rebuilt, rows
from repro.paper.cells import Paper, Peer
from repro.records.table6 import NOT_MEASURED, Measured, families, faster, fewer, titles
from repro.report.figures import COLOURS

GROUP_COLOURS = {"ours": "#D55E00", "peer": "#0072B2", "today": "#009E73"}
GROUP_WORDS = {"ours": "this study's", "peer": "compared with", "today": "what one would take today"}
PRECISIONS = ("fp32", "bf16")
DATASETS = {"ucf101": "UCF101", "hmdb51": "HMDB51"}


# ---- what is known of a row's accuracy


def accuracy(row: Row, paper: Paper, dataset: str) -> Peer | None:
    """A published RGB accuracy of a network, one that was read in a source first; None where there is none."""
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.method in row.accuracy_of]
    peers = [p for p in peers if "flow" not in p.modality.lower()]
    return min(peers, key=lambda p: not p.verified, default=None)


def stated(row: Row, paper: Paper, dataset: str) -> float | None:
    """The accuracy that the paper's text states of its own network, in per cent."""
    values = [c.value for c in paper.claims if c.id == f"accuracy-{dataset}"]
    return values[0] if row.name == ATTENTION and values else None


# ---- tables


def published_table(counts: Mapping[str, Mapping[str, Any]], at_published: Mapping[str, tuple[float, float]]):
    """Built beside published counts, a row a network. ``at_published``: (M, GMACs) counted at the published input of
    networks whose published counts are at another input than the row's."""
    lines = []
    for name, row in rows().items():
        if name not in counts:
            continue
        built = at_published.get(name, (counts[name]["parameters"] / 1e6, counts[name]["multiply_adds"] / 1e9))
        source = row.published
        frames, size = source.frames or row.frames, source.size or row.size
        cited = dict.fromkeys(text for text in (source.params_source, source.gmacs_source) if text)
        none = f"none published (looked in {source.looked_in})" if source.looked_in else "none published"
        lines.append(
            {
                "network": row.title,
                "input, classes": f"{frames} × {size}², {source.classes or row.classes}",
                "built: M": built[0],
                "published: M": "none" if source.params is None else f"{source.params:g}",
                "built: GMACs": built[1],
                "published: GMACs": "none" if source.gmacs is None else f"{source.gmacs:g}",
                "read in": "; ".join(cited) or none,
                "difference": source.cause or none,
            }
        )
    return pd.DataFrame(lines)


def counters_table(counts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The networks on which the two counters differ: by how much."""
    return pd.DataFrame(
        {
            "network": rows()[name].title,
            "torch's counter (GMACs)": c["multiply_adds"] / 1e9,
            "from layers' shapes (GMACs)": c["multiply_adds_by_hooks"] / 1e9,
            "difference (GMACs)": (c["multiply_adds"] - c["multiply_adds_by_hooks"]) / 1e9,
        }
        for name, c in counts.items()
        if c["multiply_adds"] != c["multiply_adds_by_hooks"]
    )


def complexity_table(counts: Mapping[str, Mapping[str, Any]], paper: Paper) -> pd.DataFrame:
    """Table 6's rows: the paper's cells, published accuracies, and what is counted here."""
    printed = {row.name: row for row in paper.table(6).rows}
    lines = []
    for name, row in rows().items():
        if name not in counts:
            continue
        cells = printed.get(row.title)
        columns = paper.table(6).columns
        said = [f"{c}: {v.text}" for c, v in zip(columns, cells.cells) if v.value is not None] if cells else []
        count = counts[name]
        lines.append(
            {
                "network": row.title,
                "paper's text": "; ".join(said) or ("not stated in the text" if cells else "not named in the text"),
                **{f"published: {title}": _accuracy_text(row, paper, key) for key, title in DATASETS.items()},
                "counted: input": _input(row),
                "counted: M": count["parameters"] / 1e6,
                "counted: GMACs": count["multiply_adds"] / 1e9,
                "counted: depth": count["depth"],
                "counted: activations (M)": count["activations"] / 1e6,
                "counted: memory, fp32 (MB)": count["memory"]["fp32"] / 1e6,
            }
        )
    for method in not_rebuilt():
        texts = {f"published: {title}": _peer_text(method.accuracy_of, paper, key) for key, title in DATASETS.items()}
        lines.append(
            {"network": method.name, "paper's text": "", **texts, "counted: input": f"not rebuilt: {method.why}"}
        )
    return pd.DataFrame(lines)


def _input(row: Row) -> str:
    flow = f" and {row.flow // 2} flow fields" if row.flow else ""
    return f"{row.frames} × {row.size}²{flow}, {row.classes} classes"


def _accuracy_text(row: Row, paper: Paper, dataset: str) -> str:
    return _peer_text(row.accuracy_of, paper, dataset)


def _peer_text(methods: Sequence[str], paper: Paper, dataset: str) -> str:
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.method in methods]
    peer = min(peers, key=lambda p: not p.verified, default=None)
    if peer is None:
        return "none read"
    protocol = ", ".join(text for text in (peer.modality, peer.pretraining, peer.splits) if text)
    return f"{peer.text} ({protocol}{'' if peer.verified else '; not verified'})"


def speed_table(measured: Measured, *, counts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Videos a second of every row, one clip a call: both precisions, beside the baseline, at its test protocol."""
    stale = set(measured.stale(counts))
    lines = []
    for name, row in rows().items():
        if name not in measured.networks:
            lines.append({"network": row.title, "fp32: clips/s [quartiles]": NOT_MEASURED})
            continue
        line: dict[str, Any] = {"network": row.title + (" (stale)" if name in stale else "")}
        for precision in PRECISIONS:
            rate = measured.rate(name, precision)
            text = measured.reason(name, precision) if rate is None else _rate_text(rate)
            line[f"{precision}: clips/s [quartiles]"] = text
        ratio = measured.ratio(name, BASELINE)
        line["fp32: times the baseline [95 %]"] = "–" if ratio is None or name == BASELINE else _ratio_text(ratio)
        rate = measured.rate(name)
        line["test: views a video"] = f"{row.clips} × {row.crops}" if row.views else row.protocol or "not stated"
        line["fp32: videos/s in that test (derived)"] = (
            None if rate is None or not row.views else rate["median"] / row.views
        )
        lines.append(line)
    return pd.DataFrame(lines)


def _rate_text(rate) -> str:
    return f"{rate['median']:.3g} [{rate['q25']:.3g}, {rate['q75']:.3g}]"


def _ratio_text(ratio: Interval) -> str:
    return f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def runs_note(measured: Measured) -> str:
    """Which run or runs the timings are from; of several, how far the reference network drifted between them."""
    content = measured.content
    made = content["provenance"]
    text = (
        f"Measured on {measured.name}, {made['started'][:10]}, torch {made['libraries']['torch']}, commit "
        f"{made['commit'][:10]}{' with uncommitted changes' if made['uncommitted_changes'] else ''}: one warm-up and "
        f"{content['rounds']['network']} interleaved rounds. "
    )
    used = sorted(measured.timings["run"].unique())
    if len(used) == 1:
        return text + "All timings are of one run."
    case = f"{content['reference']}, fp32, batch 1"
    network = measured.of("network", case)
    by_run = network.groupby("run")["seconds"].median()
    drift = ", ".join(f"{seconds:.3f} s in run {run + 1}" for run, seconds in by_run.items())
    return text + f"**The timings are of {len(used)} runs** (it was interrupted); the baseline took {drift}."


def batch_table(measured: Measured) -> pd.DataFrame:
    """The best batch of those tried, a row a network: clips/s, gain over one clip a call."""
    lines = []
    for name in measured.networks:
        line: dict[str, Any] = {"network": rows()[name].title if name in rows() else name}
        for precision in PRECISIONS:
            single = measured.rate(name, precision)
            tried = {}
            for case in measured.of("batch")["case"].unique():
                row, kind, batch = case.split(", ")
                if (row, kind) == (name, precision):
                    tried[batch] = measured.rate(name, precision, section="batch", more=batch)
            if single is None or not tried:
                line |= {
                    f"{precision}: best batch": NOT_MEASURED,
                    f"{precision}: clips/s": None,
                    f"{precision}: gain": None,
                }
                continue
            options = {"batch 1": single} | tried
            best = max(options, key=lambda batch: options[batch]["median"])
            line[f"{precision}: best batch"] = best.removeprefix("batch ")
            line[f"{precision}: clips/s"] = options[best]["median"]
            line[f"{precision}: gain"] = options[best]["median"] / single["median"]
        lines.append(line)
    return pd.DataFrame(lines)


def pipeline_table(measured: Measured) -> pd.DataFrame:
    """From a video file to a label beside the network alone, float32, in seconds a clip.

    No share of decoding is derived from the two: decoded frames lie channels-last in memory, the network-only input
    does not, and PyTorch runs the same convolutions faster on the former.
    """
    lines = []
    for name in measured.networks:
        whole, network = measured.rate(name, section="pipeline"), measured.rate(name)
        if whole is None or network is None:
            continue
        lines.append(
            {
                "network": rows()[name].title if name in rows() else name,
                "network only (s)": 1 / network["median"],
                "file to label (s)": 1 / whole["median"],
                "file to label: videos/s [quartiles]": _rate_text(whole),
            }
        )
    return pd.DataFrame(lines)


def views_table(measured: Measured) -> pd.DataFrame:
    """Whole test protocols, timed, beside the rate derived from one view."""
    lines = []
    for case in measured.of("views")["case"].unique():
        if not case.endswith("views"):
            continue
        name, _, _, views = case.split(", ")
        count = int(views.split()[0])
        whole = measured.rate(name, section="views", more=f"batch 1, {views}")
        single = measured.rate(name, section="views")
        lines.append(
            {
                "network": rows()[name].title if name in rows() else name,
                "views a video": count,
                "derived: videos/s": single["median"] / count,
                "timed: videos/s": whole["median"],
                "timed / derived": whole["median"] * count / single["median"],
                "n": int(whole["n"]),
            }
        )
    return pd.DataFrame(lines)


def frames_table(measured: Measured) -> pd.DataFrame:
    """Clips/s by the number of frames, a row a network and number."""
    lines = []
    for case in measured.of("frames")["case"].unique():
        name, precision, batch, frames = case.split(", ")
        count = int(frames.split()[0])
        rate = measured.rate(name, precision, section="frames", more=f"{batch}, {frames}")
        entry = measured.networks[name]
        lines.append(
            {
                "name": name,
                "network": rows()[name].title.split(",")[0] if name in rows() else name,
                "frames": count,
                "GMACs": entry["multiply_adds"] / 1e9 * count / entry["frames"],
                "seconds a clip": 1 / rate["median"],
                "clips/s": rate["median"],
            }
        )
    return pd.DataFrame(lines).sort_values(["name", "frames"], ignore_index=True) if lines else pd.DataFrame()


def layers_table(measured: Measured) -> pd.DataFrame:
    """Where the time of one clip goes within the two networks, medians over rounds, as seconds and shares."""
    found = {}
    for name in (BASELINE, ATTENTION):
        if measured.content.get(f"layers {name}"):
            found[name] = pd.DataFrame(measured.content[f"layers {name}"]).groupby("part")["seconds"].median()
    names = dict.fromkeys(part for parts in found.values() for part in sorted(parts.index) if part != "the rest")
    # in the order in which a clip passes them
    order = sorted(names, key=lambda part: (part.startswith("head"), part == "gates", "stem" not in part))
    lines = []
    for part in [*order, "the rest"]:
        line: dict[str, Any] = {"part": part}
        for name, seconds in found.items():
            line[f"{rows()[name].title}: ms"] = 1000 * seconds.get(part, 0.0)
            line[f"{rows()[name].title}: share"] = f"{seconds.get(part, 0.0) / seconds.sum():.1%}"
        lines.append(line)
    return pd.DataFrame(lines) if found else pd.DataFrame()


# ---- figures


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


def bubble_figure(points: pd.DataFrame, dataset: str) -> Figure:
    """Accuracy against speed and against multiply-adds; areas are parameters, lines Pareto fronts."""
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, (cost, label, lower) in zip(
        axes, (("speed", "clips/s, float32, one clip a call", False), ("gmacs", "GMACs a clip", True)), strict=True
    ):
        for group, some in points.groupby("group"):
            for verified, part in some.groupby("verified"):
                face = GROUP_COLOURS[group] if verified else "none"
                look = {"facecolor": face, "edgecolor": GROUP_COLOURS[group], "alpha": 0.75 if verified else 1}
                axis.scatter(part[cost], part["accuracy"], s=6 * part["parameters"], linewidth=1.4, **look)
        front = pareto(points, cost=cost, lower_is_better=lower)
        axis.plot(front[cost], front["accuracy"], color="#555555", linestyle="--", linewidth=1, zorder=0)
        axis.set(xscale="log", xlabel=label)
        axis.margins(x=0.15, y=0.12)
        _plain_ticks(axis.xaxis)
    axes[0].set(ylabel=f"published top-1 on {DATASETS[dataset]} (%)")
    for axis, cost in zip(axes, ("speed", "gmacs"), strict=True):
        _label_points(axis, points[cost], points["accuracy"], points["title"])
    fig.suptitle(f"{DATASETS[dataset]}: accuracy as published, cost as measured here", fontsize=11)
    return fig


def frames_figure(table: pd.DataFrame) -> Figure:
    """Seconds a clip by the number of frames."""
    fig, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    colours = itertools.cycle(("#0072B2", "#D55E00", "#009E73", "#7f7f7f"))
    for (name, some), mark in zip(table.groupby("name", sort=False), "oDs^v", strict=False):
        axis.plot(some["frames"], some["seconds a clip"], f"{mark}-", color=COLOURS.get(name, next(colours)),
                  label=some["network"].iloc[0])  # fmt: skip
    ticks = sorted(table["frames"].unique())
    axis.set(xscale="log", yscale="log", xlabel="frames N", ylabel="seconds a clip, float32", title="Cost by frames")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    return fig


def layers_figure(table: pd.DataFrame) -> Figure:
    """Milliseconds within the parts of both networks, side by side."""
    columns = [column for column in table if column.endswith(": ms")]
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
    return fig


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


def roofline_figure(measured: Measured, points: pd.DataFrame) -> Figure:
    """Reached GFLOP/s against operations a byte, under the measured peak and bandwidth."""
    peak, bandwidth = measured.content["peak fp32"]["flops"] / 1e9, measured.content["bandwidth"] / 1e9
    fig, axis = plt.subplots(figsize=(8, 4.6), layout="constrained")
    reach = np.geomspace(min(1, points["intensity"].min() / 2), 3 * points["intensity"].max(), 100)
    axis.plot(reach, np.minimum(peak, bandwidth * reach), color="black", linewidth=1)
    axis.annotate(f"measured peak {peak:.0f} GFLOP/s", (reach[-1], peak), (-4, 4), textcoords="offset points",
                  ha="right", fontsize=8)  # fmt: skip
    axis.annotate(f"copying {bandwidth:.0f} GB/s", (reach[0], bandwidth * reach[0]), (8, -2),
                  textcoords="offset points", fontsize=8)  # fmt: skip
    for group, some in points.groupby("group"):
        axis.plot(some["intensity"], some["rate"], "o", color=GROUP_COLOURS[group], label=GROUP_WORDS[group])
    axis.set(xscale="log", yscale="log", xlabel="operations a byte (FLOP/B), layer by layer", ylabel="GFLOP/s reached")
    axis.set_title("Roofline, float32, one clip a call", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    _plain_ticks(axis.xaxis)
    _plain_ticks(axis.yaxis)
    some = points.drop_duplicates("family")  # of a network measured at several frame counts, one name
    _label_points(axis, some["intensity"], some["rate"], some["title"], size=6)
    return fig


def _plain_ticks(axis) -> None:
    """1, 2, 5, 10, ... on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _label_points(axis, x, y, names: Sequence[str], *, size: float = 7) -> None:
    """A name beside each point, moved until no two lie on one another, with a line to the point if it is far."""
    axis.figure.canvas.draw()  # the layout must stand before the names are moved
    texts = [axis.text(*at, fontsize=size) for at in zip(x, y, names, strict=True)]
    line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6}
    adjust_text(texts, x=list(x), y=list(y), ax=axis, arrowprops=line, expand=(1.1, 1.4))


# ---- what the numbers say


def findings(measured: Measured) -> list[str]:
    """A plain verdict on "light" and "fast", a sentence each."""
    found = []
    if ATTENTION in measured.networks and families(measured):
        mine = measured.networks[ATTENTION]
        parameters, operations = (fewer(measured, ATTENTION, [key]) for key in ("parameters", "multiply_adds"))
        both = fewer(measured, ATTENTION, ["parameters", "multiply_adds"])
        found.append(
            f"**Light?** Res34-SE-IM-Net has {mine['parameters'] / 1e6:.1f} M parameters and "
            f"{mine['multiply_adds'] / 1e9:.1f} GMACs a clip: fewer parameters than {parameters.count} networks "
            f"compared with, fewer multiply-adds than {operations.count}, fewer of both than {both.count}"
            + (f" ({titles(both.better)})." if both.better else ".")
        )
        if (lite := measured.networks.get("eco_lite-16")) is not None:
            lighter = all(mine[key] < lite[key] for key in ("parameters", "multiply_adds"))
            found.append(
                f"Beside ECO-Lite with as many frames ({lite['parameters'] / 1e6:.1f} M, "
                f"{lite['multiply_adds'] / 1e9:.1f} GMACs) the fused network is {'' if lighter else 'not '}the lighter."
            )
        for precision in PRECISIONS:
            rate, speed = measured.rate(ATTENTION, precision), faster(measured, ATTENTION, precision=precision)
            if rate is None or not (speed.better or speed.not_better):
                continue
            found.append(
                f"**Fast?** In {precision} it runs {rate['median']:.2f} clips/s here, each network at its own "
                f"published input: faster than {speed.count} networks compared with"
                + (f" ({titles(speed.better)})." if speed.better else ".")
            )
        ratio = measured.ratio(ATTENTION, BASELINE)
        if ratio is not None:
            found.append(
                f"**With the gates** the network runs at {_ratio_text(ratio)} times the baseline's rate (float32, "
                "median of paired rounds)."
            )
    return found
