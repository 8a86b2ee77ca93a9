"""What the clips really are: the audit of a dataset, the table of listed clips, and the hash that a record carries.

Counts that containers or list files announce are wrong often enough that codes trusting them feed one frame N times,
so every clip is run through once; the answer is kept and reused while the file's bytes and time are unchanged.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from repro.data.clips import Clip
from repro.data.decode import count_frames
from repro.data.decoders import DecodeError
from repro.data.inspect import DOES_NOT_DECODE, FIELDS, inspect_clip, state_of
from repro.data.parallel import only_one, progress, run_all

STORE = "manifest.parquet"  # the audit's name in a prepared dataset's folder, beside videos/
LEVELS = 4  # folders from a clip's own up to its dataset's: class, part, videos, root
CACHE = Path("build/frame_counts.parquet")
COLUMNS = ["path", "bytes", "modified", "frames"]


def audit(paths: Mapping[str, Path], store: Path, *, workers: int | None = None) -> pd.DataFrame:
    """Decode every clip once, on all cores: one row a clip with ``name`` and the fields of ``inspect_clip``, in order.

    Args:
        paths: name ("Punch/v_Punch_g01_c01.avi") to clip.
        store: parquet file to write, whole or not at all, when every clip is done.
        workers: processes; None takes every core.

    A finished clip is a line of the journal beside ``store`` at once, so an audit that was killed goes on from there.
    Clips whose bytes and time are those of the journal or of an earlier ``store`` are not decoded again; those that an
    earlier audit found unusable are.

    Raises ValueError for names that are not text, OSError when nothing can be written (read-only, disk full; the
    journal is kept) or when another audit is at work here.
    """
    store = Path(store)
    journal = store.with_suffix(".journal")
    for name in paths:
        if not name.isprintable():
            raise ValueError(f"{name!r}: a clip's name must be printable UTF-8; rename the file (and in the lists)")
    done: dict[str, dict] = {}
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with only_one(journal) as lines:
            known = _read_store(store) | _read_journal(journal, lines)
            done = {
                name: known[name] for name, path in paths.items() if name in known and _unchanged(path, known[name])
            }
            left = {name: (path,) for name, path in paths.items() if name not in done}
            print(f"audit: {len(left):,} clips to decode, {len(done):,} are as they were", flush=True)
            for name, facts in run_all(inspect_clip, left, title="audit", workers=workers):
                facts = facts or _crashed(paths[name])
                _append(lines, json.dumps({"name": name, **facts}))
                done[name] = facts
            table = pd.DataFrame([{"name": name, **done[name]} for name in paths], columns=["name", *FIELDS])
            _write_whole(table, store)
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


def _read_store(store: Path) -> dict[str, dict]:
    if not store.is_file():
        return {}
    table = pd.read_parquet(store)
    if set(table.columns) != {"name", *FIELDS}:
        return {}  # of an earlier version: decoded again
    table = table[table["verdict"] != DOES_NOT_DECODE]
    return {row.pop("name"): row for row in table.to_dict("records")}


def _read_journal(journal: Path, lines) -> dict[str, dict]:
    """The finished clips of an audit that did not end. A last line that a kill cut is taken off the file."""
    text = journal.read_bytes()
    whole = text.rfind(b"\n") + 1
    lines.truncate(whole)
    rows = []
    for line in text[:whole].splitlines():
        with contextlib.suppress(ValueError):  # a machine that lost its power may leave lines of nothing
            rows.append(json.loads(line))
    return {row.pop("name"): row for row in rows if row.keys() == {"name", *FIELDS}}


def _append(lines, line: str) -> None:
    data = line.encode() + b"\n"
    if lines.write(data) != len(data):
        raise OSError("no space left on device")


def _unchanged(path: Path, facts: Mapping) -> bool:
    """By bytes and time; a folder of frames by its time alone, since adding up its files would take minutes a set."""
    try:
        state = os.stat(path)
    except OSError:
        return False
    is_folder = os.path.isdir(path)
    return state.st_mtime_ns == facts["modified"] and (is_folder or state.st_size == facts["bytes"])


def _crashed(path: Path) -> dict:
    facts = dict(FIELDS) | {"reason": "the decoder crashed on it; fetch it again"}
    facts["bytes"], facts["modified"] = state_of(path)
    return facts


def _write_whole(table: pd.DataFrame, path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")  # two runs may count side by side
    try:
        table.to_parquet(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def build_manifest(clips: Sequence[Clip], *, cache: Path | None = CACHE) -> pd.DataFrame:
    """Decoded frame counts: columns ``name, label, group, bytes, frames``, one row a clip, in the given order.

    Counts come from the audit (``manifest.parquet`` beside the videos' folder), else from ``cache``, while the clip is
    unchanged; the others are counted now and added to ``cache``.
    Raises DecodeError that says how many clips are missing or do not decode; the counts of the others are kept.
    """
    table, left_out = _count(clips, cache)
    if left_out:
        path = {clip.name: clip.path for clip in clips}
        first = min(f"{path[name]}: {reason}" for name, reason in left_out.items())
        raise DecodeError(
            f"{len(left_out)} of {len(clips)} clips do not decode; first: {first}. Mend them, name a subset with "
            "classes, or set unusable: leave_out"
        )
    return table


def usable(
    clips: Sequence[Clip], *, cache: Path | None = CACHE
) -> tuple[tuple[Clip, ...], tuple[tuple[str, str], ...]]:
    """(clips that decode, (name, reason) of those that are missing or do not), both in the given order."""
    _, left_out = _count(clips, cache)
    return tuple(clip for clip in clips if clip.name not in left_out), tuple(left_out.items())


def _count(clips: Sequence[Clip], cache: Path | None) -> tuple[pd.DataFrame, dict[str, str]]:
    """The manifest's rows of usable clips, and the reason by name for the others."""
    audited = _read_audits(clips)
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    keys: dict[str, tuple] = {}  # of clips that no audit speaks for
    for clip in clips:
        facts = audited.get(clip.name)
        if facts and _unchanged(clip.path, facts):
            sizes[clip.name], counts[clip.name] = facts["bytes"], facts["frames"]
            if facts["verdict"] == DOES_NOT_DECODE:
                reasons[clip.name] = facts["reason"]
            continue
        try:
            sizes[clip.name], modified = state_of(clip.path)
        except OSError as error:
            reasons[clip.name] = error.strerror
        else:
            keys[clip.name] = (str(clip.path.resolve()), sizes[clip.name], modified)
    found, faults = _count_now(keys, cache)
    counts |= found
    reasons |= faults
    order = [clip for clip in clips if clip.name not in reasons]
    table = pd.DataFrame(
        {
            "name": [clip.name for clip in order],
            "label": [clip.label for clip in order],
            "group": [clip.group for clip in order],
            "bytes": [sizes[clip.name] for clip in order],
            "frames": [counts[clip.name] for clip in order],
        }
    )
    return table, {clip.name: reasons[clip.name] for clip in clips if clip.name in reasons}


def _read_audits(clips: Sequence[Clip]) -> dict[str, dict]:
    """The rows by name of each audit that these clips lie in: a ``manifest.parquet`` in a folder above them."""
    folders = {clip.path.absolute().parent for clip in clips}
    # <root>/videos/<part>/<class>: no audit lies farther up
    above = {up for folder in folders for up in (folder, *folder.parents)[:LEVELS]}
    rows: dict[str, dict] = {}
    for store in sorted(folder / STORE for folder in above):
        table = pd.read_parquet(store) if store.is_file() else pd.DataFrame()
        if {"name", *FIELDS} <= set(table.columns):  # else somebody else's file of that name
            rows |= {row["name"]: row for row in table.to_dict("records")}
    return rows


def _count_now(keys: Mapping[str, tuple], cache: Path | None) -> tuple[dict[str, int], dict[str, str]]:
    """Counts and faults by name, for (path, bytes, modified) by name; new counts are added to ``cache``."""
    known: dict[tuple, int] = {}
    if cache is not None and cache.is_file():
        table = pd.read_parquet(cache)
        known = dict(zip(zip(*(table[c] for c in COLUMNS[:3]), strict=True), table["frames"], strict=True))
    new = list(dict.fromkeys(key for key in keys.values() if key not in known))
    faults: dict[tuple, str] = {}

    def count(key: tuple) -> None:
        try:
            known[key] = count_frames(key[0])
        except DecodeError as error:
            faults[key] = str(error).removeprefix(f"{key[0]}: ")

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool, progress(len(new), "counting frames") as advance:
            for _ in pool.map(count, new):  # OpenCV releases the interpreter's lock while it decodes
                advance()
    finally:
        if new and cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(pd.DataFrame([(*key, n) for key, n in known.items()], columns=COLUMNS), cache)
    return (
        {name: known[key] for name, key in keys.items() if key in known},
        {name: faults[key] for name, key in keys.items() if key in faults},
    )


def manifest_hash(train: pd.DataFrame, test: pd.DataFrame) -> str:
    """16 hexadecimal digits over part, name, label, bytes and decoded frames of every clip, in sorted order.

    Bytes and frames stand for the content, which is not read again: a re-encoded clip changes both.
    """
    digest = hashlib.sha256()
    for part, table in (("train", train), ("test", test)):
        for row in table.sort_values("name").itertuples():
            digest.update(f"{part}\t{row.name}\t{row.label}\t{row.bytes}\t{row.frames}\n".encode())
    return digest.hexdigest()[:16]
