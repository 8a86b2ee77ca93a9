"""Table 7 by network and split: accuracies averaged over training seeds, and how far the seeds spread."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from repro.experiment.fields import TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.metrics.statistics import seeds_spread, wilson_interval
from repro.metrics.text import percent, with_interval
from repro.records.record import Record
from repro.records.scores import is_right
from repro.report import figures
from repro.report.show import formatted


def networks_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a dataset, split and network: means over its seeds of top-1, top-5 and the mean of classes.

    Two intervals of top-1: Wilson's over the clips of one run, which all seeds share, and Student's t over seeds.
    """
    alike: dict[tuple[str, int, str], list[Record]] = {}
    for record in records:
        alike.setdefault((record.experiment.dataset, record.experiment.split, record.experiment.title), []).append(
            record
        )
    rows = []
    for (dataset, split, network), runs in sorted(alike.items(), key=lambda item: item[0][:2]):  # stable by network
        spread = seeds_spread([float(is_right(run).mean()) for run in runs])
        clips = len(runs[0].labels)
        interval = wilson_interval(round(spread.mean * clips), clips)
        over_seeds = f"[{100 * spread.low:.1f}, {100 * spread.high:.1f}]" if spread.n > 1 else "one seed: none"
        many = len(runs[0].classes) > 5
        top5 = [topk_accuracy(run.scores, run.labels, k=5) for run in runs] if many else []
        rows.append(
            {
                "dataset": dataset,
                "split": split,
                "network": network,
                "seeds": spread.n,
                "clips": clips,
                "top-1 [95 % over clips]": with_interval(interval),
                "top-1, 95 % over seeds": over_seeds,
                "sd over seeds (points)": 100 * spread.sd,
                "top-5": percent(float(np.mean(top5))) if many else "5 classes or fewer",
                "mean of classes": percent(float(np.mean([mean_class_accuracy(r.scores, r.labels) for r in runs]))),
            }
        )
    return formatted(pd.DataFrame(rows), {"sd over seeds (points)": ".1f"})


def accuracy_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Top-1 of every run, with its alternative text."""
    shown = "; ".join(
        f"{TITLES[model]}: " + ", ".join(percent(is_right(r).mean()) for r in records if r.experiment.model == model)
        for model in sorted({r.experiment.model for r in records})
    )
    return figures.accuracy_plot(records), f"Test top-1 of every run with its 95 % interval. {shown}."
