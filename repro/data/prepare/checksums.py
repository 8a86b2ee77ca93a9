"""Whether a file is the one that is meant: its sha256 against the catalogue's, or the one recorded at its first use."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from repro.files import progress, write_whole

SUMS = "checksums.json"  # in ROOT


class ChecksumError(ValueError):
    """A file is not the one that the catalogue, or the first use, knows."""


def check_sums(files: Mapping[str, tuple[Path, str]], record: Path, *, workers: int = 1) -> None:
    """Check each file's sha256 against ``record`` (a JSON file), else against the sum given, else record it.

    Args:
        files: name in the record -> (file, sum it must have, or "").
        record: a file of the size and modification time that stand there is not read again.
        workers: files read side by side.

    Raises ChecksumError for the first file that differs; the sums of those before it are recorded.
    """
    known = read_json(record)
    todo = {}
    for name, (path, expected) in files.items():
        state = path.stat()
        entry = known.get(name, {})
        if (entry.get("bytes"), entry.get("modified")) != (state.st_size, state.st_mtime_ns):
            todo[name] = (path, entry.get("sha256") or expected, record.name if entry else "the catalogue", state)
    with (
        ThreadPoolExecutor(workers) as pool,  # hashlib lets go of the interpreter's lock
        progress(sum(entry[3].st_size for entry in todo.values()), "checking sums", "B") as advance,
    ):
        sums = pool.map(_sha256, (entry[0] for entry in todo.values()))
        for (name, (path, expected, where, state)), digest in zip(todo.items(), sums, strict=True):
            advance(state.st_size)
            if expected and digest != expected:
                raise ChecksumError(
                    f"{path}: its sha256 is {digest}, but {where} says {expected}: it is damaged, cut short or "
                    "another file. Delete it and fetch it again; to use it all the same, write "
                    f'{{"{name}": {{"sha256": "{digest}"}}}} into {record}'
                )
            known[name] = {"sha256": digest, "bytes": state.st_size, "modified": state.st_mtime_ns}
            write_json(record, known)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The file's values, {} where there is none. Raises ValueError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); mend or delete it") from None


def write_json(path: Path, values: dict[str, Any]) -> None:
    """The file, whole or not at all."""
    write_whole(path, json.dumps(values, indent=1))
