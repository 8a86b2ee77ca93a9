"""Table 6's record as it is read: ``results/table6/<device>.json`` and its timings, written by ``repro.bench.table6``.

torch is imported only where networks or rates are asked for: a page of records does without it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from repro.files import read_table
from repro.metrics.statistics import Interval
from repro.metrics.timings import TIMING_COLUMNS, paired_ratio, ratio_through, summary
from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.records.record import RESULTS

STUDY = "table6"  # folder under results/
COMMAND = "repro table6"  # measures it
NOT_MEASURED = "not measured"
FILE_TO_LABEL = "from a video file to a label, eager, fp32"
AT_COMMON = "batch 1, 16 frames, 224 px"  # how a case at the common input ends


@dataclass(frozen=True)
class Seconds:
    """A decision's time: its median and quartiles."""

    fast: float
    middle: float
    slow: float


def _slowest(rates: Sequence[Mapping[str, float]]) -> Seconds:
    """Of rates in clips/s: median, q25 and q75."""
    return Seconds(*(max(1 / rate[key] for rate in rates) for key in ("q75", "median", "q25")))


@dataclass(frozen=True)
class Measured:
    """One device's record: what was counted, every timing, and the runs that they come from."""

    device: str
    content: Mapping[str, Any]
    timings: pd.DataFrame
    study: str = STUDY

    @cached_property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.content["networks"]

    @property
    def name(self) -> str:
        """The device as records name it, with the processor it is in and its instructions where they are known."""
        name, instructions = machine_text(self.content["provenance"]), self.content.get("instructions")
        return f"{name} with {instructions}" if instructions and instructions not in name else name

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

    def ratio(
        self, first: str, second: str, precision: str = "fp32", *, section: str = "network", more: str = "batch 1"
    ) -> Interval | None:
        """Rate of the first row over the second's, paired by round; None where one of them has fewer than two timings.

        Where they never took turns, because memory or a kill parted them, each is paired with the reference network,
        which is timed in every group.
        """
        a, b, shared = (f"{row}, {precision}, {more}" for row in (first, second, self.content.get("reference")))
        with suppress(ValueError):
            return paired_ratio(self.of(section, a, b), a, b)
        with suppress(ValueError):
            return ratio_through(self.of(section, a, b, shared), a, b, shared)
        return None

    def runtimes(self, names: Sequence[str]) -> dict[str, Seconds]:
        """What a decision takes by runtime, of the slowest of these networks.

        Of the runtimes' own rounds where they were timed, else plain eager float32 from the section ``network``.
        """
        variants = (self.content.get("variants") or {}).get("variants", {})
        found = {runtime: [row.get(name) for name in names] for runtime, row in variants.items()}
        rates = {runtime: [row["clips_per_second"] for row in ran if row] for runtime, ran in found.items()}
        if not variants:
            rates = {"eager, fp32": [rate for name in names if (rate := self.rate(name)) is not None]}
        return {runtime: _slowest(some) for runtime, some in rates.items() if len(some) == len(names)}

    def fastest_exact(self, names: Sequence[str]) -> tuple[str, Seconds] | None:
        """The runtime of float32 in which the slowest of these networks is fastest, and its time; None without one."""
        exact = {name: took for name, took in self.runtimes(names).items() if name.endswith("fp32")}
        return min(exact.items(), key=lambda item: item[1].middle, default=None)

    def pipeline_seconds(self, names: Sequence[str]) -> Seconds | None:
        """What it takes from a video file to a label, plain eager float32, of the slowest; None where not measured."""
        rates = [rate for name in names if (rate := self.rate(name, section="pipeline")) is not None]
        return _slowest(rates) if len(rates) == len(names) else None

    def reason(self, row: str, precision: str) -> str:
        """Why a row has no timing of one clip."""
        return self.content["left_out"].get(f"network: {row}, {precision}, batch 1", NOT_MEASURED)

    def stale(self, counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Rows whose network is no longer the one that was timed: today's counts differ."""
        kept = ("frames", "size", "parameters", "multiply_adds", "depth")
        return [n for n, c in self.networks.items() if n not in counts or any(counts[n][k] != c[k] for k in kept)]


def read(results: Path = RESULTS) -> dict[str, Measured]:
    """Every device's record, by device. Raises ValueError for a broken file."""
    found = {}
    for path in sorted((Path(results) / STUDY).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = Measured(path.stem, content, read_table(path.with_suffix(".parquet"), "measure again"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: this record cannot be read ({error}); delete it and measure again") from None
    return found


def read_backends(results: Path = RESULTS) -> list[Measured]:
    """What ``repro.bench.backends`` filed of the two networks' runtimes alone, a kind of CPU at a time."""
    found = read_measurements("cpu", results)
    return [
        Measured("cpu", content | {"variants": content}, _no_timings(), study)
        for study, content in found.items()
        if study.startswith("backends-")
    ]


def first(records: Mapping[str, Measured]) -> Measured:
    """The CPU's record, else any other, else one in which nothing is measured."""
    content = {"provenance": {"device": "no device", "processor": "no machine"}, "networks": {}, "left_out": {}}
    return records.get("cpu") or next(iter(records.values()), Measured("none", content, _no_timings()))


def _no_timings() -> pd.DataFrame:
    columns = ["section", "run", "group", *TIMING_COLUMNS]
    return pd.DataFrame(columns=columns).astype({"seconds": float, "clips": int})
