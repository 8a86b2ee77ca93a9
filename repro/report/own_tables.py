"""The paper's Tables 7 and 8, its two networks against each other, beside full-size runs here.

The paper's cells come from ``repro/paper/paper.toml``; whoever fills them in from the PDF sees its differences here.
"""

import re
from collections.abc import Sequence

import pandas as pd

from repro.claims.official import NAMES, OFFICIAL, number, official_runs
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.text import with_interval
from repro.paper.cells import NOT_STATED, Paper, Table
from repro.paper.look_alikes import LOOK_ALIKES, plain_name
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import confusion_of, gain_of, is_right, share_of
from repro.report.confusion import indicator_text

BOTH = (BASELINE, ATTENTION)


def table7(paper: Paper, records: Sequence[Record]) -> pd.DataFrame:
    """One row a dataset: both networks and their difference, as the paper prints them and as official runs give them.

    records: any; of them the official runs count, in pairs of like runs. The paper's differences have no interval: of
    its numbers neither clips nor seeds are known.
    """
    table, rows = paper.table(7), []
    for dataset in OFFICIAL:
        printed = [number(table, network, NAMES[dataset]) for network in BOTH]
        pairs = partners(official_runs(records, dataset), BASELINE, ATTENTION)
        row = {"dataset": NAMES[dataset]}
        row |= {
            f"paper: {TITLES[network]}": NOT_STATED if value is None else f"{value:g} %"
            for network, value in zip(BOTH, printed)
        }
        row["paper: difference"] = _difference(printed, "+.2f", " points")
        for k, network in enumerate(BOTH):
            ours = [pair[k] for pair in pairs]
            row[f"here: {TITLES[network]} [95 %]"] = with_interval(share_of(ours, is_right)) if ours else "not run"
        row["here: difference [95 %]"] = (
            f"{with_interval(gain_of(pairs, is_right), signed=True)}, {len(pairs)} pairs of runs"
            if pairs
            else f"not run: needs {NAMES[dataset]} and a GPU"
        )
        rows.append(row)
    return pd.DataFrame(rows)


def _difference(printed: Sequence[float | None], digits: str, unit: str = "") -> str:
    """The second of the paper's numbers minus the first, where it states both."""
    first, second = printed
    return NOT_STATED if first is None or second is None else f"{second - first:{digits}}{unit}"


def table8(paper: Paper, records: Sequence[Record]) -> pd.DataFrame:
    """One row a pair of actions: the confusion indicator of both networks, the paper's and from official HMDB51 runs.

    The pairs are the paper's columns and those that its text calls easily confused.
    """
    table, rows = paper.table(8), []
    runs = partners(official_runs(records, "hmdb51"), BASELINE, ATTENTION)
    classes = {plain_name(name): k for k, name in enumerate(runs[0][0].classes)} if runs else {}
    for words, column in _pairs(table):
        row: dict = {"pair": " / ".join(words)}
        printed = [number(table, network, column) for network in BOTH]
        for network, value in zip(BOTH, printed):
            row[f"paper: {TITLES[network]}"] = NOT_STATED if value is None else f"{value:g}"
        row["paper: difference"] = _difference(printed, "+.3f")
        places = [classes[name] for name in map(plain_name, words) if name in classes]
        for k, network in enumerate(BOTH):
            text = "not run: needs HMDB51 and a GPU"
            if runs and len(places) == 2:
                text = indicator_text(confusion_of([pair[k] for pair in runs], (places[0], places[1])))
            elif runs:
                text = "no such classes"
            row[f"here: {TITLES[network]} [95 %]"] = text
        rows.append(row)
    return pd.DataFrame(rows)


def _pairs(table: Table) -> list[tuple[tuple[str, str], str]]:
    """The pairs of actions with the column of each: the table's, then those named in the text ("" for the column)."""
    found: list[tuple[tuple[str, str], str]] = []
    for column in table.columns:
        words = [word.strip() for word in re.sub(r"[()]", "", column).split(",")]
        if len(words) == 2:
            found.append(((words[0], words[1]), column))
    known = {frozenset(map(plain_name, words)) for words, _ in found}
    return found + [(pair, "") for pair in LOOK_ALIKES if frozenset(map(plain_name, pair)) not in known]
