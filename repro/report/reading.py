"""How to read this: the studies at a glance, and what each outcome of a verdict means."""

from collections.abc import Sequence

import pandas as pd

from repro.claims.judging import MEANING
from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import TITLES
from repro.files import size_text
from repro.metrics.text import hours_text, percent
from repro.records.questions import has_converged
from repro.report.show import with_code
from repro.report.statistics import detected, points
from repro.report.study import Study


def studies_table(studies: Sequence[Study]) -> pd.DataFrame:
    """One row a study: its runs, how they were trained, whether they converged, the smallest gain it can show."""
    rows = []
    for study in studies:
        first, done = study.records[0].experiment, sum(map(has_converged, study.records))
        rows.append(
            {
                "study": with_code(f"{study.name} (`{first.study}`)"),
                "runs": ", ".join(f"{len(runs)} {TITLES[model]}" for model, runs in study.networks.items()),
                "network and input": f"width ×{first.width:g}, {first.frames} frames of {first.size} pixels",
                "chance": percent(1 / len(study.records[0].classes)),
                "converged": f"{done} of {len(study.records)} runs",
                "a verdict takes a gain of": points(detected(study.gain)) if study.gain else "no pair of runs",
            }
        )
    return pd.DataFrame(rows)


def outcomes_text() -> str:
    """Every outcome with its meaning, a line each."""
    return "\n".join(f"- **{outcome}**: {meaning}." for outcome, meaning in MEANING.items())


def tonight_table(costs: pd.DataFrame, dataset: str, command: str, settles: str) -> pd.DataFrame:
    """What a reader with a GPU could run tonight, a row a question.

    costs: `repro.training.costs.cost_table` of the profile. dataset: its name in the catalogue.
    """
    official, work = CATALOGUE[dataset], 1e15 * costs["PFLOP"].sum()
    archives = ", ".join(f"{a.file} ({size_text(a.bytes)})" for a in official.archives)
    memory, disk = costs["GB a device"].max(), costs["GB of disk"].sum()
    rows = {
        "download": archives,
        "command": with_code(f"`{command}`"),
        "runs": f"{costs['runs'].sum()}: {work / 1e15:,.0f} PFLOP, {memory:.0f} GB on the GPU, {disk:.0f} GB of disk",
        "hours": f"{hours_text(work)}: an assumption, not measured here",
        "accuracy to expect": "not known: nobody has run it; see the ledger on pre-training",
        "it would settle": settles,
    }
    return pd.DataFrame({"": list(rows), official.title: list(rows.values())})
