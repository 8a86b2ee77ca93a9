"""Tables and sentences on the counts that reported percentages can come from, as repro.metrics.forensics has them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from repro.claims.official import NAMES, OFFICIAL
from repro.data.catalogue import CATALOGUE
from repro.metrics.forensics import (
    DROP_LAST,
    LAST_BATCH,
    NEAREST,
    Reported,
    chance_of_mean,
    common_batches,
    mean_of_splits,
    right_counts,
    scored_clips,
)
from repro.metrics.text import percent
from repro.paper.cells import Paper

ASKED = ("ucf101", "hmdb51")  # of whose accuracies the page asks what they can be
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


def stated(paper: Paper) -> dict[str, tuple[str, list[int]]]:
    """The accuracy (%) that the paper states of each official dataset, as printed, and the clips of each test split."""
    values = {claim.dataset: claim.value for claim in paper.claims if claim.id.startswith("accuracy-")}
    counts = {dataset: CATALOGUE[name].counts for dataset, name in OFFICIAL.items()}
    return {
        dataset: (f"{values[dataset]:g}", [size for name, size in counts[dataset].items() if name.endswith(": test")])
        for dataset in OFFICIAL
    }


def linked_text(paper: Paper) -> str:
    """Of which of the paper's accuracies no whole split gives the percentage, with a link to this page."""
    none = {
        name: (printed, sizes)
        for name, (printed, sizes) in stated(paper).items()
        if name in ASKED and impossible({name: Reported(printed, sizes[0])}, {name: sizes})
    }
    if not none:
        return ""
    words = " or ".join(f"{NAMES[name]}'s {printed} %" for name, (printed, _) in none.items())
    means = all(mean_of_splits(printed, sizes) for printed, sizes in none.values())
    return f"[No whole split](forensics.html) gives {words}{'; a mean over three splits can' if means else ''}."


def left_out_text(paper: Paper) -> str:
    """Why the page does not ask of the other accuracies: how many counts of right clips print as each."""
    return " ".join(
        f"{NAMES[name]}'s {printed} % is not asked: printed with so few digits, every percentage is that of some "
        f"counts of {whole.listed:,} clips ({printed} % of {len(right_counts(whole, whole.listed))} counts), so it "
        "excludes nothing."
        for name, (printed, sizes) in stated(paper).items()
        if name not in ASKED
        for whole in [Reported(printed, sizes[0])]
    )


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


def chance_text(chance: float, largest: int) -> str:
    """What it says that the search found something.

    chance: of finding as much for two random percentages (:func:`repro.metrics.forensics.chance_of_search`).
    """
    return (
        f"The search tried every batch size from 1 to {largest} under either habit. It would explain "
        f"{percent(chance, 0)} of all pairs of percentages that could have been printed with as many digits: a "
        f"likelihood ratio of at most {1 / chance:.1f} for clips that were lost so, against random numbers."
    )


def means_text(reports: Reports, listed: Mapping[str, Sequence[int]]) -> str:
    """In how many ways a mean over three whole splits prints as reported, a line a dataset of three splits."""
    return "\n".join(
        f"- {name}: {mean_of_splits(report.printed, listed[name]):,} triples of whole-split counts, each within 5 "
        f"points of it, have a mean that prints as {report.printed} %. So have some for "
        f"{percent(chance_of_mean(report.printed, listed[name]), 0)} of the {NEAREST} percentages next to it."
        for name, report in reports.items()
        if len(listed[name]) == 3
    )


def conclusion_text(explained: pd.DataFrame, chance: float) -> str:
    """What follows where no whole split gives the numbers and a habit explains them, and what does not.

    explained: `batches_table`, not empty. chance: as for `chance_text`.
    """
    batches = ", ".join(map(str, sorted(set(explained["batch size"]))))
    return (
        "**What follows.** If the numbers are of one split and rounded as usual, not all of its clips were scored. "
        f"**What does not follow.** That a last batch was lost, or that it had {batches} clips: a search that explains "
        f"{percent(chance, 0)} of random pairs proves hardly anything. A mean over three splits explains the numbers "
        "without any lost clip, and proves as little. The text does not say which it is. Here every listed clip is "
        "scored; a record that lacks one is refused."
    )
