"""What timings say: rates, and paired ratios of two cases timed in the same rounds. Needs no torch.

Timings are a table as ``repro.metrics.speed.measure_speed`` makes it. Rates are clips per second.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from repro.metrics.checks import check_confidence
from repro.metrics.statistics import Interval


def summary(timings: pd.DataFrame) -> pd.DataFrame:
    """Rates by case (first measured first): DataFrame with median, q25 and q75 in clips/s, and n timings."""
    rates = (timings.clips / timings.seconds).groupby(timings.case, sort=False)
    return pd.DataFrame(
        {"median": rates.median(), "q25": rates.quantile(0.25), "q75": rates.quantile(0.75), "n": rates.size()}
    )


def paired_ratio(
    timings: pd.DataFrame, a: str, b: str, *, resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Median over the rounds of (clips/s of a) / (clips/s of b), with a percentile bootstrap interval; n = rounds.

    timings: from `measure_speed`. Above 1, a is the faster. Rounds that lack one of the two do not count. Raises
    ValueError for an unknown case or fewer than two rounds.
    """
    check_confidence(confidence)
    ratios = _ratios(timings, a, b)
    return _median_interval((ratios,), np.median, len(ratios), resamples, seed, confidence)


def ratio_through(
    timings: pd.DataFrame,
    a: str,
    b: str,
    shared: str,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """(clips/s of a) / (clips/s of b), where a and b took no turns with one another but both with a third case.

    Median of a's ratios to the shared case over the median of b's, each paired by round; the interval resamples both.
    n: rounds of the fewer. Raises ValueError as `paired_ratio`, for either pair.
    """
    check_confidence(confidence)
    pairs = _ratios(timings, a, shared), _ratios(timings, b, shared)

    def quotient(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.median(first, axis=axis) / np.median(second, axis=axis)

    return _median_interval(pairs, quotient, min(map(len, pairs)), resamples, seed, confidence)


def _ratios(timings: pd.DataFrame, a: str, b: str) -> np.ndarray:
    """(clips/s of a) / (clips/s of b) of every round that has both, two at least."""
    rates = timings.assign(rate=timings.clips / timings.seconds).pivot(index="round", columns="case", values="rate")
    if missing := {a, b} - set(rates.columns):
        raise ValueError(f"no timings of {sorted(missing)}; there are {list(rates.columns)}")
    ratios = (rates[a] / rates[b]).dropna().to_numpy()
    if len(ratios) < 2:
        raise ValueError("an interval needs at least two rounds")
    return ratios


def _median_interval(
    samples: tuple[np.ndarray, ...],
    statistic: Callable[..., np.ndarray],
    n: int,
    resamples: int,
    seed: int,
    confidence: float,
) -> Interval:
    low, high = stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples,
        method="percentile",
        confidence_level=confidence,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(statistic(*samples)), float(low), float(high), n, confidence)
