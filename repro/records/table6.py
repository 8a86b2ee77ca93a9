"""Table 6's record as it is read: ``results/table6/<device>.json`` and its timings, written by ``repro.bench.table6``.

torch is imported only where networks or rates are asked for: a page of records does without it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from repro.metrics.checks import TIMING_COLUMNS
from repro.metrics.statistics import Interval
from repro.metrics.timings import paired_ratio, summary
from repro.records.record import RESULTS

STUDY = "table6"  # folder under results/
COMMAND = "repro table6"  # measures it
NOT_MEASURED = "not measured"
CLOSEST_TO = 16  # frames: of a family measured at several, the one nearest to the paper's


@dataclass(frozen=True)
class Measured:
    """One device's record: what was counted, every timing, and the runs that they come from."""

    device: str
    content: Mapping[str, Any]
    timings: pd.DataFrame

    @cached_property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.content["networks"]

    @property
    def name(self) -> str:
        """The device as records name it, with the processor it is in."""
        made = self.content["provenance"]
        return f"{made['device']} of {made['processor']}".replace("thread(s)", "threads")

    def of(self, section: str, *cases: str) -> pd.DataFrame:
        """A section's timings (of these cases), rounds told apart by run and group too."""
        found = self.timings[self.timings["section"] == section]
        if cases:
            found = found[found["case"].isin(cases)]
        turn = found["run"].astype(str) + "." + found["group"].astype(str) + "." + found["round"].astype(str)
        return found.assign(round=turn)

    def rates(self, section: str) -> pd.DataFrame:
        """Clips/s of every case of a section: median, q25, q75 and n timings, a row a case."""
        return summary(self.of(section))

    def rate(
        self, row: str, precision: str = "fp32", *, section: str = "network", more: str = "batch 1"
    ) -> pd.Series | None:
        """Clips/s: median, q25, q75 and n timings; None where the case was not measured."""
        case = f"{row}, {precision}, {more}"
        found = self.of(section, case)
        return None if found.empty else pd.Series(summary(found).loc[case])

    def ratio(self, first: str, second: str, precision: str = "fp32", *, section: str = "network") -> Interval | None:
        """Rate of the first row over the second's, paired by round; None where they never took turns twice."""
        a, b = (f"{row}, {precision}, batch 1" for row in (first, second))
        found = self.of(section, a, b)
        try:
            return paired_ratio(found, a, b)
        except (ValueError, KeyError):
            return None

    def reason(self, row: str, precision: str, *, section: str = "network", more: str = "batch 1") -> str:
        """Why a case has no timing."""
        return self.content["left_out"].get(f"{section}: {row}, {precision}, {more}", NOT_MEASURED)

    def stale(self, counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Rows whose network is no longer the one that was timed: today's counts differ."""
        kept = ("frames", "size", "parameters", "multiply_adds")
        return [n for n, c in self.networks.items() if n not in counts or any(counts[n][k] != c[k] for k in kept)]


def read(results: Path = RESULTS) -> dict[str, Measured]:
    """Every device's record, by device. Raises ValueError for a broken file."""
    found = {}
    for path in sorted((Path(results) / STUDY).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = Measured(path.stem, content, pd.read_parquet(path.with_suffix(".parquet")))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: this record cannot be read ({error}); delete it and measure again") from None
    return found


def first(records: Mapping[str, Measured]) -> Measured:
    """The CPU's record, else any other, else one in which nothing is measured."""
    content = {"provenance": {"device": "no device", "processor": "no machine"}, "networks": {}, "left_out": {}}
    columns = ["section", "run", "group", *TIMING_COLUMNS]
    nothing = Measured("none", content, pd.DataFrame(columns=columns).astype({"seconds": float, "clips": int}))
    return records.get("cpu") or next(iter(records.values()), nothing)


# ---- one network beside the others


def families(measured: Measured, *, leave_out: Sequence[str] = ()) -> list[str]:
    """The networks compared with, one row a family: of several frame counts the one nearest to 16 frames."""
    from repro.models.peers.rows import rows

    chosen: dict[str, str] = {}
    for name, row in rows().items():
        if row.group != "peer" or name not in measured.networks or name in leave_out:
            continue
        best = chosen.get(row.factory)
        if best is None or abs(row.frames - CLOSEST_TO) < abs(rows()[best].frames - CLOSEST_TO):
            chosen[row.factory] = name
    return list(chosen.values())


@dataclass(frozen=True)
class Comparison:
    """One of the study's networks beside the families compared with: which it undercuts, which not."""

    better: tuple[str, ...]
    not_better: tuple[str, ...]

    @property
    def count(self) -> str:
        return f"{len(self.better)} of {len(self.better) + len(self.not_better)}"


def fewer(measured: Measured, own: str, keys: Sequence[str], *, leave_out: Sequence[str] = ()) -> Comparison:
    """Families than which the network has less of every key ("parameters", "multiply_adds", "depth")."""
    mine = measured.networks[own]
    better: list[str] = []
    other: list[str] = []
    for name in families(measured, leave_out=leave_out):
        theirs = measured.networks[name]
        (better if all(mine[key] < theirs[key] for key in keys) else other).append(name)
    return Comparison(tuple(better), tuple(other))


def faster(measured: Measured, own: str, *, precision: str = "fp32", leave_out: Sequence[str] = ()) -> Comparison:
    """Families than which the network runs more clips/s, the whole 95 % interval of the paired ratio above 1."""
    better: list[str] = []
    other: list[str] = []
    for name in families(measured, leave_out=leave_out):
        ratio = measured.ratio(own, name, precision)
        if ratio is not None:
            (better if ratio.low > 1 else other).append(name)
    return Comparison(tuple(better), tuple(other))


def titles(names: Sequence[str], *, most: int = 6) -> str:
    """The networks' names for readers, the first few of them."""
    from repro.models.peers.rows import rows

    shown = ", ".join(rows()[name].title for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
