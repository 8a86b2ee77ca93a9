"""What the listed clips really are: decoded frame counts and sizes, and the hash that a record carries.

Counts that containers or list files announce are wrong often enough that codes trusting them feed one frame N times,
so every clip is run through once; the answer is kept beside the study and reused while the file is unchanged.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from repro.data.clips import Clip
from repro.data.decode import DecodeError, count_frames

CACHE = Path("build/manifest.parquet")
COLUMNS = ["path", "bytes", "modified", "frames"]


def build_manifest(clips: Sequence[Clip], *, cache: Path | None = CACHE) -> pd.DataFrame:
    """Count every clip's frames: columns ``name, label, group, bytes, frames``, one row a clip, in the given order.

    Clips already counted and unchanged (path, bytes, modification time) are taken from ``cache``.
    Raises DecodeError that lists the clips that do not decode; the counts of the others are kept.
    """
    known: dict[tuple, int] = {}
    if cache is not None and cache.is_file():
        table = pd.read_parquet(cache)
        known = dict(
            zip(zip(table["path"], table["bytes"], table["modified"], strict=True), table["frames"], strict=True)
        )
    keys = []
    for clip in clips:
        state = clip.path.stat()
        keys.append((str(clip.path.resolve()), state.st_size, state.st_mtime_ns))
    bad: list[str] = []

    def count(key):
        try:
            return count_frames(key[0])
        except DecodeError as error:
            bad.append(str(error))

    new = [key for key in dict.fromkeys(keys) if key not in known]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV releases the interpreter's lock while it decodes
        for key, frames in zip(new, pool.map(count, new), strict=True):
            if frames is not None:
                known[key] = frames
    if new and cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        draft = cache.with_suffix(f".{os.getpid()}.draft")  # two runs may count side by side
        pd.DataFrame([(*key, frames) for key, frames in known.items()], columns=COLUMNS).to_parquet(draft)
        draft.replace(cache)
    if bad:
        raise DecodeError(f"{len(bad)} of {len(clips)} clips do not decode; first: {sorted(bad)[0]}")
    return pd.DataFrame(
        {
            "name": [clip.name for clip in clips],
            "label": [clip.label for clip in clips],
            "group": [clip.group for clip in clips],
            "bytes": [key[1] for key in keys],
            "frames": [known[key] for key in keys],
        }
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
