"""Small runs for a first try: a network on four classes of the demo set, in about a minute on two cores."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.data.demo import render_demo_set
from repro.experiment.fields import ATTENTION, Experiment
from repro.experiment.profile import PROFILES, read_profile
from repro.records.record import RESULTS, Record, read_record
from repro.training.loop import train

OF_A_RUN = {"study", "run", "videos", "annotations", "layout", "width", "size", "frames", "epochs", "classes"}
CLASSES = ["Pick", "Put", "Sit", "Stand"]  # two pairs that look alike
EPOCHS = 2
STUDY, WITH_GATES = "adhoc", "example-gates"  # where the example with gates is filed


def example(**fields: Any) -> Experiment:
    """The first run of ``profiles/demo.yaml``, cut short; the demo set is rendered first where it is not there.

    fields: of the experiment, to change.
    """
    profile = read_profile(PROFILES / "demo.yaml")
    assert profile.demo_set is not None
    options = dict(profile.demo_set)
    root = Path(options.pop("root"))
    if not (root / "demo.json").is_file():
        render_demo_set(root, **options)
    first = profile.experiments[0]
    remark = f"{first.remark} Cut short for a first try."
    usual: dict[str, Any] = {"study": STUDY, "run": "example", "remark": remark, "classes": CLASSES, "epochs": EPOCHS}
    return dataclasses.replace(first, **usual | fields)


def example_with(parameters: Mapping[str, Any]) -> Experiment | None:
    """The example with what was changed of the fields' defaults; None where a study, clips or a size are named."""
    usual = Experiment().to_dict() | {"run": ""}  # it is named after the others
    changed = {name: value for name, value in parameters.items() if value != usual[name]}
    return None if changed.keys() & OF_A_RUN else example(**changed)


def recorded(study: str, run: str) -> Record:
    """The record of a run. The example with gates is trained where it is not there; other runs are only read.

    Raises ValueError as `repro.records.record.read_record`.
    """
    if (study, run) == (STUDY, WITH_GATES):
        return train(example(model=ATTENTION, run=WITH_GATES))
    return read_record(RESULTS / study / run)
