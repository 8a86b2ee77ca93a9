"""One of the study's networks beside those compared with: which it undercuts, by which count of their cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.models.peers.rows import COMMON, compared, rows
from repro.records.table6 import AT_COMMON, Measured

Counts = Mapping[str, Mapping[str, Any]]  # by row, of repro.bench.counts.counts_of


@dataclass(frozen=True)
class Comparison:
    """Which networks it undercuts, which not, which were not timed: together always those of
    ``repro.models.peers.rows.compared``, so that their number is one number everywhere."""

    better: tuple[str, ...]
    not_better: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def count(self) -> str:
        return f"{len(self.better)} of {len(self.better) + len(self.not_better) + len(self.unknown)}"


CLIP, VIDEO = "a clip", "a video"
COMMON_CLIP = f"a clip of {COMMON['frames']} frames of {COMMON['size']} pixels"
"""By what costs are compared. A clip: one forward pass at each network's own published input. A video: as many clips as
its published test takes of one (views), one where that is not published. The last is one input for all, where it can be
taken (``Row.fixed``)."""


def views(name: str, by: str) -> int:
    return (rows()[name].views or 1) if by == VIDEO else 1


def cost(counts: Counts, name: str, key: str, by: str = CLIP) -> int:
    """A count ("parameters", "multiply_adds", "depth", "layers") of one row."""
    entry = counts[name]
    if by == COMMON_CLIP and entry["common"] and key in entry["common"]:
        return entry["common"][key]
    return entry[key] * views(name, by) if key == "multiply_adds" else entry[key]


def fewer(counts: Counts, own: str, keys: Sequence[str], *, by: str = CLIP) -> Comparison:
    """Networks than which ``own`` has less of every key."""
    less = [n for n in compared() if all(cost(counts, own, key, by) < cost(counts, n, key, by) for key in keys)]
    return Comparison(tuple(less), tuple(name for name in compared() if name not in less))


def faster(measured: Measured, own: Sequence[str], *, precision: str = "fp32", by: str = CLIP) -> Comparison:
    """Networks than which each of ``own`` takes less time: the whole 95 % interval of the ratio is above 1."""
    common = {"section": "common", "more": AT_COMMON} if by == COMMON_CLIP else {}
    found: dict[str, list[str]] = {"better": [], "not_better": [], "unknown": []}
    for name in compared():
        options = {} if rows()[name].fixed else common
        ratios = [measured.ratio(each, name, precision, **options) for each in own]
        slower = any(ratio is not None and ratio.low * views(name, by) <= 1 for ratio in ratios)
        found["not_better" if slower else "unknown" if None in ratios else "better"].append(name)
    return Comparison(**{kind: tuple(names) for kind, names in found.items()})
