"""Table 6 from its record: tables and sentences of ``results/table6/<device>.json`` (``repro.bench.table6``)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from repro.claims.comparison import CLIP, COMMON_CLIP, VIDEO, Counts, cost, faster, fewer
from repro.claims.official import OWN
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Interval
from repro.models.peers.rows import COMMON, EXCEPTED, Row, compared, not_rebuilt, rows, titles
from repro.paper.cells import Paper
from repro.records.table6 import AT_COMMON, COMMAND, FILE_TO_LABEL, NOT_MEASURED, Measured
from repro.report.peers_tables import UNREAD
from repro.report.show import formatted, say, show_table

FULL = f"{COMMAND} --full"
NOT_VERIFIED = "not verified"
PRECISIONS = ("fp32", "bf16")
DATASETS = {"ucf101": "UCF101", "hmdb51": "HMDB51"}


def show_measured(table: pd.DataFrame, caption: str, *, command: str = FULL, folded: str = "") -> None:
    """Display a table, or which command measures it where it is empty."""
    if table.empty:
        say(f"**Not measured:** `{command}`.")
    else:
        show_table(table, caption, folded=folded)


# ---- Table 6


def table6(counts: Counts, paper: Paper, measured: Measured) -> pd.DataFrame:
    """Table 6 as the paper has it: parameters, multiply-adds, depth, speed and published accuracy, a row a network.

    Of the paper's two, I3D, and the networks that the claims compare; its own cells beside them, as far as its text
    states any.
    """
    chosen = {rows()[name].title for name in (*OWN, EXCEPTED, *compared())}
    full = complexity_table(counts, paper)
    full = full[full["network"].isin(chosen)].reset_index(drop=True)
    rates = {row.title: measured.rate(name) for name, row in rows().items()}
    speed = ["–" if (rate := rates.get(title)) is None else f"{rate['median']:.3g}" for title in full["network"]]
    stated = {"not stated in the text": "–", "not named": "–", "": "–"}
    published = full["published: UCF101"]
    unread = published.str.contains(NOT_VERIFIED).map({True: UNREAD, False: ""})
    table = pd.DataFrame(
        {
            "network": full["network"],
            "the paper": full["paper's text"].replace(stated),
            "parameters (M)": full["counted: M"],
            "GMACs": full["counted: GMACs"],
            "depth": full["counted: depth"],
            "clips/s, fp32": speed,
            "UCF101, published": published.str.partition(" (")[0] + unread,
        }
    )
    return formatted(table, {"parameters (M)": ".1f", "GMACs": ".1f", "depth": ".0f"})


def published_table(counts: Counts, at_published: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
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
                "M: built, published": f"{built[0]:.2f}, {'none' if source.params is None else f'{source.params:g}'}",
                "GMACs: built, published": f"{built[1]:.2f}, {'none' if source.gmacs is None else f'{source.gmacs:g}'}",
                "read in": "; ".join(cited) or none,
                "difference": source.cause or none,
            }
        )
    return pd.DataFrame(lines)


def counters_table(counts: Counts) -> pd.DataFrame:
    """The networks on which the two counters differ: by how much."""
    lines = [
        {
            "network": rows()[name].title,
            "torch's counter (GMACs)": c["multiply_adds"] / 1e9,
            "from layers' shapes (GMACs)": c["multiply_adds_by_hooks"] / 1e9,
            "difference (GMACs)": (c["multiply_adds"] - c["multiply_adds_by_hooks"]) / 1e9,
        }
        for name, c in counts.items()
        if c["multiply_adds"] != c["multiply_adds_by_hooks"]
    ]
    names = ("torch's counter (GMACs)", "from layers' shapes (GMACs)", "difference (GMACs)")
    return formatted(pd.DataFrame(lines), dict.fromkeys(names, ".2f"))


def details_table(counts: Counts, paper: Paper) -> pd.DataFrame:
    """What Table 6 leaves out: inputs, activations, memory, and both published accuracies with their protocols."""
    counted = ("M", "GMACs", "depth")
    return complexity_table(counts, paper).drop(columns=["paper's text", *(f"counted: {name}" for name in counted)])


def complexity_table(counts: Counts, paper: Paper) -> pd.DataFrame:
    """Table 6's rows: the paper's cells, published accuracies, and what is counted here."""
    printed = {row.name: row for row in paper.table(6).rows}
    lines = []
    for name, row in rows().items():
        if name not in counts:
            continue
        cells = printed.get(row.named or row.title)
        columns = paper.table(6).columns
        said = [f"{c}: {v.text}" for c, v in zip(columns, cells.cells) if v.value is not None] if cells else []
        place = "named" if name == EXCEPTED else "named in the introduction alone"
        named = f"{place}, no number" if row.named else "not stated in the text" if cells else "not named"
        count = counts[name]
        lines.append(
            {
                "network": row.title,
                "paper's text": "; ".join(said) or named,
                **{f"published: {title}": _peer_text(row.accuracy_of, paper, key) for key, title in DATASETS.items()},
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
    formats = {"counted: M": ".2f", "counted: GMACs": ".2f", "counted: depth": ".0f"}
    formats |= {"counted: activations (M)": ".1f", "counted: memory, fp32 (MB)": ".0f"}
    return formatted(pd.DataFrame(lines), formats)


def _title(name: str) -> str:
    """Of a record's network, which may be one that is not built any more."""
    return rows()[name].title if name in rows() else name


def _input(row: Row) -> str:
    flow = f" and {row.flow // 2} flow fields" if row.flow else ""
    return f"{row.frames} × {row.size}²{flow}, {row.classes} classes"


def _peer_text(methods: Sequence[str], paper: Paper, dataset: str) -> str:
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.method in methods]
    peer = min(peers, key=lambda p: not p.verified, default=None)
    if peer is None:
        return "none read"
    protocol = ", ".join(text for text in (peer.modality, peer.pretraining, peer.splits) if text)
    return f"{peer.text} ({protocol}{'' if peer.verified else f'; {NOT_VERIFIED}'})"


def speed_table(measured: Measured, *, counts: Counts) -> pd.DataFrame:
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
        derived = None if rate is None or not row.views else rate["median"] / row.views
        line["fp32: videos/s in that test (derived)"] = derived
        lines.append(line)
    return formatted(pd.DataFrame(lines), {"fp32: videos/s in that test (derived)": ".3g"})


def _rate_text(rate: pd.Series) -> str:
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
    network = measured.of("network", f"{content['reference']}, fp32, batch 1")
    by_run = network.groupby("run")["seconds"].median()
    drift = ", ".join(f"{seconds:.3f} s in run {int(str(run)) + 1}" for run, seconds in by_run.items())
    return text + f"**The timings are of {len(used)} runs** (it was interrupted); the baseline took {drift}."


def batch_table(measured: Measured) -> pd.DataFrame:
    """The best batch of those tried, a row a network: clips/s, gain over one clip a call."""
    rates, lines = measured.rates("batch"), []
    if rates.empty:
        return pd.DataFrame()
    for name in measured.networks:
        line: dict[str, Any] = {"network": _title(name)}
        for precision in PRECISIONS:
            single = measured.rate(name, precision)
            head = f"{name}, {precision}, "
            tried = {case: median for case, median in zip(rates.index, rates["median"]) if case.startswith(head)}
            best, rate, gain = NOT_MEASURED, None, None
            if single is not None and tried:
                medians = {"1": single["median"]}
                medians |= {case.removeprefix(f"{head}batch "): median for case, median in tried.items()}
                best = max(medians, key=lambda batch: medians[batch])
                rate, gain = medians[best], medians[best] / single["median"]
            line |= {f"{precision}: best batch": best, f"{precision}: clips/s": rate, f"{precision}: gain": gain}
        lines.append(line)
    return formatted(pd.DataFrame(lines), {f"{p}: {what}": ".2f" for p in PRECISIONS for what in ("clips/s", "gain")})


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
                "network": _title(name),
                "network only (s)": 1 / network["median"],
                "file to label (s)": 1 / whole["median"],
                "file to label: videos/s [quartiles]": _rate_text(whole),
            }
        )
    return formatted(pd.DataFrame(lines), {"network only (s)": ".3f", "file to label (s)": ".3f"})


def views_table(measured: Measured) -> pd.DataFrame:
    """Whole test protocols, timed, beside the rate derived from one view."""
    rates, lines = measured.rates("views"), []
    for case, whole in rates.iterrows():
        name, precision, batch, *views = str(case).split(", ")
        if not views:
            continue
        count, single = int(views[0].split()[0]), rates.loc[f"{name}, {precision}, {batch}"]
        lines.append(
            {
                "network": _title(name),
                "views a video": count,
                "derived: videos/s": single["median"] / count,
                "timed: videos/s": whole["median"],
                "timed / derived": whole["median"] * count / single["median"],
                "n": int(whole["n"]),
            }
        )
    formats = {"derived: videos/s": ".3f", "timed: videos/s": ".3f", "timed / derived": ".2f"}
    return formatted(pd.DataFrame(lines), formats)


def frames_table(measured: Measured) -> pd.DataFrame:
    """Clips/s by the number of frames, a row a network and number."""
    lines = []
    for case, rate in measured.rates("frames").iterrows():
        name, _, _, frames = str(case).split(", ")
        count, entry = int(frames.split()[0]), measured.networks[name]
        lines.append(
            {
                "name": name,
                "network": _title(name).split(",")[0],
                "frames": count,
                "GMACs": entry["multiply_adds"] / 1e9 * count / entry["frames"],
                "seconds a clip": 1 / rate["median"],
                "clips/s": rate["median"],
            }
        )
    if not lines:
        return pd.DataFrame()
    table = pd.DataFrame(lines).sort_values(["name", "frames"], ignore_index=True)
    return formatted(table, {"GMACs": ".1f", "seconds a clip": ".3f", "clips/s": ".2f"})


def layers_table(measured: Measured) -> pd.DataFrame:
    """Where the time of one clip goes within the two networks, medians over rounds, as seconds and shares."""
    found = {}
    for name in (BASELINE, ATTENTION):
        if layers := measured.content.get(f"layers {name}"):
            found[TITLES[name]] = pd.DataFrame(layers).groupby("part")["seconds"].median()
    if not found:
        return pd.DataFrame()
    names = dict.fromkeys(part for parts in found.values() for part in sorted(parts.index) if part != "the rest")
    # in the order in which a clip passes them
    order = sorted(names, key=lambda part: (part.startswith("head"), part == "gates", "stem" not in part))
    table = pd.DataFrame({"part": [*order, "the rest"]})
    for title, seconds in found.items():
        taken = table["part"].map(seconds).fillna(0.0)
        table[f"{title}: ms"] = 1000 * taken
        table[f"{title}: share"] = (taken / seconds.sum()).map("{:.1%}".format)
    return formatted(table, {f"{title}: ms": ".1f" for title in found})


def compared_table(counts: Counts, measured: Measured) -> pd.DataFrame:
    """The networks that the claims compare, I3D and the paper's two: what a clip, a video and the common clip cost.

    counts: today's (``repro.bench.counts.counts_of``) of these networks at least.
    """
    lines = []
    for name in (*OWN, EXCEPTED, *compared()):
        row, rate = rows()[name], _rate_at_common(measured, name)
        gmacs = {by: cost(counts, name, "multiply_adds", by) / 1e9 for by in (CLIP, VIDEO, COMMON_CLIP)}
        known = row.views is not None
        lines.append(
            {
                "network": row.title,
                "own input": _input(row),
                "M": counts[name]["parameters"] / 1e6,
                "depth": counts[name]["depth"],
                "GMACs a clip": gmacs[CLIP],
                "clips of a video": str(row.views) if known else f"not known: {row.protocol}",
                "GMACs a video": gmacs[VIDEO] if known else None,
                "GMACs at 16 × 224²": f"not at it: {row.fixed}" if row.fixed else f"{gmacs[COMMON_CLIP]:.1f}",
                "clips/s at 16 × 224²": "–" if row.fixed else "not run" if rate is None else _rate_text(rate),
            }
        )
    return formatted(pd.DataFrame(lines), {"M": ".1f", "depth": ".0f", "GMACs a clip": ".1f", "GMACs a video": ".0f"})


def _rate_at_common(measured: Measured, name: str) -> pd.Series | None:
    """Clips/s on the common clip: its own timing where that is its own input."""
    at_it = (rows()[name].frames, rows()[name].size) == (COMMON["frames"], COMMON["size"])
    return measured.rate(name) if at_it else measured.rate(name, section="common", more=AT_COMMON)


def real_time_text(machines: Sequence[Measured], frames_per_second: float) -> str:
    """Which CPUs keep up in float32 by their fastest runtime, both networks; nothing where none was measured."""
    budget = rows()[ATTENTION].frames / frames_per_second
    found = [(each.name, exact[1]) for each in machines if (exact := each.fastest_exact(OWN))]
    if not found:
        return ""
    kept = sum(took.slow <= budget for _, took in found)
    listed = "; ".join(f"{took.middle:.2f} s on {name}" for name, took in found)
    return f"**In time on {kept} of {len(found)} CPUs**, of {budget:.2f} s allowed: {listed}."


def real_time_table(measured: Measured, frames_per_second: float) -> pd.DataFrame:
    """Seconds of a decision by runtime, the slower of the two networks, beside the time in which its frames come."""
    found = dict(measured.runtimes(OWN))
    if (whole := measured.pipeline_seconds(OWN)) is not None:
        found[FILE_TO_LABEL] = whole
    budget = rows()[ATTENTION].frames / frames_per_second
    return pd.DataFrame(
        {
            "runtime": name,
            "seconds a decision [quartiles]": f"{took.middle:.2f} [{took.fast:.2f}, {took.slow:.2f}]",
            f"within {budget:.2f} s": "yes" if took.slow <= budget else "no" if took.fast > budget else "mostly",
        }
        for name, took in found.items()
    )


# ---- what the numbers say


def _alike_text(measured: Measured, others: Sequence[str], precision: str) -> str:
    """Which of the networks that do not count as slower are not shown to be faster either."""
    found = []
    for name in others:
        ratios = [measured.ratio(own, name, precision) for own in OWN]
        if all(ratio is None or ratio.high >= 1 for ratio in ratios):
            found.append(rows()[name].title)
    return f" Not told apart by {CLIP}, so counted as not beaten: {'; '.join(found)}." if found else ""


def _faster_text(measured: Measured) -> str:
    """When a network counts as faster, and of how many the speed was measured on the same input."""
    timed = [name for name in compared() if _rate_at_common(measured, name) is not None]
    count = f"{len(timed)} of the {len(compared())}" if timed else f"none of the {len(compared())}"
    return (
        "*Faster* is where the whole interval of the ratio of both times lies above 1, each network at its own "
        f"published input. With the same 16 frames of 224 pixels for all, the speed of {count} was measured."
    )


def findings(measured: Measured, counts: Counts) -> list[str]:
    """A plain verdict on "light" and "fast", a sentence each; counts as for `compared_table`."""
    mine = counts[ATTENTION]
    keys = (["parameters"], ["multiply_adds"], ["parameters", "multiply_adds"])
    parameters, operations, both = (fewer(counts, ATTENTION, some) for some in keys)
    found = [
        f"**Light?** Res34-SE-IM-Net has {mine['parameters'] / 1e6:.1f} M parameters and "
        f"{mine['multiply_adds'] / 1e9:.1f} GMACs a clip: fewer parameters than {parameters.count} networks compared "
        f"with, fewer multiply-adds than {operations.count}, fewer of both than {both.count}"
        + (f" ({titles(both.better)})." if both.better else "."),
        "**I3D deeper?** The text calls it so; by the text's own rule of depth it has "
        f"{counts[EXCEPTED]['depth']} layers, Res34-SE-IM-Net {mine['depth']}.",
    ]
    for precision in PRECISIONS:
        rate = measured.rate(ATTENTION, precision)
        if rate is None:
            continue
        clip, video = (faster(measured, OWN, precision=precision, by=by) for by in (CLIP, VIDEO))
        found.append(
            f"**Fast?** In {precision} it runs {rate['median']:.2f} clips/s here. Both networks are faster than "
            f"{clip.count} networks compared with by {CLIP}, than {video.count} by {VIDEO}"
            + (f" ({titles(video.better)})" if video.better else "")
            + (f"; {titles(video.unknown)} not timed." if video.unknown else ".")
            + _alike_text(measured, clip.not_better, precision)
        )
    if measured.rate(ATTENTION) is not None:
        found.append(_faster_text(measured))
    ratio = measured.ratio(ATTENTION, BASELINE)
    if ratio is not None:
        found.append(
            f"**With the gates** the network runs at {_ratio_text(ratio)} times the baseline's rate (float32, median "
            "of paired rounds)."
        )
    return found
