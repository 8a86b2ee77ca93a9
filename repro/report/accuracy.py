"""Table 7 by network and split: accuracies averaged over training seeds, and how far the seeds spread."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from repro.experiment.fields import TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.metrics.text import percent
from repro.records.record import Record
from repro.records.scores import is_right, share_of
from repro.report import figures
from repro.report.learned import beside_runs, mark, top1_text
from repro.report.tables import sd_text


def networks_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a dataset, split and network: means over its runs of top-1, top-5 and the mean of classes."""
    alike: dict[tuple[str, int, str], list[Record]] = {}
    for record in records:
        alike.setdefault((record.experiment.dataset, record.experiment.split, record.experiment.title), []).append(
            record
        )
    rows = []
    for (dataset, split, network), runs in sorted(alike.items(), key=lambda item: item[0][:2]):  # stable by network
        found = share_of(runs, is_right)
        many = len(runs[0].classes) > 5
        top5 = [topk_accuracy(run.scores, run.labels, k=5) for run in runs] if many else []
        rows.append(
            {
                "dataset": dataset,
                "split": split,
                "network": network,
                "runs": found.runs,
                "clips / groups": f"{found.clips} / {found.groups}",
                "top-1 [95 %]": beside_runs(runs, top1_text),
                "sd of runs (points)": sd_text(found),
                "top-5": percent(float(np.mean(top5))) if many else "5 classes or fewer",
                "mean of classes": percent(float(np.mean([mean_class_accuracy(r.scores, r.labels) for r in runs]))),
            }
        )
    return pd.DataFrame(rows)


def accuracy_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Top-1 of every run, with its alternative text."""
    runs = {model: [r for r in records if r.experiment.model == model] for model in TITLES}
    shown = "; ".join(
        f"{TITLES[model]}: " + ", ".join(percent(is_right(run).mean()) + mark(run) for run in some)
        for model, some in runs.items()
        if some
    )
    return figures.accuracy_plot(records), f"Test top-1 of every run with its 95 % interval. {shown}."
