"""What was shown when: the labels of a stream of clips in a row, beside the truth, and what is counted of them.

Reads what `repro.bench.online_row` files, without a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.metrics.statistics import Estimate, gain, share
from repro.records.measure import read_measured_table, read_measurements
from repro.records.record import RESULTS

NAME = "timeline"  # of the measurement: results/<study>/timeline.json and .parquet
NONE, UNKNOWN = -1, -2  # no decision yet; a decision that names no class

PUBLISHED, RELEASED, BY_TIME, AT_CUTS = "as published", "as released", "by time", "cleared at cuts"
ENDS, RANDOM, RUNNING = "picked to the ends", "picked at random", "running mean"
SLIPS = {
    "sampling": "released: slots of frames",
    "average": "released: no average",
    "label_drawn": "released: last label drawn in",
    "off_centre": "released: crop off centre",
    "squeezed": "released: frames squeezed",
}
"""By the field of `repro.online.ways.Way` in which each departs from as published."""
DROPS = (0.25, 0.5, 0.75, 0.9)  # shares of frames
HYSTERESES = (0.1, 0.2, 0.3, 0.5)
THRESHOLDS = (0.3, 0.5, 0.7)


def dropping(way: str, share: float) -> str:
    """The name of a way of which so large a share of frames is dropped."""
    return f"{way}, {share:.0%} dropped" if share else way


def holding(hysteresis: float) -> str:
    return f"hysteresis {hysteresis:g}" if hysteresis else PUBLISHED


def knowing(threshold: float) -> str:
    return f"unknown below {threshold:g}"


@dataclass(frozen=True)
class Timeline:
    """The labels that one way showed."""

    clips: pd.DataFrame  # in their order: name, group, label, frames, rate (frames a second)
    shown: np.ndarray  # int (frames of all clips,): what is shown with each frame; NONE, UNKNOWN

    @property
    def each(self) -> list[np.ndarray]:
        """`shown`, clip by clip."""
        return np.split(self.shown, np.cumsum(self.clips["frames"])[:-1])

    @property
    def right(self) -> list[np.ndarray]:
        """Of each clip, with which frames its own class is shown: bool."""
        return [shown == label for shown, label in zip(self.each, self.clips["label"])]

    @property
    def right_share(self) -> np.ndarray:
        """Of each clip, the share of its time in which its own class is shown."""
        return np.array([right.mean() for right in self.right])

    @property
    def right_end(self) -> np.ndarray:
        """Of each clip, whether its own class is shown with its last frame; bool."""
        return np.array([right[-1] for right in self.right])

    @property
    def delays(self) -> np.ndarray:
        """Of each clip, seconds from its first frame until its class is shown and stays to its end; inf: never."""
        found = []
        for right, rate in zip(self.right, self.clips["rate"]):
            wrong = np.flatnonzero(~right)
            start = 0 if not len(wrong) else wrong[-1] + 1
            found.append(start / rate if start < len(right) else np.inf)
        return np.array(found)

    @property
    def first_right(self) -> np.ndarray:
        """Of each clip, seconds from its first frame until its class is shown for the first time; inf: never."""
        return np.array(
            [np.argmax(right) / rate if right.any() else np.inf for right, rate in zip(self.right, self.clips["rate"])]
        )

    @property
    def minutes(self) -> float:
        return float((self.clips["frames"] / self.clips["rate"]).sum() / 60)

    @property
    def changes_a_minute(self) -> float:
        """How often another label is shown than before; the first one is no change."""
        shown = self.shown[self.shown != NONE]
        return float((np.diff(shown) != 0).sum() / self.minutes)

    def accuracy_after(self, seconds: float) -> float:
        """The share of clips whose class is shown so long after their first frame, of those that last so long; NaN
        where none does."""
        frames = (seconds * self.clips["rate"] + 1e-6).astype(int)
        found = [right[frame] for right, frame in zip(self.right, frames) if frame < len(right)]
        return float(np.mean(found)) if found else np.nan

    def values(self, values: np.ndarray) -> pd.DataFrame:
        """A value a clip as `repro.metrics.statistics` takes them, of one run."""
        return pd.DataFrame(
            {"run": 0, "group": self.clips["group"], "clip": self.clips["name"], "value": values.astype(float)}
        )

    def accuracy(self) -> Estimate:
        """The mean share of time right, over clips."""
        return share(self.values(self.right_share))

    def accuracy_end(self) -> Estimate:
        return share(self.values(self.right_end))

    def against(self, other: "Timeline") -> Estimate:
        """Share of time right, minus that of another way on the same clips."""
        return gain(other.values(other.right_share), self.values(self.right_share))

    def differs(self, other: "Timeline") -> float:
        """The share of frames with which the two show another label."""
        return float((self.shown != other.shown).mean())


@dataclass(frozen=True)
class Row:
    """What is filed of one run's stream."""

    study: str
    content: Mapping[str, Any]
    ways: dict[str, Timeline]

    @property
    def published(self) -> Timeline:
        return self.ways[PUBLISHED]

    @property
    def offline(self) -> Estimate:
        """Top-1 of the same clips, each scored whole by the same weights."""
        clips = self.published.clips
        return share(self.published.values((clips["offline"] == clips["label"]).to_numpy()))


def of_content(study: str, content: Mapping[str, Any], table: pd.DataFrame) -> Row:
    """content, table: as filed by `repro.bench.online_row.measure`."""
    clips = pd.DataFrame(content["clips"])
    total = int(clips["frames"].sum())
    ways = {}
    for name, decisions in table.groupby("way", sort=False, observed=True):
        starts, labels = decisions["frame"].to_numpy(), decisions["label"].to_numpy()
        latest = np.searchsorted(starts, np.arange(total), side="right") - 1
        shown = np.where(latest >= 0, labels[np.maximum(latest, 0)], NONE)
        ways[str(name)] = Timeline(clips, shown)
    return Row(study, content, ways)


def read_rows(results: Path = RESULTS) -> list[Row]:
    """Every study's stream that is filed, but those whose clips have no times. Raises ValueError for a broken file."""
    found = []
    for study, content in read_measurements(NAME, results).items():
        if "not_run" in content:
            continue
        table = read_measured_table(study, NAME, results)
        if table is None:
            raise ValueError(f"{Path(results) / study / NAME}.parquet is missing beside {NAME}.json; measure again")
        found.append(of_content(study, content, table))
    return found
