"""Tables and sentences on the counts that reported percentages can come from, as repro.metrics.forensics has them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from repro.metrics.forensics import (
    DROP_LAST,
    LAST_BATCH,
    USUAL_BATCHES,
    Reported,
    chance_of_common_batch,
    common_batches,
    mean_of_splits,
    right_counts,
    scored_clips,
)
from repro.report.show import formatted

HABITS = {DROP_LAST: "a partial last batch is dropped", LAST_BATCH: "the last batch is always left out"}
Reports = Mapping[str, Reported]  # by dataset


def whole_splits_table(reports: Reports, listed: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """One row a dataset and split: the counts of right clips of the whole split that print as the reported percentage.

    listed: clips of each split by dataset.
    """
    return pd.DataFrame(
        {
            "dataset": name,
            "reported": f"{report.printed} %",
            "split": split,
            "clips listed": size,
            "right clips that give it": ", ".join(map(str, right_counts(report, size))) or "none",
        }
        for name, report in reports.items()
        for split, size in enumerate(listed[name], start=1)
    )


def impossible(reports: Reports, listed: Mapping[str, Sequence[int]]) -> list[str]:
    """The datasets of which no whole split gives the reported percentage."""
    return [name for name in reports if not any(right_counts(reports[name], size) for size in listed[name])]


def batches_table(reports: Reports, largest: int) -> pd.DataFrame:
    """The batch sizes up to ``largest`` under which one habit explains every number, with the counts; may be empty."""
    rows = []
    for mechanism, words in HABITS.items():
        for batch in common_batches(list(reports.values()), mechanism, range(1, largest + 1)):
            row: dict = {"habit": words, "batch size": batch}
            for name, report in reports.items():
                scored = scored_clips(report.listed, batch, mechanism)
                counts = " or ".join(map(str, right_counts(report, scored)))
                row[name] = f"{counts} of {scored} (listed: {report.listed})"
            rows.append(row)
    return pd.DataFrame(rows)


def chances_table(reports: Reports) -> pd.DataFrame:
    """How often two random percentages would be explained as well; empty unless two are reported."""
    if len(reports) != 2:
        return pd.DataFrame()
    tried = {f"one of {len(USUAL_BATCHES)} usual batch sizes": USUAL_BATCHES, "any from 1 to 64": range(1, 65)}
    table = pd.DataFrame(
        {
            "habit": words,
            "batch sizes": name,
            "random pairs explained (%)": 100
            * chance_of_common_batch(list(reports.values()), batches, mechanism=mechanism),
        }
        for mechanism, words in HABITS.items()
        for name, batches in tried.items()
    )
    return formatted(table, {"random pairs explained (%)": ".1f"})


def chances_caption() -> str:
    """The caption of `chances_table`."""
    usual = ", ".join(map(str, USUAL_BATCHES))
    return f"Chance of such an explanation (usual: {usual}), counted over all pairs"


def means_text(reports: Reports, listed: Mapping[str, Sequence[int]]) -> str:
    """In how many ways a mean over three whole splits prints as reported, a line a dataset of three splits."""
    return "\n".join(
        f"- {name}: {mean_of_splits(report.printed, listed[name]):,} triples of whole-split counts, each within 5 "
        f"points of it, have a mean that prints as {report.printed} %."
        for name, report in reports.items()
        if len(listed[name]) == 3
    )


def conclusion_text(reports: Reports, explained: pd.DataFrame) -> str:
    """What follows where no whole split gives the numbers and a habit explains them, and what does not.

    explained: `batches_table`, not empty.
    """
    lost = []
    for name, report in reports.items():
        most = max(report.listed - scored_clips(report.listed, batch, LAST_BATCH) for batch in explained["batch size"])
        lost.append(f"{most} of {report.listed} ({name})")
    return (
        "**What follows.** If the numbers are of one split and rounded as usual, not all of its clips were scored; "
        "losing the last batch explains all numbers with one batch size. **What does not follow.** That it happened: "
        "random numbers are explained as often as the table above says, and a mean over three splits explains them "
        "without any lost clip. The text does not say which it is. The clips lost would be at most "
        f"{', '.join(lost)}, which bounds what they can do to the accuracy. Here every listed clip is scored; a record "
        "that lacks one is refused."
    )
