"""The paper's own numbers, and runs that can stand beside them: full size, its dataset, a whole official test split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.paper.cells import Table
from repro.records.freshness import Digest
from repro.records.record import RESULTS, Record, read_study, studies

FULL: dict[str, Any] = {"width": 1.0, "frames": 16, "size": 224}  # the paper's network and input
OFFICIAL = {"hmdb51": "hmdb51", "ucf101": "ucf101", "sthv1": "something_v1"}  # a claim's dataset in the catalogue
NAMES = {name: CATALOGUE[official].title for name, official in OFFICIAL.items()}
OWN = (BASELINE, ATTENTION)


def official_runs(records: Sequence[Record], dataset: str) -> list[Record]:
    """Runs of the paper's two networks at full size on the whole official test split of "hmdb51", "ucf101", "sthv1"."""
    official = CATALOGUE[OFFICIAL[dataset]]
    return [
        record
        for record in records
        if record.experiment.model in OWN
        and record.experiment.gate in (None, "se_im")
        and record.experiment.layout == official.layout
        and len(record.classes) == official.counts["classes"]
        and len(record.labels) == official.counts.get(f"split {record.experiment.split}: test")
        and all(getattr(record.experiment, name) == value for name, value in FULL.items())
    ]


def read_official(today: Digest, results: Path = RESULTS) -> list[Record]:
    """Every record under ``results`` that is an official run and fresh by today's digest."""
    records = [record for study in studies(results) for record in read_study(study, results)]
    found = [record for dataset in OFFICIAL for record in official_runs(records, dataset)]
    return [record for record in found if not record.stale(today)]


def number(table: Table, network: str, column: str) -> float | None:
    """A cell's number, None where it is empty, words or not there."""
    if column not in table.columns:
        return None
    at = table.columns.index(column)
    values = [row.cells[at].value for row in table.rows if row.name == TITLES[network]]
    return next((value for value in values if isinstance(value, int | float)), None)
