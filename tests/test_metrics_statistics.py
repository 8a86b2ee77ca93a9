"""repro.metrics.statistics against exact enumeration, hand-computed values, scipy and statsmodels."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from repro.metrics.statistics import (
    holm,
    mcnemar_exact,
    paired_bootstrap,
    seeds_needed,
    seeds_spread,
    smallest_detectable_gain,
    unpaired_difference,
    wilson_interval,
)


@pytest.mark.parametrize(("correct", "n"), [(0, 30), (1, 30), (30, 30), (72, 104), (1095, 1530), (1, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(correct, n, confidence):
    interval = wilson_interval(correct, n, confidence=confidence)
    expected = stats.binomtest(correct, n).proportion_ci(confidence, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (interval.point, interval.n, interval.confidence) == (correct / n, n, confidence)
    assert 0 <= interval.low <= interval.point <= interval.high <= 1


def test_wilson_by_hand():
    """15 of 30: centre 1/2, half width z / (2 sqrt(n + z^2))."""
    z = 1.959964
    half = z / (2 * math.sqrt(30 + z * z))
    interval = wilson_interval(15, 30)
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


@pytest.mark.parametrize(("correct", "n"), [(-1, 30), (31, 30), (0, 0), (1.5, 30)])
def test_wilson_bad_counts(correct, n):
    with pytest.raises(ValueError, match="whole numbers"):
        wilson_interval(correct, n)


def test_bad_confidence():
    for call in (lambda c: wilson_interval(1, 2, confidence=c), lambda c: seeds_spread([1, 2], confidence=c)):
        with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
            call(95)


def test_mcnemar_by_hand():
    """5 clips only A has right, 1 only B: p = 2 (C(6,0) + C(6,1)) / 2^6."""
    a = np.array([True] * 5 + [False] + [True] * 10 + [False] * 4)
    b = np.array([False] * 5 + [True] + [True] * 10 + [False] * 4)
    test = mcnemar_exact(a, b)
    assert (test.b, test.c) == (5, 1)
    assert test.p == pytest.approx(14 / 64)
    assert mcnemar_exact(b, a).p == pytest.approx(test.p)
    assert mcnemar_exact(a, a).p == 1


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(150) < 0.6, rng.random(150) < 0.75
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar_exact(a, b).p == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_mcnemar_refuses_averages():
    with pytest.raises(ValueError, match="paired_bootstrap"):
        mcnemar_exact([0.5, 1.0], [1.0, 1.0])


def exact_bootstrap(gains, clips):
    """All resamples of a few units, in place of random ones: sorted values of the gain per clip."""
    draws = np.array(list(itertools.product(range(len(gains)), repeat=len(gains))))
    return np.sort(gains[draws].sum(axis=1) / clips[draws].sum(axis=1))


def assert_quantile(value, values, fraction):
    """`value` is the quantile of the discrete `values`, give or take the noise of 20,000 random resamples."""
    assert (values < value - 1e-9).mean() - 0.005 <= fraction <= (values <= value + 1e-9).mean() + 0.005


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_bootstrap_agrees_with_exact_enumeration(confidence):
    a, b = np.array([0.0, 0.2, 0.5, 1.0, 0.3]), np.array([0.9, 0.3, 1.0, 0.6, 0.3])
    interval = paired_bootstrap(a, b, resamples=20_000, confidence=confidence)
    values = exact_bootstrap(b - a, np.ones(5))
    assert interval.point == pytest.approx(np.mean(b - a))
    assert_quantile(interval.low, values, (1 - confidence) / 2)
    assert_quantile(interval.high, values, (1 + confidence) / 2)


def test_group_bootstrap_agrees_with_exact_enumeration():
    rng = np.random.default_rng(3)
    groups = np.repeat(["g01", "g02", "g03", "g04", "g05"], [1, 4, 2, 7, 3])
    a, b = rng.random(17), rng.random(17)
    interval = paired_bootstrap(a, b, groups=groups, resamples=20_000, confidence=0.9)
    names = np.unique(groups)
    gains = np.array([(b - a)[groups == name].sum() for name in names])
    values = exact_bootstrap(gains, np.array([(groups == name).sum() for name in names]))
    assert interval.point == pytest.approx(np.mean(b - a))  # per clip, not per group
    assert interval.n == 5
    assert_quantile(interval.low, values, 0.05)
    assert_quantile(interval.high, values, 0.95)


def test_bootstrap_of_many_clips_is_nearly_normal():
    rng = np.random.default_rng(0)
    a, b = rng.random(1530) < 0.70, rng.random(1530) < 0.73
    gain = b.astype(float) - a
    half = 1.96 * gain.std(ddof=1) / math.sqrt(1530)
    interval = paired_bootstrap(a, b)
    assert interval.n == 1530
    assert (interval.low, interval.high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.05 * half)


def test_groups_of_copies_widen_the_interval_as_they_should():
    """Ten copies of each of 100 clips carry the information of 100 clips."""
    rng = np.random.default_rng(1)
    a, b = rng.random(100) < 0.6, rng.random(100) < 0.7
    single = paired_bootstrap(a, b)
    copies = paired_bootstrap(np.repeat(a, 10), np.repeat(b, 10), groups=np.repeat(np.arange(100), 10))
    assert (copies.point, copies.low, copies.high) == pytest.approx((single.point, single.low, single.high))
    ungrouped = paired_bootstrap(np.repeat(a, 10), np.repeat(b, 10))
    assert (copies.high - copies.low) / (ungrouped.high - ungrouped.low) == pytest.approx(math.sqrt(10), rel=0.1)


def test_bootstrap_is_seeded_and_antisymmetric_in_its_point():
    rng = np.random.default_rng(2)
    a, b = rng.random(50) < 0.5, rng.random(50) < 0.5
    assert paired_bootstrap(a, b, seed=1) == paired_bootstrap(a, b, seed=1)
    assert paired_bootstrap(a, b).point == -paired_bootstrap(b, a).point
    same = paired_bootstrap(a, a)
    assert (same.low, same.point, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("a", "b", "groups", "message"),
    [
        ([True, False], [True], None, "same n"),
        ([], [], None, "same n"),
        ([0.5, 1.5], [0.5, 0.5], None, "correct_a must be bool or lie in 0..1"),
        ([0.5, 0.5], [0.5, float("nan")], None, "correct_b must be bool or lie in 0..1"),
        ([True, False], [True, True], ["g1"], "one for each clip"),
        ([True, False], [True, True], ["g1", "g1"], "cannot resample 1 group"),
        ([True], [True], None, "cannot resample 1 clip"),
    ],
)
def test_bootstrap_bad_input(a, b, groups, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(a, b, groups=groups)


@pytest.mark.parametrize(
    "first, n_first, second, n_second, low, high",
    [
        (56 / 70, 70, 48 / 80, 80, 0.0524, 0.3339),  # Newcombe 1998, Table II, method 10
        (9 / 10, 10, 3 / 10, 10, 0.1705, 0.8090),
        (5 / 56, 56, 0 / 29, 29, -0.0381, 0.1926),
        (10 / 10, 10, 0 / 10, 10, 0.6075, 1.0000),
    ],
)
def test_unpaired_difference_as_newcombe_printed_it(first, n_first, second, n_second, low, high):
    found = unpaired_difference(first, n_first, second, n_second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert found.point == pytest.approx(first - second) and found.n == min(n_first, n_second)
    back = unpaired_difference(second, n_second, first, n_first)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(
    "values", [(1.2, 10, 0.5, 10), (0.5, 0, 0.5, 10), (0.5, 10, -0.1, 10), (float("nan"), 9, 0, 9)]
)
def test_unpaired_difference_bad_input(values):
    with pytest.raises(ValueError, match=r"need fractions in 0\.\.1"):
        unpaired_difference(*values)


def test_seeds_spread():
    spread = seeds_spread([0.70, 0.72, 0.74])
    assert (spread.mean, spread.sd, spread.n) == (pytest.approx(0.72), pytest.approx(0.02), 3)
    half = 4.302653 * 0.02 / math.sqrt(3)  # t(0.975, 2 degrees of freedom), from a table
    assert (spread.low, spread.high) == pytest.approx((0.72 - half, 0.72 + half), abs=1e-6)
    one = seeds_spread([0.7])
    assert one.mean == 0.7 and all(map(math.isnan, (one.sd, one.low, one.high)))
    assert seeds_spread([0.5, 0.5]).sd == 0


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [[0.5]], ["a"]])
def test_seeds_spread_bad_input(values):
    with pytest.raises(ValueError, match="finite numbers"):
        seeds_spread(values)


def test_smallest_detectable_gain_of_the_splits():
    assert round(100 * smallest_detectable_gain(1530), 1) == 2.8
    assert round(100 * smallest_detectable_gain(3783), 1) == 1.8
    assert round(100 * smallest_detectable_gain(104), 1) == 10.6
    assert smallest_detectable_gain(10) == math.inf  # a gain of 34 points cannot come from 15 % of the clips


def test_smallest_detectable_gain_by_simulated_mcnemar_tests():
    """At that gain about 80 % of the exact tests, slightly conservative, come out below 5 %."""
    rng, n = np.random.default_rng(0), 1530
    gain = smallest_detectable_gain(n)
    draws = rng.multinomial(n, [(0.15 - gain) / 2, (0.15 + gain) / 2, 0.85], size=20_000)
    pairs, times = np.unique(draws[:, :2], axis=0, return_counts=True)
    p = np.minimum(1, 2 * stats.binom.cdf(pairs.min(axis=1), pairs.sum(axis=1), 0.5))
    assert 0.76 < np.average(p < 0.05, weights=times) < 0.82


@pytest.mark.parametrize("options", [{"n": 0}, {"discordant": 0}, {"discordant": 15}, {"power": 80}, {"alpha": 0}])
def test_smallest_detectable_gain_bad_input(options):
    with pytest.raises(ValueError, match=r"fractions in 0\.\.1"):
        smallest_detectable_gain(**{"n": 100} | options)


@pytest.mark.parametrize(("gain", "sd"), [(0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (0.063, 0.092)])
def test_seeds_needed_are_the_fewest_by_the_noncentral_t(gain, sd):
    def power(n):
        limit, shift = stats.t.ppf(0.975, n - 1), gain / sd * math.sqrt(n)
        return stats.nct.sf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift)

    found = seeds_needed(gain, sd)
    assert power(found) >= 0.8 > power(found - 1)


def test_seeds_needed_by_the_textbook():
    """Half a standard deviation, two-sided 5 %, 80 % power: 34 pairs (Cohen 1988, table 2.4.1, one sample)."""
    assert seeds_needed(0.5, 1.0) == 34 and seeds_needed(0.001, 1.0) == math.inf
    for bad in ({"gain": 0.0, "sd": 1.0}, {"gain": 1.0, "sd": -1.0}, {"gain": 1.0, "sd": math.nan}):
        with pytest.raises(ValueError, match="need gain and sd above 0"):
            seeds_needed(**bad)


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.04: times 3, 2, 1, never falling."""
    np.testing.assert_allclose(holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])
    with pytest.raises(ValueError, match="p_values must be"):
        holm([0.5, 1.5])
