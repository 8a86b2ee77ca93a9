"""The same tuning for both networks: learning rates compared on validation clips, the networks at their own best rate.

A network that trains sooner at one rate is not a better network. So the rate is chosen for each by validation clips,
which are carved from the training list, and the comparison is made on the test clips at the rates chosen.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.text import p_text
from repro.records.record import Record
from repro.records.scores import gain_of, gains_by_seed, is_right
from repro.report.figures import COLOURS
from repro.report.learned import beside, gain_text

ByRate = dict[float, list[Record]]


def by_rate(records: Sequence[Record], model: str) -> ByRate:
    """A network's runs by learning rate, those with validation clips; rates in order, runs by seed."""
    found: ByRate = {}
    for record in sorted(records, key=lambda r: (r.experiment.learning_rate, r.experiment.seed)):
        if record.experiment.model == model and "validation_top1" in record.history:
            found.setdefault(record.experiment.learning_rate, []).append(record)
    return found


def validated(record: Record) -> float:
    """Validation top-1 after the last epoch, 0..1: these runs keep their last weights under a cosine schedule."""
    return float(record.history["validation_top1"].iloc[-1])


def chosen(runs: ByRate) -> float:
    """The rate with the highest mean validation top-1. Raises ValueError where there is none."""
    if not runs:
        raise ValueError("no run with validation clips")
    return max(runs, key=lambda rate: np.mean([validated(record) for record in runs[rate]]))


def tuning_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a rate: validation and test top-1 of both networks, mean of seeds, and the difference on test clips."""
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    best = {model: chosen(runs) for model, runs in both.items() if runs}
    rows = []
    for rate in sorted({rate for runs in both.values() for rate in runs}):
        row: dict = {"learning rate": f"{rate:g}"}
        for model, runs in both.items():
            some = runs.get(rate, [])
            mark = " (chosen)" if best.get(model) == rate and len(runs) > 1 else ""
            name = TITLES[model]
            row[f"{name}: validation (%)"] = _mean_text([validated(r) for r in some]) + mark if some else "not run"
            row[f"{name}: test (%)"] = _mean_text([is_right(r).mean() for r in some]) if some else "not run"
        pairs = paired(both[BASELINE].get(rate, []), both[ATTENTION].get(rate, []))
        row["test, SE-IM minus baseline [95 %]"] = beside(pairs, gain_text) if pairs else "not run"
        row["pairs of runs"] = len(pairs)
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_text(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{100 * values[0]:.1f} (one run)"
    return f"{100 * np.mean(values):.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def paired(first: Sequence[Record], second: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Runs of the same clips, split and seed, whatever their rates."""
    place = {(r.data["hash"], r.experiment.split, r.experiment.seed): r for r in second}
    keys = [(r.data["hash"], r.experiment.split, r.experiment.seed) for r in first]
    return [(r, place[key]) for r, key in zip(first, keys) if key in place]


def tuned_pairs(records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Baseline and SE-IM, each at its own chosen rate, by seed; empty where one of them has not been tuned."""
    both = [by_rate(records, model) for model in (BASELINE, ATTENTION)]
    if not all(both):
        return []
    return paired(*(runs[chosen(runs)] for runs in both))


def tuning_text(records: Sequence[Record]) -> str:
    """Does the gate pay where each network has its own best rate? Says so too where a best rate is at the edge."""
    pairs = tuned_pairs(records)
    if not pairs:
        return "**Not run:** both networks at several learning rates, with validation clips."
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    rates = {model: chosen(runs) for model, runs in both.items()}
    gain = gain_of(pairs, is_right)
    single = ", ".join(f"{100 * each:+.1f}" for each in gains_by_seed(pairs))
    best = ", ".join(f"{TITLES[model]} {rate:g}" for model, rate in rates.items())
    text = (
        f"**Does the gate pay with each network at its own best rate?** ({best}; chosen on validation clips among "
        f"{len(both[BASELINE])} rates.) SE-IM minus baseline on the test clips: {beside(pairs, gain_text)}, "
        f"p {p_text(gain.p)}; each pair of runs: {single}."
    )
    edge = [TITLES[m] for m, runs in both.items() if rates[m] in (min(runs), max(runs))]
    if edge:
        text += f" The best rate of {' and '.join(edge)} is the smallest or largest tried: a better one may lie beyond."
    return text


def tuning_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Top-1 by learning rate on validation and on test clips, a mark a run, lines through means; with its alt text."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
    tried = sorted({record.experiment.learning_rate for record in records})
    for axis, name, score in zip(
        axes, ("validation clips", "test clips"), (validated, lambda record: float(is_right(record).mean()))
    ):
        for model in (BASELINE, ATTENTION):
            runs, style = by_rate(records, model), {"color": COLOURS[model]}
            top1 = {rate: [100 * score(record) for record in some] for rate, some in runs.items()}
            axis.plot(list(top1), [np.mean(values) for values in top1.values()], label=TITLES[model], **style)
            for rate, values in top1.items():
                axis.plot([rate] * len(values), values, "o", alpha=0.6, **style)
        axis.set(xscale="log", xlabel="learning rate", ylabel=f"top-1 (%), {name}", ylim=(0, 100), title=name)
        axis.set_xticks(tried, [f"{rate:g}" for rate in tried])
        axis.minorticks_off()
    axes[0].legend(frameon=False, fontsize=8)
    alt = f"Top-1 of both networks by learning rate on validation and test clips, {len(records)} runs"
    return fig, f"{alt}; means in the table."
