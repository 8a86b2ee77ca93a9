"""Learning rates on their page: how each network did on validation clips, and the rate that each was given."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.text import percent
from repro.records.rates import by_rate, chosen, validated
from repro.records.record import Record
from repro.report.figures import COLOURS

NOT_RUN = "**Not run:** both networks at several learning rates, with validation clips."


def tuning_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a rate: validation top-1 of both networks, mean of seeds (lowest to highest)."""
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    rows = []
    for rate in sorted({rate for runs in both.values() for rate in runs}):
        row = {"learning rate": f"{rate:g}"}
        for model, runs in both.items():
            values = [validated(record) for record in runs.get(rate, [])]
            mark = " (chosen)" if len(runs) > 1 and chosen(runs) == rate else ""
            row[f"{TITLES[model]} (%)"] = _mean_text(values) + mark if values else "not run"
        rows.append(row)
    return pd.DataFrame(rows)


def tuning_caption(records: Sequence[Record]) -> str:
    """Which seeds stand behind each mean of `tuning_table`, and how long their runs were."""
    runs = [record for model in (BASELINE, ATTENTION) for some in by_rate(records, model).values() for record in some]
    seeds, epochs = (
        " and ".join(map(str, sorted({getattr(record.experiment, name) for record in runs})))
        for name in ("seed", "epochs")
    )
    return f"Top-1 on validation clips by learning rate: mean of seeds {seeds} (lowest to highest), {epochs} epochs"


def _mean_text(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{100 * values[0]:.1f} (one run)"
    return f"{100 * np.mean(values):.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def tuning_text(records: Sequence[Record]) -> str:
    """The rate of each network, how far the next one was behind, which ones its seeds cannot tell from it, and whether
    the best is at the edge of those tried."""
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    if not all(len(runs) > 1 for runs in both.values()):
        return NOT_RUN
    sentences = [_choice_text(TITLES[model], runs) for model, runs in both.items()]
    edge = [TITLES[m] for m, runs in both.items() if chosen(runs) in (min(runs), max(runs))]
    if edge:
        text = f"The best rate of {' and '.join(edge)} is the smallest or largest tried: a better one may lie beyond."
        sentences.append(text)
    return " ".join(sentences)


def _choice_text(title: str, runs: dict[float, list[Record]]) -> str:
    means = {rate: float(np.mean([validated(record) for record in some])) for rate, some in runs.items()}
    best, second = sorted(means, key=lambda rate: -means[rate])[:2]
    tried = ", ".join(f"{rate:g}" for rate in means)
    top = [validated(record) for record in runs[best]]
    alike = [r for r in means if r != best and min(top) <= max(map(validated, runs[r]))]
    rates = " and ".join(f"{rate:g}" for rate in alike)
    apart = f" The range of its seeds overlaps with that at {rates}: they cannot be told apart."
    return (
        f"{title}: {best:g} of {tried}, with {percent(means[best])} of the validation clips right; "
        f"{second:g} comes next with {percent(means[second])}.{apart if alike else ''}"
    )


def tuning_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Validation top-1 by learning rate, a mark a run, lines through means; with its alternative text."""
    fig, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    tried = sorted({rate for runs in both.values() for rate in runs})
    count = sum(len(some) for runs in both.values() for some in runs.values())
    for model, runs in both.items():
        colour = COLOURS[model]
        top1 = {rate: [100 * validated(record) for record in some] for rate, some in runs.items()}
        axis.plot(list(top1), [np.mean(values) for values in top1.values()], label=TITLES[model], color=colour)
        for rate, values in top1.items():
            axis.plot([rate] * len(values), values, "o", alpha=0.6, color=colour)
    axis.set(xscale="log", xlabel="learning rate", ylabel="top-1 (%), validation clips", ylim=(0, 100))
    axis.set_xticks(tried, [f"{rate:g}" for rate in tried])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    alt = f"Top-1 of both networks on validation clips by learning rate, {count} runs; means in the table."
    return fig, alt
