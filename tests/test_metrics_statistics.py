"""repro.metrics.statistics by hand, by its own definition, and by made studies whose truth is known."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repro.metrics.coverage import CHANCES, Chance, coverage, coverage_table, draw
from repro.metrics.statistics import (
    Interval,
    gain,
    gain_half_width,
    holm,
    runs_needed,
    share,
    share_ends,
    smallest_gain,
    spread_of,
    twice,
    unpaired_difference,
    wilson_interval,
)


def table(values, groups=None) -> pd.DataFrame:
    """Values ``(runs, clips)`` of the same clips in every run; one group a clip by default."""
    values = np.atleast_2d(np.asarray(values, float))
    runs, clips = np.indices(values.shape)
    groups = clips if groups is None else np.broadcast_to(groups, values.shape)
    columns = {"run": runs.ravel(), "group": groups.ravel(), "clip": clips.ravel(), "value": values.ravel()}
    return pd.DataFrame(columns)


def gain_of_runs(gains, groups=None):
    """`gain` of values that differ by so much, ``(runs, clips)`` of -1, 0 and 1."""
    gains = np.atleast_2d(gains)
    return gain(table((gains < 0).astype(float), groups), table((gains > 0).astype(float), groups))


# ---- by hand


def test_one_run_by_hand():
    """Four groups of two clips, 1, 1/2, 1 and 1/2 right: the variance of group means is 1/12, of their mean 1/48."""
    found = share(table([1, 1, 1, 0, 1, 1, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3]))
    assert (found.point, found.runs, found.groups, found.clips, found.sd_runs) == (0.75, 1, 4, 8, None)
    assert found.spread.own == pytest.approx(1 / 48) and found.spread.equal == pytest.approx(4)
    c = stats.t.ppf(0.975, 3) ** 2 / 48  # (half width)^2
    bernoulli, cautious = 0.75 * 0.25, stats.t.ppf(0.975, 3) ** 2 / 4
    c = (bernoulli**3 * 8**4 * c + cautious) / ((8 * bernoulli) ** 4 + 1)
    half = math.sqrt(c * (bernoulli + c / 4))
    assert found.low == pytest.approx((0.75 + c / 2 - half) / (1 + c))
    assert found.high == pytest.approx((0.75 + c / 2 + half) / (1 + c))


def test_a_gain_of_one_run_by_hand():
    """Two of ten clips, each its own group, are gained: mean 0.2, variance of a clip's gain 1.6 / 9."""
    found = gain_of_runs([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    bearing = 3 * 1.6**2 / (2 * 0.8**4 + 8 * 0.2**4) - 1  # the two bear nearly all of it
    half = stats.t.ppf(0.975, bearing - 1) * math.sqrt(1.6 / 9 / 10)
    assert (found.point, found.high) == (pytest.approx(0.2), pytest.approx(0.2 + half))
    assert bearing == pytest.approx(8.23, abs=0.01)


def test_several_runs_by_their_definition():
    """Where every run scores the same groups of equal size: variance of run means, covariance of group means."""
    rng = np.random.default_rng(0)
    gains = rng.choice([-1, 0, 1], size=(4, 60))
    found = gain_of_runs(gains, np.repeat(np.arange(20), 3))
    of_groups = gains.reshape(4, 20, 3).mean(2)
    assert found.sd_runs == pytest.approx(gains.mean(1).std(ddof=1))
    matrix = np.cov(of_groups) / 20  # of the means of two runs
    assert found.spread.common == pytest.approx((matrix.sum() - np.trace(matrix)) / 12)
    assert found.spread.own == pytest.approx(np.trace(matrix) / 4)
    total, common = found.spread.total / 4, max(found.spread.common, 0)
    half = math.sqrt(stats.t.ppf(0.975, 3) ** 2 * total + stats.t.ppf(0.975, 19) ** 2 * common)
    assert found.high - found.point == pytest.approx(half) and found.spread.bearing == pytest.approx(20)


def test_runs_that_score_other_groups_have_nothing_in_common():
    one, other = table([1, 0, 1, 1], [0, 0, 1, 1]), table([1, 0, 0, 0], [2, 2, 3, 3])
    found = share(pd.concat([one, other.assign(run=1, clip=other["clip"] + 4)]))
    assert found.point == 0.5 and found.spread.common == pytest.approx(0) and found.groups == 4
    assert found.sd_runs == pytest.approx(math.sqrt(0.125))


def test_each_run_counts_alike_whatever_its_number_of_clips():
    long, short = table([1, 1, 1, 1, 1, 0]), table([0, 1]).assign(run=1)
    assert share(pd.concat([long, short])).point == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_a_mean_over_classes_by_hand():
    """Two of four clips of one class, none of two of the other: the classes' mean is a quarter, the clips' a third."""
    values = table([1, 1, 0, 0, 0, 0]).assign(**{"class": [0, 0, 0, 0, 1, 1]})
    assert share(values).point == 0.25 and share(values.drop(columns="class")).point == pytest.approx(1 / 3)
    c = twice(share(values))
    assert (c.point, c.low, c.high) == (0.5, 2 * share(values).low, 2 * share(values).high)
    with pytest.raises(ValueError, match="every run needs clips of every class"):
        share(pd.concat([values, values[values["class"] == 0].assign(run=1)]))


def test_copies_of_clips_within_a_group_say_no_more():
    rng = np.random.default_rng(0)
    gains = rng.choice([-1, 0, 0, 1], size=(3, 40))
    single = gain_of_runs(gains)
    copies = gain_of_runs(np.repeat(gains, 10, axis=1), np.repeat(np.arange(40), 10))
    assert (copies.low, copies.high, copies.p) == pytest.approx((single.low, single.high, single.p))
    assert copies.clips == 400 and copies.groups == 40
    one, apart = gain_of_runs(gains[:1]), gain_of_runs(np.repeat(gains[:1], 10, axis=1))
    assert apart.high - apart.low < 0.4 * (one.high - one.low)


def test_the_p_value_is_where_the_interval_reaches_zero():
    gains = np.random.default_rng(1).choice([-1, 0, 0, 1, 1], size=(3, 60))
    found = gain_of_runs(gains)
    first, second = table((gains < 0).astype(float)), table((gains > 0).astype(float))
    assert 0.001 < found.p < 0.5
    assert gain_half_width(found.spread, 1 - found.p) == pytest.approx(abs(found.point), abs=1e-6)
    assert gain(second, first).p == pytest.approx(found.p) and gain(second, first).point == -found.point


def test_the_p_value_of_a_small_gain_is_no_certainty_of_none():
    """One pair of runs, 3 of 600 clips gained and 1 lost: as exact as the sign test of so few can be."""
    gains = np.zeros(600)
    gains[[0, 10, 20]], gains[30] = 1, -1
    assert 0.3 < gain_of_runs(gains).p < 0.7  # 0.62 by the sign test
    found = gain_of_runs(
        np.tile([1, -1, 1, -1, 0, 1, -1, 0, 0, 0], (3, 30))[:, :291]
    )  # as many gained as lost, and one
    assert 0 < abs(found.point) < 0.004 and 0.5 < found.p < 1


def test_the_p_value_of_one_run_is_near_that_of_flipped_signs():
    """Groups' gains of whole groups flipped at random, the exact test where only clips are by chance."""
    rng = np.random.default_rng(4)
    of_groups = rng.normal(-0.03, 0.3, 60).clip(-1, 1)
    gains = (rng.random((60, 4)) < abs(of_groups)[:, None]) * np.sign(of_groups)[:, None]
    found = gain_of_runs(gains.ravel(), np.repeat(np.arange(60), 4))
    flipped = (rng.choice([-1, 1], size=(20_000, 60)) * gains.mean(1)).mean(1)
    exact = (abs(flipped) >= abs(gains.mean()) - 1e-12).mean()
    assert found.p == pytest.approx(exact, abs=0.02) and 0.02 < exact < 0.5
    alone = stats.binomtest(int((gains > 0).sum()), int((gains != 0).sum())).pvalue
    assert found.p > 2 * alone  # McNemar's test takes the clips of a group for independent


# ---- at the ends


@pytest.mark.parametrize(("value", "runs"), [(0, 1), (0, 5), (1, 1), (1, 5)])
def test_a_share_of_none_or_all_counts_each_group_as_one_clip(value, runs):
    found = share(table(np.full((runs, 80), value), np.repeat(np.arange(20), 4)))
    c = stats.t.ppf(0.975, 19) ** 2 / 20
    assert (found.low, found.high) == pytest.approx((0, c / (1 + c)) if value == 0 else (1 / (1 + c), 1))


def test_a_share_stays_within_nought_and_one():
    for wrong in range(1, 20):
        values = np.ones((3, 40))
        values[0, :wrong] = 0
        found = share(table(values, np.repeat(np.arange(10), 4)))
        assert 0 <= found.low < found.point < found.high < 1


def test_networks_that_agree_on_every_clip_are_not_known_to_be_equal():
    found = gain_of_runs(np.zeros((3, 40)), np.repeat(np.arange(10), 4))
    most = 1 - 0.025 ** (1 / 10)  # so many of the groups could differ and none of ten show it
    assert (found.point, found.low, found.high, found.p) == (0, pytest.approx(-most), pytest.approx(most), 1)


def test_a_gain_on_every_clip_is_not_certain_either():
    found = gain_of_runs(np.ones((3, 40)), np.repeat(np.arange(10), 4))
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / 10)), 1.0) and found.p < 0.05


def test_one_group_says_nothing():
    assert (share(table([1, 0], [0, 0])).low, share(table([1, 0], [0, 0])).high) == pytest.approx((0, 1), abs=0.1)
    found = gain_of_runs([1, 0], [0, 0])
    assert (found.low, found.high, found.p) == (-0.5, 1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(value=2.0), r"lie in 0\.\.1"),
        (lambda t: t.assign(value=math.nan), r"lie in 0\.\.1"),
        (lambda t: pd.concat([t, t]), "one row a run and clip"),
        (lambda t: t.head(0), "at least one"),
    ],
)
def test_bad_values(change, message):
    with pytest.raises(ValueError, match=message):
        share(change(table([1, 0])))


def test_pairs_of_other_clips():
    with pytest.raises(ValueError, match="the same clips in the same runs"):
        gain(table([1, 0]), table([1, 0, 1]))


# ---- what a study could show


BOTH = CHANCES["both count"]


def made(runs=5, groups=50, chance=BOTH, gain=0.0, seed=0):
    """One made study's gain."""
    sums, clips, _ = draw(runs, groups, chance, studies=1, seed=seed, gain=gain)
    size = int(clips[0, 0, 0])
    rows = np.zeros((runs, groups, size))
    for (run, group), total in np.ndenumerate(sums[0, 0]):
        rows[run, group, : abs(int(total))] = np.sign(total)
    return gain_of_runs(rows.reshape(runs, -1), np.repeat(np.arange(groups), size))


def test_the_smallest_gain_is_found_in_four_of_five_studies():
    for runs, chance in ((10, BOTH), (1, Chance(0, 0.10, 0.05))):
        one = np.median([smallest_gain(made(runs, chance=chance, seed=seed)) for seed in range(20)])
        sums, clips, _ = draw(runs, 50, chance, gain=one, studies=1000, seed=9)
        point, spread = spread_of(sums, clips)
        assert (point > gain_half_width(spread)).mean() == pytest.approx(0.8, abs=0.06)


def test_more_runs_take_away_the_runs_part_alone():
    found = made()
    gains = [smallest_gain(found, runs=runs) for runs in (2, 3, 5, 10, 100, 10_000)]
    assert gains == sorted(gains, reverse=True) and gains[2] == smallest_gain(found)
    common = math.sqrt(max(found.spread.common, 0))
    df = found.spread.bearing - 1
    assert gains[-1] == pytest.approx((stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * common, rel=0.05)


def test_runs_needed_are_the_fewest():
    found = made()
    for wanted in (0.06, 0.08, 0.3):
        needed = runs_needed(found, wanted)
        assert smallest_gain(found, runs=needed) <= wanted
        assert needed == 2 or smallest_gain(found, runs=needed - 1) > wanted
    assert runs_needed(found, 0.001) == math.inf  # the clips' part stays
    assert math.isnan(runs_needed(made(runs=1), 0.1))
    with pytest.raises(ValueError, match="above 0"):
        runs_needed(found, 0)
    with pytest.raises(ValueError, match="power in"):
        smallest_gain(found, power=0.3)


# ---- made studies


def ends(cell: str) -> list[float]:
    return [float(text) for text in cell.split(" to ")]


def test_coverage_of_gains():
    """Lowest and highest over every kind of chance; with 2 and 3 pairs it may be wider, never narrower."""
    found = coverage_table((2, 3, 5, 10, 20), (20, 50, 150), studies=1200, seed=1)
    low, high = (found.map(lambda cell, k=k: ends(cell)[k]) for k in (0, 1))
    assert low.min(axis=None) >= 93
    assert high.loc[[5, 10, 20]].max(axis=None) <= 97.9  # 97.5, and the standard error of 1,200 studies


def test_coverage_of_gains_in_films_of_unequal_length_and_over_splits():
    unequal = coverage_table((3, 5, 20), (50,), studies=1200, seed=1, unequal=True)
    splits = coverage_table((3, 6, 9), (60,), studies=1200, seed=1, splits=3)
    for cell in (*unequal.to_numpy().ravel(), *splits.to_numpy().ravel()):
        assert ends(cell)[0] >= 93 and ends(cell)[1] <= 98.5


def test_coverage_of_shares():
    found = coverage_table((3, 5, 20), (20, 50), of="share", studies=1200, seed=1)
    low, high = (found.map(lambda cell, k=k: ends(cell)[k]) for k in (0, 1))
    assert low.min(axis=None) >= 93
    assert high.loc[[5, 20]].max(axis=None) <= 97.9
    many = {"of": "share", "studies": 1200}
    assert coverage(1, 50, Chance(0, 0.1, 0), **many) > 0.93  # one run: the clips' chance alone
    assert coverage(1, 50, CHANCES["training counts most"], **many) < 0.7  # and not training's


@pytest.mark.parametrize(("wrong", "runs", "groups"), [(0.02, 5, 50), (0.05, 20, 50), (0.1, 20, 20), (0.02, 20, 100)])
def test_a_rare_mistake_is_covered(wrong, runs, groups):
    """Few clips wrong, alike within a group: few groups have any, the share is far from normal."""
    rng = np.random.default_rng(0)
    propensity = rng.beta(wrong / 0.3 * 0.7, (1 - wrong) / 0.3 * 0.7, size=(3000, 1, 1, groups))
    sums = rng.binomial(5, np.broadcast_to(propensity, (3000, 1, runs, groups))).astype(float)
    point, spread = spread_of(sums, np.full((1, runs, groups), 5.0))
    low, high = share_ends(point, spread)
    assert ((low <= wrong) & (high >= wrong)).mean() > 0.92  # 93 %, but two standard errors of 3,000 studies


# ---- numbers of others


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (7, 10), (15, 30), (10, 10)])
def test_wilson_agrees_with_scipy(correct, n):
    interval = wilson_interval(correct, n)
    expected = stats.binomtest(correct, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.low <= interval.point <= interval.high


@pytest.mark.parametrize(("correct", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_wilson_bad_counts(correct, n):
    with pytest.raises(ValueError, match="0 <= correct <= n"):
        wilson_interval(correct, n)


@pytest.mark.parametrize(
    ("first", "n_first", "second", "n_second", "low", "high"),
    [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (10, 10, 0, 10, 0.6075, 1.0)],
)
def test_unpaired_difference_as_newcombe_printed_it(first, n_first, second, n_second, low, high):
    """Statist. Med. 17:873 (1998), Table II, method 10."""
    one, other = wilson_interval(first, n_first), wilson_interval(second, n_second)
    found = unpaired_difference(one, other)
    assert (found.low, found.high, found.n) == (
        pytest.approx(low, abs=1e-4),
        pytest.approx(high, abs=1e-4),
        min(n_first, n_second),
    )
    back = unpaired_difference(other, one)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_unpaired_difference_takes_a_share_of_runs_too():
    ours = share(table(np.eye(4)[[0, 1, 1]] / 2, [0, 0, 1, 1]))
    found = unpaired_difference(ours, Interval(0.1, 0.1, 0.1, 100))
    assert (found.low, found.high) == pytest.approx((ours.low - 0.1, ours.high - 0.1)) and found.n == 4


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])


def test_nothing_else_makes_an_interval_for_scores():
    """One roof: no other module asks a library for an interval or a test of counts, or resamples."""
    makers = re.compile(r"proportion_c|binomtest|ttest|t\.ppf|t\.isf|t\.interval|bootstrap\(|mcnemar|norm\.ppf|sem\(")
    allowed = {"metrics/statistics.py", "metrics/timings.py"}  # timings are no scores
    root = Path(__file__).parents[1] / "repro"
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if makers.search(path.read_text())}
    assert found <= allowed, found - allowed
