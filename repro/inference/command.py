"""What ``repro predict`` prints and writes."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from repro.files import write_whole
from repro.inference.predict import RANKS, find_clips, predictions
from repro.inference.trained import find_trained


def predict_command(clips: Sequence[Path], *, to: Path | None = None, backend: str | None = None, **which: Any) -> int:
    """Print a line a clip and write the table ``to`` a .csv or .json; the exit status is 1 where a clip was not read.

    ``backend`` and ``which`` network: as :func:`repro.inference.predict.predict`.
    """
    if to is not None and to.suffix not in (".csv", ".json"):
        raise ValueError(f"to: {to} must end in .csv or .json")
    paths = find_clips(clips)
    trained = find_trained(**which)
    tested = f" ({trained.tested})" if trained.tested else ""
    print(f"repro: by {trained.name}, which knows {len(trained.classes)} classes{tested}", file=sys.stderr, flush=True)
    rows = []
    try:
        for row in predictions(trained, paths, backend=backend):
            rows.append(row)
            print(_line(row), flush=True)
    finally:  # what is known is kept, however it ends
        if to is not None and rows:
            table = pd.DataFrame(rows).to_csv(index=False)
            write_whole(to, table if to.suffix == ".csv" else json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    unread = sum(bool(row["problem"]) for row in rows)
    if unread:
        print(f"repro: {unread} of {len(rows)} clips could not be read: see above", file=sys.stderr)
    return 1 if unread else 0


def _line(row: dict[str, Any]) -> str:
    if row["problem"]:
        return f"{row['clip']}: not read: {row['problem'].removeprefix(row['clip'] + ': ')}"
    found = [f"{row[f'label{rank}']} {row[f'score{rank}']:.1%}" for rank in RANKS[:3] if f"label{rank}" in row]
    return f"{row['clip']}: {', '.join(found)}"
