"""How sure one may be of an accuracy, of a gain between two networks, and how small a gain a split can show.

Accuracies, gains and interval ends are fractions, 0..1 (or -1..1 for differences).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from repro.metrics.checks import as_array, check_confidence


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; n independent units (clips, groups, rounds) stand behind it."""

    point: float
    low: float
    high: float
    n: int
    confidence: float


@dataclass(frozen=True)
class PairedTest:
    """b: clips that only A has right, c: clips that only B has right, p: two-sided p-value."""

    b: int
    c: int
    p: float


@dataclass(frozen=True)
class SeedsSpread:
    """Mean and standard deviation over n seeds, with Student's t interval of the mean (sd, low, high: NaN if n = 1)."""

    mean: float
    sd: float
    n: int
    low: float
    high: float
    confidence: float


def wilson_interval(correct: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of the proportion correct/n (E. B. Wilson, JASA 22, 1927).

    correct: integer in 0..n, n >= 1. Raises ValueError otherwise. Unlike the normal interval it stays within 0..1 and
    has a width at 0 and at n correct.
    """
    check_confidence(confidence)
    if n < 1 or not 0 <= correct <= n or correct != int(correct) or n != int(n):
        raise ValueError(f"need whole numbers 0 <= correct <= n and n >= 1, not correct={correct}, n={n}")
    ends = stats.binomtest(int(correct), int(n)).proportion_ci(confidence, method="wilson")
    point = correct / n
    # at 0 and at n correct one end equals the point, but for rounding
    return Interval(point, min(float(ends.low), point), max(float(ends.high), point), int(n), confidence)


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> PairedTest:
    """Exact McNemar test that networks A and B have the same accuracy on the same clips.

    correct_a, correct_b: (n,) bool. Only the discordant clips carry information: under the null hypothesis b is
    binomial (b + c, 1/2). p = 1 without any. Raises ValueError for other types, empty input or different lengths.
    """
    a, b = _paired(correct_a, correct_b)
    if a.dtype != bool or b.dtype != bool:
        raise ValueError("McNemar's test needs right or wrong (bool) for each clip; for averages use paired_bootstrap")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    p = stats.binomtest(only_a, discordant).pvalue if discordant else 1.0
    return PairedTest(only_a, only_b, float(p))


def unpaired_difference(
    first: float, n_first: int, second: float, n_second: int, *, confidence: float = 0.95
) -> Interval:
    """Interval of first - second for two accuracies of which only the numbers are known, not which clips were right.

    first, second: fractions in 0..1, of n_first and n_second clips (>= 1), else ValueError. Newcombe's hybrid score
    interval (Statist. Med. 17:873, 1998, method 10), for independent samples. Networks tested on the same clips err on
    many of the same ones, so the interval is wider than one paired by clip would be. n is the smaller number of clips.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    check_confidence(confidence)
    if not (0 <= first <= 1 and 0 <= second <= 1 and n_first >= 1 and n_second >= 1):
        raise ValueError(f"need fractions in 0..1 and n >= 1: {first=}, {n_first=}, {second=}, {n_second=}")
    low, high = confint_proportions_2indep(
        first * n_first, n_first, second * n_second, n_second, method="newcomb", alpha=1 - confidence
    )
    return Interval(first - second, float(low), float(high), min(n_first, n_second), confidence)


def paired_bootstrap(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of the gain, mean(correct_b) - mean(correct_a), over the same clips.

    correct_a, correct_b: (n,) bool, or floats in 0..1 (a clip's correctness averaged over seeds). groups: (n,) group
    of each clip, named uniquely over the classes (UCF101's g01 of one class is not g01 of another); then whole groups
    are resampled, since clips cut from one video are not independent, and the gain is still per clip. The result's n
    counts what was resampled: clips, or groups. Raises ValueError for values out of range, different lengths, or
    fewer than two clips or groups.

    Percentile rather than BCa (Efron & Tibshirani 1993), which is undefined where the networks agree on every clip.
    With few groups (under about 20) percentile intervals are somewhat too narrow. Two networks that agree on every clip
    give a width of 0, which says that these clips cannot tell them apart, not that no clip could.
    """
    check_confidence(confidence)
    a, b = _paired(correct_a, correct_b)
    gain = b.astype(float) - a.astype(float)
    if groups is None:
        units, clips = gain, np.ones_like(gain)
    else:
        names = as_array(groups, "groups")
        if names.shape != gain.shape:
            raise ValueError(f"groups must have shape {gain.shape}, one for each clip, not {names.shape}")
        _, group_of_clip = np.unique(names, return_inverse=True)
        units, clips = np.bincount(group_of_clip, weights=gain), np.bincount(group_of_clip)
    if len(units) < 2:
        raise ValueError(f"cannot resample {len(units)} {'clip' if groups is None else 'group'}; at least 2 are needed")

    def gain_per_clip(units: NDArray[Any], clips: NDArray[Any], axis: int) -> NDArray[Any]:
        return units.sum(axis=axis) / clips.sum(axis=axis)

    low, high = stats.bootstrap(
        (units, clips),
        gain_per_clip,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(units)),  # about 50 MB at a time
        method="percentile",
        confidence_level=confidence,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(gain.mean()), float(low), float(high), len(units), confidence)


def seeds_spread(values: ArrayLike, *, confidence: float = 0.95) -> SeedsSpread:
    """Spread of one number over training seeds; values: (n,) finite numbers, n >= 1, else ValueError.

    sd is the sample standard deviation (n - 1). The interval takes the seeds as a normal sample: it is about the mean
    over all seeds, on these test clips.
    """
    check_confidence(confidence)
    found = as_array(values, "values")
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise ValueError(f"values must be n >= 1 finite numbers, not {found!r}")
    n, mean = len(found), float(found.mean())
    if n == 1:
        return SeedsSpread(mean, math.nan, 1, math.nan, math.nan, confidence)
    sd = float(found.std(ddof=1))
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return SeedsSpread(mean, sd, n, mean - half, mean + half, confidence)


def smallest_detectable_gain(n: int, *, discordant: float = 0.15, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest gain in accuracy that a two-sided McNemar test on n clips finds with the given power.

    discordant: fraction of the clips on which exactly one of the two networks is right. gain = (z_(1-alpha/2) +
    z_power) * sqrt(discordant / n), which is Connor's normal approximation (Biometrics 43:207, 1987) with gain^2
    neglected beside discordant; the exact test needs slightly more. A gain cannot exceed the discordant fraction:
    `inf` says that n clips cannot show any. Raises ValueError for n < 1 or fractions outside 0..1.
    """
    if n < 1 or not 0 < discordant <= 1 or not 0 < power < 1 or not 0 < alpha < 1:
        raise ValueError(f"need n >= 1 and fractions in 0..1: {n=}, {discordant=}, {power=}, {alpha=}")
    gain = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) * math.sqrt(discordant / n)
    return gain if gain <= discordant else math.inf


def seeds_needed(gain: float, sd: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Pairs of training seeds for a paired t test to find a gain, whose spread over seeds is sd, with the given power.

    gain, sd: in the same unit, both above 0. Two-sided; statsmodels' exact (noncentral t) power, rounded up; at least
    2. `inf` where more than 10,000 would be needed. Raises ValueError otherwise.
    """
    positive = all(math.isfinite(value) and value > 0 for value in (gain, sd))
    if not positive or not 0 < power < 1 or not 0 < alpha < 1:
        raise ValueError(f"need gain and sd above 0 and fractions in 0..1: {gain=}, {sd=}, {power=}, {alpha=}")
    from statsmodels.stats.power import TTestPower

    test, effect = TTestPower(), gain / sd
    # the normal distribution needs somewhat fewer: count on from there, since the exact power fails far above
    about = ((stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) / effect) ** 2
    if about > 10_000:
        return math.inf
    seeds = max(2, math.floor(about))
    while test.power(effect, nobs=seeds, alpha=alpha) < power:
        seeds += 1
    return seeds


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for that many tests (S. Holm, Scand. J. Stat. 6:65, 1979): (n,) floats, none below its own."""
    from statsmodels.stats.multitest import multipletests

    values = as_array(p_values, "p_values")
    if values.ndim != 1 or values.size == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values must be n >= 1 numbers in 0..1, not {values!r}")
    return multipletests(values, method="holm")[1]


def _paired(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    a, b = as_array(correct_a, "correct_a"), as_array(correct_b, "correct_b")
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"two arrays of the same n >= 1 clips are needed, not of shapes {a.shape} and {b.shape}")
    for name, values in (("correct_a", a), ("correct_b", b)):
        if values.dtype.kind not in "bfiu" or not ((values >= 0) & (values <= 1)).all():  # NaN fails the comparison too
            raise ValueError(f"{name} must be bool or lie in 0..1")
    return a, b
