"""What a dataset's official lists hold, counted in the lists themselves: the report's Table 2."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from repro.data.catalogue import dataset
from repro.data.clips import ClipFields, read_lists
from repro.data.lists import is_aside


def count_lists(name: str, annotations: Path | str) -> dict[str, Any]:
    """Count the classes and clips that the lists in the folder ``annotations`` name; no clip is looked up.

    Returns ``found``, the quantities of :func:`repro.data.catalogue.compare`; ``files``, the number of lists, and the
    ``sha256`` of their names and contents in order; ``tests``, the `clips_digest` of each split's test clips by its
    number, to check a record where no list is at hand. Raises as :func:`repro.data.clips.read_lists`.
    """
    one = dataset(name)
    folder = Path(annotations)
    found: dict[str, int] = {}
    tests: dict[str, str] = {}
    named: set[str] = set()
    for number in sorted({int(quantity.split()[1].rstrip(":")) for quantity in one.counts if ":" in quantity}):
        lists = read_lists(ClipFields(one.layout, folder, folder, number))
        found["classes"] = len(lists.classes)
        for part, clips in (("train", lists.train), ("test", lists.test), ("unused", lists.unused)):
            named |= {clip.name for clip in clips}
            found |= {f"split {number}: {part}": len(clips)}
        tests[str(number)] = clips_digest((clip.name, clip.label) for clip in lists.test)
        found["listed without label"] = sum(clip.label < 0 for clip in lists.unused)
    found["clips"] = len(named)
    found = {quantity: found[quantity] for quantity in one.counts if quantity in found}
    files = sorted({path for pattern in one.lists for path in folder.glob(pattern) if not is_aside(path)})
    content = hashlib.sha256()
    for path in files:
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return {"found": found, "files": len(files), "sha256": content.hexdigest(), "tests": tests}


def clips_digest(clips: Iterable[tuple[str, int]]) -> str:
    """16 hexadecimal digits over the names and labels of clips, whatever their order."""
    lines = sorted(f"{name}\t{label}\n" for name, label in clips)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
