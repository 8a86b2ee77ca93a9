"""The audit of a study's clips, as the report shows it: made where the clips are at hand, else as it was recorded."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from repro.data.clips import Clip, Split
from repro.data.manifest import STORE
from repro.data.prepare.audit import audit
from repro.records.record import RESULTS, read_measured_table, read_measurements, write_measurement

WORK = Path("build/audit")
NAME = "audit"  # results/<study>/audit.json and audit.parquet


def audit_split(split: Split, videos, *, study: str, work: Path = WORK) -> pd.DataFrame:
    """One row a clip of the split, training first, with the fields of ``repro.data.prepare.inspect.inspect_clip``.

    Taken from ``manifest.parquet`` beside ``videos`` (``repro prepare --audit``) where it knows all the clips; else
    every clip that was not audited before is decoded now.
    """
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    prepared = Path(videos).parent / STORE
    if prepared.is_file():
        table = pd.read_parquet(prepared).set_index("name")
        if paths.keys() <= set(table.index):
            return table.loc[list(paths)].reset_index()
    with contextlib.redirect_stdout(sys.stderr):  # progress is for the batch log, not for the page
        return audit(paths, work / f"{study}.parquet")


def file_audit(
    study: str, split: Split, table: pd.DataFrame, content: dict[str, Any], *, provenance: dict, results: Path = RESULTS
) -> Path:
    """File an audit with the split that it was made for, so that all that is shown of it needs no clips."""
    clips = pd.DataFrame(
        [(clip.name, part, clip.label, clip.group) for part in ("train", "test") for clip in getattr(split, part)],
        columns=["name", "part", "label", "group"],
    )
    rows = clips.merge(table.drop(columns="modified"), on="name", how="left", validate="one_to_one")
    content = content | {"classes": list(split.classes)}
    return write_measurement(study, NAME, content, provenance=provenance, table=rows, results=results)


def recorded_audit(study: str, results: Path = RESULTS) -> tuple[Split, pd.DataFrame, dict[str, Any]] | None:
    """(split, audit, what was filed with it) as last filed, or None. The clips have names for paths: none is there."""
    filed = read_measurements(NAME, results).get(study)
    table = read_measured_table(study, NAME, results) if filed else None
    if filed is None or table is None:
        return None
    parts = {
        part: tuple(Clip(row.name, Path(row.name), row.label, row.group) for row in rows.itertuples(index=False))
        for part, rows in table.groupby("part")
    }
    split = Split(tuple(filed["classes"]), parts.get("train", ()), parts.get("test", ()))
    return split, table.drop(columns=["part", "label", "group"]), filed
