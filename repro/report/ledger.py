"""The ledger of assumptions on the pages: what each page rests on, and what runs of other readings say of it."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.bench.online_timeline import Row
from repro.claims.judging import where
from repro.metrics.text import with_interval
from repro.paper.cells import Assumption, Paper, load
from repro.report.ablations import Variant, said
from repro.report.figures import draw_gains
from repro.report.show import link, plain, say
from repro.report.tables import DASH

CHOICES = "rendered-choices"  # profiles/rendered-choices.yaml, whose groups the ledger names


def measured(assumption: Assumption, found: Sequence[Variant]) -> list[Variant]:
    """Of variants of the reference, those that run another reading of this point."""
    groups = {f"{CHOICES}-{group}" for group in assumption.ablations}
    return [variant for variant in found if variant.pairs[0][1].experiment.study in groups]


def effects(assumption: Assumption, found: Sequence[Variant], rows: Sequence[Row] = ()) -> list[str]:
    """What recorded runs of the other readings say, and streams that were recognised online by them (`rows`), a line
    each; empty where none is recorded."""
    lines = []
    for variant in measured(assumption, found):
        _, run = variant.pairs[0]
        lines.append(f"{variant.title}: top-1 {said(variant)} ({where([run])}, width ×{run.experiment.width:g})")
    for row in rows:
        for reading in (reading for reading in assumption.readings if reading.way in row.ways):
            more = with_interval(row.ways[reading.way].against(row.published), signed=True)
            clips = f"{len(row.published.clips)} clips in a row of {row.content['dataset']}"
            lines.append(f"{reading.name}: the label is right for {more} of the time ({clips})")
    return lines


def ways(assumption: Assumption) -> list[str]:
    """The names of the ways of recognising online by which its other readings are measured."""
    return [reading.way for reading in assumption.readings if reading.way]


def answer_text(paper: Paper, found: Sequence[Variant]) -> str:
    """How many points are open, how many of them another reading was run of, and which moved top-1 most."""
    points = [a for a in paper.assumptions if a.status == "open"]
    run = [(a, variant) for a in points for variant in measured(a, found)]
    text = (
        f"**{len(points)} points are open**, {len(paper.assumptions) - len(points)} more are settled by the text or by "
        f"arithmetic. Another reading was trained for {len({a.id for a, _ in run})} of them."
    )
    if not run:
        return text
    most, variant = max(run, key=lambda each: abs(each[1].difference().point))
    return f"{text} Most was moved by *{plain(most.point)}* ({plain(variant.title)}): {said(variant)}."


def points_table(paper: Paper, found: Sequence[Variant], rows: Sequence[Row] = ()) -> pd.DataFrame:
    """One row a point: the reading taken, and what another one did to top-1; measured ones first."""
    points = sorted(((a, effects(a, found, rows)) for a in paper.assumptions), key=lambda each: not each[1])
    return pd.DataFrame(
        {
            "point": link(a.point, f"#{anchor_of(a)}"),
            "taken here": a.taken,
            "another reading: top-1": "; ".join(lines) or DASH,
            "state": status(a, lines),
        }
        for a, lines in points
    )


def status(assumption: Assumption, lines: Sequence[str]) -> str:
    """The state as a reader needs it: "measured" where records of another reading are there. lines: `effects`."""
    return "measured" if lines else assumption.status


def anchor_of(assumption: Assumption) -> str:
    """Where the ledger's page has this entry."""
    return f"ledger-{assumption.id}"


def entry_title(number: int, assumption: Assumption, lines: Sequence[str]) -> str:
    """An entry in a line: the point, the reading taken and its state. lines: `effects`."""
    colon = "" if assumption.point.endswith("?") else ":"
    return f"{number}. {assumption.point}{colon} {assumption.taken} ({status(assumption, lines)})"


def entry_text(assumption: Assumption, said_of_it: Sequence[str] = ()) -> str:
    """An entry of the ledger as Markdown: readings, reasons, and what recorded runs measured (`effects`)."""
    a = assumption
    lines = [f'<span id="{anchor_of(a)}"></span>', "", f"{plain(a.where)}. Pages: {', '.join(a.chapters)}.", ""]
    for r in a.readings:
        lines.append(f"- {'**Taken here:** ' if r.name == a.taken else ''}{plain(f'{r.name}: {r.text}')}")
    lines += ["", f"Why: {plain(a.why)}", "", f"Expected of the others: {plain(a.expected)}"]
    if said_of_it:
        lines += ["", "Measured, in place of what is taken here:", "", *(f"- {plain(line)}" for line in said_of_it)]
    elif a.ablations:
        lines += ["", f"Not run: {', '.join(a.ablations)} of profiles/rendered-choices.yaml."]
    elif ways(a):
        lines += ["", "Not run: python -m repro.bench.online_row STUDY/RUN."]
    return "\n".join(lines)


def show_points(kind: str) -> None:
    """Display, folded, what the text leaves open and a kind of page rests on, with links to the ledger.

    Raises ValueError for a kind that no entry names: then the page needs no such list.
    """
    found = [a for a in load().assumptions if kind in a.chapters]
    if not found:
        raise ValueError(f"chapters: no entry of the ledger names {kind!r}")
    lines = [f"- [{plain(a.point)}](ledger.html#{anchor_of(a)}) Taken here: {plain(a.taken)}." for a in found]
    folded = f"What the text leaves open here: {len(found)} point{'s' if len(found) > 1 else ''} of the ledger"
    say("\n".join(lines), folded=folded)


# ---- as a picture: which open point moves accuracy, and by how much

POINT_WIDTH = 46  # characters of a line


def measured_points(assumptions: Sequence[Assumption], found: Sequence[Variant]) -> list[tuple[Assumption, Variant]]:
    """The open points with each variant that runs another reading of them, the largest effect first.

    found: of any ablation; a variant is of a point where the point names the group of its runs. One that cannot act in
    its runs measures nothing.
    """
    pairs = [(a, variant) for a in assumptions for variant in measured(a, found) if not variant.idle]
    return sorted(pairs, key=lambda pair: -abs(pair[1].difference().point))


def ledger_figure(known: Sequence[tuple[Assumption, Variant]]) -> tuple[Figure, str]:
    """What each measured reading (`measured_points`, one or more) does to top-1, with its 95 % interval."""
    fig, axis = plt.subplots(figsize=(9, 0.42 * len(known) + 0.7), layout="constrained")
    points = [textwrap.fill(assumption.point, POINT_WIDTH) for assumption, _ in known]
    seeds = [f"{v.title}, {len(v.pairs)} seed{'s' if len(v.pairs) > 1 else ''}" for _, v in known]
    beside = [textwrap.fill(text, 34) for text in seeds]
    draw_gains(axis, points, [variant.difference() for _, variant in known], beside, [()] * len(known))
    axis.set_xlabel("change of test top-1 (points) by the other reading, 95 % interval", fontsize=9)
    effects = "; ".join(
        f"{a.point.rstrip('.')} ({v.title}): {with_interval(v.difference(), signed=True)}" for a, v in known
    )
    return fig, f"Effect of other readings of the paper's open points on test top-1: {effects}."
