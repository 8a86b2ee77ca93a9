"""A small run for a first try: one network on four classes of the demo set, in about a minute on two cores."""

import dataclasses
from pathlib import Path

from repro.data.demo import render_demo_set
from repro.experiment.fields import Experiment
from repro.experiment.profile import PROFILES, read_profile

CLASSES = ["Pick", "Put", "Sit", "Stand"]  # two pairs that look alike
EPOCHS = 2


def example() -> Experiment:
    """The first run of ``profiles/demo.yaml``, cut short; the demo set is rendered first where it is not there."""
    profile = read_profile(PROFILES / "demo.yaml")
    assert profile.demo_set is not None
    options = dict(profile.demo_set)
    root = Path(options.pop("root"))
    if not (root / "demo.json").is_file():
        render_demo_set(root, **options)
    first = profile.experiments[0]
    remark = f"{first.remark} Cut short for a first try."
    return dataclasses.replace(first, study="adhoc", run="example", remark=remark, classes=CLASSES, epochs=EPOCHS)
