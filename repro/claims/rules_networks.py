"""The rules on what the networks recognise: accuracy, look-alikes, time. See ``repro.claims.judging``."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from repro.claims import official
from repro.claims.judging import (
    LEVEL,
    Evidence,
    Finding,
    Verdict,
    combined,
    judge_gain,
    missing,
    of_most,
    parts,
    rule,
    silent,
    sources,
    where,
)
from repro.claims.official import NAMES, OFFICIAL
from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TITLES
from repro.experiment.protocols import protocol_of
from repro.metrics.statistics import Estimate
from repro.metrics.text import p_text, percent, with_interval
from repro.paper.cells import Claim
from repro.paper.look_alikes import backwards_pairs, named_pairs
from repro.records.compare import partners
from repro.records.questions import (
    above,
    errors_with_look_alike,
    in_16_bits,
    learned_nothing,
    of_look_alikes,
    one_start_text,
    only,
    seen,
    unlike_starts,
)
from repro.records.record import Record
from repro.records.scores import confusion_gain, gain_of, is_right, mistaken_for_partner, share_of

Pairs = Sequence[tuple[Record, Record]]


class Result(NamedTuple):
    """What a test says: one of OUTCOMES, the figures with their interval, what stands behind them."""

    outcome: str
    short: str
    details: str


Told = list[tuple[Finding, Sequence[Record]]]  # set of like runs by set


def _verdict(claim: Claim, told: Told, *, test: str, settle: str, needs: str, page: str) -> Verdict:
    """The findings of several sets of runs as one verdict. needs: what is missing where no run can tell."""
    if not told:
        return missing(claim, "Not run.", needs, test=test, settle=settle, chapter=page)
    findings = tuple(finding for finding, _ in told)
    outcome = combined(finding.outcome for finding in findings)
    quiet = ("undecided", "not testable")
    voted = [finding for finding in findings if outcome in quiet or finding.outcome not in quiet]
    return Verdict(
        claim,
        outcome,
        test,
        "; ".join(finding.text for finding in findings) + ".",
        settle,
        page,
        needs if outcome == "not testable" else "",
        scope=", ".join(dict.fromkeys(finding.place for finding in voted)),
        short="; ".join(
            f"{finding.short} {finding.place}{'' if finding in voted else ' (cannot tell)'}" for finding in findings
        ),
        sources=sources(record for _, runs in told for record in runs),
        findings=findings,
    )


def _counted(estimate: Estimate, runs: str, clips: str = "test clips") -> str:
    """What stands behind an estimate. runs: ``run`` or ``pair of runs``. clips: which of them."""
    words = runs if estimate.runs == 1 else runs.replace("pair", "pairs") if "pair" in runs else f"{runs}s"
    but = f"; {silent(estimate)}" if silent(estimate) else ""
    return f"{estimate.clips} {clips} in {estimate.groups} groups, {estimate.runs} {words}{but}"


# ---- accuracy

NEAR = 0.01  # an accuracy that is at most this much lower still reaches the paper's number


@rule(
    "accuracy-hmdb51",
    "accuracy-ucf101",
    "accuracy-sthv1",
    runs="full-size Res34-SE-IM-Net after Kinetics, without habits of published code; others only where they reach it",
    clips="the whole official test split (of Something-Something v1 the validation split)",
    since="2026-11-29T01:55:00Z",
)
def accuracy(claim: Claim, evidence: Evidence) -> Verdict:
    """The paper's number, minus ``NEAR``, against full-size runs on its own dataset, protocol by protocol.

    Runs that followed the paper's chain (Kinetics first) and stated settings reach it or contradict it. Others may
    reach it too, but that they stay below says nothing; runs with habits of published code (steered by test clips,
    wrong input) are no reproduction, whatever they reach.
    """
    name, number = NAMES[claim.dataset], float(claim.value or 0) / 100
    told: Told = []
    for protocol, some in official.sets(evidence.records, claim.dataset):
        runs = [record for record in some if record.experiment.model == ATTENTION]
        if not runs:
            continue
        outcome, but = judge_gain(above(runs, is_right, number - NEAR)), ""
        if protocol_of(runs[0].experiment) != "sound":
            outcome, but = "not testable", ", which is no reproduction"
        elif protocol != official.KINETICS and outcome != "reproduced":
            outcome, but = "not testable", ", which is not the paper's pre-training"
        elif outcome != "reproduced" and (other := official.trained_otherwise(runs[0].experiment)):
            outcome, but = "not testable", f", but not trained as the paper says ({', '.join(other)})"
        share = share_of(runs, is_right)
        details = f"{_counted(share, 'run')}; {protocol}{but}{one_start_text(runs)}"
        short, study = f"top-1 {with_interval(share)}", runs[0].experiment.study
        told.append((Finding(study, f"on {name}", outcome, short, details), runs))
    return _verdict(
        claim,
        told,
        test="Top-1 of full-size Res34-SE-IM-Net on the whole official split, protocols apart, against "
        f"{claim.value:g} % or up to {100 * NEAR:g} point less.",
        settle=evidence.full_size(OFFICIAL[claim.dataset]),
        needs="sound runs after pre-training on Kinetics" if told else f"{name} and a GPU server",
        page="gate",
    )


# ---- network against network


def _network_against_network(
    claim: Claim,
    evidence: Evidence,
    judge: Callable[[Pairs], Result],
    asked: Callable[[Pairs], bool] = bool,
    **words: str,
) -> Verdict:
    """A verdict from pairs of both networks, set of like runs by set: of those that can be asked, what judge says.

    Networks at unlike rates, or from weights of unlike rates, differ in gate and rate together: what they reproduce
    they reproduce in part.
    """
    like = [partners(some, BASELINE, ATTENTION) for some in evidence.alike()]
    sets = [each for pairs in like if pairs and asked(pairs) for each in _apart(pairs, judge)]
    told: Told = []
    for pairs in sets:
        result, rest = judge(pairs), ""
        study, own = pairs[0][1].experiment.study, [record for pair in pairs for record in pair]
        if stuck := [record for record in own if learned_nothing(record)]:
            learned = [pair for pair in pairs if not any(map(learned_nothing, pair))]
            rest = judge(learned).short if learned else "no pair is left"
        place = where(own, [[a for a, _ in each] for each in sets])
        if own_rates := any(a.experiment.learning_rate != b.experiment.learning_rate for a, b in pairs):
            place += ", each at its own rate"
        if unlike := unlike_starts(own, evidence.records):
            place += ", weights of unlike rates"
        if (own_rates or unlike) and result.outcome == "reproduced":  # gate and rate together
            result = result._replace(outcome="partly")
        result = result._replace(details=result.details + one_start_text(own))
        told.append((Finding(study, place, *result, rest, tuple(record.name for record in stuck)), own))
    return _verdict(claim, told, **words)


def _apart(pairs: Pairs, judge: Callable[[Pairs], Result]) -> list[Pairs]:
    """Like runs as one body of evidence; study by study where one study says the opposite of another."""
    studies = list(_by_study(pairs).values())
    said = {judge(some).outcome for some in studies} if len(studies) > 1 else set()
    return studies if {"reproduced", "contradicted"} <= said else [pairs]


def _by_study(pairs: Pairs) -> dict[str, Pairs]:
    studies = dict.fromkeys(second.experiment.study for _, second in pairs)
    return {study: [pair for pair in pairs if pair[1].experiment.study == study] for study in studies}


def _top1(pairs: Pairs) -> Result:
    """The gain in top-1; where several studies hold these runs, also what each of them has."""
    gain, studies = gain_of(pairs, is_right), _by_study(pairs)
    details = f"p {p_text(gain.p)}; {_counted(gain, 'pair of runs')}"
    if len(studies) > 1:
        single = {study: with_interval(gain_of(some, is_right), signed=True) for study, some in studies.items()}
        details += "; study by study: " + ", ".join(f"{study} {points}" for study, points in single.items())
    return Result(judge_gain(gain), with_interval(gain, signed=True), details)


@rule(
    "se-im-beats-baseline",
    runs="pairs of both networks, trained alike from one seed, two or more of a kind",
    clips="the test clips of every study, each kind of runs apart",
    since="2026-12-01T01:20:00Z",
)
def beats_baseline(claim: Claim, evidence: Evidence) -> Verdict:
    """Difference in top-1, SE-IM minus baseline."""
    return _network_against_network(
        claim,
        evidence,
        _top1,
        test="Both networks trained on the same clips, alike or each at its own learning rate where validation clips "
        "chose it; difference in top-1 (Res34-SE-IM-Net minus baseline). The paper says it of its three "
        "datasets; asked are all clips with such runs; those that cannot tell have no say.",
        settle=evidence.full_size(*OFFICIAL.values()),
        needs="converged runs of both networks",
        page="gate",
    )


def _falls(pairs: Pairs) -> dict[tuple[int, int], Estimate]:
    """How far the indicator of each pair of look-alikes fell that has test clips."""
    baseline_last = [(attention, baseline) for baseline, attention in pairs]
    falls = {two: confusion_gain(baseline_last, two) for two in named_pairs(pairs[0][0].classes)}
    return {two: fall for two, fall in falls.items() if fall is not None}


def _confusion(pairs: Pairs) -> Result:
    """For how many pairs of look-alikes the indicator fell, and whether as many of their clips are right."""
    classes, falls = pairs[0][0].classes, _falls(pairs)
    outcome, but = of_most(list(falls.values())), ""
    if len(falls) == 1:  # one pair is not most of several, however it fares
        outcome, but = "undecided", ", and one alone cannot tell of most"
    alike = [(of_look_alikes(a), of_look_alikes(b)) for a, b in pairs]
    right = gain_of(alike, is_right)
    if right.point < 0 and outcome == "reproduced":
        outcome = "partly"
    lower = sum(fall.point > 0 for fall in falls.values())
    listed = ", ".join(
        f"{classes[i]} / {classes[j]} {0 - fall.point:+.2f} [{0 - fall.high:+.2f}, {0 - fall.low:+.2f}]"
        for (i, j), fall in falls.items()
    )
    higher = sum(fall.point < 0 for fall in falls.values())
    taken, more = (with_interval(g, signed=True) for g in (gain_of(alike, mistaken_for_partner), right))
    fell = f"confusion lower for {lower}, higher for {higher} of {len(falls)} pairs of look-alikes{but}"
    short = f"{fell}; of the clips of these classes, taken for the other {taken}, right {more}"
    return Result(outcome, short, f"{listed}; {_counted(right, 'pair of runs')}")


@rule(
    "se-im-reduces-confusion",
    runs="pairs of both networks, trained alike from one seed, two or more of a kind",
    clips="test clips of the pairs of look-alikes that the paper's text names, of the rendered set's, and of those "
    "that the plan names of UT-Interaction",
    since="2026-12-01T01:20:00Z",
)
def reduces_confusion(claim: Claim, evidence: Evidence) -> Verdict:
    """For most of the pairs named beforehand the indicator c of Table 8 is lower under SE-IM.

    A network that takes such clips for anything else instead confuses look-alikes less, too: where fewer of them are
    right, the claim holds in part at most.
    """
    return _network_against_network(
        claim,
        evidence,
        _confusion,
        asked=lambda pairs: bool(_falls(pairs)),
        test="The paper's confusion indicator of each pair of look-alikes that its text or the demo set's design "
        "names, Res34-SE-IM-Net minus baseline: lower for most of the pairs.",
        settle=evidence.full_size("hmdb51"),
        needs="converged runs of both networks on classes with named look-alikes",
        page="look-alikes",
    )


# ---- look-alikes


@rule(
    "confusing-actions-matter",
    runs="the baseline, two runs or more of a kind",
    clips="its wrong test clips of classes that have a named look-alike",
    since="2026-11-29T01:55:00Z",
)
def confusing_actions_matter(claim: Claim, evidence: Evidence) -> Verdict:
    """Of the baseline's errors on classes that have a named look-alike: how many fall on it?

    Most of them: *reproduced*; more than if errors fell anywhere: *partly*; fewer: *contradicted*. Classes without a
    named look-alike are not asked: the paper names four pairs, not all that there are. With two classes every error is
    the look-alike. The demo set's pairs were built to look alike, so it can speak for the claim in part at most.
    """
    told: Told = []
    sets = [[r for r in some if r.experiment.model == BASELINE] for some in evidence.alike()]
    sets = [runs for runs in sets if runs and len(runs[0].classes) > 2 and named_pairs(runs[0].classes)]
    for runs in sets:
        inside, chance = errors_with_look_alike(runs)
        if not inside:
            continue
        built = bool(backwards_pairs(runs[0].classes))
        more_than_half, more_than_chance = (above(inside, mistaken_for_partner, share) for share in (0.5, chance))
        outcome = judge_gain(more_than_chance)
        if outcome == "reproduced" and (built or judge_gain(more_than_half) != "reproduced"):
            outcome = "partly"
        share = share_of(inside, mistaken_for_partner)
        lost = share_of(runs, mistaken_for_partner).point
        short = f"{with_interval(share)} of the baseline's errors fall on the look-alike, by chance {percent(chance)}"
        counted = _counted(share, "run", "test clips that a run had wrong")
        details = f"of each clip the mean of its runs; {counted}; {percent(lost)} of all clips"
        place = where(runs, sets) + (", whose classes were made to look alike" if built else "")
        told.append((Finding(runs[0].experiment.study, place, outcome, short, details), runs))
    return _verdict(
        claim,
        told,
        test="Of the baseline's errors on classes with a named look-alike, the share that falls on the look-alike: "
        "most, or at least more than if errors fell anywhere.",
        settle=evidence.full_size("hmdb51"),
        needs="converged runs on classes with named look-alikes",
        page="look-alikes",
    )


# ---- time

ORDERS = ("shuffled", "reversed")
PARTS = 2 * (len(ORDERS) + 1)  # of the claim: for each network both orders and the control


@rule(
    "temporal-modelling",
    runs="both networks with frames in three orders, and the same trunk with frames averaged, two runs or more of each",
    clips="test clips of classes that only order tells apart; where a study has none, all test clips",
    since="2026-11-29T01:55:00Z",
)
def temporal_modelling(claim: Claim, evidence: Evidence) -> Verdict:
    """What both networks lose when a clip's frames are shuffled, reversed, or averaged over in place of the head.

    Where classes are others played backwards their clips are asked, for only order tells these apart; elsewhere all
    clips. A part that was not run is not shown. One of so many comparisons may seem to be there by chance, so the
    surest counts as a part only where its p is below ``LEVEL`` over their number.
    """
    told: Told = []
    sets = [some for some in evidence.alike() if in_order_against_not(some)]
    for some in sets:
        gains = {name: gain_of(pairs, is_right) for name, pairs in in_order_against_not(some).items()}
        said = [judge_gain(gain) for gain in gains.values()]
        short = f"accuracy lost with the order of frames in {said.count('reproduced')} of {len(said)} comparisons"
        rest = {"could be chance": said.count("undecided"), "not run": PARTS - len(said)}
        named = ", ".join(f"{number} {words}" for words, number in rest.items() if number)
        short += f" ({named})" if named else ""
        shown = "; ".join(
            f"{name} {with_interval(gain, signed=True)} (p {p_text(gain.p)}; {_counted(gain, 'pair')})"
            for name, gain in gains.items()
        )
        place, study = where(_own(some), [_own(each) for each in sets]), _own(some)[0].experiment.study
        outcome = parts([*said, *["undecided"] * (PARTS - len(said))])
        sure = min((gain.p for gain, each in zip(gains.values(), said) if each == "reproduced"), default=1.0)
        if outcome == "partly" and PARTS * sure >= LEVEL:
            outcome = "undecided"
        told.append((Finding(study, place, outcome, short, f"top-1 in order minus {shown}"), some))
    return _verdict(
        claim,
        told,
        test="Top-1 of each network with frames in order, minus its own with frames shuffled and reversed, and minus "
        "that of the same trunk with frames averaged; on classes that only order tells apart, where there are such.",
        settle=evidence.full_size("something_v1"),
        needs="converged runs scored with frames in another order",
        page="time",
    )


def _own(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.experiment.model in (BASELINE, ATTENTION)]


def in_order_against_not(records: Sequence[Record]) -> dict[str, Pairs]:
    """The comparisons that these runs allow, by name; each pair is without and with the order of frames.

    Of classes that are others played backwards, where there are such: only order tells these apart.
    """
    found: dict[str, Pairs] = {}
    for model in (BASELINE, ATTENTION):
        runs = [record for record in records if record.experiment.model == model]
        for order in ORDERS:
            scored = [record for record in runs if order in record.altered]
            found[f"{TITLES[model]}, {order}"] = [(seen(record, order), in_16_bits(record)) for record in scored]
        found[f"{TITLES[model]}, frames averaged"] = partners(records, CONTROL, model)
    return {name: [(_told_by_order(a), _told_by_order(b)) for a, b in pairs] for name, pairs in found.items() if pairs}


def _told_by_order(record: Record) -> Record:
    """The record's clips of classes that are others played backwards; all of them where there are none."""
    told = np.isin(record.labels, backwards_pairs(record.classes))
    return only(record, told) if told.any() else record
