"""What the intervals are worth, what gain a study could have shown, and whether a run trained again gives the same."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.judging import LEVEL
from repro.metrics.coverage import CHANCES, coverage_table
from repro.metrics.statistics import Estimate, again_within, runs_needed, smallest_gain
from repro.metrics.text import with_interval
from repro.records.compare import made_again
from repro.records.provenance import machine_text
from repro.records.record import Record
from repro.records.scores import is_right
from repro.report.show import formatted

MORE = 20  # pairs of runs asked about
POWER = 0.8
NOT_KNOWN = "not known"
KINDS: dict[str, dict[str, Any]] = {
    "gain of one network over another": {"of": "gain"},
    "gain, films of unequal length": {"of": "gain", "unequal": True},
    "gain, three splits in turn": {"of": "gain", "splits": 3},
    "accuracy of one network": {"of": "share"},
}


def coverage_tables(pairs: Sequence[int], groups: Sequence[int], *, studies: int, seed: int) -> pd.DataFrame:
    """`repro.metrics.coverage.coverage_table` for every kind of number that the book prints, one below the other."""
    tables = []
    for words, kind in KINDS.items():
        found = coverage_table(pairs, groups, studies=studies, seed=seed, **kind).reset_index()
        tables.append(found.assign(**{"95 % interval of": words}))
    table = pd.concat(tables, ignore_index=True).rename(columns={"runs": "runs, or pairs of runs"})
    return table[["95 % interval of", *(name for name in table if name != "95 % interval of")]]


def coverage_text(table: pd.DataFrame) -> str:
    """The range that `coverage_tables` shows, in two sentences."""
    cells = table[[name for name in table if name.endswith("groups")]].map(lambda cell: cell.split(" to "))
    few = table["runs, or pairs of runs"] < 5

    def span(rows: pd.DataFrame) -> str:
        ends = [tuple(map(float, cell)) for cell in rows.to_numpy().ravel()]
        return f"{min(low for low, _ in ends):.1f} to {max(high for _, high in ends):.1f} %"

    text = f"With 5 runs or more they hold the truth in {span(cells[~few])} of made studies"
    if few.any():
        text += f", with fewer in {span(cells[few])}: so few say little of training, and the interval allows for that"
    return f"{text}. Lowest and highest are over {len(CHANCES)} kinds of chance: {'; '.join(CHANCES)}."


def detected(gain: Estimate, *, runs: int | None = None) -> float:
    """The smallest true gain that would give a verdict with a power of `POWER`."""
    return smallest_gain(gain, runs=runs, power=POWER, confidence=1 - LEVEL)


def can_project(gain: Estimate) -> bool:
    """Whether the spread says what more pairs of runs would show: of pairs that score clips of their own alone it does
    not, for new pairs would score the same clips again."""
    return gain.sd_runs is not None and gain.spread.shared


def power_table(gains: Mapping[str, Estimate], *, wanted: float) -> pd.DataFrame:
    """One row a study: the gain found, how far training moves it, the smallest that gives it and longer ones a verdict,
    pairs for a wanted gain.

    wanted: a gain, 0..1. Where no two pairs of runs score the same clips nothing is known of longer studies.
    """
    rows = []
    for study, gain in gains.items():
        spread = "one: not known" if gain.sd_runs is None else f"{100 * gain.sd_runs:.1f}"
        if (moved := again_within(gain)) is not None:
            spread += f"; ±{points(moved)}"
        needed = runs_needed(gain, wanted, power=POWER, confidence=1 - LEVEL)
        pairs = f"{needed:.0f}" if math.isfinite(needed) else "never: more clips are needed"
        known = can_project(gain)
        row = {
            "study": study,
            "pairs; clips; groups": f"{gain.runs}; {gain.clips}; {gain.groups}",
            "gain found [95 %]": with_interval(gain, signed=True),
            "sd of pairs (points); trained again within": spread,
            "smallest gain that gives a verdict": points(detected(gain)),
            f"with {MORE} pairs": points(detected(gain, runs=MORE)) if known else NOT_KNOWN,
            f"pairs to show {100 * wanted:g} points": pairs if known else NOT_KNOWN,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def points(gain: float) -> str:
    """``3.1 points``; a gain cannot exceed 100."""
    return f"{100 * gain:.1f} points" if gain < 1 else "no gain"


def power_figure(gains: Mapping[str, Estimate]) -> tuple[Figure, str]:
    """The smallest gain that gives a verdict by the number of pairs of runs, a line a study; with its alt text."""
    fig, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    pairs = [2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100]
    known = {study: gain for study, gain in gains.items() if can_project(gain)}
    for study, gain in known.items():
        curve = [100 * detected(gain, runs=runs) for runs in pairs]
        (line,) = axis.plot(pairs, curve, label=f"{study} ({gain.groups} sources)")
        axis.plot(gain.runs, 100 * detected(gain), "o", color=line.get_color())
    axis.set(xscale="log", ylim=(0, 50), xlabel="pairs of runs", ylabel="smallest gain found (points)")
    axis.set_xticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    shown = "; ".join(f"{study} {points(detected(gain))}" for study, gain in known.items())
    return fig, f"Smallest gain that gives a verdict by the number of pairs of runs, a line a study; as run: {shown}."


def power_text(gain: Estimate) -> str:
    """What gain a study could have shown, and what more runs would add."""
    found = points(detected(gain))
    text = (
        f"**What gain could this have shown?** {gain.clips} clips in {gain.groups} groups and {gain.runs} "
        f"pair{'s' if gain.runs > 1 else ''} of runs give a verdict (p below {LEVEL:g}) on a true gain of {found} with "
        f"{100 * POWER:.0f} % power."
    )
    if gain.sd_runs is None:
        return f"{text} That leaves the chance of training out: how far runs spread is not known from one pair."
    if not can_project(gain):
        return f"{text} What more pairs would show is {NOT_KNOWN}: no two of these score the same clips."
    return f"{text} {MORE} pairs would on {points(detected(gain, runs=MORE))}."


# ---- the same run again

NOT_RUN = "**Not run:** `snakemake runs --configfile profiles/rendered-again.yaml` trains recorded runs again."


def again_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each run that another study holds again: both test accuracies (%), by how many clips the labels
    differ, and how far the scores do, in parts of the largest.

    *same machine* is not known where a record names its processor without the instructions: a family of processors.
    """
    rows = []
    for first, later in made_again(records):
        there, here = (run.scores[np.argsort(run.predictions["clip"].to_numpy())] for run in (first, later))
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
    numbers = {"top-1 (%)": ".1f", "again (%)": ".1f", "largest difference of scores": ".2g"}
    return formatted(pd.DataFrame(rows), numbers)


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


def _same_machine(first: Record, later: Record) -> str:
    """Whether processor, threads and torch are the same: yes, no, or not known; and which they are."""
    made = [each.provenance for each in (first, later)]
    machines = [f"{machine_text(each)}, torch {each['libraries']['torch']}" for each in made]
    named = all(re.search(r" \(AVX\w+\)$", each["processor"]) for each in made)
    known = named or len({re.sub(r" \(AVX\w+\)", "", machine) for machine in machines}) > 1
    answer = ("yes" if machines[0] == machines[1] else "no") if known else "not known"
    return f"{answer}: {' / '.join(dict.fromkeys(machines))}"
