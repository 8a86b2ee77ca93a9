"""How sure one may be of a share or a gain, since other clips and other training runs would have come out otherwise.

Two chances stand behind every number that runs give. *Runs*: the same network, trained again, ends elsewhere. *Groups*:
clips cut from one source video fare alike, so other videos, not other clips, are what a new test set would bring. Runs
score the same clips, so the two are crossed, as readers and patients are where several doctors read the same images;
the method is that field's (N. A. Obuchowski, H. E. Rockette, Commun. Stat. Simul. 24:285, 1995; S. L. Hillis, Stat.
Med. 26:596, 2007). The mean over R runs of each run's mean over its clips has

    variance = total / R + common

*total* is the variance of the runs' means: training, and each run's own luck with clips. *common* is the covariance of
two runs' means, averaged over the pairs of different runs: the luck with clips that both scored. It comes from what
each group adds to a run's mean, enlarged by 1 / sqrt(1 - the group's share of the clips) (R. M. Bell, D. F. McCaffrey,
Surv. Methodol. 28:169, 2002). Runs may score different clips (splits): two runs without a common group have none of it.
The first part is known from few runs, the second from many groups, so each has its own quantile of Student's t (W. G.
Cochran, Biometrics 20:191, 1964):

    (half width)^2 = t(R - 1)^2 total / R + t(G - 1)^2 max(common, 0)

G counts groups as many as would be worth as much were they of equal size, and as far as several of them bear the
spread. With one run all that can be said is (half width)^2 = t(G - 1)^2 own, where *own* is the variance of one run's
mean over other groups; `Estimate.sd_runs` is then None. Several runs that come out alike by luck do not do away with
the chance of clips: the square is never less than half of what it is for these very runs, t(G - 1)^2 (own / R + common
(R - 1) / R).

How often they hold the truth (``repro.metrics.coverage``, 5 to 20 runs, 20 to 150 groups, equal and unequal): gains
in 93 to 98 % of made studies, shares of 50 and 70 % in 94 to 98.3 %. Shares of 95 % and more lie in 93 to 100 %, too
wide where no group's clips fare alike: so few wrong clips do not tell that from groups that are wrong as a whole, for
which less caution would hold the truth in 91 %.

Shares, gains and interval ends are fractions, 0..1 (or -1..1 for differences).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

CONFIDENCE = 0.95  # of every interval


@dataclass(frozen=True)
class Spread:
    """The parts of the variance of a mean over runs and groups; see the module's text. Floats, or arrays of studies."""

    total: Any
    common: Any
    own: Any
    runs: int  # R
    equal: float  # groups of equal size that would be worth as much
    bearing: Any  # those that bear the spread, <= equal
    shared: bool = True  # whether some two runs have clips of one group, without which nothing is known of *common*

    def half_width(self, confidence: float, groups: float | None = None) -> Any:
        """Half the width of an interval of this confidence; ``groups`` instead of those that bear the spread."""
        beyond = (1 - confidence) / 2
        groups = self.bearing if groups is None else groups
        t_groups = stats.t.isf(beyond, np.maximum(groups - 1, 1))
        these_runs = t_groups**2 * (self.own / self.runs + self.common * (1 - 1 / self.runs))
        if self.runs == 1:
            return np.sqrt(these_runs)
        t_runs = stats.t.isf(beyond, self.runs - 1)
        found = t_runs**2 * self.total / self.runs + t_groups**2 * np.maximum(self.common, 0)
        return np.sqrt(np.maximum(found, 0.5 * these_runs))


@dataclass(frozen=True)
class Estimate:
    """A mean or a gain with one interval that carries both chances: other groups of clips and other training runs."""

    point: float
    low: float
    high: float
    runs: int  # how many different ones stand behind it, as of groups and clips
    groups: int
    clips: int
    sd_runs: float | None  # standard deviation of single runs, or pairs of runs; None with one: training's is not known
    p: float  # of a true gain of 0, two-sided, by inversion of the same interval; NaN of a share
    spread: Spread


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; n independent units (clips, rounds) stand behind it."""

    point: float
    low: float
    high: float
    n: int


def share(values: pd.DataFrame) -> Estimate:
    """Mean over the runs of each run's mean value per clip, with an interval that stays within 0..1.

    values: columns ``run, group, clip, value``, one row a run and clip, values in 0..1. With a column ``class`` it is
    the mean over classes of each class's mean; every run has clips of every class. Raises ValueError for other tables.
    The ends are those of Wilson (JASA 22:209, 1927) for as many clips as would, each for itself, give the half width of
    the module's text (E. L. Korn, B. I. Graubard, Surv. Methodol. 24:193, 1998).
    """
    table = _checked(values)
    point, spread = spread_of(*cells(table))
    low, high = share_ends(point, spread)
    return _estimate(table, float(point), float(low), float(high), math.nan, spread)


def gain(first: pd.DataFrame, second: pd.DataFrame) -> Estimate:
    """Second minus first, paired by run and clip: mean over the runs of each run's mean difference per clip.

    first, second: tables as for `share`, of the same runs and clips, else ValueError.
    """
    a, b = (_checked(table).set_index(["run", "clip"]).sort_index() for table in (first, second))
    if not a.index.equals(b.index):
        raise ValueError("a gain needs the same clips in the same runs of both networks")
    table = a.assign(value=b["value"] - a["value"]).reset_index()
    point, spread = spread_of(*cells(table))
    half = float(gain_half_width(spread))
    low, high = max(float(point) - half, -1.0), min(float(point) + half, 1.0)
    return _estimate(table, float(point), low, high, _p(float(point), spread), spread)


def twice(estimate: Estimate) -> Estimate:
    """The estimate in half its unit: of a sum of two shares, from their mean."""
    sd = None if estimate.sd_runs is None else 2 * estimate.sd_runs
    ends = {name: 2 * getattr(estimate, name) for name in ("point", "low", "high")}
    part = {name: 4 * getattr(estimate.spread, name) for name in ("total", "common", "own")}
    return replace(estimate, **ends, sd_runs=sd, spread=replace(estimate.spread, **part))


def smallest_gain(
    estimate: Estimate, *, runs: int | None = None, power: float = 0.8, confidence: float = CONFIDENCE
) -> float:
    """The smallest true gain that an interval of this confidence would tell from 0 with the given power.

    runs: of a study with the same spread and groups; by default as many as here. Training's part of the variance falls
    with their number, the clips' does not. From one run the chance of training is not known and counts as none. Raises
    ValueError for power outside 0.5..1 or runs < 1.
    """
    spread, runs = estimate.spread, estimate.runs if runs is None else runs
    if not 0.5 <= power < 1 or runs < 1:
        raise ValueError(f"need power in 0.5..1 and runs >= 1: {power=}, {runs=}")
    if spread.runs == 1:
        planned = replace(spread, total=0.0, common=spread.own, runs=runs)
    else:
        common = max(spread.common, 0.0)
        own = max(spread.own, common)
        planned = replace(spread, total=max(spread.total, own - common), common=common, own=own, runs=runs)
    # Student's t of the power beside that of the interval stands in for the noncentral t: a few per cent too small
    return float(gain_half_width(planned, confidence) + planned.half_width(2 * power - 1))


def again_within(estimate: Estimate) -> float | None:
    """How far the mean gain of as many new pairs may lie from this one, trained from other seeds on these clips, in 95
    of 100 cases: Student's t for the difference of two such means; None where the spread of pairs is not known.

    Pairs of several splits differ by their clips too, so it is then more than the runs alone would give.
    """
    if estimate.sd_runs is None:
        return None
    return float(stats.t.ppf(0.975, estimate.runs - 1)) * estimate.sd_runs * math.sqrt(2 / estimate.runs)


def runs_needed(estimate: Estimate, gain: float, *, power: float = 0.8, confidence: float = CONFIDENCE) -> float:
    """Runs (pairs of runs) by which an interval of this confidence would tell a true gain from 0 with this power.

    At least 2. `inf` where 10,000 would not do: more runs leave the clips' part as it is. NaN for one run, which does
    not tell how far training spreads. gain > 0, else ValueError.
    """
    if not gain > 0:
        raise ValueError(f"a gain above 0 is needed, not {gain}")
    if estimate.runs == 1:
        return math.nan
    numbers = range(2, 10_001)  # more runs never need a larger gain
    fewest = bisect_left(
        numbers, True, key=lambda runs: smallest_gain(estimate, runs=runs, power=power, confidence=confidence) <= gain
    )
    return numbers[fewest] if fewest < len(numbers) else math.inf


# ---- the parts of the variance, of one study or of many made ones


def cells(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of values and number of clips by class (one, if none are told), run and group, of a table as for `share`."""
    codes = [pd.factorize(table[name]) if name in table else (0, [0]) for name in ("class", "run", "group")]
    shape = tuple(len(names) for _, names in codes)
    sums, clips = np.zeros(shape), np.zeros(shape)
    place = tuple(code for code, _ in codes)
    np.add.at(sums, place, table["value"].to_numpy(float))
    np.add.at(clips, place, 1)
    return sums, clips


def spread_of(sums: NDArray[Any], clips: NDArray[Any]) -> tuple[Any, Spread]:
    """The mean over runs of each run's mean over classes of the mean per clip, and its `Spread`.

    sums: sum of the values of each class, run and group, ``(..., classes, runs, groups)``, 0 where there is no clip.
    clips: how many they are, ``(classes, runs, groups)``. Both results have the leading shape of sums.
    """
    classes, runs, _ = clips.shape
    portions = clips / clips.sum(-1, keepdims=True)  # a group's share of a run's clips of a class
    means = sums.sum(-1) / clips.sum(-1)
    added = (sums / clips.sum(-1, keepdims=True) - means[..., None] * portions).sum(-3) / classes  # to the run's mean
    portion = portions.sum(0) / classes
    added = added / np.sqrt(np.maximum(1 - portion, 1e-9))
    own = (added**2).sum((-2, -1)) / runs
    by_group = added.sum(-2)
    both = (by_group**2).sum(-1)
    by_run = means.sum(-2) / classes
    common = (both - runs * own) / (runs * (runs - 1)) if runs > 1 else 0.0 * own
    total = by_run.var(-1, ddof=1) if runs > 1 else own
    equal = float(1 / (portion.mean(0) ** 2).sum())
    fourth = (by_group**4).sum(-1)  # for normal values 3 / groups of the square: the fewer bear the spread, the more
    bearing = np.divide(3 * both**2, fourth, out=np.full_like(both, equal + 1), where=fourth > 0) - 1
    shared = bool(((portion > 0).sum(0) > 1).any())
    return by_run.mean(-1), Spread(total, common, own, runs, equal, np.clip(bearing, 1, equal), shared)


def gain_half_width(spread: Spread, confidence: float = CONFIDENCE) -> Any:
    """Half the width of a gain's interval.

    Where the values are the same in every group and run they show no spread; then it is the largest share of groups
    that may differ though none of these does (C. J. Clopper, E. S. Pearson, Biometrika 26:404, 1934). One group says
    nothing: 1.
    """
    if spread.equal < 1 + 1e-9:
        return 0.0 * spread.own + 1.0
    unseen = 1 - ((1 - confidence) / 2) ** (1 / spread.equal)
    return np.where(spread.own + spread.total > 1e-18, spread.half_width(confidence), unseen)


def share_ends(point: Any, spread: Spread) -> tuple[Any, Any]:
    """Ends of a share's interval, by Wilson's formula with z^2 / n = (half width)^2 / (share (1 - share)).

    Near 0 and 1 the few clips that differ do not show how alike the clips of a group fare. There z^2 / n goes over into
    what it is if each group counts as one clip, whatever the number of runs: wholly where all values are 0 or all are
    1, by half where share (1 - share) is worth half a group, by 1/257 where it is worth two.
    """
    cautious = stats.t.isf((1 - CONFIDENCE) / 2, max(spread.equal - 1, 1)) ** 2 / spread.equal
    bernoulli = point * (1 - point)
    worth = (2 * bernoulli * spread.equal) ** 4
    found = bernoulli**3 * (2 * spread.equal) ** 4 * spread.half_width(CONFIDENCE, spread.equal) ** 2  # worth x z^2 / n
    c = (found + cautious) / (worth + 1)
    return _wilson_ends(point, c)


def _wilson_ends(point: Any, c: Any) -> tuple[Any, Any]:
    """Wilson's ends for c = z^2 / n."""
    middle, half = point + c / 2, np.sqrt(c * (point * (1 - point) + c / 4))
    return np.clip((middle - half) / (1 + c), 0, point), np.clip((middle + half) / (1 + c), point, 1)


def _p(point: float, spread: Spread) -> float:
    """1 minus the confidence at which the interval of a gain just reaches 0."""

    def beyond(p: float) -> float:
        return float(gain_half_width(spread, 1 - p)) - abs(point)

    if point == 0 or beyond(1 - 1e-9) >= 0:
        return 1.0
    return float(optimize.brentq(beyond, 1e-12, 1 - 1e-9)) if beyond(1e-12) > 0 else 1e-12


def _checked(values: pd.DataFrame) -> pd.DataFrame:
    """The table with its values as floats; ValueError for what `share` refuses."""
    if values.empty or values.duplicated(["run", "clip"]).any():
        raise ValueError("a table of values needs one row a run and clip, and at least one")
    numbers = values["value"].to_numpy(float)
    if not ((numbers >= 0) & (numbers <= 1)).all():  # NaN fails the comparison too
        raise ValueError("values must be right or wrong, or lie in 0..1")
    if "class" in values and (pd.crosstab(values["run"], values["class"]) == 0).any(axis=None):
        raise ValueError("every run needs clips of every class")
    return values.assign(value=numbers)


def _estimate(table: pd.DataFrame, point: float, low: float, high: float, p: float, spread: Spread) -> Estimate:
    sd = float(np.sqrt(spread.total)) if spread.runs > 1 else None
    groups, clips = table["group"].nunique(), table["clip"].nunique()
    return Estimate(point, low, high, spread.runs, groups, clips, sd, p, spread)


def wilson_interval(correct: float, n: int) -> Interval:
    """Wilson's score interval of the share correct/n (JASA 22:209, 1927), each clip for itself.

    For counts that others printed, of which neither groups nor runs are known; 0 <= correct <= n, n >= 1, else
    ValueError. correct may be broken: n times a printed share.
    """
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"need 0 <= correct <= n and n >= 1, not correct={correct}, n={n}")
    low, high = _wilson_ends(correct / n, stats.norm.isf((1 - CONFIDENCE) / 2) ** 2 / n)
    return Interval(correct / n, float(low), float(high), n)


def unpaired_difference(first: Interval | Estimate, second: Interval | Estimate) -> Interval:
    """Interval of first - second, of two accuracies of which it is not known how they are paired.

    Distances to the ends add in squares (R. G. Newcombe, Statist. Med. 17:873, 1998, method 10), as for independent
    samples. Networks tested on the same clips err on many of the same ones, so one paired by clip would be narrower.
    """
    point = first.point - second.point
    low = math.hypot(first.point - first.low, second.high - second.point)
    high = math.hypot(first.high - first.point, second.point - second.low)
    n = min(each.n if isinstance(each, Interval) else each.clips for each in (first, second))
    return Interval(point, point - low, point + high, n)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values corrected for that many tests (S. Holm, Scand. J. Stat. 6:65, 1979): (n,) floats, none below its own."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p_values, method="holm")[1]
