"""repro.metrics.speed with a clock under the test's control, and a GPU where there is one.

No test says how fast anything is.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from repro.metrics.speed import layer_seconds, measure_speed
from repro.metrics.timings import paired_ratio, quartiles, ratio_of, summary


class Clock:
    """A clock that only the cases advance."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def case(self, *seconds):
        """A callable that takes these times in turn, the last one for good."""
        remaining = list(seconds)

        def call():
            self.now += remaining.pop(0) if len(remaining) > 1 else remaining[0]

        return call


def timed(repeats, **seconds):
    """The timings of cases that take these times in turn."""
    clock = Clock()
    cases = {name: clock.case(*each) for name, each in seconds.items()}
    return measure_speed(cases, device="cpu", repeats=repeats, warmup=0, clock=clock)


def test_every_timing_is_kept_and_warm_up_is_not():
    clock = Clock()
    cases = {"slow": clock.case(99, 99, 2), "fast": clock.case(99, 99, 0.5)}
    timings = measure_speed(cases, device="cpu", repeats=6, warmup=2, clips_per_call=4, clock=clock)
    assert timings.columns.tolist() == ["round", "position", "case", "seconds", "clips"]
    assert timings["round"].tolist() == [number for number in range(6) for _ in range(2)]
    assert timings.position.tolist() == 6 * [0, 1]
    assert timings.groupby("case").seconds.unique().map(list).to_dict() == {"fast": [0.5], "slow": [2.0]}
    rates = summary(timings)
    assert rates.loc["slow"].tolist() == [2, 2, 2, 6]
    assert rates.loc["fast", "median"] == 8


def test_rounds_are_interleaved_in_a_seeded_order():
    def order(seed):
        clock = Clock()
        cases = {name: clock.case(1) for name in "abcd"}
        return measure_speed(cases, device="cpu", repeats=12, seed=seed, clock=clock).case.tolist()

    first = order(0)
    rounds = [tuple(first[start : start + 4]) for start in range(0, 48, 4)]
    assert all(sorted(names) == list("abcd") for names in rounds)
    assert len(set(rounds)) > 3
    assert first == order(0) != order(1)


def test_quartiles():
    timings = timed(5, a=(1, 1 / 2, 1 / 3, 1 / 4, 1 / 5))
    assert summary(timings).loc["a"].tolist() == pytest.approx([3, 2, 4, 5])
    assert quartiles(timings) == {"a": pytest.approx({"median": 3, "q25": 2, "q75": 4})}


def test_paired_ratio_sees_through_drift():
    """The machine slows down fivefold during the run; b takes 1.25 times as long as a, in each round."""
    drift = np.linspace(1, 5, 20)
    timings = timed(20, a=drift, b=1.25 * drift)
    ratio = paired_ratio(timings, "a", "b")
    assert (ratio.point, ratio.low, ratio.high) == pytest.approx((1.25, 1.25, 1.25))
    assert ratio.n == 20
    assert paired_ratio(timings, "b", "a").point == pytest.approx(0.8)
    assert paired_ratio(timings.iloc[:-1], "a", "b").n == 19  # a round without its partner says nothing


def test_paired_ratio_by_hand():
    """Ratios 1, 2 and 4 lie ln 2 apart: a standard deviation of ln 2 on the log scale."""
    timings = timed(3, a=[1.0], b=(1.0, 2.0, 4.0))
    ratio, back = paired_ratio(timings, "a", "b"), paired_ratio(timings, "b", "a")
    times = 2 ** (stats.t.ppf(0.975, 2) * np.sqrt(np.pi / 2 / 3))
    assert (ratio.low, ratio.point, ratio.high, ratio.n) == pytest.approx((2 / times, 2, 2 * times, 3))
    assert (back.low, back.point, back.high) == pytest.approx((1 / ratio.high, 0.5, 1 / ratio.low))


NOISE = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=n),
    "delays": lambda rng, n: rng.exponential(size=n) - np.log(2),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("numbers", [(2,), (3,), (5,), (20,), (3, 5), (2, 20)])
def test_the_interval_of_a_ratio_holds_the_truth(numbers, noise):
    """Of made rounds whose ratio is 1.1 in the median; the standard error of 1,000 is 0.7 points."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(1000):
        first, *others = (0.15 * NOISE[noise](rng, number) for number in numbers)
        found = ratio_of(np.log(1.1) + first, *others)
        held += found.low <= 1.1 <= found.high
    assert held >= 930 and found.n == min(numbers)


@pytest.mark.parametrize(("device", "initialised"), [("cuda", True), ("cuda:1", True), ("cpu", True), ("cpu", False)])
def test_no_timing_of_a_gpu_without_synchronisation(monkeypatch, device, initialised):
    """Also where the caller says "cpu" but CUDA is in use in this process."""
    events, now = [], iter(range(1000))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialised)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: events.append("wait"))

    def clock():
        events.append("clock")
        return next(now)

    measure_speed({"a": lambda: events.append("call")}, device=device, repeats=2, warmup=1, clock=clock)
    waits = ["wait"] if initialised else []
    assert events == 3 * [*waits, "clock", "call", *waits, "clock"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_work_is_waited_for():
    a = torch.randn(4096, 4096, device="cuda")

    def work():
        x = a
        for _ in range(50):
            x = x @ a
        return x

    seconds = measure_speed({"work": work}, device="cuda", repeats=5).seconds.median()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    assert seconds > 0.5 * start.elapsed_time(end) / 1000


def test_a_killed_measurement_goes_on():
    """Killed in round 1 after case a: what is done is not timed again, what is left is, after a warm-up."""
    clock, kept = Clock(), []
    names = list("ab")
    whole = measure_speed({n: clock.case(1) for n in names}, device="cpu", repeats=3, clock=clock, keep=kept.append)
    assert pd.DataFrame(kept).equals(whole)
    done = {(row["round"], row["case"]) for row in kept[:3]}
    calls = []
    tick = clock.case(1)
    cases = {n: lambda n=n: (calls.append(n), tick()) for n in names}
    rest = measure_speed(cases, device="cpu", repeats=3, warmup=1, clock=clock, done=done)
    assert sorted([*done, *zip(rest["round"], rest["case"])]) == [(r, n) for r in range(3) for n in names]
    assert len(calls) == 3 + 2
    calls.clear()
    assert measure_speed(cases, device="cpu", repeats=1, clock=clock, done={(0, "a"), (0, "b")}).empty and not calls


def test_layer_seconds_finds_the_slow_layer():
    clock = Clock()

    class Slow(nn.Module):
        def __init__(self, seconds):
            super().__init__()
            self.tick = clock.case(seconds)

        def forward(self, x):
            self.tick()
            return x

    network = nn.Sequential(Slow(1), nn.Sequential(Slow(2), Slow(4)), Slow(8), Slow(16))
    parts = {"0": "first", "1": "second", "3": "first"}
    found = layer_seconds(network, parts, lambda: network(torch.zeros(1)), device="cpu", repeats=2, clock=clock)
    assert found.groupby("part").seconds.unique().map(list).to_dict() == {"first": [17], "second": [6], "the rest": [8]}
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def test_layer_seconds_wait_for_a_gpu_at_each_border(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: events.append("wait"))
    network = nn.Sequential(nn.Identity())
    clock = iter(range(100))

    def tick():
        events.append("clock")
        return next(clock)

    layer_seconds(network, {"0": "a"}, lambda: network(torch.zeros(1)), device="cuda", repeats=1, clock=tick)
    assert events == 4 * ["wait", "clock"]


def test_paired_ratio_bad_input():
    timings = timed(1, a=[1], b=[1])
    with pytest.raises(ValueError, match=r"no timings of \['c'\]; there are \['a', 'b'\]"):
        paired_ratio(timings, "a", "c")
    with pytest.raises(ValueError, match="at least two rounds"):
        paired_ratio(timings, "a", "b")
