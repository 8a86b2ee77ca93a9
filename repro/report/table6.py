"""Table 6 from its record: tables and sentences of ``results/table6/<device>.json`` (``repro.bench.table6``)."""

from collections.abc import Mapping, Sequence

import pandas as pd

from repro.claims.comparison import CLIP, COMMON_CLIP, VIDEO, Counts, cost, faster, fewer
from repro.claims.official import FULL, OWN
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.models.peers.rows import COMMON, EXCEPTED, Row, compared, not_rebuilt, rows, titles
from repro.paper.cells import Paper
from repro.records.table6 import AT_COMMON, Measured
from repro.report.peers_tables import UNREAD
from repro.report.show import formatted
from repro.report.speed import PRECISIONS, rate_text, ratio_text

NOT_VERIFIED = "not verified"
DATASETS = {"ucf101": "UCF101", "hmdb51": "HMDB51"}


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
        place = "named" if name == EXCEPTED else "named in Related work alone"
        named = f"{place}, no number" if row.named else "not stated in the text" if cells else "not named"
        count = counts[name]
        lines.append(
            {
                "network": row.title,
                "paper's text": "; ".join(said) or row.said or named,
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
                "clips/s at 16 × 224²": "–" if row.fixed else "not run" if rate is None else rate_text(rate),
            }
        )
    return formatted(pd.DataFrame(lines), {"M": ".1f", "depth": ".0f", "GMACs a clip": ".1f", "GMACs a video": ".0f"})


def _rate_at_common(measured: Measured, name: str) -> pd.Series | None:
    """Clips/s on the common clip: its own timing where that is its own input."""
    at_it = (rows()[name].frames, rows()[name].size) == (COMMON["frames"], COMMON["size"])
    return measured.rate(name) if at_it else measured.rate(name, section="common", more=AT_COMMON)


# ---- what the numbers say


def _alike_text(measured: Measured, others: Sequence[str], precision: str) -> str:
    """How many of the networks that do not count as slower are not shown to be faster either."""
    ratios = [[measured.ratio(own, name, precision) for own in OWN] for name in others]
    alike = sum(all(ratio is None or ratio.high >= 1 for ratio in both) for both in ratios)
    return f"; by {CLIP} {alike} more are not told apart from them, so not counted" if alike else ""


def _faster_text(measured: Measured) -> str:
    """When a network counts as faster, and of how many the speed was measured on the same input."""
    timed = [name for name in compared() if _rate_at_common(measured, name) is not None]
    count = f"{len(timed)} of the {len(compared())}" if timed else f"none of the {len(compared())}"
    return (
        "*Faster* is where the whole interval of the ratio of both times lies above 1, each network at its own "
        f"published input. With the same 16 frames of 224 pixels for all, the speed of {count} was measured."
    )


def _i3d_text(measured: Measured, counts: Counts) -> str:
    """What the text says of I3D, the one row of its table that it names, and what was counted and timed here."""
    i3d, mine, ratio = counts[EXCEPTED], counts[ATTENTION], measured.ratio(EXCEPTED, ATTENTION)
    timed = f", {ratio_text(ratio)} times the rate" if ratio else ""
    return (
        "**I3D?** The text: fewer parameters, but more operations and slower; elsewhere: deeper. Here, at its own "
        f"{i3d['frames']} frames, beside {TITLES[ATTENTION]}: {i3d['parameters'] / 1e6:.1f} M parameters "
        f"({mine['parameters'] / 1e6:.1f}), {i3d['multiply_adds'] / 1e9:.1f} GMACs "
        f"({mine['multiply_adds'] / 1e9:.1f}){timed}, {i3d['depth']} layers ({mine['depth']}); at "
        f"{FULL['frames']} frames {cost(counts, EXCEPTED, 'multiply_adds', COMMON_CLIP) / 1e9:.1f} GMACs."
    )


def findings(measured: Measured, counts: Counts) -> list[str]:
    """A plain verdict on "light" and "fast", a sentence each; counts as for `compared_table`."""
    mine = counts[ATTENTION]
    keys = (["parameters"], ["multiply_adds"], ["parameters", "multiply_adds"])
    parameters, operations, both = (fewer(counts, ATTENTION, some) for some in keys)
    by_video = fewer(counts, ATTENTION, ["multiply_adds"], by=VIDEO)
    found = [
        f"**Light?** Res34-SE-IM-Net has {mine['parameters'] / 1e6:.1f} M parameters and "
        f"{mine['multiply_adds'] / 1e9:.1f} GMACs a clip: fewer parameters than {parameters.count} networks compared "
        f"with, fewer multiply-adds than {operations.count} by {CLIP} and {by_video.count} by {VIDEO}, fewer "
        f"of both by {CLIP} than {both.count}" + (f" ({titles(both.better)})." if both.better else "."),
    ]
    for precision in PRECISIONS:
        rate = measured.rate(ATTENTION, precision)
        if rate is None:
            continue
        clip, video = (faster(measured, OWN, precision=precision, by=by) for by in (CLIP, VIDEO))
        found.append(
            f"**Fast?** In {precision} it runs {rate['median']:.2f} clips/s here. Both networks are faster than "
            f"{clip.count} networks compared with by {CLIP}, than {video.count} by {VIDEO}"
            + (f"; {titles(video.unknown)} not timed" if video.unknown else "")
            + _alike_text(measured, clip.not_better, precision)
            + "."
        )
    if measured.rate(ATTENTION) is not None:
        found.append(_faster_text(measured))
    found.append(_i3d_text(measured, counts))
    ratio = measured.ratio(ATTENTION, BASELINE)
    plain = counts[BASELINE]
    more = {name: mine[name] - plain[name] for name in ("parameters", "multiply_adds")}
    text = (
        f"**The gates** add {more['parameters']:,} parameters ({100 * more['parameters'] / plain['parameters']:.2f} %) "
        f"and {more['multiply_adds'] / 1e6:.1f} million multiply-adds "
        f"({100 * more['multiply_adds'] / plain['multiply_adds']:.3f} %)"
    )
    if ratio is not None:
        text += (
            f"; with them the network runs at {ratio_text(ratio)} times the baseline's rate (float32, median of paired "
            "rounds)"
        )
    return [*found, f"{text}."]
