"""The rules on what the networks cost: size, speed, online recognition. See ``repro.claims.judging``."""

from collections.abc import Mapping
from typing import Any

from repro.claims.judging import Evidence, Source, Verdict, combined, judge_gain, missing, of_all, rule
from repro.claims.official import FULL
from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.statistics import Interval, wilson_interval
from repro.metrics.text import percent, with_interval
from repro.models.peers.rows import rows
from repro.paper.cells import Claim
from repro.records import table6
from repro.records.table6 import COMMAND, Measured

GUESSING = 0.5  # between drink and eat
CAMERA_RATE = 25  # frames a second that "real time" has to keep up with

NO_TABLE6 = "the Table 6 measurement"

RUN_TABLE6 = f"`{COMMAND}`."


def _measured(evidence: Evidence) -> Measured | None:
    """The record of Table 6, a GPU's before a CPU's, with both networks at the paper's input."""
    full = {"frames": FULL["frames"], "size": FULL["size"]}
    for device in ("cuda", "cpu"):
        found = evidence.table6.get(device)
        own = [found.networks.get(name, {}) for name in (BASELINE, ATTENTION)] if found else []
        if own and all(entry.get(key) == value for entry in own for key, value in full.items()):
            return found
    return None


def _source(measured: Measured) -> tuple[Source, ...]:
    return (Source.of(f"{table6.STUDY}/{measured.device}", measured.content["provenance"]),)


def _counts_text(entry: Mapping[str, Any]) -> str:
    return f"{entry['parameters'] / 1e6:.1f} M, {entry['multiply_adds'] / 1e9:.1f} GMACs, depth {entry['depth']}"


def _of_all(comparison: table6.Comparison) -> str:
    better, others = len(comparison.better), len(comparison.not_better)
    return of_all(better, better + others)


@rule("se-im-costs-little", since="2026-11-25T11:14:19Z")
def costs_little(claim: Claim, evidence: Evidence) -> Verdict:
    """Less than one per cent more parameters and multiply-adds."""
    test = "Parameters and multiply-adds of both networks, counted; little means less than 1 % more."
    measured = _measured(evidence)
    if measured is None:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
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
        short=f"{100 * more[0]:.2f} % more parameters, {100 * more[1]:.3f} % more multiply-adds, counted",
        sources=_source(measured),
    )


@rule("fused-reduces-complexity", since="2026-11-25T23:31:00Z")
def fused(claim: Claim, evidence: Evidence) -> Verdict:
    """Beside R(2+1)D-34 and 3D networks as deep or deeper that were built: fewer operations a frame and pixel."""
    test = (
        "Parameters, and multiply-adds a frame and pixel (inputs differ), of the fused networks beside those of every "
        "3D network compared with that is as deep as the baseline or deeper."
    )
    settle = "A 3D network of exactly the same depth on the same input, trained to the same accuracy."
    measured = _measured(evidence)
    if measured is None:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    own = measured.networks[BASELINE]
    deep = [n for n in THREE_D if n in measured.networks and measured.networks[n]["depth"] >= own["depth"]]
    if not deep:
        return missing(claim, "Not run.", "3D networks as deep", test=test, settle=settle, chapter="complexity")
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
        of_all(sum(less), len(less)),
        test,
        f"Baseline {own['parameters'] / 1e6:.1f} M, {_per_pixel(own):.0f} thousand multiply-adds a pixel, depth "
        f"{own['depth']}; {shown}.",
        settle,
        "complexity",
        short=f"fewer parameters or operations in {sum(less)} of {len(less)} comparisons with 3D networks as deep or "
        "deeper",
        sources=_source(measured),
    )


THREE_D = ("r2plus1d_34", "p3d_199", "resnext3d_101")  # 3D throughout; two of them are narrow, so fewer channels count


def _per_pixel(entry: Mapping[str, Any]) -> float:
    """Thousands of multiply-adds a pixel of the input clip."""
    return entry["multiply_adds"] / (entry["frames"] * entry["size"] ** 2) / 1e3


LIGHT = {
    "lightweight": (BASELINE, ("parameters", "multiply_adds"), "parameters and multiply-adds"),
    "fewer-parameters": (ATTENTION, ("parameters",), "parameters"),
    "shallower-fewer-operations": (ATTENTION, ("depth", "multiply_adds"), "layers and multiply-adds"),
}


@rule(*LIGHT, since="2026-11-25T23:31:00Z")
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
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    found = table6.fewer(measured, name, keys, leave_out=("i3d",))
    if not (found.better or found.not_better):
        return missing(claim, "No network to compare with.", "peers", test=test, settle=RUN_TABLE6)
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
        short=f"fewer {words} than {found.count} networks counted here",
        sources=_source(measured),
    )


@rule("fast", since="2026-11-25T23:31:00Z")
def fast(claim: Claim, evidence: Evidence) -> Verdict:
    """Both networks faster than all, some or none, by paired ratios whose whole 95 % interval is above 1."""
    test = "Clips a second of every network at its own published input, in turn in one run on one machine, float32."
    settle = f"The same on the paper's machine, which the text does not name: {RUN_TABLE6}"
    measured = _measured(evidence)
    found = [table6.faster(measured, name) for name in (BASELINE, ATTENTION)] if measured else []
    if measured is None or not all(each.better or each.not_better for each in found):
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    slow = dict.fromkeys(name for each in found for name in each.not_better)
    fast_ = [name for name in found[0].better if name in found[1].better]
    both = table6.Comparison(tuple(fast_), tuple(slow))
    own = [measured.rate(name) for name in (BASELINE, ATTENTION)]
    rates = [f"{rate['median']:.2f}" for rate in own if rate is not None]
    return Verdict(
        claim,
        _of_all(both),
        test,
        f"{' and '.join(rates)} clips/s on {measured.name}: both faster than {both.count}"
        + (f" ({table6.titles(both.better)})" if both.better else "")
        + ".",
        settle,
        "complexity",
        short=f"both faster than {both.count} networks timed here on {measured.name}",
        sources=_source(measured),
    )


@rule("i3d-costlier", since="2026-11-25T23:31:00Z")
def i3d_costlier(claim: Claim, evidence: Evidence) -> Verdict:
    """Three statements: I3D has fewer parameters, more multiply-adds a clip, and is slower than both networks."""
    test = "I3D's parameters, multiply-adds and clips/s beside both networks', each at its own input, float32, in turn."
    settle = "Settled for this machine and this input of I3D; its test takes the whole video, which costs more."
    measured = _measured(evidence)
    found = [measured.ratio(name, "i3d") for name in (BASELINE, ATTENTION)] if measured else []
    ratios = [ratio for ratio in found if ratio is not None]
    if measured is None or len(ratios) < 2:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    i3d, own = measured.networks["i3d"], [measured.networks[name] for name in (BASELINE, ATTENTION)]
    held = [
        all(i3d["parameters"] < each["parameters"] for each in own),
        all(i3d["multiply_adds"] > each["multiply_adds"] for each in own),
        all(ratio.low > 1 for ratio in ratios),
    ]
    shown = " and ".join(f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" for ratio in ratios)
    return Verdict(
        claim,
        of_all(sum(held), len(held)),
        test,
        f"I3D {_counts_text(i3d)}; ours {_counts_text(own[1])}, and {shown} times I3D's clips/s on {measured.name}.",
        settle,
        "complexity",
        short=f"{i3d['multiply_adds'] / own[1]['multiply_adds']:.1f} times the multiply-adds of Res34-SE-IM-Net and "
        f"{1 / ratios[1].point:.2f} times its clips a second, with {i3d['parameters'] / own[1]['parameters']:.2f} "
        "times its parameters",
        sources=_source(measured),
    )


@rule("easy-to-deploy", since="2026-11-25T11:14:19Z")
def easy_to_deploy(claim: Claim, evidence: Evidence) -> Verdict:
    """One forward pass of the full-size network within the time in which a camera delivers its N frames."""
    test = (
        f"One decision of the full-size network within the time in which a {CAMERA_RATE} Hz camera delivers its "
        "frames, plain float32."
    )
    settle = f"The same on the hardware in question: {RUN_TABLE6}"
    measured = _measured(evidence)
    rate = measured.rate(ATTENTION) if measured else None
    if measured is None or rate is None:
        return missing(claim, "Not run.", NO_TABLE6, test=test, settle=RUN_TABLE6)
    frames = measured.networks[ATTENTION]["frames"]
    budget = frames / CAMERA_RATE
    slow, middle, fast_ = (1 / rate[k] for k in ("q25", "median", "q75"))
    outcome = "reproduced" if slow <= budget else "contradicted" if fast_ > budget else "partly"
    in_16_bits = measured.rate(ATTENTION, "bf16")
    other = "; no GPU was timed" if measured.device == "cpu" else ""
    also = f" In bf16 {1 / in_16_bits['median']:.2f} s." if in_16_bits is not None else ""
    return Verdict(
        claim,
        outcome,
        test,
        f"{middle:.2f} s a clip of {frames} frames (quartiles {fast_:.2f} to {slow:.2f}), "
        f"{budget:.2f} s allowed, network only, on {measured.name}.{also}",
        settle,
        "complexity",
        short=f"{middle:.2f} s for {budget:.2f} s of a camera's frames, at full size on {measured.name}{other}",
        sources=_source(measured),
    )


def _size(measured: Mapping[str, Any]) -> str:
    """The network that was run, in words that say what is not the paper's."""
    if all(measured[field] == value for field, value in FULL.items()):
        return "at full size"
    return f"with a network of {measured['width']:g} times the width"


@rule("online", since="2026-11-23T05:46:43Z")
def online(claim: Claim, evidence: Evidence) -> Verdict:
    """Keeps up with a camera, and tells drink from eat above one half."""
    test = f"Test clips streamed frame by frame; at least {CAMERA_RATE} frames/s, and 'drink' told from 'eat'."
    settle = "HMDB51-trained full-size weights and a camera."
    if not evidence.online:
        return missing(claim, "Not run.", "a trained network's weights", test=test, settle=settle)
    current = [(s, m) for s, m in evidence.online.items() if f"{s}/{m['run']}" not in evidence.stale]
    if not current:
        return missing(claim, "Its run is stale.", "a fresh run's weights", test=test, settle=settle)
    study, measured = current[0]
    pair = measured["drink_eat"]
    rate = measured["frames_per_second"]
    if pair is None:
        return missing(
            claim, f"{rate:.0f} frames/s.", "classes drink and eat", test=test, settle=settle, chapter=f"online-{study}"
        )
    interval = wilson_interval(pair["right"], pair["clips"])
    # a smaller network that keeps up says nothing about the paper's
    full = all(measured[field] == value for field, value in FULL.items())
    fast_enough = "reproduced" if full else "not testable"
    point, low, high = (x - GUESSING for x in (interval.point, interval.low, interval.high))
    above = Interval(point, low, high, interval.n, interval.confidence)
    outcome = combined([fast_enough if rate >= CAMERA_RATE else "contradicted", judge_gain(above)], mixed="partly")
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
        short=f"{rate:.0f} frames/s from files, {_size(measured)}; drink or eat {with_interval(interval)} right, "
        f"guessing gives {percent(GUESSING)}",
        sources=(Source.of(f"{study}/online", measured["provenance"]),),
    )
