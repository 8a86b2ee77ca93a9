"""The verdict on each claim of the paper, computed from recorded runs; none is typed in.

The rules stand in ``rules_networks``, ``rules_costs`` and ``rules_paper``, what they share in ``judging``.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from repro.bench.table6 import counts_of
from repro.claims import (
    rules_costs,
    rules_networks,
    rules_paper,  # the rules register themselves
)
from repro.claims.judging import MEANING, OUTCOMES, RULES, Evidence, Verdict, scale, where
from repro.claims.official import OWN
from repro.claims.rule_dates import DATES
from repro.experiment.profile import ABLATION, PROFILES, read_profile
from repro.paper.cells import Claim, load
from repro.records.freshness import Digest
from repro.records.record import RESULTS, read_measurements, read_study, studies
from repro.report import table6
from repro.report.tables import CONTROL
from repro.training.behaviour import todays_digest
from repro.training.costs import cost_table

__all__ = ["MEANING", "OUTCOMES", "RULES", "Evidence", "Verdict", "gather", "judge", "judge_all", "scale", "where"]
MODULES = (rules_networks, rules_costs, rules_paper)


def gather(
    results: Path = RESULTS, *, today: Digest | None = None, counts: Mapping[str, Mapping[str, Any]] | None = None
) -> Evidence:
    """Read every record and measurement under ``results``; stale ones are left out of the verdicts and named.

    today, counts: the behaviours of today's code and the counts of the paper's two networks, made where not given. A
    measurement of Table 6 is stale when either of those networks is another one now.
    """
    today = todays_digest() if today is None else today
    # runs with one choice changed speak for that choice (repro.report.ablations), not for the paper's networks; the
    # control without a 3D head is neither
    records = [
        record
        for study in studies(results)
        for record in read_study(study, results)
        if not study.startswith(ABLATION) or record.experiment.model == CONTROL
    ]
    measured = table6.read(results)
    if measured and counts is None:
        counts = counts_of(OWN)
    old = [device for device, found in measured.items() if set(found.stale(counts)) & set(OWN)]
    return Evidence(
        paper=load(),
        records=tuple(record for record in records if not record.stale(today)),
        stale=(
            *(record.name for record in records if record.stale(today)),
            *(f"{table6.STUDY}/{device}" for device in old),
        ),
        table6={device: found for device, found in measured.items() if device not in old},
        online=read_measurements("online", results),
        costs=paper_costs(),
    )


@cache
def paper_costs() -> dict[str, float]:
    """PFLOP of the runs of profiles/paper.yaml by group, both networks; empty where the profile is not at hand."""
    path = PROFILES / "paper.yaml"
    if not path.is_file():
        return {}
    profile = read_profile(path)
    table = cost_table(profile.experiments)
    by_study = table.groupby("study")["PFLOP"].sum()
    return {study.removeprefix(f"{profile.study}-"): float(value) for study, value in by_study.items()}


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """The verdict on one claim, with the date of its rule."""
    return replace(RULES[claim.id](claim, evidence), since=DATES[claim.id].since)


def judge_all(evidence: Evidence | None = None) -> list[Verdict]:
    """The verdict on every claim of the paper, in the file's order."""
    evidence = gather() if evidence is None else evidence
    return [judge(claim, evidence) for claim in evidence.paper.claims]
