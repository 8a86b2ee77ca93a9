"""The paper's Tables 7 and 8, its two networks against each other, beside what was run here.

The paper's cells come from ``repro/paper/paper.toml``; whoever fills them in from the PDF sees its differences here.
"""

import re
from collections.abc import Sequence

import pandas as pd

from repro.claims.official import NAMES, OFFICIAL, number, official_runs, sets
from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.statistics import Estimate
from repro.paper.cells import Paper, Table
from repro.paper.look_alikes import LOOK_ALIKES, backwards_pairs, named_in, named_pairs, plain_name
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import confusion_gain, confusion_of, gain_of, is_right
from repro.report.confusion import indicator_text
from repro.report.gains import rows_of
from repro.report.study import OneRate, Pairs, Study, beside, beside_runs, gain_text, top1_text
from repro.report.tables import DASH

BOTH = (BASELINE, ATTENTION)
CELLS = ("without gates [95 %]", "with gates [95 %]")
DIFFERENCE = "difference [95 %]"


def table7(paper: Paper, records: Sequence[Record], studies: Sequence[Study], one_rate: OneRate) -> pd.DataFrame:
    """Both networks' top-1 and their difference: the paper's datasets first, then what was run here.

    records: any; of them the official runs stand beside the paper's cells, each protocol by itself. The paper's
    differences have no interval: of its numbers neither clips nor seeds are known. one_rate: as for
    `repro.report.gains.answer_text`; a row below its study each.
    """
    table, rows = paper.table(7), []
    official = {record.name for dataset in OFFICIAL for record in official_runs(records, dataset)}
    for dataset in OFFICIAL:
        printed = [number(table, network, NAMES[dataset]) for network in BOTH]
        for protocol, pairs in _pairs_by_protocol(records, dataset):
            name = NAMES[dataset] + (f", {protocol}" if pairs else "")
            rows.append({"clips": name, "the paper": _arrow(printed, "g", " %")} | _here(pairs))
    here = [study for study in studies if not {record.name for record in study.records} <= official]
    for name, pairs in rows_of(here, one_rate, records).items():
        rows.append({"clips": name, "the paper": DASH} | _here(pairs))
    return pd.DataFrame(rows)


def _here(pairs: Pairs) -> dict[str, str]:
    """Cells on what was run here."""
    if not pairs:
        return dict.fromkeys((*CELLS, DIFFERENCE), "not run") | {"pairs of runs": "0", "n": DASH}
    gain = gain_of(pairs, is_right)
    return {
        **{name: beside_runs([pair[k] for pair in pairs], top1_text) for k, name in enumerate(CELLS)},
        DIFFERENCE: beside(pairs, gain_text),
        "pairs of runs": f"{gain.runs}",
        "n": _counted(gain),
    }


def _counted(estimate: Estimate) -> str:
    return f"{estimate.clips} clips, {estimate.groups} sources"


def _pairs_by_protocol(records: Sequence[Record], dataset: str) -> list[tuple[str, Pairs]]:
    """Pairs of both networks of each protocol with its name; one without pairs where nothing was run."""
    found = [(name, partners(some, BASELINE, ATTENTION)) for name, some in sets(records, dataset)]
    return [(name, pairs) for name, pairs in found if pairs] or [("not run", [])]


def _arrow(printed: Sequence[float | None], digits: str, unit: str = "") -> str:
    """``70.2 % → 71.85 %``; a dash for a number that the text does not state, or for both."""
    words = [DASH if value is None else f"{value:{digits}}{unit}" for value in printed]
    return DASH if words == [DASH, DASH] else " → ".join(words)


def table8(paper: Paper, records: Sequence[Record], studies: Sequence[Study]) -> pd.DataFrame:
    """The confusion indicator of both networks and their difference, pair by pair of actions.

    The paper's pairs first, those of its columns and those that its text calls easily confused, with HMDB51 runs of
    each protocol; then the look-alikes named beforehand of what was run here. Each says where the paper names it, and
    whether the order of frames alone tells its two actions apart.
    """
    table, rows = paper.table(8), []
    official = {record.name for record in official_runs(records, "hmdb51")}
    for protocol, runs in _pairs_by_protocol(records, "hmdb51"):
        for words, column in _pairs(table):
            printed = [number(table, network, column) for network in BOTH]
            classes = {plain_name(name): k for k, name in enumerate(runs[0][0].classes)} if runs else {}
            one, other = (classes.get(plain_name(name)) for name in words)
            clips = "HMDB51" + (f", {protocol}" if runs else "")
            two = None if one is None or other is None else (one, other)
            rows.append(_row(words, clips, _arrow(printed, "g")) | _both(runs, two))
    here = [study for study in studies if not {record.name for record in study.records} <= official]
    return pd.concat([pd.DataFrame(rows), look_alikes_table(here)], ignore_index=True)


def look_alikes_table(studies: Sequence[Study]) -> pd.DataFrame:
    """The rows of `table8` of what was run here: the look-alikes named beforehand of each study."""
    rows = []
    for study in studies:
        classes = study.records[0].classes
        for two in named_pairs(classes) if study.pairs else ():
            fall = confusion_gain(study.pairs, two)
            clips = f"{study.name} ({_counted(fall)})" if fall else study.name
            row = _row([classes[k] for k in two], clips, DASH, order_alone=two in backwards_pairs(classes))
            rows.append(row | _both(study.pairs, two))
    return pd.DataFrame(rows)


def _row(words: Sequence[str], clips: str, printed: str, *, order_alone: bool = False) -> dict[str, str]:
    """The first cells of a pair of actions."""
    place = named_in(words)
    return {
        "pair": " / ".join(words) + (" (apart by order alone)" if order_alone else ""),
        "clips": clips,
        "the paper": f"{printed} ({place})" if place else printed,
    }


def _both(pairs: Pairs, two: tuple[int, int] | None) -> dict[str, str]:
    """Cells on one pair of actions: the indicator of both networks and the difference."""
    if not pairs or two is None:
        return dict.fromkeys((*CELLS, DIFFERENCE), "no such classes" if pairs else "not run")

    def text(records: Sequence[Record]) -> str:
        return indicator_text(confusion_of(records, two))

    cells = {name: beside_runs([pair[k] for pair in pairs], text) for k, name in enumerate(CELLS)}
    return cells | {DIFFERENCE: indicator_text(confusion_gain(pairs, two), signed=True)}


def _pairs(table: Table) -> list[tuple[tuple[str, str], str]]:
    """The pairs of actions with the column of each: the table's, then those named in the text ("" for the column)."""
    found: list[tuple[tuple[str, str], str]] = []
    for column in table.columns:
        words = [word.strip() for word in re.sub(r"[()]", "", column).split(",")]
        if len(words) == 2:
            found.append(((words[0], words[1]), column))
    known = {frozenset(map(plain_name, words)) for words, _ in found}
    return found + [(pair, "") for pair in LOOK_ALIKES if frozenset(map(plain_name, pair)) not in known]
