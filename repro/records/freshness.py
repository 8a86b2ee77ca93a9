"""What `Record.stale` compares: behaviour digests, without importing torch (``repro.training.behaviour`` has today's).

A record keeps the digest of the code that made it. The record is stale when today's digest differs in a section that
the run used, not when a comment was edited.
"""

import hashlib
import json
import math
from pathlib import Path

from repro.experiment.fields import ATTENTION, TEMPORAL, Experiment
from repro.records.provenance import versions

TOLERANCE = 1e-6  # relative; most sections are computed in double precision, machines agree to many more digits
COARSE = {"frames": 0.02, "items": 0.02, "labels": 0.02, "steps": 0.02, "start": 1e-4}
"""The tolerance by a section's first word: decoders and resizing differ by a unit of 255 between builds, and what is
trained on pixels with them; random numbers, in their last digits, between processors."""

Digest = dict[str, list[float]]
"""Section name to numbers. A section ``<kind> <choice>`` concerns the runs of that choice, any other all runs."""


def used_by(experiment: Experiment, sections: Digest) -> Digest:
    """The sections that a run of this experiment depends on."""
    gated = experiment.model in (ATTENTION, TEMPORAL)
    chosen = {
        "network": experiment.model,
        "start": experiment.model,
        "gate": (experiment.gate or "se_im") if gated else None,
        "sampling": experiment.sampling,
        "values": experiment.values,
        "groups": experiment.parameter_groups,
        "schedule": experiment.schedule,
        "frames": experiment.decoder,
        "labels": "swapped" if experiment.swap_labels else None,
    }
    used = {}
    for name, values in sections.items():
        kind, _, choice = name.partition(" ")
        if not choice or chosen.get(kind) == choice:
            used[name] = values
    return used


def differences(recorded: Digest, today: Digest) -> list[str]:
    """The sections whose numbers are not the same, or that only one of the two has."""

    def same(name: str) -> bool:
        a, b = recorded.get(name), today.get(name)
        if a is None or b is None or len(a) != len(b):
            return False
        near = COARSE.get(name.partition(" ")[0], TOLERANCE)
        room = near if near > TOLERANCE else 1e-9
        return all(math.isclose(x, y, rel_tol=near, abs_tol=room) for x, y in zip(a, b))

    return [name for name in dict.fromkeys((*recorded, *today)) if not same(name)]


def as_text(sections: Digest) -> str:
    """One line of text that changes when the digest does (a Snakemake parameter)."""
    return json.dumps(sections, sort_keys=True, separators=(",", ":"))


def sources_state() -> str:
    """16 hexadecimal digits over the package's files and the versions of torch and OpenCV."""
    installed = versions(("torch", "opencv-python-headless", "opencv-python"))
    state = hashlib.sha256(repr(installed).encode())
    folder = Path(__file__).parents[1]
    for path in sorted(path for kind in ("py", "toml", "avi") for path in folder.rglob(f"*.{kind}")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]
