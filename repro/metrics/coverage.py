"""How often intervals hold the truth: made studies, whose true value is known, put through `repro.metrics.statistics`.

A made study is R runs that score G groups of clips. The value of a clip comes up with a probability that is moved by
the run (another training), by its group (another video), and by both together (this training on this video). All
studies of one kind are drawn at once, as arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repro.metrics.statistics import gain_half_width, share_ends, spread_of

CLIPS = 5  # a group, as UCF101's have 4 to 7
DISCORDANT = 0.3  # share of clips on which exactly one network of a pair is right
RIGHT = 0.7  # share of clips that a network has right


@dataclass(frozen=True)
class Chance:
    """Standard deviations by which a clip's mean value moves: with the run, with its group, with both together."""

    runs: float
    groups: float
    both: float


CHANCES = {
    "training counts most": Chance(0.10, 0.03, 0.03),
    "videos count most": Chance(0.01, 0.20, 0.05),
    "both count": Chance(0.03, 0.10, 0.05),
    "each training has its own hard videos": Chance(0.01, 0.05, 0.15),
    "each clip stands alone": Chance(0.0, 0.0, 0.0),
}


def coverage(runs: int, groups: int, chance: Chance, *, of: str = "gain", **kind: Any) -> float:
    """Share of made studies (`draw`) whose interval holds the truth, 0..1; standard error 0.5 points for 2,000."""
    sums, clips, truth = draw(runs, groups, chance, of=of, **kind)
    point, spread = spread_of(sums, clips)
    if of == "share":
        low, high = share_ends(point, spread)
    else:
        half = gain_half_width(spread)
        low, high = point - half, point + half
    return float(((low <= truth) & (truth <= high)).mean())


def draw(
    runs: int,
    groups: int,
    chance: Chance,
    *,
    of: str = "gain",
    gain: float = 0.0,
    unequal: bool = False,
    splits: int = 1,
    studies: int = 2000,
    seed: int = 0,
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Sums ``(studies, 1, runs, groups)`` and clips ``(1, runs, groups)`` as `spread_of` takes them, and the truth.

    of: "gain", or "share", of `RIGHT`. unequal: groups of 1 to some 20 clips, as HMDB51's films are. splits: runs are
    dealt out over so many, each with its own part of the groups.
    """
    rng = np.random.default_rng([seed, runs, groups])
    sizes = np.full(groups, CLIPS)
    if unequal:  # log-normal: the largest of 50 has a tenth of the clips
        sizes = np.maximum(1, np.round(3 * np.exp(0.8 * rng.standard_normal(groups)))).astype(int)
    scored = np.arange(runs)[:, None] % splits == np.arange(groups) % splits
    clips = np.where(scored, sizes, 0)

    def moved(shape: Sequence[int]) -> NDArray[Any]:
        """How far run and group move a clip's mean value."""
        many, runs, groups = shape
        return (
            chance.runs * rng.standard_normal((many, runs, 1))
            + chance.groups * rng.standard_normal((many, 1, groups))
            + chance.both * rng.standard_normal((many, runs, groups))
        )

    shift = moved((studies, runs, groups))
    if of == "share":
        sums = rng.binomial(clips, np.clip(RIGHT + shift, 0, 1))
        truth = float(np.clip(RIGHT + moved((1_000_000, 1, 1)), 0, 1).mean())
    else:
        mean = np.clip(gain + shift, -DISCORDANT, DISCORDANT)
        discordant = rng.binomial(clips, DISCORDANT, size=shift.shape)
        sums = 2 * rng.binomial(discordant, 0.5 + mean / (2 * DISCORDANT)) - discordant
        truth = float(np.clip(gain + moved((1_000_000, 1, 1)), -DISCORDANT, DISCORDANT).mean()) if gain else 0.0
    return sums[:, None].astype(float), clips[None].astype(float), truth


def coverage_table(runs: Sequence[int], groups: Sequence[int], **kind: Any) -> pd.DataFrame:
    """Coverage in per cent, lowest and highest over `CHANCES`: a row for each number of runs, a column of groups."""

    def cell(runs: int, groups: int) -> str:
        found = [100 * coverage(runs, groups, chance, **kind) for chance in CHANCES.values()]
        return f"{min(found):.1f} to {max(found):.1f}"

    columns = {f"{g} groups": [cell(r, g) for r in runs] for g in groups}
    return pd.DataFrame(columns, index=pd.Index(runs, name="runs"))
