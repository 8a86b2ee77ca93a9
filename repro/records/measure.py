"""Measure and file: the clock and the provenance of what a machine measured (speed, counts, an audit), taken once.

with measured("decoding", "decoding") as found:
    found.content["rates"] = ...
print(found.path)
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from repro.records.record import RESULTS, make_provenance, write_measurement


@dataclass
class Measurement:
    """What is being measured: fill ``content``, and ``table`` where there are many rows; both are filed at the end."""

    device: str  # as the report names it; may be set while measuring
    provenance: dict[str, Any]  # of the code and machine as they were at the start
    content: dict[str, Any] = field(default_factory=dict)
    table: pd.DataFrame | None = None
    path: Path | None = None  # of the JSON file, once it is written


@contextmanager
def measured(study: str, name: str, *, device: str = "CPU", results: Path = RESULTS) -> Iterator[Measurement]:
    """File what the block puts into ``content`` (and ``table``) as ``results/<study>/<name>.json`` (and ``.parquet``).

    ``seconds``, the length of the block, and ``device`` join the provenance. Nothing is filed where the block ends
    with an error, or leaves ``content`` empty.
    """
    clock, found = time.monotonic(), Measurement(device, make_provenance())
    yield found
    if not found.content:
        return
    found.provenance |= {"seconds": round(time.monotonic() - clock, 1), "device": found.device}
    found.path = write_measurement(
        study, name, found.content, provenance=found.provenance, table=found.table, results=results
    )


def device_name(device: str = "cpu") -> str:
    """A device as records name it: the GPU's own name, or the CPU with torch's number of threads."""
    import torch  # here, because pages of records start without it

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"
