"""Today's behaviour digest: what the code does now, computed once for each state of its sources.

Importing this module takes no torch; computing the digest does (:mod:`repro.training.digest`). What two digests have
to do with one another is :mod:`repro.records.freshness`.
"""

import json
from pathlib import Path

from repro.files import best_effort, write_whole
from repro.records.freshness import Digest, as_text, sources_state


def todays_digest(folder: Path = Path("build/behaviour")) -> Digest:
    """Today's digest, filed in ``folder`` for each state of the package's sources and of torch and OpenCV."""
    path = folder / f"{sources_state()}.json"
    if path.is_file():
        return json.loads(path.read_text())
    from repro.training.digest import digest

    text = as_text(digest())
    with best_effort(path):
        write_whole(path, text)
    return json.loads(text)
