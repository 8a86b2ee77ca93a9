"""What pages say of a study as a whole: how a page introduces it, how its runs learned, which settings they share."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from repro.metrics.text import percent
from repro.records.record import Record
from repro.report import figures
from repro.report.learned import stuck_text


def study_text(study: str, records: Sequence[Record]) -> str:
    """The study's clips, remark and runs that learned nothing, or that it was not run: how a page on it begins."""
    if not records:
        return f"**Not run:** `results/{study}` holds no record. See *Reproduce it yourself*."
    experiment = records[0].experiment
    stuck = stuck_text(records)
    return f"Study `{study}`: **{experiment.dataset}**. {experiment.remark}" + (f"\n\n{stuck}" if stuck else "")


def curves_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """The learning curves of a study's runs, with their alternative text, which names those that did not converge."""
    ends = {record.experiment.run: record.history["train_top1"].iloc[-1] for record in records}
    short = "; ".join(f"{run} {percent(end)}" for run, end in ends.items() if end < figures.CONVERGED)
    alt = (
        f"Training loss and top-1 by epoch of the {len(records)} runs of {records[0].experiment.study}: the mean of "
        "each network in a band from its lowest to its highest run. Training top-1 ends at "
        f"{percent(min(ends.values()))} to {percent(max(ends.values()))}. Not converged, ends below "
        f"{percent(figures.CONVERGED, 0)}: {short or 'none'}."
    )
    return figures.learning_curves(records), alt


def settings_table(records: Sequence[Record]) -> pd.DataFrame:
    """The experiment's fields that all runs of a study share."""
    fields = pd.DataFrame({r.experiment.run: {k: str(v) for k, v in r.experiment.to_dict().items()} for r in records})
    same = (fields.nunique(axis=1) == 1) & (fields.index != "remark")
    return pd.DataFrame({"field": fields.index[same], "value": fields[same].iloc[:, 0].to_numpy()})
