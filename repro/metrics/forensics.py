"""Which counts of right answers a reported percentage can come from, and by which mechanism the last batch was lost.

An accuracy is k right clips of n. A percentage printed with its digits says which k / n are possible; where none of a
split's whole n is, something else than the whole split was scored. Two ways to lose clips are looked at:

- ``drop_last``: a loader that leaves out the last batch if it is partial (PyTorch's ``drop_last=True``);
- ``last batch``: a loop that leaves out the last batch always, full or not (ECO-pytorch's, mzolfaghari/ECO-pytorch).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np

DROP_LAST = "drop_last"
LAST_BATCH = "last batch"
MECHANISMS = (DROP_LAST, LAST_BATCH)


@dataclass(frozen=True)
class Reported:
    """An accuracy as printed, in per cent ("71.85": its digits count), and the number of clips that were listed."""

    printed: str
    listed: int

    def __post_init__(self) -> None:
        try:
            value = Decimal(self.printed)
        except InvalidOperation:
            text = f"{self.printed!r} is not a number; give the percentage as printed, as in '71.85'"
            raise ValueError(text) from None
        if not 0 <= value <= 100:
            raise ValueError(f"{self.printed}: a percentage lies in 0 to 100")
        if self.listed < 1:
            raise ValueError(f"listed: {self.listed} clips; at least 1 is needed")

    @property
    def step(self) -> Decimal:
        """The unit of the last printed digit, in per cent."""
        return Decimal(1).scaleb(int(Decimal(self.printed).as_tuple().exponent))


def right_counts(reported: Reported, scored: int) -> list[int]:
    """Every k for which 100 k / scored, rounded half up to the printed digits, is the reported percentage."""
    value, step = Fraction(reported.printed), Fraction(reported.step)
    first, end = (math.ceil((value + side * step / 2) * scored / 100) for side in (-1, 1))
    return list(range(max(0, first), min(end, scored + 1)))


def scored_clips(listed: int, batch: int, mechanism: str) -> int:
    """Clips that are left of a list. Raises ValueError for an unknown mechanism or a batch below 1."""
    if mechanism not in MECHANISMS or batch < 1:
        raise ValueError(f"mechanism {mechanism!r}, batch {batch}: use one of {', '.join(MECHANISMS)}, and 1 or more")
    lost = listed % batch
    return listed - (lost if mechanism == DROP_LAST else lost or batch)


def common_batches(reports: Sequence[Reported], mechanism: str, batches: Iterable[int] = range(1, 257)) -> list[int]:
    """The batch sizes under which one mechanism explains every report; a split that loses no clip counts as whole."""

    def explains(batch: int) -> bool:
        scored = [scored_clips(report.listed, batch, mechanism) for report in reports]
        return all(n > 0 and right_counts(report, n) for report, n in zip(reports, scored, strict=True))

    return [batch for batch in batches if explains(batch)]


def chance_of_search(reports: Sequence[Reported], batches: Sequence[int]) -> float:
    """How often the search over these batch sizes under every mechanism would explain two *random* percentages.

    Counted, not simulated: over all pairs of printable percentages from 0 to 100 with the same digits, each taken as
    likely as any other.
    """
    tried = [(mechanism, batch) for mechanism in MECHANISMS for batch in batches]
    patterns = []
    for report in reports:
        places = round(100 / float(report.step)) + 1
        explains = np.zeros((places, len(tried)), dtype=bool)  # some k / n of this trial prints as this percentage
        for column, (mechanism, batch) in enumerate(tried):
            scored = scored_clips(report.listed, batch, mechanism)
            if scored > 0:
                # half up in whole numbers: no rounding error
                explains[(2 * (places - 1) * np.arange(scored + 1) + scored) // (2 * scored), column] = True
        packed, times = np.unique(np.packbits(explains, axis=1), axis=0, return_counts=True)
        patterns.append((np.unpackbits(packed, axis=1).astype(np.float32), times))
    (first, often), (second, others) = patterns
    explained = sum(
        int(times @ ((part @ second.T) > 0) @ others)
        for part, times in zip(np.array_split(first, 100), np.array_split(often, 100))
    )
    return explained / (int(often.sum()) * int(others.sum()))


WITHIN = 5.0  # points of the mean


def mean_of_splits(printed: str, sizes: Sequence[int]) -> int:
    """In how many ways three whole splits' accuracies, each `WITHIN` of it, have a mean that prints so.

    sizes: clips of the three splits.
    """
    report = Reported(printed, sizes[0])
    value, half = float(printed), float(report.step) / 2
    windows = []
    for n in sizes:
        low, high = (max(0.0, min(100.0, value + side * WITHIN)) / 100 * n for side in (-1, 1))
        windows.append(100 / n * np.arange(int(np.ceil(low)), int(high) + 1))
    pairs = np.add.outer(windows[0], windows[1]).ravel()
    low, high = (3 * (value + side * half) - pairs for side in (-1, 1))
    third = windows[2]
    return int((np.searchsorted(third, high, "left") - np.searchsorted(third, low, "left")).sum())


NEAREST = 100  # percentages beside the printed one


def chance_of_mean(printed: str, sizes: Sequence[int]) -> float:
    """The share, 0..1, of the percentages next to it with as many digits that some mean of three splits prints as."""
    step = Reported(printed, sizes[0]).step
    digits = len(printed.partition(".")[2])
    near = [float(printed) + float(step) * k for k in range(-NEAREST // 2, NEAREST // 2 + 1) if k]
    return sum(mean_of_splits(f"{value:.{digits}f}", sizes) > 0 for value in near) / len(near)
