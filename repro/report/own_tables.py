"""The paper's Tables 7 and 8, its two networks against each other, beside full-size runs here.

The paper's cells come from ``repro/paper/paper.toml``; whoever fills them in from the PDF sees its differences here.
"""

import re
from collections.abc import Sequence
from functools import partial

import pandas as pd

from repro.claims.official import NAMES, OFFICIAL, number, sets
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.paper.cells import NOT_STATED, Paper, Table
from repro.paper.look_alikes import LOOK_ALIKES, plain_name
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import confusion_of
from repro.report.confusion import indicator_text
from repro.report.learned import Pairs, beside, beside_runs, gain_text, top1_text

BOTH = (BASELINE, ATTENTION)


def table7(paper: Paper, records: Sequence[Record]) -> pd.DataFrame:
    """One row a dataset and protocol run: both networks and their difference, as the paper prints them and as run here.

    records: any; of them the official runs count, in pairs of like runs. The paper's differences have no interval: of
    its numbers neither clips nor seeds are known.
    """
    table, rows = paper.table(7), []
    for dataset in OFFICIAL:
        printed = [number(table, network, NAMES[dataset]) for network in BOTH]
        stated = {
            f"paper: {TITLES[network]}": NOT_STATED if value is None else f"{value:g} %"
            for network, value in zip(BOTH, printed)
        }
        stated["paper: difference"] = _difference(printed, "+.2f", " points")
        for protocol, pairs in _pairs_by_protocol(records, dataset):
            row = {"dataset": NAMES[dataset], **stated, "run here": protocol}
            for k, network in enumerate(BOTH):
                ours = [pair[k] for pair in pairs]
                row[f"here: {TITLES[network]} [95 %]"] = beside_runs(ours, top1_text) if ours else "not run"
            row["here: difference [95 %]"] = (
                f"{beside(pairs, gain_text)}, {len(pairs)} pairs of runs"
                if pairs
                else f"not run: needs {NAMES[dataset]} and a GPU"
            )
            rows.append(row)
    return pd.DataFrame(rows)


def _pairs_by_protocol(records: Sequence[Record], dataset: str) -> list[tuple[str, Pairs]]:
    """Pairs of both networks of each protocol with its name; one without pairs where nothing was run."""
    found = [(name, partners(some, BASELINE, ATTENTION)) for name, some in sets(records, dataset)]
    return [(name, pairs) for name, pairs in found if pairs] or [("not run", [])]


def _difference(printed: Sequence[float | None], digits: str, unit: str = "") -> str:
    """The second of the paper's numbers minus the first, where it states both."""
    first, second = printed
    return NOT_STATED if first is None or second is None else f"{second - first:{digits}}{unit}"


def table8(paper: Paper, records: Sequence[Record]) -> pd.DataFrame:
    """One row a pair of actions and protocol run: the indicator of both networks, the paper's and from HMDB51 runs.

    The pairs are the paper's columns and those that its text calls easily confused.
    """
    table, rows = paper.table(8), []
    for protocol, runs in _pairs_by_protocol(records, "hmdb51"):
        classes = {plain_name(name): k for k, name in enumerate(runs[0][0].classes)} if runs else {}
        for words, column in _pairs(table):
            row: dict = {"pair": " / ".join(words)}
            printed = [number(table, network, column) for network in BOTH]
            for network, value in zip(BOTH, printed):
                row[f"paper: {TITLES[network]}"] = NOT_STATED if value is None else f"{value:g}"
            row["paper: difference"] = _difference(printed, "+.3f")
            row["run here"] = protocol
            places = [classes[name] for name in map(plain_name, words) if name in classes]
            for k, network in enumerate(BOTH):
                text = "not run: needs HMDB51 and a GPU"
                if runs and len(places) == 2:
                    text = beside_runs([pair[k] for pair in runs], partial(_indicator, places))
                elif runs:
                    text = "no such classes"
                row[f"here: {TITLES[network]} [95 %]"] = text
            rows.append(row)
    return pd.DataFrame(rows)


def _indicator(places: Sequence[int], records: Sequence[Record]) -> str:
    return indicator_text(confusion_of(records, (places[0], places[1])))


def _pairs(table: Table) -> list[tuple[tuple[str, str], str]]:
    """The pairs of actions with the column of each: the table's, then those named in the text ("" for the column)."""
    found: list[tuple[tuple[str, str], str]] = []
    for column in table.columns:
        words = [word.strip() for word in re.sub(r"[()]", "", column).split(",")]
        if len(words) == 2:
            found.append(((words[0], words[1]), column))
    known = {frozenset(map(plain_name, words)) for words, _ in found}
    return found + [(pair, "") for pair in LOOK_ALIKES if frozenset(map(plain_name, pair)) not in known]
