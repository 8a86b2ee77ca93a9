"""The verdict on each claim of the paper, computed from recorded runs; none is typed in.

The rules stand in ``rules_networks``, ``rules_costs`` and ``rules_published``, what they share in ``judging``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.claims import rules_costs, rules_networks, rules_published  # the rules register themselves
from repro.claims.judging import RULES, Evidence, Verdict, is_evidence
from repro.claims.official import OWN
from repro.models.peers.rows import EXCEPTED, compared
from repro.paper.cells import Claim, load
from repro.records import table6
from repro.records.freshness import Digest
from repro.records.measure import read_measurements
from repro.records.record import RESULTS, read_all

COUNTED = (*OWN, EXCEPTED, *compared())  # the networks that verdicts speak of
MODULES = (rules_networks, rules_costs, rules_published)


def gather(
    today: Digest,
    counts: Mapping[str, Mapping[str, Any]],
    costs: Mapping[str, tuple[int, float]],
    results: Path = RESULTS,
) -> Evidence:
    """Read every record and measurement under ``results``; stale ones are left out of the verdicts and named.

    Args:
        today: the behaviours of today's code (``repro.training.behaviour``).
        counts: ``repro.bench.counts.counts_of(COUNTED)``. A measurement of Table 6 is stale when one of these networks
            is another one now.
        costs: runs and PFLOP of profiles/paper.yaml by group (``repro.training.costs.group_costs``); {}: not known.
    """
    records = [record for record in read_all(results) if is_evidence(record.experiment)]
    measured = table6.read(results)
    old = [device for device, found in measured.items() if set(found.stale(counts)) & set(COUNTED)]
    stale = [record.name for record in records if record.stale(today)]
    return Evidence(
        paper=load(),
        records=tuple(record for record in records if record.name not in stale),
        stale=(*stale, *(f"{table6.STUDY}/{device}" for device in old)),
        counts=counts,
        table6={device: found for device, found in measured.items() if device not in old},
        backends=tuple(table6.read_backends(results)),
        online=read_measurements("online", results),
        pace=read_measurements("pace", results).get("online"),
        costs=dict(costs),
    )


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """The verdict on one claim."""
    return RULES[claim.id](claim, evidence)


def judge_all(evidence: Evidence) -> list[Verdict]:
    """The verdict on every claim of the paper, in the file's order."""
    return [judge(claim, evidence) for claim in evidence.paper.claims]
