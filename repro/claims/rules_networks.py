"""The rules on what the networks recognise: accuracy, look-alikes, time. See ``repro.claims.judging``."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from repro.claims.judging import (
    LESS_CERTAIN,
    Evidence,
    Finding,
    Verdict,
    combined,
    judge_gain,
    missing,
    over_runs,
    rule,
    sources,
    where,
)
from repro.claims.official import NAMES, OFFICIAL, official_runs
from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TITLES
from repro.metrics.statistics import Interval, wilson_interval
from repro.metrics.text import percent, with_interval
from repro.paper.cells import Claim
from repro.paper.look_alikes import backwards_pairs, named_pairs
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import (
    Score,
    backwards_table,
    is_right,
    mistaken_for_partner,
    paired_difference,
    per_clip,
    right_of_look_alikes,
)

FEWEST_GROUPS = 20  # bootstrap intervals over fewer are too narrow (repro.metrics.statistics)


@rule("accuracy-hmdb51", "accuracy-ucf101", "accuracy-sthv1", since="2026-11-23T19:12:12Z")
def accuracy(claim: Claim, evidence: Evidence) -> Verdict:
    """The paper's number against the interval of full-size runs on its own dataset, official test split.

    A run that stays below does not contradict it: the paper pre-trains on Kinetics, which no run here can yet.
    """
    name, number = NAMES[claim.dataset], float(claim.value or 0)
    test = f"Top-1 of {claim.text} against the 95 % interval of full-size runs on {name}'s whole official split."
    runs = [r for r in official_runs(evidence.records, claim.dataset) if r.experiment.model == ATTENTION]
    if not runs:
        return missing(
            claim,
            f"No run on {name} is recorded.",
            f"{name} and a GPU server",
            test=test,
            settle=f"`snakemake --configfile profiles/paper.yaml` where {name} is at hand"
            f"{evidence.hours(OFFICIAL[claim.dataset])}.",
        )
    intervals = [wilson_interval(int(is_right(r).sum()), len(r.labels)) for r in runs]
    outcome = combined("reproduced" if i.high >= number / 100 else "not testable" for i in intervals)
    shown = "; ".join(f"{r.name}: {with_interval(i)}, n = {i.n}" for r, i in zip(runs, intervals))
    return Verdict(
        claim,
        outcome,
        test,
        f"{shown}.",
        "The same after pre-training on Kinetics, 3 or more seeds.",
        f"accuracy-{runs[0].experiment.study}",
        "pre-training on Kinetics" if outcome == "not testable" else "",
        sources=sources(runs),
    )


def _network_gain(
    claim: Claim,
    evidence: Evidence,
    score: Score,
    sign: int,
    *,
    test: str,
    settle: str,
    page: str,
    keep: Callable[[Sequence[Record]], bool] = lambda records: True,
    unless: Score | None = None,
) -> Verdict:
    """A verdict from SE-IM against the baseline, set of like runs by set, paired by clip.

    unless: a score that must not fall meanwhile: where it does on average, the outcome is one step nearer to doubt, and
    where it does in a pair of runs, that pair is not counted as better.
    """
    outcomes, shown, scopes, used = [], [], [], []
    findings: list[Finding] = []
    chapter = ""
    groups = [records for records in evidence.alike() if partners(records, BASELINE, ATTENTION) and keep(records)]
    for records in groups:
        pairs = partners(records, BASELINE, ATTENTION)
        table = per_clip([pair[0] for pair in pairs], score)
        clips, videos = len(table), table["group"].nunique()
        used += [record for pair in pairs for record in pair]
        count = f"{clips} test clips in {videos} groups, {len(pairs)} pair{'s' if len(pairs) > 1 else ''} of runs"
        if videos < FEWEST_GROUPS:
            outcomes.append("not testable")
            shown.append(f"{where(records, groups)}: {count}, fewer than {FEWEST_GROUPS} groups: too few")
            continue
        difference = paired_difference(pairs, score)
        gain = (
            difference
            if sign > 0
            else Interval(-difference.point, -difference.high, -difference.low, difference.n, difference.confidence)
        )
        single = [sign * float(score(b).mean() - score(a).mean()) for a, b in pairs]
        outcome, but = over_runs(judge_gain(gain), single), ""
        if unless is not None and outcome in LESS_CERTAIN:
            price = paired_difference(pairs, unless)
            if price.point < 0:
                outcome = LESS_CERTAIN[outcome]
                but = f", but {with_interval(price, signed=True)} of all clips right among these classes"
        outcomes.append(outcome)
        stuck = [record for pair in pairs for record in pair if _at_chance(record)]
        learned = [pair for pair in pairs if not any(map(_at_chance, pair))]
        finding = Finding(
            study=records[0].experiment.study,
            place=where(records),
            difference=difference,
            clips=clips,
            groups=videos,
            pairs=len(pairs),
            better=sum(
                each > 0 and (unless is None or unless(b).mean() >= unless(a).mean())
                for each, (a, b) in zip(single, pairs)
            ),
            stuck=tuple(TITLES[record.experiment.model] for record in stuck),
            rest=paired_difference(learned, score) if learned and stuck else None,
        )
        findings.append(finding)
        scopes.append(where(records, groups))
        doubt = f", {finding.better} of {len(pairs)} pairs on the paper's side"
        if finding.stuck:
            doubt += f", {len(stuck)} of {2 * len(pairs)} runs learned nothing ({', '.join(finding.stuck)})"
        if finding.rest:
            doubt += f", without them {with_interval(finding.rest, signed=True)}"
        shown.append(f"{scopes[-1]}: {with_interval(difference, signed=True)} ({count}{doubt}){but}: {outcome}")
        chapter = chapter or f"{page}-{records[0].experiment.study}"
    if not outcomes:
        return missing(claim, "Not run.", "runs of both networks", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more clips and seeds" if outcome == "not testable" else ""
    return Verdict(
        claim,
        outcome,
        test,
        "; ".join(shown) + ".",
        settle,
        chapter,
        without,
        scope=", ".join(scopes),
        short=_in_short(findings) if findings else "",
        sources=sources(used),
        findings=tuple(findings),
    )


def _in_short(findings: list[Finding]) -> str:
    """In how many pairs of runs the claim holds, by the clips that they were tested on."""
    pairs: dict[str, list[int]] = {}
    stuck: list[str] = []
    for finding in findings:
        counts = pairs.setdefault(finding.place, [0, 0])
        counts[0] += finding.better
        counts[1] += finding.pairs
        stuck += finding.stuck
    text = "better in " + ", ".join(f"{k} of {n} pairs of runs {place}" for place, (k, n) in pairs.items())
    failed = ", ".join(f"{stuck.count(name)} of {name}" for name in dict.fromkeys(stuck))
    return f"{text} (runs that learned nothing: {failed})" if stuck else text


@rule("se-im-beats-baseline", since="2026-11-25T23:31:00Z")
def beats_baseline(claim: Claim, evidence: Evidence) -> Verdict:
    """Difference in top-1, SE-IM minus baseline."""
    return _network_gain(
        claim,
        evidence,
        is_right,
        +1,
        test="Both networks trained alike on the same clips; difference in top-1 (Res34-SE-IM-Net minus baseline).",
        settle="full-size runs on HMDB51, UCF101 and Something-Something v1 after Kinetics, 3 or more seeds"
        f"{evidence.hours(*OFFICIAL.values())}.",
        page="accuracy",
    )


@rule("se-im-reduces-confusion", since="2026-11-25T23:31:00Z")
def reduces_confusion(claim: Claim, evidence: Evidence) -> Verdict:
    """Difference in the share of clips taken for their class's look-alike; pairs named beforehand, not picked.

    A network that takes such clips for anything else instead confuses look-alikes less, too: so no fewer of them may be
    right.
    """
    return _network_gain(
        claim,
        evidence,
        mistaken_for_partner,
        -1,
        test=(
            "Share of clips taken for the look-alike of their class, pairs named by the paper, "
            "Res34-SE-IM-Net minus baseline (negative is better), with no fewer of their clips right."
        ),
        settle=f"HMDB51's three splits at full size, 3 or more seeds{evidence.hours('hmdb51')}.",
        keep=lambda records: bool(named_pairs(records[0].classes)),
        unless=right_of_look_alikes,
        page="confusion",
    )


def _at_chance(record: Record) -> bool:
    """Whether a run's accuracy is what guessing gives, by its 95 % interval."""
    return wilson_interval(int(is_right(record).sum()), len(record.labels)).low <= 1 / len(record.classes)


def _is(record: Record, *models: str) -> bool:
    return record.experiment.model in models


@rule("confusing-actions-matter", since="2026-11-25T23:31:00Z")
def confusing_actions_matter(claim: Claim, evidence: Evidence) -> Verdict:
    """Share of the baseline's errors that fall on the look-alike: most of them, or at least more than chance.

    Runs are averaged, not added up: they err on the same clips. With two classes every error is the look-alike. The
    demo set's pairs were built to look alike, so it can speak for the claim in part at most.
    """
    test = "Share of the baseline's wrong clips that were taken for the look-alike of their class."
    settle = f"HMDB51 at full size{evidence.hours('hmdb51')}."
    shown, outcomes, scopes, used, brief, chapter = [], [], [], [], [], ""
    groups = [r for r in evidence.alike() if named_pairs(r[0].classes) and any(_is(x, BASELINE) for x in r)]
    for records in groups:
        runs = [r for r in records if _is(r, BASELINE)]
        pairs = named_pairs(records[0].classes)
        others = len(records[0].classes) - 1
        wrong = sum(int((~is_right(r)).sum()) for r in runs)
        if others < 2 or wrong < len(runs):
            continue
        used += runs
        within = sum(int((mistaken_for_partner(r) & ~is_right(r)).sum()) for r in runs)
        share = wilson_interval(round(within / len(runs)), round(wrong / len(runs)))
        paired = sum(int((~is_right(r) & np.isin(r.labels, pairs)).sum()) for r in runs)
        chance = paired / wrong / others
        built = bool(backwards_pairs(records[0].classes))
        if share.low > 0.5 and not built:
            outcomes.append("reproduced")
        elif share.low > chance:
            outcomes.append("partly")
        else:
            outcomes.append("contradicted" if share.high < 0.5 else "not testable")
        shown.append(
            f"{where(records, groups)}: {with_interval(share)} of {share.n} errors (mean of {len(runs)} "
            f"run{'s' if len(runs) > 1 else ''}); {percent(chance)} if errors fell anywhere"
        )
        scopes.append(where(records, groups) + (", whose classes were made to look alike" if built else ""))
        brief.append(f"{percent(share.point)} of the errors {scopes[-1]}; by chance {percent(chance)}")
        chapter = chapter or f"confusion-{records[0].experiment.study}"
    if not outcomes:
        return missing(claim, "Not run.", "runs on classes with named look-alikes", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more errors to count" if outcome == "not testable" else ""
    text, scope = "; ".join(shown) + ".", ", ".join(scopes)
    return Verdict(
        claim, outcome, test, text, settle, chapter, without, scope, short="; ".join(brief), sources=sources(used)
    )


@rule("temporal-modelling", since="2026-11-25T23:31:00Z")
def temporal_modelling(claim: Claim, evidence: Evidence) -> Verdict:
    """Inside pairs of which one class is the other played backwards: 3D head above one half, frame averaging not."""
    test = (
        "Choice inside two pairs of actions of which one is the other played backwards: the 3D head must be above "
        "50 %, the same trunk with frames averaged must not."
    )
    settle = f"Something-Something v1, where many classes differ by order alone{evidence.hours('something_v1')}."
    shown, outcomes, scopes, used, brief, chapter = [], [], [], [], [], ""
    groups = [
        r for r in evidence.alike() if any(_is(x, BASELINE, ATTENTION) for x in r) and backwards_pairs(r[0].classes)
    ]
    for records in groups:
        table = backwards_table(records)
        heads = table[table["model"].isin((BASELINE, ATTENTION))] if len(table) else table
        if not len(heads):
            continue
        control = table[table["model"] == CONTROL]
        used += [record for record in records if _is(record, BASELINE, ATTENTION, CONTROL)]
        above = (heads["low"] > 0.5).sum()
        blind = ((control["low"] <= 0.5) & (control["high"] >= 0.5)).all() and len(control) > 0
        if above == len(heads) and blind:
            outcomes.append("reproduced")
        elif above:
            outcomes.append("partly")
        else:
            outcomes.append("contradicted" if (heads["high"] < 0.5).all() else "not testable")

        def span(rows: pd.DataFrame) -> str:
            if not len(rows):
                return "not run"
            return (
                f"{percent(rows['point'].min())} to {percent(rows['point'].max())} "
                f"[{100 * rows['low'].min():.1f}, {100 * rows['high'].max():.1f}]"
            )

        shown.append(
            f"{where(records, groups)}: 3D head {span(heads)}; frames averaged {span(control)}; "
            f"n = {heads['clips'].min()} clips a pair or more, {len(heads)} network-seed-pairs: {outcomes[-1]}"
        )
        scopes.append(where(records, groups))
        averaged = f"{percent(control['point'].mean())} with" if len(control) else "not run with"
        brief.append(
            f"an action told from its reverse {where(records, groups)}: {percent(heads['point'].mean())}, {averaged} "
            "frames averaged"
        )
        chapter = chapter or f"confusion-{records[0].experiment.study}"
    if not outcomes:
        return missing(claim, "Not run.", "runs on pairs played backwards (the demo set)", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more clips" if outcome == "not testable" else ""
    text, scope = "; ".join(shown) + ".", ", ".join(scopes)
    return Verdict(
        claim, outcome, test, text, settle, chapter, without, scope, short="; ".join(brief), sources=sources(used)
    )
