"""The paper's Tables 4 and 5: accuracies that others published, that the paper states, and of full-size runs here.

Each row names its protocol and what in it differs from the paper's: few of these numbers may be compared as they stand.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.official import FULL, NAMES, OFFICIAL, OWN, official_runs
from repro.claims.rules_published import compared_with
from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate, Interval, unpaired_difference, wilson_interval
from repro.metrics.text import with_interval
from repro.paper.cells import NOT_STATED, Paper, Peer, Row, Table
from repro.records.compare import alike
from repro.records.record import Record
from repro.records.scores import is_right, share_of
from repro.report.figures import COLOURS
from repro.report.study import beside_runs, top1_text
from repro.report.tables import DASH

DATASETS = {4: ("hmdb51", "ucf101"), 5: ("sthv1",)}
"""The datasets of each table, by the names that the paper's claims and peers have."""
PAPERS_SPLITS = {
    "hmdb51": "test set; which splits is not stated",
    "ucf101": "test set; which splits is not stated",
    "sthv1": "validation set; the abstract says test set",
}
NO_ROW = "no such row in the text"
UNREAD = "†"
UNREAD_TEXT = f"{UNREAD} from memory of the literature, not read in a source"
SHORT = (
    *("network", "published", "the paper's table", "run here [95 %]", "paper minus published [95 %]"),
    "not the paper's protocol in",
)
DETAILS = (
    *("network", "pre-training", "modality", "splits", "frames and crops", "clips", "source"),
    *("here minus published [95 %]", "here minus paper [95 %]"),
)


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """`peers_table` for a page: the numbers, and what is not comparable in them."""
    shown = table[[name for name in SHORT if name in table]].replace({NO_ROW: DASH, NOT_STATED: DASH})
    return shown.rename(columns={"not the paper's protocol in": "not comparable in"})


def sources(table: pd.DataFrame) -> pd.DataFrame:
    """`peers_table`'s protocol and source of each number, and how far runs here are from it."""
    return table[[name for name in DETAILS if name in table]]


def answer_text(paper: Paper, tables: Mapping[str, pd.DataFrame]) -> str:
    """How many published results are above the accuracy that the paper states, a line a dataset."""
    lines = []
    for dataset in tables:
        stated, found = _stated(paper, dataset), _published(paper, dataset)
        if stated is None:
            lines.append(f"- **{NAMES[dataset]}**: the text states no accuracy of {TITLES[ATTENTION]}.")
            continue
        above = [peer for peer in found.values() if peer.value > stated]
        unread = sum(not peer.verified for peer in above)
        marked = f" ({unread} of these {UNREAD_TEXT})" if unread else ""
        counted = [value for _, value in compared_with(paper, dataset)[0]]
        lines.append(
            f"- **{NAMES[dataset]}**: the paper states {stated:g} % for {TITLES[ATTENTION]}; {len(above)} of "
            f"{len(found)} published results of any kind are above it{marked}, "
            f"{sum(value > stated for value in counted)} of the {len(counted)} that [the verdict](index.html) "
            "counts: RGB frames alone, I3D apart, read in a source."
        )
    return "\n".join(lines)


def _published(paper: Paper, dataset: str) -> dict[str, Peer]:
    """The best published top-1 of each method, of what it sees where it was published with several."""
    found: dict[str, Peer] = {}
    peers = paper.peers(dataset=dataset, metric="top1")
    for peer in peers:
        several = len({other.modality for other in peers if other.method == peer.method}) > 1
        name = f"{peer.method}, {peer.modality}" if several else peer.method
        found[name] = max(peer, found.get(name, peer), key=lambda each: (each.value, each.verified))
    return found


def peers_figure(paper: Paper, tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, str]:
    """Published accuracies of each dataset, a mark a method, pale where it was read in no source, and the paper's own
    as a line; with its alt text."""
    fig, axes = plt.subplots(1, len(tables), figsize=(9, 3.8), layout="constrained", squeeze=False)
    shown = []
    for axis, dataset in zip(axes.flat, tables):
        found, stated = _published(paper, dataset), _stated(paper, dataset)
        order = sorted(found, key=lambda method: found[method].value)
        for place, peer in enumerate(found[method] for method in order):
            look = {"markerfacecolor": (COLOURS[BASELINE], 1.0 if peer.verified else 0.2), "markersize": 5}
            axis.plot(peer.value, place, "o", color=COLOURS[BASELINE], **look)
        marked = [method if found[method].verified else f"{method} {UNREAD}" for method in order]
        axis.set_yticks(range(len(order)), marked, fontsize=7 if len(order) < 24 else 5)
        if stated is not None:
            axis.axvline(stated, color=COLOURS[ATTENTION])
            axis.text(stated, -0.9, f" paper: {stated:g}", fontsize=8, color=COLOURS[ATTENTION], va="top")
        axis.set(title=NAMES[dataset], xlabel="top-1 (%), as published", ylim=(-1.6, len(order)))
        values = [found[method].value for method in order]
        shown.append(f"{NAMES[dataset]}: {len(found)} methods, {values[0]:g} to {values[-1]:g} %")
    return fig, f"Published top-1 by dataset, the paper's own as a line; pale {UNREAD_TEXT}. {'; '.join(shown)}."


# ---- protocols


def pretraining(record: Record) -> str:
    """What a run's weights come from, in words."""
    experiment = record.experiment
    if experiment.start_from:
        return f"own, {experiment.start_from}"
    weights = (("trunk", experiment.trunk_weights), ("head", experiment.head_weights))
    return ", ".join(f"{part}: {name}" for part, name in weights if name) or "none"


def differences(peer: Peer) -> str:
    """What in a peer's protocol is not the paper's: RGB alone, pre-trained on Kinetics, one network and clip a video.

    Which splits the paper scores is not stated, so a mean over splits is named too. What a source leaves open is said.
    """
    found = []
    if "flow" in peer.modality.lower():
        found.append("takes optical flow")
    if not peer.modality:
        found.append("modality not stated")
    if not peer.pretraining:
        found.append("pre-training not stated")
    elif "Kinetics" not in peer.pretraining:
        found.append(f"pre-trained on {peer.pretraining}, not on Kinetics")
    if peer.splits.startswith("mean"):
        found.append("a mean over splits, the paper's number of splits not stated")
    elif not peer.splits or "not stated" in peer.splits:
        found.append("split not stated")
    if several := re.search(r"\d+ clips", peer.input):
        found.append(f"scores {several[0]} a video")
    if "networks" in peer.input:
        found.append("several networks together")
    if not re.search(r"\d+ (frames|segments)", peer.input):
        found.append("frames and crops not stated")
    elif "crop" not in peer.input + peer.source:
        found.append("crops not stated")
    return "; ".join(found) or "none known"


# ---- the tables


def peers_table(paper: Paper, dataset: str, records: Sequence[Record]) -> pd.DataFrame:
    """Rows of Table 4 or 5 on one dataset, best first: published, stated by the paper, run here, and the differences.

    records: any; of them the official runs count. A published number is taken as one of a single split's clips (the
    catalogue's), each clip for itself: too wide an interval where it is a mean over three splits, too narrow in that
    its groups of clips and its training runs are not known. The same clips stand behind all numbers, but which of them
    others got right is not known either, so differences between numbers are unpaired.
    """
    rows = [*_peer_rows(paper, dataset, records), *_own_rows(paper, dataset, records)]
    rows.sort(key=lambda row: -row["_order"])  # stable: the file's order among equals
    return pd.DataFrame(rows).drop(columns="_order")


def _peer_rows(paper: Paper, dataset: str, records: Sequence[Record]) -> list[dict]:
    table, column = _table(paper, dataset)
    printed = {row.name: row for row in table.rows if row.name not in (TITLES[name] for name in OWN)}
    clips, stated = _clips(dataset), _stated(paper, dataset)
    runs = {ours[0].experiment.study: share_of(ours, is_right) for ours in alike(_of(records, dataset, ATTENTION))}
    peers = paper.peers(dataset=dataset, metric="top1")
    lines = []
    for peer in peers:
        row, mark = printed.get(peer.method), "" if peer.verified else f" {UNREAD}"
        lines.append(
            _line(peer.method, f"{peer.printed} %{mark}", row.cells[column].text if row else NO_ROW, peer.value, clips)
            | _against(peer.value, clips, stated, runs)
            | {
                "pre-training": peer.pretraining or "not stated",
                "modality": peer.modality or "not stated",
                "splits": peer.splits or "not stated",
                "frames and crops": peer.input or "not stated",
                "not the paper's protocol in": differences(peer),
                "source": peer.source if peer.verified else f"not verified: {peer.source}",
            }
        )
    known = {peer.method for peer in peers}
    for name, row in printed.items():
        if name in known:
            continue
        value = _number(row, column)
        lines.append(
            _line(name, "none read", row.cells[column].text, value, clips)
            | ({} if value is None else _against(value, clips, stated, runs))
            | {"not the paper's protocol in": "not known", "source": row.cells[column].source}
        )
    return lines


def _own_rows(paper: Paper, dataset: str, records: Sequence[Record]) -> list[dict]:
    """The paper's two networks: a row for each protocol that was run, or one that says what a run needs."""
    table, column = _table(paper, dataset)
    clips = _clips(dataset)
    lines = []
    for model in OWN:
        row = next((row for row in table.rows if row.name == TITLES[model]), None)
        cell = row.cells[column].text if row else NOT_STATED
        value = _number(row, column) if row else None
        source = row.cells[column].source if row else ""
        line = _line(TITLES[model], "the paper's own", cell, value, clips)
        runs = alike(_of(records, dataset, model))
        if not runs:
            lines.append(
                line
                | {
                    "run here [95 %]": f"not run: needs {NAMES[dataset]} and a GPU",
                    "pre-training": "Kinetics",
                    "modality": "RGB",
                    "splits": PAPERS_SPLITS[dataset],
                    "frames and crops": f"{FULL['frames']} frames; crops not stated",
                    "source": source,
                }
            )
        for ours in runs:
            mean, experiment = share_of(ours, is_right), ours[0].experiment
            here = {} if value is None else {"here minus paper [95 %]": _points(mean, value / 100, clips)}
            splits = sorted({record.experiment.split for record in ours})
            lines.append(
                line
                | here
                | {
                    "_order": 100 * mean.point if value is None else value,
                    "clips": str(mean.clips),
                    "run here [95 %]": beside_runs(ours, top1_text),
                    "pre-training": pretraining(ours[0]),
                    "modality": "RGB",
                    "splits": f"split{'s' if len(splits) > 1 else ''} {', '.join(map(str, splits))}; "
                    f"{'one run' if mean.runs == 1 else f'mean of {mean.runs} runs'}",
                    "frames and crops": f"{experiment.frames} frames of {experiment.size}x{experiment.size}, "
                    "one crop of one clip",
                    "source": f"results/{experiment.study}",
                }
            )
    return lines


def _line(network: str, published: str, stated: str, value: float | None, clips: int) -> dict:
    return {
        "_order": -1 if value is None else value,
        "network": network,
        "published": published,
        "the paper's table": stated,
        "clips": f"{clips} a split",
    }


def _against(value: float, clips: int, stated: float | None, runs: dict[str, Estimate]) -> dict:
    """Differences of Res34-SE-IM-Net, as the paper states it and as run here, from one published number (%)."""
    found = {}
    if stated is not None:
        found["paper minus published [95 %]"] = with_interval(
            unpaired_difference(_printed(stated / 100, clips), _printed(value / 100, clips)), signed=True
        )
    if runs:
        found["here minus published [95 %]"] = "; ".join(
            (f"{study}: " if len(runs) > 1 else "") + _points(mean, value / 100, clips) for study, mean in runs.items()
        )
    return found


def _points(mean: Estimate, other: float, clips: int) -> str:
    return with_interval(unpaired_difference(mean, _printed(other, clips)), signed=True)


def _printed(accuracy: float, clips: int) -> Interval:
    """A printed accuracy, 0..1, each clip for itself: groups and runs behind it are not known."""
    return replace(wilson_interval(accuracy * clips, clips), point=accuracy)


def _table(paper: Paper, dataset: str) -> tuple[Table, int]:
    """The paper's table of a dataset and the position of the dataset's column in it."""
    table = paper.table(next(number for number, datasets in DATASETS.items() if dataset in datasets))
    return table, table.columns.index(NAMES[dataset])


def _number(row: Row, column: int) -> float | None:
    value = row.cells[column].value
    return value if isinstance(value, int | float) else None


def _stated(paper: Paper, dataset: str) -> float | None:
    """Res34-SE-IM-Net's accuracy in the paper's table, in per cent."""
    table, column = _table(paper, dataset)
    return next((_number(row, column) for row in table.rows if row.name == TITLES[ATTENTION]), None)


def _clips(dataset: str) -> int:
    """Test clips of one official split."""
    return CATALOGUE[OFFICIAL[dataset]].counts["split 1: test"]


def _of(records: Sequence[Record], dataset: str, model: str) -> list[Record]:
    return [record for record in official_runs(records, dataset) if record.experiment.model == model]
