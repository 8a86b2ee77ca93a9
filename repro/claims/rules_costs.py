"""The rules on what the networks cost: size, speed, online recognition. See ``repro.claims.judging``.

Counts need no run: they are today's. Speeds are of the record of Table 6. Each network is taken at its own published
input and test, because its accuracy was published for those alone; what a clip of 16 frames of 224 pixels costs, the
same for all, stands beside it in the evidence.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repro.claims.comparison import CLIP, COMMON_CLIP, VIDEO, Comparison, cost, faster, fewer
from repro.claims.judging import FEWEST_EQUAL, FEWEST_GROUPS, Evidence, Source, Verdict, missing, of_all, parts, rule
from repro.claims.official import FULL, OFFICIAL, OWN
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.peak import EXACT
from repro.metrics.statistics import Estimate, share
from repro.metrics.text import percent, with_interval
from repro.models.peers.rows import EXCEPTED, compared, rows, titles
from repro.paper.cells import Claim
from repro.records.record import Record
from repro.records.table6 import COMMAND, FILE_TO_LABEL, Measured

GUESSING = 0.5  # between drink and eat
CAMERA_RATE = 25  # frames a second that "real time" has to keep up with
LITTLE = 0.01  # of the baseline's cost

NO_TABLE6 = "the Table 6 measurement"
NO_COUNTS = "the counts of the networks"

RUN_TABLE6 = f"`{COMMAND}`."
BESIDE = (
    f"{len(compared())} networks that this study chose (of Table 6's the text names I3D alone), each at its own "
    "published input, to which its accuracy belongs"
)


def _measured(evidence: Evidence, *devices: str) -> Measured | None:
    """The record of Table 6 of the first of these devices, with both networks at the paper's input; of a GPU only where
    it says that float32 was no TF32."""
    for found in (evidence.table6[device] for device in devices if device in evidence.table6):
        own = [found.networks.get(name, {}) for name in OWN]
        full = all(entry.get(key) == FULL[key] for entry in own for key in ("frames", "size"))
        if full and (found.device == "cpu" or found.content.get("float32", "").count(EXACT) == 2):
            return found
    return None


def _source(measured: Measured) -> tuple[Source, ...]:
    return (Source.of(f"{measured.study}/{measured.device}", measured.content["provenance"]),)


def _counts_text(entry: Mapping[str, Any]) -> str:
    return f"{entry['parameters'] / 1e6:.1f} M, {entry['multiply_adds'] / 1e9:.1f} GMACs, depth {entry['depth']}"


def _of(found: Comparison) -> str | None:
    """Its outcome; None where the networks that were not timed could turn it."""
    number = len(compared())
    least, most = (of_all(len(found.better) + more, number) for more in (0, len(found.unknown)))
    holds = [outcome in ("reproduced", "partly") for outcome in (least, most)]
    return None if holds == [False, True] else least if holds[0] else most


@rule("se-im-costs-little", runs="no run: the networks as built, counted", since="2026-11-25T11:14:19Z")
def costs_little(claim: Claim, evidence: Evidence) -> Verdict:
    """Less than one per cent more parameters and multiply-adds."""
    test = f"Parameters and multiply-adds of both networks, counted; little means less than {percent(LITTLE, 0)} more."
    if not evidence.counts:
        return missing(claim, "Not counted.", NO_COUNTS, test=test, settle=RUN_TABLE6)
    a, b = (evidence.counts[name] for name in (BASELINE, ATTENTION))
    more = [b[key] / a[key] - 1 for key in ("parameters", "multiply_adds")]
    measured = _measured(evidence, "cuda", "cpu")
    ratio = measured.ratio(ATTENTION, BASELINE) if measured else None
    rate = f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times the baseline's clips/s" if ratio else ""
    timed = f" Timed on {measured.name}, which the verdict does not ask: {rate}." if measured and ratio else ""
    return Verdict(
        claim,
        "reproduced" if max(more) < LITTLE else "contradicted",
        test,
        f"+{b['parameters'] - a['parameters']:,} parameters (+{100 * more[0]:.2f} %), "
        f"+{(b['multiply_adds'] - a['multiply_adds']) / 1e6:.1f} million multiply-adds (+{100 * more[1]:.3f} %)."
        + timed,
        "Settled by counting, for the reading of the text that the ledger names.",
        "complexity",
        short=f"{100 * more[0]:.2f} % more parameters, {100 * more[1]:.3f} % more multiply-adds, counted"
        + (f"; {rate}" if rate else ""),
    )


THREE_D = ("r2plus1d_34", "p3d_199", "resnext3d_101")  # 3D throughout; two of them are narrow, so fewer channels count


@rule("fused-reduces-complexity", runs="no run: the networks as built, counted", since="2026-11-28T22:00:00Z")
def fused(claim: Claim, evidence: Evidence) -> Verdict:
    """Beside 3D networks as deep or deeper: fewer parameters, and fewer operations on the same clip."""
    test = (
        f"Parameters, and multiply-adds of {COMMON_CLIP}, of the baseline beside those of every 3D network compared "
        "with that is as deep as the baseline or deeper."
    )
    settle = "A 3D network of exactly the same depth, trained to the same accuracy."
    counts = evidence.counts
    if not counts:
        return missing(claim, "Not counted.", NO_COUNTS, test=test, settle=RUN_TABLE6)
    deep = [name for name in THREE_D if counts[name]["depth"] >= counts[BASELINE]["depth"]]
    if not deep:
        return missing(claim, "No such network.", "3D networks as deep", test=test, settle=settle, chapter="complexity")
    keys = ("parameters", "multiply_adds")
    less = [
        cost(counts, BASELINE, key, COMMON_CLIP) < cost(counts, name, key, COMMON_CLIP) for name in deep for key in keys
    ]

    def text(name: str) -> str:
        m, gmacs = (cost(counts, name, key, COMMON_CLIP) for key in keys)
        return f"{rows()[name].title} {m / 1e6:.1f} M, {gmacs / 1e9:.1f} GMACs, depth {counts[name]['depth']}"

    return Verdict(
        claim,
        of_all(sum(less), len(less)),
        test,
        f"{text(BASELINE)}; {', '.join(map(text, deep))}.",
        settle,
        "complexity",
        short=f"fewer parameters or operations in {sum(less)} of {len(less)} comparisons with 3D networks as deep or "
        "deeper",
    )


WORDS = {"parameters": "parameters alone", "multiply_adds": "multiply-adds alone", "depth": "layers alone"}
EVERY_LAYER = "every layer counted, not those of the longest path alone"
LIGHT = {
    "lightweight": (BASELINE, ("parameters", "multiply_adds"), "parameters and multiply-adds a clip", CLIP),
    "fewer-parameters": (ATTENTION, ("parameters",), "parameters", CLIP),
    "shallower-fewer-operations": (ATTENTION, ("depth", "multiply_adds"), "layers and multiply-adds a video", VIDEO),
}
"""The first of these claims is about the baseline, the others about both networks: the heavier decides."""


@rule(*LIGHT, runs="no run: the networks as built, counted", since="2026-11-28T22:00:00Z")
def lightweight(claim: Claim, evidence: Evidence) -> Verdict:
    """Fewer parameters, multiply-adds or layers than the networks compared with: than all, some or none of them."""
    own, keys, words, by = LIGHT[claim.id]
    test = f"{words.capitalize()}, counted here, beside those of {BESIDE}." + (f" {_video_words()}" * (by == VIDEO))
    if not evidence.counts:
        return missing(claim, "Not counted.", NO_COUNTS, test=test, settle=RUN_TABLE6)
    found = fewer(evidence.counts, own, keys, by=by)
    heavy = [f"{rows()[n].title} ({_counts_text(evidence.counts[n])})" for n in found.not_better[:4]]
    more = ", ..." if len(found.not_better) > 4 else ""
    alone = ", ".join(f"{WORDS[key]} {fewer(evidence.counts, own, [key], by=by).count}" for key in keys)
    others = [other for other in (CLIP, COMMON_CLIP) if other != by] if "multiply_adds" in keys else []
    ways = [f"by {other} {fewer(evidence.counts, own, keys, by=other).count}" for other in others]
    if "depth" in keys:
        every = tuple("layers" if key == "depth" else key for key in keys)
        ways.append(f"{EVERY_LAYER}, {fewer(evidence.counts, own, every, by=by).count}")
    beside = "; ".join(ways)
    return Verdict(
        claim,
        of_all(len(found.better), len(compared())),
        test,
        f"{TITLES[own]} {_counts_text(evidence.counts[own])}. Fewer {words} than {found.count}"
        + (f" ({alone})" if len(keys) > 1 else "")
        + (f": not than {', '.join(heavy)}{more}" if heavy else "")
        + (f". Counted otherwise: {beside}." if beside else "."),
        "The rows of Table 6, which the text does not give.",
        "complexity",
        short=f"fewer {words} than {found.count} networks counted here",
    )


def _video_words() -> str:
    known = sum(rows()[name].views is not None for name in compared())
    return (
        f"A video costs its published test's clips and crops, which are known of {known} of them; the others count by "
        "one clip, and so do the paper's own, as this study reads its text."
    )


@rule("fast", runs="no run: the networks as built, timed in turn on one machine", since="2026-11-28T22:00:00Z")
def fast(claim: Claim, evidence: Evidence) -> Verdict:
    """Both networks take less time a video than all, some or none, the whole 95 % interval on their side."""
    test = f"Videos a second beside those of {BESIDE}; one machine, float32, network only. {_video_words()}"
    settle = f"The same on the paper's machine, which the text does not name: {RUN_TABLE6}"
    measured = _measured(evidence, "cuda", "cpu")
    if measured is None:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    found, clip, common = (faster(measured, OWN, by=by) for by in (VIDEO, CLIP, COMMON_CLIP))
    outcome = _of(found)
    if outcome is None:
        shown, without = f"Faster than {found.count}.", f"the speeds of {titles(found.unknown)}"
        return missing(claim, shown, without, test=test, settle=RUN_TABLE6, chapter="complexity")
    own = [measured.rate(name) for name in OWN]
    rates = " and ".join(f"{rate['median']:.2f}" for rate in own if rate is not None)
    timed = not measured.of("common").empty
    return Verdict(
        claim,
        outcome,
        test,
        f"{rates} clips/s on {measured.name}: both faster than {found.count} by {VIDEO}"
        + (f" ({titles(found.better)})" if found.better else "")
        + (f", {titles(found.unknown)} not timed" if found.unknown else "")
        + f". Counted otherwise: by {CLIP} {clip.count}; by {COMMON_CLIP} {common.count if timed else 'not run'}.",
        settle,
        "complexity",
        short=f"both faster than {found.count} networks timed here by the video (own test taken as one clip, "
        f"which the text does not state, others' as published or, where unknown, as one), {clip.count} by the clip",
        sources=_source(measured),
    )


@rule("i3d-costlier", runs="no run: the networks as built, counted and timed", since="2026-11-29T01:55:00Z")
def i3d_costlier(claim: Claim, evidence: Evidence) -> Verdict:
    """Three statements: I3D has fewer parameters, more multiply-adds a clip, and is slower than both networks."""
    test = "I3D's parameters, multiply-adds and clips/s beside both networks', each at its own input, float32."
    settle = "Settled for this machine and this input of I3D; its test takes the whole video, which costs more."
    counts, measured = evidence.counts, _measured(evidence, "cuda", "cpu")
    found = [measured.ratio(name, EXCEPTED) for name in OWN] if measured else []
    ratios = [ratio for ratio in found if ratio is not None]
    if not counts or measured is None or len(ratios) < len(OWN):
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    i3d, own = counts[EXCEPTED], [counts[name] for name in OWN]
    held = [
        all(i3d["parameters"] < each["parameters"] for each in own),
        all(i3d["multiply_adds"] > each["multiply_adds"] for each in own),
        all(ratio.low > 1 for ratio in ratios),
    ]
    shown = " and ".join(f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" for ratio in ratios)
    common = cost(counts, EXCEPTED, "multiply_adds", COMMON_CLIP) / 1e9
    return Verdict(
        claim,
        of_all(sum(held), len(held)),
        test,
        f"I3D {_counts_text(i3d)}; ours {_counts_text(own[1])}, and {shown} times I3D's clips/s on {measured.name}. "
        f"Its clip has {i3d['frames']} frames; {COMMON_CLIP} takes it {common:.1f} GMACs.",
        settle,
        "complexity",
        short=f"at I3D's own {i3d['frames']} frames {i3d['multiply_adds'] / own[1]['multiply_adds']:.1f} times the "
        f"multiply-adds and {1 / ratios[1].point:.2f} times the speed of Res34-SE-IM-Net; at {FULL['frames']} frames "
        f"{common * 1e9 / own[1]['multiply_adds']:.2f} times the multiply-adds",
        sources=_source(measured),
    )


@rule("i3d-deeper", runs="no run: the networks as built, counted", since="2026-11-30T23:35:00Z")
def i3d_deeper(claim: Claim, evidence: Evidence) -> Verdict:
    """More layers than both networks, by either reading of the paper's rule of depth: *partly* where they disagree."""
    test = (
        "Layers of I3D and of both networks without BN and gates, in both readings of the paper's rule: on the longest "
        "path, by which ResNets are named, and all."
    )
    if not evidence.counts:
        return missing(claim, "Not counted.", NO_COUNTS, test=test, settle=RUN_TABLE6)
    i3d, *own = (evidence.counts[name] for name in (EXCEPTED, *OWN))
    return Verdict(
        claim,
        parts(of_all(sum(i3d[key] > each[key] for each in own), len(own)) for key in ("depth", "layers")),
        test,
        "; ".join(
            f"{words}: I3D {i3d[key]}, {TITLES[BASELINE]} {own[0][key]}, {TITLES[ATTENTION]} {own[1][key]}"
            for key, words in (("depth", "On the longest path"), ("layers", "in all"))
        )
        + ".",
        "Which layers the paper's Depth counts: its text leaves out BN and gates and says no more.",
        "complexity",
        short=f"{i3d['depth']} layers on the longest path, {TITLES[ATTENTION]} {own[1]['depth']}; {i3d['layers']} and "
        f"{own[1]['layers']} in all; which the paper counts is not stated",
    )


@rule(
    "easy-to-deploy", runs="no run: the networks as built, timed in turn on each machine", since="2026-11-30T04:20:00Z"
)
def easy_to_deploy(claim: Claim, evidence: Evidence) -> Verdict:
    """A decision of either network within the time in which a camera delivers its frames, by the best runtime of every
    CPU that was measured; 16-bit floats are another function, so they are shown and do not count."""
    budget = FULL["frames"] / CAMERA_RATE
    test = (
        f"'Easy to deploy' is read as real time without a GPU: both networks decide within the {budget:.2f} s in which "
        f"a {CAMERA_RATE} Hz camera delivers {FULL['frames']} frames, network only, by the fastest runtime that keeps "
        "float32, on every CPU that was measured."
    )
    settle = f"The same on the hardware in question: {RUN_TABLE6}"
    measured = _measured(evidence, "cpu")
    if measured is None:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    machines = (measured, *evidence.backends)
    found = [(each, *exact) for each in machines if (exact := each.fastest_exact(OWN))]
    if not found:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    outcome = parts(
        "reproduced" if took.slow <= budget else "contradicted" if took.fast > budget else "partly"
        for _, _, took in found
    )
    whole = measured.pipeline_seconds(OWN)
    file_to_label = "" if whole is None else f" {FILE_TO_LABEL[0].upper()}{FILE_TO_LABEL[1:]} {whole.middle:.2f} s."
    return Verdict(
        claim,
        outcome,
        test,
        f"{budget:.2f} s allowed. "
        + " ".join(
            f"On {each.name}, {best}: {took.middle:.2f} s (quartiles {took.fast:.2f} to {took.slow:.2f}); by runtime, "
            "the slower network: "
            + ", ".join(f"{n} {some.middle:.2f} s" for n, some in each.runtimes(OWN).items())
            + "."
            for each, best, took in found
        )
        + file_to_label,
        settle,
        "complexity",
        short=f"{', '.join(f'{took.middle:.2f}' for _, _, took in found)} s a decision in {len(found)} "
        f"measurement{'s' * (len(found) > 1)} (full size, network alone, fastest float32 runtime); {budget:.2f} s "
        "keeps up with a camera",
        sources=tuple(source for each in machines for source in _source(each)),
    )


Online = tuple[str, Mapping[str, Any], Record]  # study, what its page filed, and the run that was streamed


def _online(evidence: Evidence) -> Online | None:
    """The measurement that counts: of the paper's network by a fresh run that is evidence, nearest to the paper's.

    Full size before smaller, HMDB51 before other clips, with drink and eat before without, then the most of their
    clips, then the newest; a study's name decides only where all of that is equal.
    """
    runs = {record.name: record for record in evidence.records if record.experiment.model == ATTENTION}
    named = ((study, content, runs.get(f"{study}/{content['run']}")) for study, content in evidence.online.items())
    # one that does not say how many decisions it timed took the rate over frames that cost none; without the clips'
    # classes a network that answers drink to all would be right of most where most are drink
    current = [
        (study, made, run)
        for study, made, run in named
        if run and "decisions" in made and (made["drink_eat"] is None or "class" in made["drink_eat"])
    ]

    def rank(found: Online) -> tuple[Any, ...]:
        study, made, run = found
        pair = made["drink_eat"]
        size = _is_full(run), run.experiment.layout == OFFICIAL["hmdb51"], pair is not None
        return *size, len(pair["clip"]) if pair else 0, made["provenance"]["started"], study

    return max(current, key=rank, default=None)


def _pace_text(pace: Mapping[str, Any] | None) -> str:
    """Frames that a network of full width dropped of a file played at its own rate; nothing where none was."""
    if pace is None:
        return ""
    played = pace["paces"]["as it is"]
    return (
        f"; ×{pace['width']:g} at {pace['size']} pixels drops {played['dropped']} of {played['frames']} frames at "
        f"{pace['rate']} a second"
    )


def _is_full(run: Record) -> bool:
    return all(getattr(run.experiment, field) == value for field, value in FULL.items())


def _too_few(told: Estimate) -> str:
    """In words, if the sources are too few for a verdict."""
    few = told.groups < FEWEST_GROUPS or told.spread.equal < FEWEST_EQUAL
    return f", too few sources ({told.groups}) for a verdict" if few else ""


def _above_guessing(told: Estimate) -> str:
    """Of one network, so whether another training would tell them too is not asked."""
    if _too_few(told) or told.low <= GUESSING <= told.high:
        return "undecided"
    return "reproduced" if told.point > GUESSING else "contradicted"


@rule(
    "online",
    runs="one trained Res34-SE-IM-Net, streamed",
    clips="its test clips from files; of drink and eat whether they are told apart",
    since="2026-11-29T01:55:00Z",
)
def online(claim: Claim, evidence: Evidence) -> Verdict:
    """Keeps up with a camera, and tells drink from eat above one half, in the mean of the two."""
    test = (
        f"Test clips streamed frame by frame from files: decisions that keep up with {CAMERA_RATE} frames/s, and "
        "'drink' told from 'eat' more often than by guessing between the two ('accurately' is no number in the text); "
        "the algorithm is ECO's as remembered."
    )
    settle = "On rendered clips streams of more networks, those of other splits; else full-size weights and a camera."
    if not evidence.online:
        return missing(claim, "Not run.", "a trained network's weights", test=test, settle=settle, chapter="online")
    chosen = _online(evidence)
    if chosen is None:
        streamed = {f"{study}/{made['run']}" for study, made in evidence.online.items()}
        why = "is stale" if streamed & set(evidence.stale) else "is no evidence"
        why = "had not learned its training clips" if streamed & set(evidence.stopped) else why
        why = f"The run that was streamed {why}."
        return missing(claim, why, "a converged run's weights", test=test, settle=settle, chapter="online")
    study, made, run = chosen
    rate = made["frames_per_second"]
    if made["drink_eat"] is None or len(set(made["drink_eat"]["class"])) < 2:
        without = "classes drink and eat"
        return missing(claim, f"{rate:.0f} frames/s.", without, test=test, settle=settle, chapter="online")
    told = share(pd.DataFrame(made["drink_eat"]).assign(run=made["run"]))
    # a smaller network that keeps up says nothing about the paper's
    keeps_up = "contradicted" if rate < CAMERA_RATE else "reproduced" if _is_full(run) else "not testable"
    outcome = parts([keeps_up, _above_guessing(told)])
    width = run.experiment.width
    full = "at full size"
    if not _is_full(run):
        full = f"with ×{width:g} of the width at {run.experiment.size} pixels{_pace_text(evidence.pace)}"
    return Verdict(
        claim,
        outcome,
        test,
        f"{rate:.0f} frames/s over {made['decisions']} decisions with a network of width ×{width:g} at "
        f"{run.experiment.size} px on {made['provenance']['device']}; drink / eat {with_interval(told)} right, "
        f"n = {told.clips} clips of {told.groups} sources, on {made['dataset']}; among all classes, each clip from a "
        f"new start, {percent(made['top1'])}, with the whole clip at once {percent(made['top1_whole_clip'])}; of one "
        "network.",
        settle,
        "online",
        short=f"drink or eat {with_interval(told)} right by one network, guessing {percent(GUESSING)}{_too_few(told)}; "
        f"all {made['clips']} clips among all classes {percent(made['top1'])}, scored whole "
        f"{percent(made['top1_whole_clip'])}; "
        f"{rate:.0f} frames/s, decoding apart, {full}",
        sources=(Source.of(f"{study}/online", made["provenance"]),),
    )
