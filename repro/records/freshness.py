"""Is a record fresh? Comparing behaviour digests, without importing torch (``repro.training.behaviour`` has today's).

A record keeps the digest of the code that made it. The record is stale when today's digest differs in a section that
the run used, not when a comment was edited.
"""

import hashlib
import json
import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from repro.experiment.fields import Experiment

TOLERANCE = 1e-6  # relative; digests are computed in double precision, machines agree to many more digits

Digest = dict[str, list[float]]
"""Section name to numbers. A section of two words concerns the runs that made that choice: ``network <model>``,
``sampling <policy>``, ``values <name>``, ``groups <name>``, ``labels swapped``; so does ``batches`` (accumulation, a
last batch that is dropped). Plain ``sampling`` is the policy paper_text."""


def used_by(experiment: Experiment, sections: Digest) -> Digest:
    """The sections that a run of this experiment depends on."""
    unused = {"labels swapped"} if not experiment.swap_labels else set()
    if experiment.accumulate == 1 and experiment.last_batch == "keep":
        unused.add("batches")
    if experiment.sampling != "paper_text":
        unused.add("sampling")
    chosen = {"network": experiment.model, "sampling": experiment.sampling, "values": experiment.values}
    chosen["groups"] = experiment.parameter_groups
    for name in sections:
        kind, space, choice = name.partition(" ")
        if space and kind in chosen and chosen[kind] != choice:
            unused.add(name)
    return {name: values for name, values in sections.items() if name not in unused}


def differences(recorded: Digest, today: Digest) -> list[str]:
    """The recorded sections whose numbers are not today's."""

    def same(a: list[float], b: list[float]) -> bool:
        return len(a) == len(b) and all(math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=1e-9) for x, y in zip(a, b))

    return [name for name, values in recorded.items() if not same(values, today.get(name, []))]


def as_text(sections: Digest) -> str:
    """One line of text that changes when the digest does (a Snakemake parameter)."""
    return json.dumps(sections, sort_keys=True, separators=(",", ":"))


def sources_state() -> str:
    """16 hexadecimal digits over the package's files and the versions of torch and OpenCV."""
    state = hashlib.sha256()
    for package in ("torch", "opencv-python-headless", "opencv-python"):
        try:
            state.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            continue
    folder = Path(__file__).parents[1]
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")]):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]
