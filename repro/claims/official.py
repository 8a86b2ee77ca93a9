"""The paper's own numbers, and runs that can stand beside them: full size, its dataset, a whole official test split.

Runs of different protocols are different experiments: they stand apart (:func:`sets`) in every table and verdict.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import ATTENTION, BASELINE, TITLES, Experiment
from repro.experiment.protocols import PAPER_TEXT, protocol_of
from repro.paper.cells import Table
from repro.records import compare
from repro.records.freshness import Digest
from repro.records.record import RESULTS, Record, read_all

FULL: dict[str, Any] = {"width": 1.0, "frames": 16, "size": 224}  # the paper's network and input
OFFICIAL = {"hmdb51": "hmdb51", "ucf101": "ucf101", "sthv1": "something_v1"}  # a claim's dataset in the catalogue
NAMES = {name: CATALOGUE[official].title for name, official in OFFICIAL.items()}
OWN = (BASELINE, ATTENTION)
KINETICS = "Kinetics"  # the paper's own chain: pre-trained on Kinetics, then fine-tuned


def official_runs(records: Sequence[Record], dataset: str) -> list[Record]:
    """Runs of the paper's two networks at full size on the whole official test split of "hmdb51", "ucf101", "sthv1"."""
    official = CATALOGUE[OFFICIAL[dataset]]
    return [
        record
        for record in records
        if record.experiment.role == "main"
        and record.experiment.model in OWN
        and compare.is_as_read(record.experiment)
        and record.experiment.layout == official.layout
        and len(record.classes) == official.counts["classes"]
        and len(record.labels) == official.counts.get(f"split {record.experiment.split}: test")
        and all(getattr(record.experiment, name) == value for name, value in FULL.items())
    ]


def sets(records: Sequence[Record], dataset: str) -> list[tuple[str, list[Record]]]:
    """The official runs on a dataset by `protocol`; all of ``records`` say what weights are."""
    return [(protocol(some[0], records), some) for some in compare.alike(official_runs(records, dataset))]


def protocol(record: Record, records: Sequence[Record]) -> str:
    """What decides whether a run's accuracy may stand beside another's, what its weights come from and which habits of
    published code it has, if any: ``Kinetics``, ``from scratch, test_steers``."""
    habits = protocol_of(record.experiment)
    return pretraining(record, records) + ("" if habits == "sound" else f", {habits}")


def pretraining(record: Record, records: Sequence[Record]) -> str:
    """What a run's weights come from, in words; ``Kinetics`` where it is the paper's own chain.

    records: any; the run that it started from may be among them. Where that is not recorded, its study's name must do.
    """
    experiment = record.experiment
    if experiment.start_from:
        source, kinetics = next((r for r in records if r.name == experiment.start_from), None), CATALOGUE["kinetics400"]
        known = "kinetics" in experiment.start_from.lower()
        if source:  # trained on Kinetics as a whole
            known = (source.experiment.layout, len(source.classes)) == (kinetics.layout, kinetics.counts["classes"])
        return KINETICS if known else f"own weights, {experiment.start_from.rpartition('/')[0] or 'a file'}"
    weights = {"trunk": experiment.trunk_weights, "head": experiment.head_weights}
    return ", ".join(f"{part}: {name}" for part, name in weights.items() if name) or "from scratch"


STATED = ("dropout", "learning_rate", "schedule", "saturate", "clip_gradient")  # in section 4.1; with FULL's frames


def trained_otherwise(experiment: Experiment) -> list[str]:
    """In what a run's training is not the paper's: stated values, or fewer epochs than are taken where it is silent."""
    found = [name for name in STATED if getattr(experiment, name) != PAPER_TEXT[name]]
    return found + (["epochs"] if experiment.epochs < PAPER_TEXT["epochs"] else [])


def read_official(today: Digest, results: Path = RESULTS) -> list[Record]:
    """Every record under ``results`` that is an official run and fresh by today's digest."""
    records = read_all(results)
    return [record for name in OFFICIAL for record in official_runs(records, name) if not record.stale(today)]


def number(table: Table, network: str, column: str) -> float | None:
    """A cell's number, None where it is empty, words or not there."""
    if column not in table.columns:
        return None
    values = [row.by_column[column].value for row in table.rows if row.name == TITLES[network]]
    return next((value for value in values if isinstance(value, int | float)), None)
