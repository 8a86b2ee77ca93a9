"""The audit of a dataset: every clip decoded once, on all cores, going on where a killed run stopped."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from repro.data.facts import AGAIN, DOES_NOT_DECODE, FIELDS, is_unchanged, state_of
from repro.data.parallel import run_all
from repro.data.prepare.inspect import inspect_clip
from repro.files import is_utf8, only_one, read_table, whole


def audit(paths: Mapping[str, Path], store: Path, *, workers: int | None = None) -> pd.DataFrame:
    """Decode every clip once, on all cores: one row a clip with ``name`` and the fields of ``inspect_clip``, in order.

    Args:
        paths: name ("Punch/v_Punch_g01_c01.avi") to clip.
        store: parquet file to write when every clip is done. A finished clip is a line of the journal beside it.
        workers: processes; None takes every core.

    Clips whose bytes and time are those of the journal or of an earlier ``store`` are not decoded again, unless they
    were unusable. Raises ValueError for names that are not text, OSError when nothing can be written (the journal is
    kept) or when another audit is at work here.
    """
    store = Path(store)
    journal = store.with_suffix(".journal")
    for name in paths:
        if not is_utf8(name):
            raise ValueError(f"{name!r}: a clip's name must be UTF-8; rename the file (and in the lists)")
    done: dict[str, dict[str, Any]] = {}
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with only_one(store.with_suffix(".lock")), open(journal, "a+", encoding="utf-8") as lines:
            known = _read_store(store) | _read_journal(lines)
            done = {n: known[n] for n, path in paths.items() if n in known and is_unchanged(path, known[n])}
            left = {name: (path,) for name, path in paths.items() if name not in done}
            print(f"audit: {len(left):,} clips to decode, {len(done):,} are as they were", flush=True)
            for name, facts in run_all(inspect_clip, left, title="audit", workers=workers):
                facts = facts or _crashed(paths[name])
                _append(lines, json.dumps({"name": name, **facts}))
                done[name] = facts
            table = pd.DataFrame([{"name": name, **done[name]} for name in paths], columns=["name", *FIELDS])
            with whole(store) as draft:
                table.to_parquet(draft)
            journal.unlink()
    except BlockingIOError:
        raise
    except OSError as error:
        kept = f"; {len(done):,} finished clips are kept in {journal.name}" if done else ""
        raise OSError(
            f"{store}: the audit cannot be written ({error.strerror or error}){kept}; make room or make the folder "
            "writable, and run it again"
        ) from error
    return table


def _read_store(store: Path) -> dict[str, dict[str, Any]]:
    if not store.is_file():
        return {}
    table = read_table(store, AGAIN)
    if set(table.columns) != {"name", *FIELDS}:
        return {}  # of an earlier version: decoded again
    table = table[table["verdict"] != DOES_NOT_DECODE]
    rows: list[dict[str, Any]] = table.to_dict("records")
    return {row.pop("name"): row for row in rows}


def _read_journal(lines: TextIO) -> dict[str, dict[str, Any]]:
    """The finished clips of an audit that did not end."""
    lines.seek(0)
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a kill leaves part of a line, a lost power lines of nothing
            rows.append(json.loads(line))
    return {row.pop("name"): row for row in rows if row.keys() == {"name", *FIELDS}}


def _append(lines: TextIO, line: str) -> None:
    lines.write(f"\n{line}")  # after whatever a kill left of the last one
    lines.flush()  # with the system, so it survives a kill


def _crashed(path: Path) -> dict[str, Any]:
    size, modified = state_of(path)
    return FIELDS | {"bytes": size, "modified": modified, "reason": "the decoder crashed on it; fetch it again"}
