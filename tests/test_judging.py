"""What several estimates, sets of runs and parts of a claim say together, whatever the claim."""

from dataclasses import replace
from itertools import permutations, product

import pandas as pd
import pytest

from repro.claims import judging
from repro.claims.judging import combined, judge_gain, of_all, of_most, parts
from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL, Experiment
from repro.metrics.statistics import Estimate, gain

SOME = gain(
    pd.DataFrame({"run": 0, "group": range(30), "clip": range(30), "value": 0.0}),
    pd.DataFrame({"run": 0, "group": range(30), "clip": range(30), "value": [1.0] * 15 + [0.0] * 15}),
)


def estimate(point=0.1, p=0.001, runs=3, groups=30) -> Estimate:
    return replace(SOME, point=point, p=p, runs=runs, groups=groups, sd_runs=None if runs == 1 else 0.01)


# ---------------------------------------- one estimate


@pytest.mark.parametrize(
    "made, outcome",
    [
        (estimate(), "reproduced"),
        (estimate(-0.1), "contradicted"),
        (estimate(p=0.02), "undecided"),  # one set in fifty without an effect says as much, and several are asked
        (estimate(-0.1, p=0.02), "undecided"),
        (estimate(0.0, p=1.0), "undecided"),
        (estimate(0.5, runs=1), "undecided"),  # what another training would give is not known
        (estimate(-0.5, runs=1), "undecided"),
        (estimate(0.5, groups=19), "undecided"),
        (estimate(0.5, groups=20), "reproduced"),
    ],
)
def test_one_estimate(made, outcome):
    assert judge_gain(made) == outcome


# ---------------------------------------- several sets of runs

VOTES = ("reproduced", "partly", "contradicted")


@pytest.mark.parametrize(
    "outcomes, one",
    [
        (["reproduced", "contradicted"], "partly"),
        (["reproduced", "partly"], "partly"),
        (["partly", "contradicted"], "partly"),
        (["reproduced", "undecided"], "reproduced"),
        (["contradicted", "undecided"], "contradicted"),
        (["undecided", "not testable"], "undecided"),
        (["not testable"], "not testable"),
    ],
)
def test_sets_that_cannot_tell_do_not_vote(outcomes, one):
    assert combined(outcomes) == one


def test_sets_added_say_no_less_than_before():
    """Over all votes of up to four sets: order does not matter, silence changes nothing, support never hurts."""
    support = {"contradicted": 0, "partly": 1, "reproduced": 2}
    for outcomes in (votes for n in range(1, 5) for votes in product(judging.OUTCOMES, repeat=n)):
        one = combined(outcomes)
        assert {combined(order) for order in permutations(outcomes)} == {one}
        for silent in ("undecided", "not testable"):
            assert combined([*outcomes, silent]) in {one, *(["undecided"] if one == "not testable" else [])}
        if one in support:
            assert support[combined([*outcomes, "reproduced"])] >= support[one]
            assert support[combined([*outcomes, "contradicted"])] <= support[one]
            assert combined([*outcomes, *outcomes]) == one


# ---------------------------------------- several parts of one claim


@pytest.mark.parametrize(
    "outcomes, one",
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "contradicted"], "partly"),
        (["reproduced", "undecided"], "partly"),
        (["contradicted", "undecided"], "undecided"),  # the other part may hold
        (["contradicted", "contradicted"], "contradicted"),
        (["undecided", "not testable"], "undecided"),
    ],
)
def test_parts_of_one_claim(outcomes, one):
    assert parts(outcomes) == one


def test_a_part_that_is_decided_later_takes_nothing_back():
    for others in product(judging.OUTCOMES, repeat=2):
        before = parts([*others, "undecided"])
        for later in VOTES:
            after = parts([*others, later])
            if before in VOTES:
                assert (before, after) in {("partly", "partly"), ("partly", "reproduced")} or before == after


UP, DOWN, NONE = estimate(0.2, p=0.0005), estimate(-0.2, p=0.0005), estimate(0.01, p=0.6)


@pytest.mark.parametrize(
    "gains, outcome",
    [
        ([UP], "reproduced"),
        ([DOWN], "contradicted"),
        ([UP, UP], "reproduced"),
        ([UP, DOWN], "contradicted"),  # one of two is not most
        ([UP, NONE], "undecided"),
        ([UP, UP, DOWN, NONE], "undecided"),
        ([UP, UP, UP, DOWN], "reproduced"),
        ([UP, UP, DOWN, DOWN], "contradicted"),  # the case: one pair improved, three others worse
        ([UP, DOWN, DOWN, DOWN], "contradicted"),
        ([NONE] * 4, "undecided"),
        ([UP] * 4 + [DOWN] * 2, "reproduced"),
        ([UP] * 3 + [DOWN] * 3, "contradicted"),
        ([UP] * 3 + [NONE] * 3, "undecided"),
        ([estimate(0.2, p=0.009)] * 3 + [NONE], "undecided"),  # each seems to be there; that three are is less sure
        ([estimate(0.2, p=0.004)] * 3 + [NONE], "reproduced"),  # 2 x 0.002 on one side
        ([estimate(0.2, groups=19)] * 4, "undecided"),
        ([estimate(0.2, runs=1)] * 4, "undecided"),
    ],
)
def test_most_of_several_effects(gains, outcome):
    assert of_most(gains) == of_most(gains[::-1]) == outcome


@pytest.mark.parametrize(
    "held, number, outcome",
    [(3, 3, "reproduced"), (2, 3, "partly"), (1, 2, "partly"), (1, 3, "contradicted"), (0, 3, "contradicted")],
)
def test_what_is_claimed_of_all(held, number, outcome):
    assert of_all(held, number) == outcome


# ---------------------------------------- which runs are evidence


@pytest.mark.parametrize(
    "fields, counts",
    [
        ({"study": "ablation-by-name-alone"}, True),
        ({"gate": "se_im"}, True),  # Equation 4's, named
        ({"model": BASELINE, "reduction": 4}, True),  # which it does not read
        ({"role": "tuning"}, False),
        ({"role": "ablation"}, False),
        ({"gate": "se"}, False),
        ({"gate_bias": -4.0}, False),
        ({"reduction": 4}, False),
        ({"head_stride": [2, 1, 1]}, False),
        ({"model": BASELINE, "head_stride": [2, 1, 1]}, False),
        ({"model": TEMPORAL}, False),
        ({"model": CONTROL, "role": "ablation"}, True),
        ({"model": CONTROL, "role": "tuning"}, False),
        ({"watch": "test", "validation_fraction": 0.0}, False),  # whose test clips chose its weights
        ({"model": CONTROL, "watch": "test", "validation_fraction": 0.0}, False),
    ],
)
def test_role_network_and_steering_decide_what_is_evidence(fields, counts):
    assert judging.is_evidence(Experiment(**{"model": ATTENTION} | fields)) == counts
