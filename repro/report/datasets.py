"""The datasets' page: official lists counted against the catalogue, terms and origin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from repro.data.catalogue import CATALOGUE, compare
from repro.data.counts import count_lists
from repro.files import size_text
from repro.records.measure import measured, read_measurements
from repro.report.audit import ClipSet
from repro.report.show import formatted

NAME = "lists"  # results/<study>/lists.json
Counts = Mapping[str, Mapping[str, Any]]  # what repro.data.counts.count_lists found, by dataset


def count_at_hand(study: str, annotations: Mapping[str, str]) -> Counts:
    """Count the official lists whose folders are there, and file the counts; the others are as they were last counted.

    annotations: dataset -> folder. Raises as :func:`repro.data.counts.count_lists`.
    """
    counts = dict(read_measurements(NAME).get(study, {}).get("counts", {}))
    with measured(study, NAME) as found:
        at_hand = {name: count_lists(name, folder) for name, folder in annotations.items() if Path(folder).is_dir()}
        counts |= at_hand
        if at_hand:
            found.content["counts"] = counts
    return counts


def counts_table(counts: Counts) -> pd.DataFrame:
    """Each quantity of the catalogue beside the count, and whether they agree ("" where it was not counted)."""
    table = pd.DataFrame(
        {"dataset": CATALOGUE[name].title, "quantity": row.quantity, "catalogue": row.catalogue, "counted": row.found}
        | {"": "" if row.agrees is None else "agrees" if row.agrees else "DIFFERS"}
        for name in CATALOGUE
        for row in compare(name, counts.get(name, {}).get("found", {}))
    )
    return formatted(table, {"catalogue": ",", "counted": ",.0f"})


def answer_text(counts: Counts, sets: Sequence[ClipSet]) -> str:
    """Whether the lists say what the catalogue says, and which clips were at hand, in two sentences."""
    differences = int((counts_table(counts)[""] == "DIFFERS").sum())
    never = [dataset.title for name, dataset in CATALOGUE.items() if name not in counts]
    text = f"The official lists differ from this study's catalogue in **{differences}** of their numbers"
    text += f" (not counted: {', '.join(never)})" if never else ""
    named = [each.run.dataset for each in sets if each.audit]
    return f"{text}. None of the paper's datasets was at hand as a whole; clips here: {', '.join(named) or 'none'}."


def terms_table() -> pd.DataFrame:
    """Terms, archives and citation of each dataset."""
    return pd.DataFrame(
        {
            "dataset": d.title,
            "terms": d.licence,
            "archives": "; ".join(f"{a.file} ({size_text(a.bytes)})" for a in d.archives if a.part == "videos"),
            "to be asked for": "yes" if any(a.asked for a in d.archives) else "no",
            "cite": d.citation,
        }
        for d in CATALOGUE.values()
    )
