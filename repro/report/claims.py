"""The verdict on each claim of the paper, computed from recorded runs by the rules below; none is typed in.

An outcome is one of ``OUTCOMES``. A rule sees fresh records only. The rules for a measured gain are all alike
(:func:`judge_gain`): *reproduced* when its whole 95 % interval is on the claimed side, *partly* when only the estimate
is, *contradicted* when the whole interval is on the other side, and *not testable* without more clips in between. That
interval is over clips: a gain of networks must besides have the same sign in every pair of runs, two pairs at least.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.freshness import Digest, todays_digest
from repro.metrics.statistics import Interval, wilson_interval
from repro.models import build
from repro.models.blocks import Gate
from repro.models.peers.rows import rows
from repro.paper import Claim, Paper, load
from repro.profile import ABLATION
from repro.records import RESULTS, Record, read_measurements, read_study, studies
from repro.report import table6
from repro.report.official import FULL, NAMES, official_runs
from repro.report.table6 import Measured
from repro.report.tables import (
    ATTENTION,
    BASELINE,
    CONTROL,
    backwards_pairs,
    backwards_table,
    is_right,
    mistaken_for_partner,
    named_pairs,
    paired_difference,
    partners,
    per_clip,
    percent,
    right_of_look_alikes,
    with_interval,
)

OUTCOMES = ("reproduced", "partly", "contradicted", "not testable")
CAMERA_RATE = 25  # frames a second that "real time" has to keep up with
FEWEST_GROUPS = 20  # bootstrap intervals over fewer are too narrow (repro.metrics.statistics)
WHERE_FILED = ("study", "run", "remark", "threads", "workers", "prefetch")  # fields that change no result
OF_A_RUN = ("model", "gate", "split", "seed", "start_from")  # and those in which runs that are put together may differ


@dataclass(frozen=True)
class Verdict:
    """What became of one claim."""

    claim: Claim
    outcome: str  # one of OUTCOMES
    test: str  # how it was tested here
    evidence: str  # figures with interval and n
    settle: str  # what would settle it
    chapter: str = ""  # page of the book
    without: str = ""  # for "not testable": what is missing
    scope: str = ""  # the clips that the verdict speaks for
    short: str = ""  # the evidence in a few words, where the outcome alone says too little

    @property
    def how(self) -> str:
        """In a few words what the verdict rests on."""
        if self.outcome == "not testable":
            return self.text
        sources = {"complexity": "counted or timed here at full size", "architecture": "by construction"}
        return self.short or self.scope or sources.get(self.chapter, "from published numbers")

    @property
    def text(self) -> str:
        return f"not testable without {self.without}" if self.outcome == "not testable" else self.outcome


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules may look at."""

    paper: Paper
    records: tuple[Record, ...]  # fresh ones
    stale: tuple[str, ...] = ()  # names of those left out
    table6: dict[str, Measured] = field(default_factory=dict)  # record by device
    online: dict[str, dict[str, Any]] = field(default_factory=dict)

    def by_study(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.experiment.study, []).append(record)
        return found

    def alike(self) -> list[list[Record]]:
        """The records apart by classes and settings: only within one are figures put together.

        Studies of the same clips and settings are one (seeds are pooled); a run that several of them hold counts once.
        The largest study comes first.
        """
        studies = sorted(self.by_study().values(), key=len, reverse=True)
        found: dict[str, dict[str, Record]] = {}
        for record in (record for study in studies for record in study):
            settings = {k: v for k, v in record.experiment.to_dict().items() if k not in WHERE_FILED}
            runs = found.setdefault(str((record.classes, {k: v for k, v in settings.items() if k not in OF_A_RUN})), {})
            runs.setdefault(str(settings) + record.data["hash"], record)
        return [list(runs.values()) for runs in found.values()]


def gather(results: Path = RESULTS, *, today: Digest | None = None) -> Evidence:
    """Read every record and measurement under ``results``; stale records are left out of the verdicts and named."""
    today = todays_digest() if today is None else today
    # runs with one choice changed speak for that choice (repro.report.ablations), not for the paper's networks; the
    # control without a 3D head is neither
    records = [
        record
        for study in studies(results)
        for record in read_study(study, results)
        if not study.startswith(ABLATION) or record.experiment.model == CONTROL
    ]
    return Evidence(
        paper=load(),
        records=tuple(record for record in records if not record.stale(today)),
        stale=tuple(record.name for record in records if record.stale(today)),
        table6=table6.read(results),
        online=read_measurements("online", results),
    )


Rule = Callable[[Claim, Evidence], Verdict]
RULES: dict[str, Rule] = {}


def rule(*ids: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ids, function))
        return function

    return register


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    return RULES[claim.id](claim, evidence)


def judge_all(evidence: Evidence | None = None) -> list[Verdict]:
    """The verdict on every claim of the paper, in the file's order."""
    evidence = gather() if evidence is None else evidence
    return [judge(claim, evidence) for claim in evidence.paper.claims]


def judge_gain(gain: Interval) -> str:
    """One of OUTCOMES for an effect that the paper says is above zero; see the module's text."""
    if gain.low > 0:
        return "reproduced"
    if gain.high < 0:
        return "contradicted"
    return "partly" if gain.point > 0 else "not testable"


def combined(outcomes: Iterable[str]) -> str:
    """Several studies' outcomes as one: their common one, else *partly* when any speaks for the claim."""
    found = set(outcomes)
    if len(found) == 1:
        return found.pop()
    if found & {"reproduced", "partly"}:
        return "partly"
    return "contradicted" if "contradicted" in found else "not testable"


def where(records: Sequence[Record]) -> str:
    """How the verdicts name a study's clips."""
    experiment = records[0].experiment
    return f"on {experiment.dataset}"


def _missing(claim: Claim, evidence: str, without: str, *, test: str, settle: str, chapter: str = "") -> Verdict:
    return Verdict(claim, "not testable", test, evidence, settle, chapter, without)


@rule("accuracy-hmdb51", "accuracy-ucf101", "accuracy-sthv1")
def accuracy(claim: Claim, evidence: Evidence) -> Verdict:
    """The paper's number against the interval of full-size runs on its own dataset, official test split.

    A run that stays below does not contradict it: the paper pre-trains on Kinetics, which no run here can yet.
    """
    name = NAMES[claim.dataset]
    test = f"Top-1 of {claim.text} against the 95 % interval of full-size runs on {name}'s whole official split."
    runs = [r for r in official_runs(evidence.records, claim.dataset) if r.experiment.model == ATTENTION]
    if not runs:
        return _missing(
            claim,
            f"No run on {name} is recorded.",
            f"{name} and a GPU server",
            test=test,
            settle=f"`snakemake --configfile profiles/paper.yaml` where {name} is at hand.",
        )
    intervals = [wilson_interval(int(is_right(r).sum()), len(r.labels)) for r in runs]
    outcome = combined("reproduced" if i.high >= claim.value / 100 else "not testable" for i in intervals)
    shown = "; ".join(f"{r.name}: {with_interval(i)}, n = {i.n}" for r, i in zip(runs, intervals))
    return Verdict(
        claim,
        outcome,
        test,
        f"{shown}.",
        "The same after pre-training on Kinetics, 3 or more seeds.",
        f"accuracy-{runs[0].experiment.study}",
        "pre-training on Kinetics" if outcome == "not testable" else "",
    )


def _network_gain(
    claim: Claim, evidence: Evidence, score, sign: int, *, test, settle, keep=lambda records: True, unless=None, page
):
    """A verdict from SE-IM against the baseline, set of like runs by set, paired by clip.

    unless: a score that must not fall meanwhile on average; where it does, the outcome is one step nearer to doubt.
    """
    outcomes, shown, scopes = [], [], []
    chapter = ""
    for records in evidence.alike():
        pairs = partners(records, BASELINE, ATTENTION)
        if not pairs or not keep(records):
            continue
        table = per_clip([pair[0] for pair in pairs], score)
        clips, groups = len(table), table["group"].nunique()
        count = f"{clips} test clips in {groups} groups, {len(pairs)} pair{'s' if len(pairs) > 1 else ''} of runs"
        if groups < FEWEST_GROUPS:
            outcomes.append("not testable")
            shown.append(f"{where(records)}: {count}, fewer than {FEWEST_GROUPS} groups: too few")
            continue
        difference = paired_difference(pairs, score)
        gain = (
            difference
            if sign > 0
            else Interval(-difference.point, -difference.high, -difference.low, difference.n, difference.confidence)
        )
        single = [sign * float(score(b).mean() - score(a).mean()) for a, b in pairs]
        outcome, but = _over_runs(judge_gain(gain), single), ""
        if unless is not None and outcome in LESS_CERTAIN:
            price = paired_difference(pairs, unless)
            if price.point < 0:
                outcome = LESS_CERTAIN[outcome]
                but = f", but {with_interval(price, signed=True)} of all clips right among these classes"
        outcomes.append(outcome)
        scopes.append(where(records))
        shown.append(f"{where(records)}: {with_interval(difference, signed=True)} ({count}){but}: {outcome}")
        chapter = chapter or f"{page}-{records[0].experiment.study}"
    if not outcomes:
        return _missing(claim, "Not run.", "runs of both networks", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more clips and seeds" if outcome == "not testable" else ""
    return Verdict(claim, outcome, test, "; ".join(shown) + ".", settle, chapter, without, ", ".join(scopes))


LESS_CERTAIN = {"reproduced": "partly", "partly": "not testable"}


def _over_runs(outcome: str, gains: Sequence[float]) -> str:
    """The outcome, one step nearer to doubt unless two pairs of runs or more all speak with the same sign."""
    if outcome == "reproduced" and not (len(gains) > 1 and min(gains) > 0):
        return "partly"
    if outcome == "contradicted" and not (len(gains) > 1 and max(gains) < 0):
        return "not testable"
    return outcome


@rule("se-im-beats-baseline")
def beats_baseline(claim: Claim, evidence: Evidence) -> Verdict:
    """Difference in top-1, SE-IM less baseline."""
    return _network_gain(
        claim,
        evidence,
        is_right,
        +1,
        test="Both networks trained alike on the same clips; difference in top-1 (Res34-SE-IM-Net less baseline).",
        settle="HMDB51, UCF101 and Something-Something v1 at full size, 3 or more seeds.",
        page="accuracy",
    )


@rule("se-im-reduces-confusion")
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
            "Res34-SE-IM-Net less baseline (negative is better), with no fewer of their clips right."
        ),
        settle="HMDB51's three splits at full size, 3 or more seeds.",
        keep=lambda records: bool(named_pairs(records[0].classes)),
        unless=right_of_look_alikes,
        page="confusion",
    )


@rule("confusing-actions-matter")
def confusing_actions_matter(claim: Claim, evidence: Evidence) -> Verdict:
    """Share of the baseline's errors that fall on the look-alike: most of them, or at least more than chance.

    Runs are averaged, not added up: they err on the same clips. With two classes every error is the look-alike. The
    demo set's pairs were built to look alike, so it can speak for the claim in part at most.
    """
    test = "Share of the baseline's wrong clips that were taken for the look-alike of their class."
    settle = "HMDB51 at full size."
    shown, outcomes, scopes, chapter = [], [], [], ""
    for records in evidence.alike():
        runs = [r for r in records if r.experiment.model == BASELINE]
        pairs = named_pairs(records[0].classes)
        others = len(records[0].classes) - 1
        wrong = sum(int((~is_right(r)).sum()) for r in runs)
        if not pairs or others < 2 or wrong < len(runs) or not runs:
            continue
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
            f"{where(records)}: {with_interval(share)} of {share.n} errors (mean of {len(runs)} "
            f"run{'s' if len(runs) > 1 else ''}); {percent(chance)} if errors fell anywhere"
        )
        scopes.append(where(records) + (", built to have look-alikes" if built else ""))
        chapter = chapter or f"confusion-{records[0].experiment.study}"
    if not outcomes:
        return _missing(claim, "Not run.", "runs on classes with named look-alikes", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more errors to count" if outcome == "not testable" else ""
    return Verdict(claim, outcome, test, "; ".join(shown) + ".", settle, chapter, without, ", ".join(scopes))


@rule("temporal-modelling")
def temporal_modelling(claim: Claim, evidence: Evidence) -> Verdict:
    """Inside pairs that are each other played backwards: 3D head above one half, frame averaging not."""
    test = (
        "Choice inside two pairs of actions that are each other played backwards: the 3D head must be above 50 %, "
        "the same trunk with frames averaged must not."
    )
    settle = "Something-Something v1, where many classes differ by order alone."
    shown, outcomes, scopes, chapter = [], [], [], ""
    for records in evidence.alike():
        table = backwards_table(records)
        heads = table[table["model"] != CONTROL] if len(table) else table
        if not len(heads):
            continue
        control = table[table["model"] == CONTROL]
        above = (heads["low"] > 0.5).sum()
        blind = ((control["low"] <= 0.5) & (control["high"] >= 0.5)).all() and len(control) > 0
        if above == len(heads) and blind:
            outcomes.append("reproduced")
        elif above:
            outcomes.append("partly")
        else:
            outcomes.append("contradicted" if (heads["high"] < 0.5).all() else "not testable")

        def span(rows):
            if not len(rows):
                return "not run"
            return (
                f"{percent(rows['point'].min())} to {percent(rows['point'].max())} "
                f"[{100 * rows['low'].min():.1f}, {100 * rows['high'].max():.1f}]"
            )

        shown.append(
            f"{where(records)}: 3D head {span(heads)}; frames averaged {span(control)}; "
            f"n = {heads['clips'].min()} clips a pair or more, {len(heads)} network-seed-pairs"
        )
        scopes.append(where(records))
        chapter = chapter or f"confusion-{records[0].experiment.study}"
    if not outcomes:
        return _missing(claim, "Not run.", "runs on pairs played backwards (the demo set)", test=test, settle=settle)
    outcome = combined(outcomes)
    without = "more clips" if outcome == "not testable" else ""
    return Verdict(claim, outcome, test, "; ".join(shown) + ".", settle, chapter, without, ", ".join(scopes))


@rule("temporal-limit")
def temporal_limit(claim: Claim, evidence: Evidence) -> Verdict:
    return _missing(
        claim,
        "The rendered backwards pairs are simple motions; they cannot stand for complex ones.",
        NAMES["sthv1"],
        test="Accuracy on classes that differ only in the order of events.",
        settle=f"Full-size runs on {NAMES['sthv1']}.",
    )


NO_TABLE6 = "the Table 6 measurement"
RUN_TABLE6 = "`repro profile`."


def _measured(evidence: Evidence) -> Measured | None:
    """The record of Table 6, a GPU's before a CPU's, with both networks at the paper's input."""
    full = {"frames": FULL["frames"], "size": FULL["size"]}
    for device in ("cuda", "cpu"):
        found = evidence.table6.get(device)
        own = [found.networks.get(name, {}) for name in (BASELINE, ATTENTION)] if found else []
        if own and all(entry.get(key) == value for entry in own for key, value in full.items()):
            return found
    return None


def _counts_text(entry) -> str:
    return f"{entry['parameters'] / 1e6:.1f} M, {entry['multiply_adds'] / 1e9:.1f} GMACs, depth {entry['depth']}"


def _of_all(comparison: table6.Comparison) -> str:
    """Better than all compared with, some or none of them."""
    if not comparison.not_better:
        return "reproduced"
    return "partly" if comparison.better else "contradicted"


@rule("se-im-costs-little")
def costs_little(claim: Claim, evidence: Evidence) -> Verdict:
    """Less than one per cent more parameters and multiply-adds."""
    test = "Parameters and multiply-adds of both networks, counted; little means less than 1 % more."
    measured = _measured(evidence)
    if measured is None:
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    a, b = (measured.networks[name] for name in (BASELINE, ATTENTION))
    more = [b[key] / a[key] - 1 for key in ("parameters", "multiply_adds")]
    return Verdict(
        claim,
        "reproduced" if max(more) < 0.01 else "contradicted",
        test,
        f"+{b['parameters'] - a['parameters']:,} parameters (+{100 * more[0]:.2f} %), "
        f"+{(b['multiply_adds'] - a['multiply_adds']) / 1e6:.1f} million multiply-adds (+{100 * more[1]:.3f} %).",
        "Settled by counting, for the reading of the text that the ledger names.",
        "complexity",
    )


@rule("fused-reduces-complexity")
def fused(claim: Claim, evidence: Evidence) -> Verdict:
    """Beside R(2+1)D-34 and 3D networks as deep or deeper that were built: fewer operations a frame and pixel."""
    test = (
        "Parameters, and multiply-adds a frame and pixel (inputs differ), of the fused networks beside those of every "
        "3D network compared with that is as deep as the baseline or deeper."
    )
    settle = "A 3D network of exactly the same depth on the same input, trained to the same accuracy."
    measured = _measured(evidence)
    if measured is None:
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    own = measured.networks[BASELINE]
    deep = [n for n in THREE_D if n in measured.networks and measured.networks[n]["depth"] >= own["depth"]]
    if not deep:
        return _missing(claim, "Not run.", "3D networks as deep", test=test, settle=settle, chapter="complexity")
    less = []
    for name in deep:
        other = measured.networks[name]
        less += [own["parameters"] < other["parameters"], _per_pixel(own) < _per_pixel(other)]
    shown = ", ".join(
        f"{rows()[n].title} {measured.networks[n]['parameters'] / 1e6:.1f} M, {_per_pixel(measured.networks[n]):.0f}, "
        f"depth {measured.networks[n]['depth']}"
        for n in deep
    )
    return Verdict(
        claim,
        "reproduced" if all(less) else "partly" if any(less) else "contradicted",
        test,
        f"Baseline {own['parameters'] / 1e6:.1f} M, {_per_pixel(own):.0f} thousand multiply-adds a pixel, depth "
        f"{own['depth']}; {shown}.",
        settle,
        "complexity",
    )


THREE_D = ("r2plus1d_34", "p3d_199", "resnext3d_101")  # 3D throughout; two of them are narrow, so fewer channels count


def _per_pixel(entry) -> float:
    """Thousands of multiply-adds a pixel of the input clip."""
    return entry["multiply_adds"] / (entry["frames"] * entry["size"] ** 2) / 1e3


LIGHT = {
    "lightweight": (BASELINE, ("parameters", "multiply_adds"), "parameters and multiply-adds"),
    "fewer-parameters": (ATTENTION, ("parameters",), "parameters"),
    "shallower-fewer-operations": (ATTENTION, ("depth", "multiply_adds"), "layers and multiply-adds"),
}


@rule(*LIGHT)
def lightweight(claim: Claim, evidence: Evidence) -> Verdict:
    """Fewer parameters, multiply-adds or layers than the networks compared with: than all, some or none of them.

    The first of these claims is about the baseline, the others about both networks: the heavier decides. Of a network
    measured at several frame counts the one nearest to 16 frames counts; I3D is left out where the paper excepts it.
    """
    name, keys, words = LIGHT[claim.id]
    test = f"{words.capitalize()}, counted here, beside those of every network compared with, each at its own input."
    settle = "The rows of Table 6, which the text does not give."
    measured = _measured(evidence)
    if measured is None:
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    found = table6.fewer(measured, name, keys, leave_out=("i3d",))
    if not (found.better or found.not_better):
        return _missing(claim, "No network to compare with.", "peers", test=test, settle=RUN_TABLE6)
    heavy = [f"{rows()[n].title} ({_counts_text(measured.networks[n])})" for n in found.not_better[:4]]
    more = ", ..." if len(found.not_better) > 4 else ""
    return Verdict(
        claim,
        _of_all(found),
        test,
        f"Ours {_counts_text(measured.networks[name])}. Fewer {words} than {found.count}"
        + (f": not than {', '.join(heavy)}{more}" if heavy else "")
        + ".",
        settle,
        "complexity",
        short=f"fewer {words} than {found.count} networks compared with, counted here",
    )


@rule("fast")
def fast(claim: Claim, evidence: Evidence) -> Verdict:
    """Both networks faster than all, some or none, by paired ratios whose whole 95 % interval is above 1."""
    test = "Clips a second of every network at its own published input, in turn in one run on one machine, float32."
    settle = "The same on the paper's machine, which the text does not name: `repro profile`."
    measured = _measured(evidence)
    found = [table6.faster(measured, name) for name in (BASELINE, ATTENTION)] if measured else []
    if not found or not all(each.better or each.not_better for each in found):
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    slow = dict.fromkeys(name for each in found for name in each.not_better)
    fast_ = [name for name in found[0].better if name in found[1].better]
    both = table6.Comparison(tuple(fast_), tuple(slow))
    rates = [measured.rate(name)["median"] for name in (BASELINE, ATTENTION)]
    return Verdict(
        claim,
        _of_all(both),
        test,
        f"{rates[0]:.2f} and {rates[1]:.2f} clips/s on {measured.name}: both faster than {both.count}"
        + (f" ({table6.titles(both.better)})" if both.better else "")
        + ".",
        settle,
        "complexity",
        short=f"faster than {both.count} networks compared with, timed on {measured.name}",
    )


@rule("i3d-costlier")
def i3d_costlier(claim: Claim, evidence: Evidence) -> Verdict:
    """Three statements: I3D has fewer parameters, more multiply-adds a clip, and is slower than both networks."""
    test = "I3D's parameters, multiply-adds and clips/s beside both networks', each at its own input, float32, in turn."
    settle = "Settled for this machine and this input of I3D; its test takes the whole video, which costs more."
    measured = _measured(evidence)
    ratios = [measured.ratio(name, "i3d") for name in (BASELINE, ATTENTION)] if measured else [None]
    if None in ratios:
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    i3d, own = measured.networks["i3d"], [measured.networks[name] for name in (BASELINE, ATTENTION)]
    held = [
        all(i3d["parameters"] < each["parameters"] for each in own),
        all(i3d["multiply_adds"] > each["multiply_adds"] for each in own),
        all(ratio.low > 1 for ratio in ratios),
    ]
    shown = " and ".join(f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" for ratio in ratios)
    return Verdict(
        claim,
        "reproduced" if all(held) else "partly" if any(held) else "contradicted",
        test,
        f"I3D {_counts_text(i3d)}; ours {_counts_text(own[1])}, and {shown} times I3D's clips/s on {measured.name}.",
        settle,
        "complexity",
    )


@rule("easy-to-deploy")
def easy_to_deploy(claim: Claim, evidence: Evidence) -> Verdict:
    """One forward pass of the full-size network within the time in which a camera delivers its N frames."""
    test = (
        f"One decision of the full-size network within the time in which a {CAMERA_RATE} Hz camera delivers its "
        "frames, plain float32."
    )
    settle = "The same on the hardware in question: `repro profile`."
    measured = _measured(evidence)
    rate = measured.rate(ATTENTION) if measured else None
    if rate is None:
        return _missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    frames = measured.networks[ATTENTION]["frames"]
    budget = frames / CAMERA_RATE
    slow, middle, fast_ = (1 / rate[k] for k in ("q25", "median", "q75"))
    outcome = "reproduced" if slow <= budget else "contradicted" if fast_ > budget else "partly"
    in_16_bits = measured.rate(ATTENTION, "bf16")
    also = f" In bf16 {1 / in_16_bits['median']:.2f} s." if in_16_bits is not None else ""
    return Verdict(
        claim,
        outcome,
        test,
        f"{middle:.2f} s a clip of {frames} frames (quartiles {fast_:.2f} to {slow:.2f}), "
        f"{budget:.2f} s allowed, network only, on {measured.name}.{also}",
        settle,
        "complexity",
        short=f"{middle:.2f} s for what a camera delivers in {budget:.2f} s, on {measured.name}",
    )


@rule("online")
def online(claim: Claim, evidence: Evidence) -> Verdict:
    """Keeps up with a camera, and tells drink from eat above one half."""
    test = f"Test clips streamed frame by frame; at least {CAMERA_RATE} frames/s, and 'drink' told from 'eat'."
    settle = "HMDB51-trained full-size weights and a camera."
    if not evidence.online:
        return _missing(claim, "Not run.", "a trained network's weights", test=test, settle=settle)
    current = [(s, m) for s, m in evidence.online.items() if f"{s}/{m['run']}" not in evidence.stale]
    if not current:
        return _missing(claim, "Its run is stale.", "a fresh run's weights", test=test, settle=settle)
    study, measured = current[0]
    pair = measured["drink_eat"]
    rate = measured["frames_per_second"]
    if pair is None:
        return _missing(
            claim, f"{rate:.0f} frames/s.", "classes drink and eat", test=test, settle=settle, chapter=f"online-{study}"
        )
    interval = wilson_interval(pair["right"], pair["clips"])
    # a smaller network that keeps up says nothing about the paper's
    full = all(measured[field] == value for field, value in FULL.items())
    fast_enough = "reproduced" if full else "not testable"
    above = Interval(interval.point - 0.5, interval.low - 0.5, interval.high - 0.5, interval.n, interval.confidence)
    outcome = combined([fast_enough if rate >= CAMERA_RATE else "contradicted", judge_gain(above)])
    return Verdict(
        claim,
        outcome,
        test,
        f"{rate:.0f} frames/s with a network of width ×{measured['width']:g} at {measured['size']} px on "
        f"{measured['provenance']['device']}; drink / eat {with_interval(interval)} right, n = {interval.n}, "
        f"on {measured['dataset']}.",
        settle,
        f"online-{study}",
        "the full-size network and more clips" if outcome == "not testable" else "",
    )


@rule("better-than-state-of-the-art", "better-than-state-of-the-art-sthv1", "baseline-comparable")
def state_of_the_art(claim: Claim, evidence: Evidence) -> Verdict:
    """The accuracies that the paper's text states beside published ones of single RGB networks."""
    stated = {c.dataset: c for c in evidence.paper.claims if c.id.startswith("accuracy-")}
    if claim.id == "baseline-comparable":
        return _missing(
            claim,
            "The text states no accuracy of the baseline; Table 7's cells are not available here.",
            "the paper's Table 7 or full-size runs",
            test="The baseline's accuracy beside published ones.",
            settle="Table 7's cells in repro/paper.toml, or full-size runs.",
            chapter="paper",
        )
    test = "The paper's stated accuracy beside published ones of other networks (RGB, not I3D; verified sources only)."
    settle = "Tables 4 and 5 of the paper, and runs of the peers under one protocol."
    datasets = ["sthv1"] if claim.id.endswith("sthv1") else ["hmdb51", "ucf101"]
    above, known = [], 0
    for dataset in datasets:
        for peer in evidence.paper.peers(dataset=dataset, metric="top1"):
            if not peer.verified or "I3D" in peer.method or "flow" in peer.modality.lower():
                continue
            known += 1
            if peer.value > stated[dataset].value:
                above.append(f"{peer.method} {peer.text} on {NAMES[dataset]}")
    if not known:
        return _missing(claim, "No verified peer.", "published peers", test=test, settle=settle, chapter="paper")
    outcome = "reproduced" if not above else "contradicted" if len(above) == known else "partly"
    return Verdict(
        claim,
        outcome,
        test,
        f"Below {len(above)} of {known} published results"
        + (f": {', '.join(above[:5])}{', ...' if len(above) > 5 else ''}" if above else "")
        + ". Protocols differ (pre-training, splits, crops), and which methods the paper's tables list is not stated.",
        settle,
        "paper",
        short=f"the stated accuracy is below {len(above)} of {known} published ones",
    )


@rule("feature-map-shape", "se-im-block-count")
def structure(claim: Claim, evidence: Evidence) -> Verdict:
    """Shapes and counts of the network built from the text, on the meta device; no record is needed."""
    with torch.device("meta"):
        network = build(ATTENTION, classes=2).eval()
        shape = list(network.stack(torch.empty(1, FULL["frames"], 3, FULL["size"], FULL["size"])).shape[1:])
    gates = sum(isinstance(module, Gate) for module in network.modules())
    right = shape == [512, FULL["frames"], 7, 7] if claim.id == "feature-map-shape" else gates == 16
    return Verdict(
        claim,
        "reproduced" if right else "contradicted",
        "The network built from the text: stacked map's shape, number of gated units.",
        f"Stacked map {'×'.join(str(v) for v in shape)}, {gates} units with a gate.",
        "Settled by construction.",
        "architecture",
    )
