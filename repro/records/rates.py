"""Which learning rate suits each network: chosen by validation clips, which are carved from the training list.

A network that learns sooner at one rate is not a better network, so each is trained at its own. The test clips say
nothing here.
"""

from collections.abc import Sequence

import numpy as np

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL
from repro.records.record import Record

ByRate = dict[float, list[Record]]
LIKE = {CONTROL: BASELINE, TEMPORAL: ATTENTION}  # networks that take the rate of another


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


def alike(runs: ByRate) -> list[float]:
    """The rates whose seeds reach the lowest of the chosen one's: they cannot be told from it."""
    best = chosen(runs)
    low = min(validated(record) for record in runs[best])
    return [rate for rate, some in runs.items() if rate != best and low <= max(map(validated, some))]


def choosing(records: Sequence[Record], study: str) -> list[Record]:
    """The runs that chose the rates of experiments with ``rate_chosen_by: study``: that study's groups."""
    return [r for r in records if r.experiment.role == "tuning" and r.experiment.study.startswith(f"{study}-")]


def rate_for(records: Sequence[Record], study: str, model: str) -> float | None:
    """The rate that a tuning study chose for a network; None where its runs are not among the records."""
    runs = by_rate(choosing(records, study), LIKE.get(model, model))
    return chosen(runs) if runs else None
