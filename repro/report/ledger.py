"""The ledger of assumptions on the pages: what each chapter rests on, and what the recorded ablations say of it."""

from collections.abc import Sequence
from pathlib import Path

from repro.claims.judging import where
from repro.paper.cells import Assumption, Paper, load
from repro.records.record import RESULTS, Record, read_study
from repro.report.ablations import Variant, said, variants
from repro.report.show import plain

ABLATION = "ablation"  # profiles/ablation.yaml, whose groups the ledger names
REFERENCE = "demo-seeds"  # the study whose runs the ablations are compared with


def effects(assumption: Assumption, results: Path = RESULTS, *, reference: str = REFERENCE) -> list[str]:
    """What recorded runs of the other readings say, a line each; empty where none is recorded."""
    compared = read_study(reference, results)
    return [
        f"{variant.title}: top-1 {said(variant)} ({where([variant.pairs[0][1]])}, width ×{_width(variant):g})"
        for group in assumption.ablations
        for variant in _of_group(compared, read_study(f"{ABLATION}-{group}", results))
    ]


def _of_group(reference: Sequence[Record], runs: Sequence[Record]) -> list[Variant]:
    """A group's variants alone: `variants` has those of the reference study too."""
    return [v for v in variants(reference, runs) if any(record in runs for _, record in v.pairs)] if runs else []


def _width(variant: Variant) -> float:
    return variant.pairs[0][1].experiment.width


def status(assumption: Assumption, measured: Sequence[str]) -> str:
    """The state as a reader needs it: "measured" where records of another reading are there."""
    return "measured" if measured else assumption.status


def anchor_of(assumption: Assumption) -> str:
    """Where the page on the paper has this entry."""
    return f"ledger-{assumption.id}"


def entry_text(number: int, assumption: Assumption) -> str:
    """An entry of the ledger as Markdown, under its number: readings, reasons, and what recorded runs measured."""
    a, measured = assumption, effects(assumption)
    lines = [f'<span id="{anchor_of(a)}"></span>', "", f"### {number}. {plain(a.point)}"]
    lines += [f"{plain(a.where)}. Status: **{status(a, measured)}**. Chapters: {', '.join(a.chapters)}.", ""]
    for r in a.readings:
        lines.append(f"- {'**Taken here:** ' if r.name == a.taken else ''}{plain(f'{r.name}: {r.text}')}")
    lines += ["", f"Why: {plain(a.why)}", "", f"The others: {plain(a.expected)}"]
    if measured:
        lines += ["", "Measured, in place of what is taken here:", "", *(f"- {plain(line)}" for line in measured)]
    elif a.ablations:
        lines += ["", f"Not run: {', '.join(a.ablations)} of profiles/ablation.yaml."]
    return "\n".join(lines)


def points_text(kind: str, paper: Paper | None = None) -> str:
    """What the text leaves open and a kind of page rests on, as Markdown with links to the ledger.

    Raises ValueError for a kind that no entry names: then the page needs no such list.
    """
    paper = load() if paper is None else paper
    found = [a for a in paper.assumptions if kind in a.chapters]
    if not found:
        raise ValueError(f"chapters: no entry of the ledger names {kind!r}")
    lines = [f"- [{plain(a.point)}](paper.html#{anchor_of(a)}) Taken here: {plain(a.taken)}." for a in found]
    return (
        "The paper's text leaves open what this page rests on; readings, reasons and effects are in the ledger:\n\n"
        + ("\n".join(lines))
    )
