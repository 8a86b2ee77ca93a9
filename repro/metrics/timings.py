"""What timings say: rates, and paired ratios of two cases timed in the same rounds. Needs no torch.

Timings are a table as ``repro.metrics.speed.measure_speed`` makes it. Rates are clips per second.
"""

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
    rates = timings.assign(rate=timings.clips / timings.seconds).pivot(index="round", columns="case", values="rate")
    if missing := {a, b} - set(rates.columns):
        raise ValueError(f"no timings of {sorted(missing)}; there are {list(rates.columns)}")
    ratios = (rates[a] / rates[b]).dropna().to_numpy()
    if len(ratios) < 2:
        raise ValueError("an interval needs at least two rounds")
    low, high = stats.bootstrap(
        (ratios,),
        np.median,
        n_resamples=resamples,
        method="percentile",
        confidence_level=confidence,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(np.median(ratios)), float(low), float(high), len(ratios), confidence)
