"""A run trained again: do the same numbers come out?"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro.records.compare import made_again
from repro.records.provenance import machine_text
from repro.records.record import Record
from repro.records.scores import is_right
from repro.report.show import formatted

NOT_RUN = "**Not run:** `snakemake runs --configfile profiles/rendered-again.yaml` trains recorded runs again."

FORMATS = {"top-1 (%)": ".1f", "again (%)": ".1f", "largest difference of scores": ".2g"}


def again_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each run that another study holds again: both test accuracies (%), by how many clips the labels
    differ, and how far the scores do, in parts of the largest.

    *same machine* is not known where a record names its processor without the instructions: a family of processors.
    """
    rows = []
    for first, later in made_again(records):
        there, here = (_by_clip(record) for record in (first, later))
        rows.append(
            {
                "run": first.name,
                "again": later.name,
                "same machine": _same_machine(first, later),
                "top-1 (%)": 100 * is_right(first).mean(),
                "again (%)": 100 * is_right(later).mean(),
                "other labels": f"{(there.argmax(1) != here.argmax(1)).sum()} of {len(there)}",
                "largest difference of scores": np.abs(there - here).max() / np.abs(there).max(),
            }
        )
    return formatted(pd.DataFrame(rows), FORMATS if rows else {})


def again_text(table: pd.DataFrame) -> str:
    """How many came out bit for bit, how far top-1 moved in the others, and on how many machines of one kind."""
    if not len(table):
        return NOT_RUN
    moved = (table["again (%)"] - table["top-1 (%)"])[table["largest difference of scores"] > 0]
    same, runs = len(table) - len(moved), f"{len(table)} run{'s' if len(table) > 1 else ''}"
    text = f"Of {runs} trained again {same or 'none'} gave the same scores, bit for bit."
    if len(moved):
        text += f" Where they differ, top-1 moved by up to {moved.abs().max():.1f} points."
    machines = table["same machine"].str.partition(":")[0]
    if len(here := table[machines == "yes"]):
        text += f" On the same kind of machine {(here['largest difference of scores'] == 0).sum()} of {len(here)} did."
    if unknown := (machines == "not known").sum():
        text += f" Of {unknown} it is not known whether the processor was the same."
    return text


def _by_clip(record: Record) -> np.ndarray:
    return record.scores[np.argsort(record.predictions["clip"].to_numpy())]


def _machine(record: Record) -> str:
    return f"{machine_text(record.provenance)}, torch {record.provenance['libraries']['torch']}"


def _same_machine(first: Record, later: Record) -> str:
    """Whether processor, threads and torch are the same: yes, no, or not known; and which they are."""
    machines = [_machine(each) for each in (first, later)]
    named = all(re.search(r" \(AVX\w+\)$", each.provenance["processor"]) for each in (first, later))
    known = named or len({re.sub(r" \(AVX\w+\)", "", machine) for machine in machines}) > 1
    answer = ("yes" if machines[0] == machines[1] else "no") if known else "not known"
    return f"{answer}: {' / '.join(dict.fromkeys(machines))}"
