"""Measure and file: the clock and the provenance of what a machine measured (speed, counts, an audit), taken once."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from repro.files import read_table, whole, write_whole
from repro.records.provenance import make_provenance
from repro.records.record import RESULTS


@dataclass
class Measurement:
    """What is being measured: fill ``content``, and ``table`` where there are many rows; both are filed at the end."""

    path: Path  # of the JSON file
    device: str  # as the report names it
    provenance: dict[str, Any]  # of the code and machine as they were at the start
    content: dict[str, Any] = field(default_factory=dict)
    table: pd.DataFrame | None = None


@contextmanager
def measured(study: str, name: str, *, device: str = "CPU", results: Path = RESULTS) -> Iterator[Measurement]:
    """File what the block puts into ``content`` (and ``table``) as ``results/<study>/<name>.json`` (and ``.parquet``).

    ``seconds``, the length of the block, and ``device`` join the provenance. Nothing is filed where the block ends
    with an error, or leaves ``content`` empty.
    """
    path = Path(results) / study / f"{name}.json"
    clock, found = time.monotonic(), Measurement(path, device, make_provenance())
    yield found
    if not found.content:
        return
    found.provenance |= {"seconds": round(time.monotonic() - clock, 1), "device": device}
    write_measurement(study, name, found.content, provenance=found.provenance, table=found.table, results=results)


def device_name(device: str = "cpu") -> str:
    """A device as records name it: the GPU's own name, or the CPU with torch's number of threads."""
    import torch  # here, because pages of records start without it

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"


# ---- filed and read


def write_measurement(
    study: str,
    name: str,
    content: dict[str, Any],
    *,
    provenance: dict,
    table: pd.DataFrame | None = None,
    results: Path = RESULTS,
) -> Path:
    """File what was measured on this machine (speed, an audit) as ``results/<study>/<name>.json``.

    A ``table`` goes beside it as ``<name>.parquet``, first, so that a measurement with its JSON file is whole.
    """
    path = Path(results) / study / f"{name}.json"
    if table is not None:
        with whole(path.with_suffix(".parquet")) as draft:
            table.to_parquet(draft, index=False)
    write_whole(path, json.dumps({"provenance": provenance, **content}, indent=1) + "\n")
    return path


def read_measurements(name: str, results: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The measurement of that name in every study that has one, by study."""
    found = {}
    for path in sorted(Path(results).glob(f"*/{name}.json")):
        try:
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}); delete it and measure again") from None
    return found


def read_measured_table(study: str, name: str, results: Path = RESULTS) -> pd.DataFrame | None:
    """The table filed with a measurement, or None where there is none. Raises ValueError for a broken file."""
    path = Path(results) / study / f"{name}.parquet"
    if not path.is_file():
        return None
    return read_table(path, "delete it and measure again")
