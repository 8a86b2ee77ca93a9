"""How many frames each clip really has, and the hash that a record carries.

Counts that containers announce are wrong often enough that codes trusting them feed one frame N times, so every clip is
run through once: by the audit (``repro prepare --audit``) or here. The answer is kept while the clip is unchanged.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from repro.data.clips import Clip
from repro.data.decode import DecodeError, count_frames
from repro.data.facts import AGAIN, DOES_NOT_DECODE, FIELDS, STORE, is_unchanged, state_of
from repro.data.parallel import cores, quiet_decoders
from repro.files import best_effort, progress, read_table, whole

LEVELS = 4  # folders from a clip's own up to its dataset's: class, part, videos, root
CACHE = Path("build/frame_counts.parquet")
COLUMNS = ["decoder", "path", "bytes", "modified", "frames"]
Key = tuple[str, str, int, int]  # decoder, path, bytes, modified


def build_manifest(clips: Sequence[Clip], *, decoder: str = "opencv") -> pd.DataFrame:
    """Decoded frame counts: columns ``name, label, group, bytes, frames``, one row a clip, in the given order.

    Counts come from the audit (``manifest.parquet`` beside the videos' folder), else from :data:`CACHE`, while the clip
    is unchanged; the others are counted now and added there. Raises DecodeError that says how many clips are missing or
    do not decode; the counts of the others are kept.
    """
    table, left_out = _count(clips, decoder)
    if left_out:
        path = {clip.name: clip.path for clip in clips}
        first = min(f"{path[name]}: {reason}" for name, reason in left_out.items())
        raise DecodeError(
            f"{len(left_out)} of {len(clips)} clips do not decode; first: {first}. Mend them, name a subset with "
            "classes, or set unusable: leave_out"
        )
    return table


def unusable(clips: Sequence[Clip], *, decoder: str = "opencv") -> dict[str, str]:
    """The reason by name for clips that are missing or do not decode, in the given order."""
    return _count(clips, decoder)[1]


def _count(clips: Sequence[Clip], decoder: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """The manifest's rows of usable clips, and the reason by name for the others."""
    audited = _read_audits(clips)
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    keys: dict[str, Key] = {}  # of clips that no audit speaks for
    for clip in clips:
        facts = audited.get(clip.name)
        read_so = facts and (decoder == "opencv" or facts["reader"] != "opencv")  # the audit falls back as OpenCV does
        if facts and read_so and is_unchanged(clip.path, facts):
            sizes[clip.name], counts[clip.name] = facts["bytes"], facts["frames"]
            if facts["verdict"] == DOES_NOT_DECODE:
                reasons[clip.name] = facts["reason"]
            continue
        try:
            sizes[clip.name], modified = state_of(clip.path)
        except OSError as error:
            reasons[clip.name] = str(error.strerror)
        else:
            keys[clip.name] = (decoder, str(clip.path.resolve()), sizes[clip.name], modified)
    found, faults = _count_now(list(keys.values()))
    counts |= {name: found[key] for name, key in keys.items() if key in found}
    reasons |= {name: faults[key] for name, key in keys.items() if key in faults}
    rows = [(c.name, c.label, c.group, sizes[c.name], counts[c.name]) for c in clips if c.name not in reasons]
    table = pd.DataFrame(rows, columns=["name", "label", "group", "bytes", "frames"])
    return table, {clip.name: reasons[clip.name] for clip in clips if clip.name in reasons}


def _read_audits(clips: Sequence[Clip]) -> dict[str, dict[str, Any]]:
    """The rows by name of each audit that these clips lie in: a ``manifest.parquet`` in a folder above them."""
    folders = {clip.path.absolute().parent for clip in clips}
    # <root>/videos/<part>/<class>: no audit lies farther up
    above = {up for folder in folders for up in (folder, *folder.parents)[:LEVELS]}
    rows: dict[str, dict[str, Any]] = {}
    for store in sorted(folder / STORE for folder in above):
        table = read_table(store, AGAIN) if store.is_file() else pd.DataFrame()
        if {"name", *FIELDS} <= set(table.columns):  # else somebody else's file of that name
            rows |= {row["name"]: row for row in table.to_dict("records")}
    return rows


def _count_now(keys: Sequence[Key]) -> tuple[dict[Key, int], dict[Key, str]]:
    """Counts and faults by key; new counts are added to :data:`CACHE`."""
    known: dict[Key, int] = {}
    if CACHE.is_file():
        table = read_table(CACHE, "delete it")
        if list(table.columns) == COLUMNS:  # else of an earlier version: counted again
            known = table.set_index(COLUMNS[:-1])["frames"].to_dict()
    new = list(dict.fromkeys(key for key in keys if key not in known))
    faults: dict[Key, str] = {}

    def count(key: Key) -> None:
        try:
            known[key] = count_frames(Path(key[1]), decoder=key[0])
        except DecodeError as error:
            faults[key] = str(error).removeprefix(f"{key[1]}: ")

    try:
        quiet_decoders()
        with ThreadPoolExecutor(cores()) as pool, progress(len(new), "counting frames") as advance:
            for _ in pool.map(count, new):  # OpenCV releases the interpreter's lock while it decodes
                advance()
    finally:
        if new:
            table = pd.DataFrame([(*key, n) for key, n in known.items()], columns=COLUMNS)
            with best_effort(CACHE), whole(CACHE) as draft:
                table.to_parquet(draft)
    return known, faults


def manifest_hash(train: pd.DataFrame, test: pd.DataFrame) -> str:
    """16 hexadecimal digits over part, name, label, bytes and frames (which stand for the content) of every clip."""
    digest = hashlib.sha256()
    for part, table in (("train", train), ("test", test)):
        for row in table.sort_values("name").itertuples():
            digest.update(f"{part}\t{row.name}\t{row.label}\t{row.bytes}\t{row.frames}\n".encode())
    return digest.hexdigest()[:16]
