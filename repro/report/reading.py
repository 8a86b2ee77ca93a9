"""How to read this: the studies at a glance, and what each outcome of a verdict means."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from repro.claims.judging import MEANING
from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import TITLES, Experiment
from repro.files import size_text
from repro.metrics.text import hours_text, percent
from repro.paper.cells import load
from repro.records.questions import has_converged
from repro.report.ledger import anchor_of
from repro.report.show import Html, link, with_code
from repro.report.statistics import detected, points
from repro.report.study import Study


def studies_table(studies: Sequence[Study]) -> pd.DataFrame:
    """One row a study: its runs, how they were trained, whether they converged, the smallest gain it can show."""
    firsts = [study.records[0].experiment for study in studies]
    return pd.DataFrame(
        {
            "study": with_code(f"{study.name} (`{first.study}`)"),
            "runs": ", ".join(f"{len(runs)} {TITLES[model]}" for model, runs in study.networks.items()),
            "network and input": f"width ×{first.width:g}, {first.frames} frames of {first.size} pixels",
            "chance": percent(1 / len(study.records[0].classes)),
            "converged": f"{sum(map(has_converged, study.records))} of {len(study.records)} runs",
            "true gain it would show in 4 of 5 studies": points(detected(study.gain))
            if study.gain
            else "no pair of runs",
        }
        for study, first in zip(studies, firsts)
    )


def outcomes_text() -> str:
    """Every outcome with its meaning, a line each."""
    return "\n".join(f"- **{outcome}**: {meaning}." for outcome, meaning in MEANING.items())


def settings_text(experiments: Sequence[Experiment]) -> str:
    """How these runs are trained, in a few words; values that differ between them are joined by "or"."""

    def said(field: str) -> str:
        values = (getattr(each, field) for each in experiments)
        return " or ".join(dict.fromkeys(format(v, "g" if isinstance(v, float) else "") for v in values if v))

    parts = {"trunk_weights": "trunk", "head_weights": "head", "start_from": "all of it"}
    started = ", ".join(f"{part} from {said(field)}" for field, part in parts.items() if said(field))
    return (
        f"{said('epochs')} epochs, {said('effective_batch')} clips a step, learning rate {said('learning_rate')} "
        f"({said('schedule')}), {said('precision')}; {started or 'from random weights'}"
    )


def tonight_table(
    path: str, experiments: Sequence[Experiment], costs: pd.DataFrame, dataset: str, settles: str
) -> pd.DataFrame:
    """What a reader with a GPU could run tonight, a row a question.

    path: of the profile. experiments, costs: its runs, and `repro.training.costs.cost_table` of them. settles: the
    question that they answer.
    """
    official, work = CATALOGUE[dataset], 1e15 * costs["PFLOP"].sum()
    archives = ", ".join(f"{a.file} ({size_text(a.bytes)})" for a in official.archives)
    memory, disk = costs["GB a device"].max(), costs["GB of disk"].sum()
    root = Path(experiments[0].videos).parent
    unpacker = " (needs `unar` or `unrar`)" if any(a.file.endswith(".rar") for a in official.archives) else ""
    point = next(each for each in load().assumptions if each.id == "pretraining")
    ledger = link("the ledger on pre-training", f"ledger.html#{anchor_of(point)}")
    expected = "not known: nobody has run it; see "
    rows = {
        "needs": with_code(
            "an NVIDIA GPU from Turing on, with driver 580 or later; as many cores as keep it fed with clips, which "
            f"`.venv/bin/repro plan {path}` counts once they are prepared"
        ),
        "download": archives,
        "first": with_code("`make setup`"),
        "then": with_code(f"`.venv/bin/repro prepare {dataset} --root {root} --audit`{unpacker}"),
        "last": with_code(
            f"`.venv/bin/snakemake runs --cores all --configfile {path}`; `make book PROFILE={path}` adds the pages"
        ),
        "runs": f"{costs['runs'].sum()}: {work / 1e15:,.0f} PFLOP, {memory:.0f} GB on the GPU, {disk:.0f} GB of disk",
        "settings": settings_text(experiments),
        "hours": f"{hours_text(work)}: an assumption, not measured here",
        "accuracy to expect": Html(expected + ledger.text, Markup("{}{}").format(expected, ledger)),
        "it would settle": settles,
    }
    return pd.DataFrame({"": list(rows), official.title: list(rows.values())})
