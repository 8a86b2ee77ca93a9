"""Online recognition of clips in a row, as `repro.bench.online_row` filed it: what was shown when, how soon it was
right, published against released.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repro.bench.online_timeline import (
    AT_CUTS,
    BY_TIME,
    DROPS,
    HYSTERESES,
    NONE,
    PUBLISHED,
    RELEASED,
    SLIPS,
    THRESHOLDS,
    UNKNOWN,
    Row,
    Timeline,
    dropping,
    holding,
    knowing,
)
from repro.data.demo import CLASSES, ONE_WAY
from repro.metrics.text import percent, with_interval
from repro.records.measure import read_measurements
from repro.records.questions import has_converged
from repro.records.record import RESULTS, Record, read_record
from repro.records.scores import is_right, share_of
from repro.report.show import formatted
from repro.report.study import names
from repro.report.svg import ON_MAP, in_figure

COLOURS = {PUBLISHED: "#0072B2", RELEASED: "#D55E00", BY_TIME: "#009E73", AT_CUTS: "#CC79A7"}
RIGHT, WRONG, SILENT = "#9ecae1", "#fdbf8f", "#ffffff"
COLOURED = "Blue: the label is right; orange: it is wrong; white: none yet."
SECONDS = 32.0  # of the time line that are drawn
WANTED = {
    "ucf101-3": "UCF101's 104 real test clips of three classes, split 1",
    "ut-interaction": "UT-Interaction, real look-alikes",
}
"""Studies whose clips the page should have, by the beginning of their names."""


def ordered(rows: Sequence[Row], study: str) -> list[Row]:
    """Those of runs that had learned their training clips first, of them this study's, then the others by name."""

    return sorted(rows, key=lambda row: rank(row.study, row.content, study))


def rank(study: str, content: Mapping[str, Any], own: str) -> tuple[bool, bool, str]:
    """Where what is filed of a study stands, on the page of the study ``own``; see `ordered`."""
    record = record_of(study, content)
    return record is None or not has_converged(record), study != own, study


def record_of(study: str, content: Mapping[str, Any]) -> Record | None:
    """The record of the run that was streamed, where it is at hand; content: what is filed of it."""
    folder = RESULTS / study / content["run"]
    return read_record(folder) if (folder / "record.json").is_file() else None


def titles(filed: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A name for each study and what is filed of it: as on every page, or its clips and folder without a record."""
    found = [record_of(*each) for each in filed]
    named = iter(names([record for record in found if record]))
    return [
        next(named) if record else f"{content['dataset']} ({study})" for record, (study, content) in zip(found, filed)
    ]


# ---- sentences


def run_text(row: Row) -> str:
    """Whose labels these are."""
    text = f"Network of run `{row.study}/{row.content['run']}` on **{row.content['dataset']}**."
    record = record_of(row.study, row.content)
    if record is None:
        return text
    learned = "This run had learned its training clips when it ended."
    if not has_converged(record):
        learned = "**This run ended before it had learned its training clips.**"
    return f"{text} {record.experiment.remark} {learned}{_beside_text(record)}"


def _beside_text(record: Record) -> str:
    """How it stands among the same network's other runs of its study; nothing where it is the only one."""
    runs = [read_record(path.parent) for path in sorted(record.folder.parent.glob("[!.]*/record.json"))]
    same = [run for run in runs if run.experiment.model == record.experiment.model]
    if len(same) == 1:
        return ""
    own, mean = (percent(share_of(each, is_right).point) for each in ([record], same))
    clips = f"Of all {len(record.labels)} test clips of its split, scored whole,"
    return f" {clips} it has {own} right; the mean of {len(same)} such runs is {mean}."


def answer_text(rows: Sequence[Row]) -> str:
    """What the label is worth online beside the same weights offline, a line a stream, more of the first; and what is
    not run."""
    named = titles([(row.study, row.content) for row in rows])
    lines = [f"- {_answer(row, title, whole=not at)}" for at, (row, title) in enumerate(zip(rows, named))]
    lines += [
        f"- **Not run: {what}.** `python -m repro.bench.online_row STUDY/RUN` on a machine with such a run's weights."
        for name, what in WANTED.items()
        if not any(row.study.startswith(name) for row in rows)
    ]
    return "\n".join(lines)


def _answer(row: Row, title: str, *, whole: bool) -> str:
    shown = row.published
    first, never = shown.first_right, int(np.isinf(shown.first_right).sum())
    soon = (
        f"The right label first stands after {np.median(first):.1f} s (median of all clips, the {never} among them for "
        "which it never does)"
        if np.isfinite(np.median(first))
        else f"The right label never stands for {never} of {len(first)} clips"
    )
    if np.isfinite(stays := float(np.median(shown.delays))):
        soon += f", and from {stays:.1f} s on stays to the clip's end"
    best = best_moment(shown)
    better = f" (at best, after {best[0]:.1f} s, for {percent(best[1])})" if best else ""
    text = (
        f"**{title}: with a clip's last frame the label is right for {with_interval(shown.accuracy_end())}** of "
        f"{len(shown.clips)} clips in a row{_length_text(shown)}{better}; **scored whole, the same weights are right "
        f"for {percent(row.offline.point)}.** {soon}."
    )
    if whole:
        alone = read_measurements("online").get(row.study, {})
        if alone.get("run") == row.content["run"]:
            text += f" Each of {alone['clips']} clips [from a new start](#each-clip-from-a-new-start), its last label: "
            text += f"{percent(alone['top1'])}."
        text += " One network alone: intervals lack the chance of training."
    return text


def _length_text(shown: Timeline) -> str:
    """How long a stream's clips are, and their rate."""
    seconds = shown.clips["frames"] / shown.clips["rate"]
    rates = " or ".join(f"{rate:g}" for rate in sorted(set(shown.clips["rate"])))
    return f" of {np.median(seconds):.1f} s at {rates} frames/s"


def best_moment(shown: Timeline) -> tuple[float, float] | None:
    """Where clips are of one length, after how many seconds most are labelled right, and their share; None where that
    is no more than with their last frame."""
    if len(shown.clips[["frames", "rate"]].drop_duplicates()) > 1:
        return None
    by_frame = np.mean(shown.right, axis=0)
    best = int(by_frame.argmax())
    return (best / shown.clips["rate"][0], float(by_frame[best])) if by_frame[best] > by_frame[-1] else None


def fall_text(row: Row) -> str:
    """Why fewer rendered clips are right with their last frame than at the best moment; nothing where it is not so."""
    best, without = best_moment(row.published), row.ways.get(SLIPS["average"])
    if best is None or without is None or {*row.content["classes"]} != {*CLASSES}:
        return ""
    once = row.published.clips["label"].map(lambda label: row.content["classes"][label] in ONE_WAY).to_numpy()

    def moved(shown: Timeline, chosen: np.ndarray) -> tuple[float, float]:
        right = np.stack(shown.right)[chosen]
        return float(right[:, round(best[0] * shown.clips["rate"][0])].mean()), float(right[:, -1].mean())

    (before, after), (other_before, other_after) = moved(row.published, once), moved(row.published, ~once)
    if not (after < before and before - after > other_before - other_after):
        return ""
    alone = moved(without, once)
    frames = row.content["frames"]
    return (
        f"**Why the line falls at the end.** From {best[0]:.1f} s to a clip's last frame the share right goes from "
        f"{percent(before)} to {percent(after)} in actions that move once and then rest, from {percent(other_before)} "
        f"to {percent(other_after)} in those that repeat: half of a decision's frames are of the last {frames}, in "
        f"which the one movement is nearly over. Without the average with earlier scores the former go from "
        f"{percent(alone[0])} to {percent(alone[1])}."
    )


def released_table(rows: Sequence[Row]) -> pd.DataFrame:
    """A stream a row: where the released script decides otherwise than as published, which is right more often, which
    of its departures alone moves that beyond chance; and which joins of clips were found as cuts."""
    lines = []
    for row, title in zip(rows, titles([(row.study, row.content) for row in rows])):
        joins = set(np.cumsum(row.published.clips["frames"])[:-1].tolist())
        found = set(row.content["cuts"])
        released = row.ways.get(RELEASED)
        moved = {way: row.ways[way].against(row.published) for way in SLIPS.values()} if released else {}
        sure = {way: each for way, each in moved.items() if each.low > 0 or each.high < 0}
        which = (f"{way.removeprefix('released: ')} {with_interval(g, signed=True)}" for way, g in sure.items())
        lines.append(
            {
                "stream": title,
                "as released: another label": percent(released.differs(row.published))
                if released
                else f"not run: it halves N, and {row.content['frames']} is no power of two",
                "right, minus as published": with_interval(released.against(row.published), signed=True)
                if released
                else None,
                f"of its {len(SLIPS)} departures move that alone": ("; ".join(which) or "none") if released else None,
                "cuts found": f"{len(found & joins)} of {len(joins)}",
                "cleared elsewhere": len(found - joins),
            }
        )
    return pd.DataFrame(lines)


def seconds_of(shown: Timeline) -> np.ndarray:
    return (shown.clips["frames"] / shown.clips["rate"]).to_numpy()


# ---- the time line


def timeline_figure(row: Row) -> tuple[Figure, str]:
    """The first clips of the stream: what is shown, what is true; with the alternative text."""
    ways = [way for way in COLOURS if way in row.ways]
    ends = np.cumsum(seconds_of(row.published))
    clips = max(1, int((ends <= SECONDS).sum()))
    fig, axis = plt.subplots(figsize=(10, 0.5 * (len(ways) + 1) + 0.7), layout="constrained")
    whole = ends[clips - 1]
    for start, end, label in zip(np.r_[0, ends], ends[:clips], row.published.clips["label"]):
        _draw_piece(axis, start, end, 0, "#dddddd", row.content["classes"][label], whole)
    for place, way in enumerate(ways, start=1):
        _draw_way(axis, place, row, row.ways[way], clips)
    axis.set_yticks(range(len(ways) + 1), ["truth", *ways])
    axis.set(xlabel="seconds", xlim=(0, whole), ylim=(len(ways) + 0.5, -0.5))
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    right = {way: float(np.concatenate(row.ways[way].right[:clips]).mean()) for way in ways}
    shares = ", ".join(f"{way} {percent(share)}" for way, share in right.items())
    return fig, (
        f"The first {clips} clips in a row and the label shown with each frame, blue where it is right, orange where "
        f"it is wrong. Share of this time right: {shares}."
    )


def _draw_way(axis: Axes, place: int, row: Row, shown: Timeline, clips: int) -> None:
    """A way's labels, a piece each time that the label or the clip changes."""
    starts = np.r_[0, np.cumsum(seconds_of(shown))]
    for clip, (labels, rate) in enumerate(zip(shown.each[:clips], shown.clips["rate"])):
        edges = np.r_[0, np.flatnonzero(np.diff(labels)) + 1, len(labels)]
        for first, after in itertools.pairwise(edges):
            label, start, end = int(labels[first]), starts[clip] + first / rate, starts[clip] + after / rate
            colour = RIGHT if label == shown.clips["label"][clip] else SILENT if label < 0 else WRONG
            _draw_piece(axis, start, end, place, colour, label_name(row, label), starts[clips])


def label_name(row: Row, label: int) -> str:
    return row.content["classes"][label] if label >= 0 else {NONE: "", UNKNOWN: "?"}[label]


def _draw_piece(axis: Axes, start: float, end: float, place: int, colour: str, text: str, whole: float) -> None:
    """A piece of the line at this place with its text, where there is room: some 150 characters fit the axis."""
    axis.broken_barh([(start, end - start)], (place - 0.4, 0.8), facecolors=colour, edgecolor="white")
    if len(text) <= (end - start) / whole * 150:
        word = axis.text((start + end) / 2, place, in_figure(text), ha="center", va="center", fontsize=7)
        if colour in (RIGHT, WRONG):  # pale in both themes
            word.set_gid(ON_MAP)


# ---- the four curves


def curves_figure(row: Row) -> tuple[Figure, str]:
    """Accuracy by seconds seen, delay until stably right, label changes, accuracy by the share of frames dropped."""
    fig, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
    texts = [
        _by_seconds(axes[0, 0], row),
        _by_delay(axes[0, 1], row),
        _by_hysteresis(axes[1, 0], row),
        _by_drops(axes[1, 1], row),
    ]
    axes[0, 0].legend(frameon=False, fontsize=8)
    return fig, " ".join(texts)


def _by_seconds(axis: Axes, row: Row) -> str:
    grid = np.arange(0, float(np.quantile(seconds_of(row.published), 0.9)) + 1e-9, 0.1)
    for way, colour in COLOURS.items():
        if way in row.ways:
            axis.plot(grid, [100 * row.ways[way].accuracy_after(at) for at in grid], color=colour, label=way)
    axis.axhline(100 * row.offline.point, color="black", linestyle=":", label="whole clip at once")
    axis.set(xlabel="seconds of the clip seen", ylabel="top-1 (%)", ylim=(0, 100), title="Right after how long")
    last = percent(row.published.accuracy_after(float(grid[-1])))
    return f"Top-1 as published after {grid[-1]:.1f} s of a clip: {last}; whole clip {percent(row.offline.point)}."


def _by_delay(axis: Axes, row: Row) -> str:
    for way, colour in COLOURS.items():
        if way in row.ways:
            delays = np.sort(row.ways[way].delays)
            reached = delays[np.isfinite(delays)]
            shares = 100 * np.arange(1, len(reached) + 1) / len(delays)
            axis.step(np.r_[0, reached], np.r_[0, shares], where="post", color=colour)
    axis.set(xlabel="delay (s)", ylabel="clips (%)", ylim=(0, 100), title="Labelled right from then to the clip's end")
    return f"Clips that end with a right label as published: {percent(float(row.published.right_end.mean()))}."


def _by_hysteresis(axis: Axes, row: Row) -> str:
    values = [0.0, *HYSTERESES]
    changes = [row.ways[holding(h)].changes_a_minute for h in values]
    axis.plot(values, changes, "o-", color=COLOURS[PUBLISHED])
    true = (len(row.published.clips) - 1) / row.published.minutes
    axis.axhline(true, color="black", linestyle=":")
    axis.annotate("clips change", (values[0], true), ha="left", va="bottom", fontsize=8)
    axis.set(xlabel="hysteresis (probability)", ylabel="label changes a minute", title="Flicker")
    axis.set_ylim(bottom=0)
    shown = ", ".join(f"{c:.0f} at {h:g}" for h, c in zip(values, changes))
    return f"Label changes a minute by hysteresis: {shown}; clips change {true:.0f} times."


def _by_drops(axis: Axes, row: Row) -> str:
    texts = []
    for way in (PUBLISHED, BY_TIME):
        shares = [row.ways[dropping(way, drop)].right_share.mean() for drop in (0.0, *DROPS)]
        axis.plot([0, *(100 * d for d in DROPS)], [100 * s for s in shares], "o-", color=COLOURS[way], label=way)
        texts.append(f"{way} {percent(shares[0])} with all frames, {percent(shares[-1])} with {DROPS[-1]:.0%} dropped")
    axis.set(xlabel="frames dropped (%)", ylabel="right, share of time (%)", title="A network that is too slow")
    axis.set_ylim(0, 100)
    return f"Share of time right: {'; '.join(texts)}."


# ---- tables


def ways_table(row: Row) -> pd.DataFrame:
    """Every way but those with dropped frames or held-back labels: how often it is right, and against as published."""
    left_out = {dropping(way, share) for way in (PUBLISHED, BY_TIME) for share in DROPS}
    left_out |= {*map(holding, HYSTERESES), *map(knowing, THRESHOLDS)}
    rows = []
    for way, shown in row.ways.items():
        if way not in left_out:
            other = way != PUBLISHED
            middle = float(np.median(shown.delays))
            rows.append(
                {
                    "way": way,
                    "right, share of time": with_interval(shown.accuracy()),
                    "minus as published": with_interval(shown.against(row.published), signed=True) if other else None,
                    "right at clip's end": percent(float(shown.right_end.mean())),
                    "median delay (s)": middle if np.isfinite(middle) else None,
                    "changes a minute": shown.changes_a_minute,
                    "another label than as published": percent(shown.differs(row.published)) if other else None,
                }
            )
    return formatted(pd.DataFrame(rows), {"median delay (s)": ".1f", "changes a minute": ".0f"})


def habits_table(row: Row) -> pd.DataFrame:
    """What hysteresis and a threshold for *unknown* do to the decisions as published; both are off by default."""
    rows = []
    for way in (PUBLISHED, *map(holding, HYSTERESES), *map(knowing, THRESHOLDS)):
        shown = row.ways[way]
        named = shown.shown >= 0
        right = np.concatenate(shown.right)
        rows.append(
            {
                "habit": "none" if way == PUBLISHED else way,
                "names a class": percent(float(named.mean())),
                "right where it does": percent(float(right[named].mean())) if named.any() else None,
                "right, share of time": percent(float(shown.right_share.mean())),
                "changes a minute": shown.changes_a_minute,
            }
        )
    return formatted(pd.DataFrame(rows), {"changes a minute": ".0f"})
