"""What timings say: rates, and paired ratios of two cases timed in the same rounds. Needs no torch.

Timings are a table as ``repro.metrics.speed.measure_speed`` makes it. Rates are clips per second.
"""

import numpy as np
import pandas as pd
from scipy import stats

from repro.metrics.statistics import CONFIDENCE, Interval

TIMING_COLUMNS = ["round", "position", "case", "seconds", "clips"]


def summary(timings: pd.DataFrame) -> pd.DataFrame:
    """Rates by case (first measured first): DataFrame with median, q25 and q75 in clips/s, and n timings."""
    rates = (timings.clips / timings.seconds).groupby(timings.case, sort=False)
    return pd.DataFrame(
        {"median": rates.median(), "q25": rates.quantile(0.25), "q75": rates.quantile(0.75), "n": rates.size()}
    )


def quartiles(timings: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By case, the ``median``, ``q25`` and ``q75`` of its rates, as a record keeps them."""
    return {str(case): rates for case, rates in summary(timings).drop(columns="n").to_dict("index").items()}


def kept_ratio(timings: pd.DataFrame, a: str, b: str) -> dict[str, float]:
    """`paired_ratio` as a record keeps it: ``median``, ``low``, ``high``."""
    found = paired_ratio(timings, a, b)
    return {"median": found.point, "low": found.low, "high": found.high}


def paired_ratio(timings: pd.DataFrame, a: str, b: str) -> Interval:
    """Median over the rounds of (clips/s of a) / (clips/s of b), with its interval; n = rounds.

    Above 1, a is the faster. Rounds that lack one of the two do not count; they are taken for independent, since the
    order is drawn anew in each and what drifts slows both. Raises ValueError for an unknown case or fewer than two.
    """
    return ratio_of(_log_ratios(timings, a, b))


def ratio_through(timings: pd.DataFrame, a: str, b: str, shared: str) -> Interval:
    """The same where a and b took no turns with one another but both with a third case: median of a's ratios to it over
    the median of b's. n: rounds of the fewer. Raises ValueError as `paired_ratio`, for either pair."""
    return ratio_of(_log_ratios(timings, a, shared), _log_ratios(timings, b, shared))


def _log_ratios(timings: pd.DataFrame, a: str, b: str) -> np.ndarray:
    """Log of (clips/s of a) / (clips/s of b) of every round that has both, two at least."""
    rates = timings.assign(rate=timings.clips / timings.seconds).pivot(index="round", columns="case", values="rate")
    if missing := {a, b} - set(rates.columns):
        raise ValueError(f"no timings of {sorted(missing)}; there are {list(rates.columns)}")
    ratios = (rates[a] / rates[b]).dropna().to_numpy()
    if len(ratios) < 2:
        raise ValueError("an interval needs at least two rounds")
    return np.log(ratios)


def ratio_of(*samples: np.ndarray) -> Interval:
    """Ratio of the first sample's median to the second's (or to 1). samples: one or two, logs of ratios by round.

    On the log scale the interval is Student's t about the median, whose variance is pi / 2 times that of the mean where
    values are normal; of two samples with the degrees of freedom of the smaller, so rather too wide. (Ends by order or
    by bootstrap would hold the truth in 75 % of cases of three rounds, in 94 of five.)
    """
    medians = [float(np.median(sample)) for sample in samples]
    point, fewest = medians[0] - sum(medians[1:]), min(map(len, samples))
    variance = sum(np.pi / 2 * sample.var(ddof=1) / len(sample) for sample in samples)
    half = stats.t.isf((1 - CONFIDENCE) / 2, fewest - 1) * np.sqrt(variance)
    low, middle, high = np.exp([point - half, point, point + half])
    return Interval(float(middle), float(low), float(high), fewest)
