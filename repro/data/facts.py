"""What an audit finds out about a clip, and whether the clip is still the one that it looked at."""

import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STORE = "manifest.parquet"  # the audit's name in a prepared dataset's folder, beside videos/
AGAIN = "delete it, then audit again (repro prepare ... --audit)"
OK, COUNT_DIFFERS, DOES_NOT_DECODE = "ok", "count differs", "does not decode"
FIELDS: dict[str, Any] = {
    "bytes": 0,
    "modified": 0,  # nanoseconds since 1970
    "sha256": "",
    "frames": 0,
    "announced": 0,  # frames by the container's header, or images in the folder or zip
    "fps": math.nan,
    "width": 0,
    "height": 0,
    "seconds": math.nan,
    "codec": "",
    "reader": "",  # the decoder that read it: "opencv", or "pyav" where OpenCV cannot; "" for images
    "verdict": DOES_NOT_DECODE,
    "reason": "",
    "prints": "",
}
"""What an audit says of a clip, beside its name: the columns of :data:`STORE`."""


def state_of(path: Path) -> tuple[int, int]:
    """(bytes, st_mtime_ns) by which a clip is known to be unchanged. Of a folder: its files' bytes, its own time.

    Raises OSError when it is not there.
    """
    state = os.stat(path)
    if not stat.S_ISDIR(state.st_mode):
        return state.st_size, state.st_mtime_ns
    with os.scandir(path) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file()), state.st_mtime_ns


def is_unchanged(path: Path, facts: Mapping[str, Any]) -> bool:
    """By bytes and time; a folder of frames by its time alone, since adding up its files would take minutes a set."""
    try:
        state = os.stat(path)
    except OSError:
        return False
    return state.st_mtime_ns == facts["modified"] and (stat.S_ISDIR(state.st_mode) or state.st_size == facts["bytes"])
