"""Is it a gate at all? Accuracy by the branch's scale at the start, and what the gates of trained networks still do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repro.claims.judging import LEVEL
from repro.experiment.fields import ATTENTION, BASELINE, TITLES, Experiment
from repro.metrics.statistics import Estimate
from repro.metrics.text import p_text, percent, with_interval
from repro.models.blocks import hidden_units
from repro.records.freshness import Digest
from repro.records.questions import in_16_bits, seen
from repro.records.record import Record
from repro.records.scores import gain_of, is_right, share_of
from repro.report.ablations import choices, reference_runs, variants
from repro.report.figures import COLOURS
from repro.report.gains import rows_figure, unlearned_text
from repro.report.show import formatted
from repro.report.study import OneRate, Pairs, Study

CONSTANT = "times_1.5"  # the control: the scale of an untrained gate, and no gate
SPREADS = ("sd over clips: start", "sd over clips: end", "look-alikes apart by")  # of s, in the table of gates
PLANNED = (*(f"branch times {scale}, no gate" for scale in ("0.5", "1.25", "1.5", "2")), "plain squeeze and excitation")
FEW = 0.01  # of predictions that may change where a gate held at its mean is called a constant
ENOUGH = 5  # predictions that this share should be


@dataclass(frozen=True)
class Dose:
    """Runs whose residual branches are scaled alike at the start.

    pairs: each run of the network with gates beside the one of this scale, of the same split and seed; none for the
    network with gates itself.
    """

    name: str
    scale: float
    runs: tuple[Record, ...]
    pairs: Pairs = ()
    own_rate: bool = True  # or a learning rate that is another network's

    @property
    def minus_gates(self) -> Estimate:
        """The gain over the network with gates."""
        return gain_of(self.pairs, is_right)

    @property
    def rate(self) -> float:
        return self.runs[0].experiment.learning_rate

    def minus(self, other: "Dose") -> Pairs:
        """This dose's runs, each behind the other dose's of the same split and seed."""
        theirs = {gated.name: run for gated, run in other.pairs}
        return [
            (theirs[gated.name], run) for gated, run in self.pairs or zip(self.runs, self.runs) if gated.name in theirs
        ]


def scale_at_start(experiment: Experiment) -> float | None:
    """The factor on the residual branch before training; None where the gate is added, not multiplied.

    A gate's last layer starts at zero weights but for its bias, so s is the sigmoid of the bias.
    """
    gate = "none" if experiment.model == BASELINE else experiment.gate or "se_im"
    if gate.startswith("times_"):
        return float(gate.removeprefix("times_"))
    s = 1 / (1 + math.exp(-experiment.gate_bias))
    return {"none": 1.0, "se": s, "se_im": 1 + s}.get(gate)


def doses_of(study: Sequence[Record], records: Sequence[Record], today: Digest) -> list[Dose]:
    """A study's network with gates, its baseline and every variant of the gate alone among the fresh runs, by scale."""
    reference = reference_runs(study)
    if not reference:
        return []
    chosen = []
    if scale := scale_at_start(reference[0].experiment):
        chosen.append(Dose(TITLES[ATTENTION], scale, tuple(reference)))
    for variant in variants(study, choices(records, today)):
        runs = tuple(run for _, run in variant.pairs)
        experiment = runs[0].experiment
        scale = scale_at_start(experiment)
        of_the_gate = variant.fields <= {"model", "gate", "gate_bias", "learning_rate"}
        if scale is not None and of_the_gate and experiment.model in (BASELINE, ATTENTION):
            own = "learning_rate" not in variant.fields
            chosen.append(Dose(_name(experiment, scale), scale, runs, variant.pairs, own))
    return sorted(chosen, key=lambda dose: (dose.scale, not dose.own_rate, dose.name))


def most_asked(studies: Sequence[Study], records: Sequence[Record], today: Digest) -> tuple[Study, list[Dose]]:
    """The study with most doses, the surest of these, and them; studies: one or more, the surest first."""
    return max(((study, doses_of(study.records, records, today)) for study in studies), key=lambda each: len(each[1]))


def behind(found: Sequence[Dose]) -> list[Record]:
    """The runs of these doses."""
    return [run for dose in found for run in dose.runs]


def _name(experiment: Experiment, scale: float) -> str:
    if _is_gated(experiment):
        return TITLES[ATTENTION]
    if experiment.model == BASELINE:
        return f"{TITLES[BASELINE]}, no gate"
    if experiment.gate_bias:
        return f"gate that starts closed (bias {experiment.gate_bias:g})"
    if experiment.gate == "se":
        return "plain squeeze and excitation"
    return f"branch times {scale:g}, no gate"


def doses_table(found: Sequence[Dose]) -> pd.DataFrame:
    """One row a dose: top-1, and differences from the networks with and without gates on the runs that both have."""
    without = _without(found)

    def minus(dose: Dose, pairs: Pairs) -> str:
        return with_interval(gain_of(pairs, is_right), signed=True) if pairs and dose is not without else "–"

    return pd.DataFrame(
        {
            "network": dose.name if dose.own_rate else f"{dose.name}, at a rate of {dose.rate:g}",
            "branch at the start": f"×{dose.scale:.3g}",
            "runs (rate)": f"{len(dose.runs)} ({dose.rate:g})",
            "top-1 [95 %]": with_interval(share_of(dose.runs, is_right)),
            "with gates, the same runs": percent(
                share_of([gated for gated, _ in dose.pairs] or dose.runs, is_right).point
            ),
            "minus with gates [95 %]": with_interval(dose.minus_gates, signed=True) if dose.pairs else "–",
            f"minus without{f' (at {without.rate:g})' if without else ''} [95 %]": minus(
                dose, dose.minus(without) if without else ()
            ),
        }
        for dose in found
    )


def _plain(found: Sequence[Dose]) -> list[Dose]:
    """The network without gates, at each rate."""
    return [dose for dose in found if dose.runs[0].experiment.model == BASELINE]


def _gated(found: Sequence[Dose]) -> list[Dose]:
    """The network with the paper's gates, at each rate."""
    return [dose for dose in found if _is_gated(dose.runs[0].experiment)]


def _without(found: Sequence[Dose]) -> Dose | None:
    """The network without gates, at its own rate."""
    return next((dose for dose in _plain(found) if dose.own_rate), None)


def doses_figure(found: Sequence[Dose]) -> tuple[Figure, str]:
    """Top-1 minus that of the network with gates on the same splits and seeds, by scale, with its alt text."""
    others = [dose for dose in found if dose.pairs]
    reference = f"{TITLES[ATTENTION]} at {others[0].pairs[0][0].experiment.learning_rate:g}"
    rows = {f"×{dose.scale:.3g} at {dose.rate:g}, {dose.name}": dose.pairs for dose in others}
    fig, listed = rows_figure(rows, f"top-1 minus that of {reference} (points); a tick a pair of runs")
    return fig, f"Test top-1 minus that of {reference}, by the branch's factor at the start and the rate: {listed}."


def constant_text(found: Sequence[Dose]) -> str:
    """What part of the gate's gain the constant of the same scale gives, in a line; "not run" without it.

    All of it on the splits and seeds that all three have, which may be fewer than the study has, and at one rate where
    the network without gates has runs at that of the other two.
    """
    constant = next((d for d in found if d.runs[0].experiment.gate == CONSTANT and d.own_rate), None)
    without = next((d for d in _plain(found) if constant and d.rate == constant.rate), _without(found))
    if not constant or not without or not (scaled := constant.minus(without)):
        return "- **Does a constant do as well?** The control, a branch times 1.5 and no gate, was **not run**."
    left = [(times, gated) for gated, times in constant.pairs if any(times is run for _, run in scaled)]
    pairs = [(none, gated) for (none, _), (_, gated) in zip(scaled, left)]
    gain, step, rest = (gain_of(each, is_right) for each in (pairs, scaled, left))
    told = "a difference"
    if rest.low <= 0 <= rest.high:
        told = "no difference shown"
        if gain.low <= 0:
            told += ", nor a gain that it could explain"
        elif abs(rest.point) < gain.point:
            told += ": by the plan's rule the constant explains it"
    where = f"{len(pairs)} splits and seeds that have" if len(pairs) > 1 else "1 split and seed that has"
    signed = [with_interval(each, signed=True) for each in (gain, step, rest)]
    runs = [run for pair in pairs for run in pair] + [run for _, run in scaled]
    rates = f", at a rate of {constant.rate:g}" if without.rate == constant.rate else ", each at its rate"
    late = f" ({late})" if (late := unlearned_text(runs)) else ""
    return (
        f"- **Does a constant do as well?** On the {where} all three{rates}{late}: with gates {signed[0]}, "
        f"with the branch times 1.5 and no gate {signed[1]}, both minus without; gates minus that constant "
        f"{signed[2]}: {told}."
    )


def rate_text(found: Sequence[Dose]) -> str:
    """What the larger learning rate does to each network, in a line; nothing where no run has another than its
    network's own."""
    told, shown = [], 0
    for words, doses in (("without", _plain(found)), ("with", _gated(found))):
        for own, other in product(doses, doses):
            if not own.own_rate or other.own_rate:
                continue
            pairs = other.minus(own) if own.pairs else other.pairs
            pairs = pairs if own.rate < other.rate else [(more, less) for less, more in pairs]
            gain = gain_of(pairs, is_right)
            low, high = sorted((own.rate, other.rate))
            told.append(
                f"{words} gates, at {high:g} minus at {low:g}, {with_interval(gain, signed=True)}, p {p_text(gain.p)}"
            )
            shown += gain.p < LEVEL
    return (
        f"- **Is it the learning rate?** The same network, splits and seeds: {'; '.join(told)}. By a verdict's rule (p "
        f"below {LEVEL:g}) shown for {shown or 'none'} of {len(told)}."
        if told
        else ""
    )


def one_rate_of(studies: Sequence[Study], records: Sequence[Record], today: Digest) -> OneRate:
    """`at_one_rate` of each study, by its name. records: all, of which the fresh ones with one choice changed count."""
    return {study.name: at_one_rate(doses_of(study.records, records, today)) for study in studies}


def missing_text(found: Sequence[Dose]) -> str:
    """Which networks of the plan's fourth step were not run, in a line; nothing where all were."""
    closed = any(dose.runs[0].experiment.gate_bias for dose in found)
    missing = [name for name in PLANNED if name not in {dose.name for dose in found}]
    missing += [] if closed else ["a gate that starts closed"]
    return f"- **Not run** (`profiles/rendered-choices.yaml`): {'; '.join(missing)}." if missing else ""


def at_one_rate(found: Sequence[Dose]) -> dict[float, Pairs]:
    """Runs without and with gates at one rate, by that rate in order, where it is not both networks' own."""
    there = {
        without.rate: gated.minus(without)
        for without, gated in product(_plain(found), _gated(found))
        if without.rate == gated.rate and not (without.own_rate and gated.own_rate)
    }
    return {rate: there[rate] for rate in sorted(there) if there[rate]}


def _is_gated(experiment: Experiment) -> bool:
    """Whether it is the network with the paper's gates, whatever its rate."""
    return experiment.model == ATTENTION and experiment.gate in (None, "se_im") and not experiment.gate_bias


# ---- what trained gates still do


def with_gates(records: Sequence[Record]) -> list[Record]:
    """The runs whose gates were recorded."""
    return [record for record in records if record.gates.get("end")]


def held_text(studies: Sequence[Study]) -> str:
    """Whether trained gates do more than a constant, study by study in a line; nothing where no run that counts was
    asked."""
    told = []
    for study in studies:
        if not (pairs := _held(study.records)) or not study.converged:
            continue
        changed, asked = _counted(pairs)
        what = "a constant" if changed <= FEW * asked else "no constant"
        what = what if FEW * asked >= ENOUGH else "too few to tell"
        runs = f"{len(pairs)} networks" if len(pairs) > 1 else "one network"
        top1 = (
            f", top-1 with s held minus as trained {with_interval(gain_of(pairs, is_right), signed=True)}"
            if changed
            else ""
        )
        told.append(f"{changed} of {asked:,} predictions of {runs} on {study.name}{top1}: **{what}**")
    first = next((record for study in studies for record in with_gates(study.records)), None)
    if not told or not first:
        return ""
    hidden = [hidden_units(unit["channels"], first.experiment.reduction) for unit in first.gates["end"]]
    return (
        f"- **Is it a gate?** s held at each channel's mean over clips changes {'; '.join(told)} (the plan's rule: no "
        f"more than {percent(FEW, 0)} changed; width ×{first.experiment.width:g}, gates of {min(hidden)} to "
        f"{max(hidden)} hidden units; Equation 4 in one of its three readings; [Table 7](gate.html))."
    )


def _held(records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Each run that was asked, as it is and with its gates held still."""
    runs = [record for record in with_gates(records) if "gates fixed" in record.altered]
    return [(in_16_bits(record), seen(record, "gates fixed")) for record in runs]


def _counted(pairs: Sequence[tuple[Record, Record]]) -> tuple[int, int]:
    """Predictions that are not the same, and all."""
    changed = sum(int((free.scores.argmax(1) != held.scores.argmax(1)).sum()) for free, held in pairs)
    return changed, sum(len(free.labels) for free, _ in pairs)


def fixed_text(records: Sequence[Record], *, converged: bool = True) -> str:
    """What is left when s is held at its mean over clips, in a paragraph; nothing where no run was asked.

    converged: whether the runs had learned their training clips; else the text says that they had not.
    """
    pairs = _held(records)
    if not pairs:
        return ""
    changed, asked = _counted(pairs)
    start, end = (pd.DataFrame([row for run, _ in pairs for row in run.gates[when]]) for when in ("start", "end"))
    return (
        f"s differs from clip to clip by {end['sd_clips'].mean():.4f} (standard deviation, mean of channels, units and "
        f"runs, {len(pairs)} of them; {start['sd_clips'].mean():.4f} before training) and from channel to "
        f"channel by {end['sd_channels'].mean():.4f}; its mean is {end['mean'].mean():.3f} ({start['mean'].mean():.3f} "
        "before training). "
        f"Held at each channel's mean over clips, it changes {changed:,} of {asked:,} predictions and top-1 by "
        f"{with_interval(gain_of(pairs, is_right), signed=True)}: "
        + (
            f"no more than {percent(FEW, 0)} of predictions, so **the gate is a constant**"
            if changed <= FEW * asked
            else f"more than {percent(FEW, 0)} of predictions, so the gate is not a constant"
        )
        + (" by the plan's rule." if converged else " in these runs, which had not learned their training clips.")
    )


def gates_recorded_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a gated unit, mean of runs: s before and after training, its spread over channels, clips, look-alikes."""
    runs = with_gates(records)
    rows = []
    for k, first in enumerate(runs[0].gates["end"] if runs else ()):
        start, end = (pd.DataFrame([r.gates[when][k] for r in runs]) for when in ("start", "end"))
        rows.append(
            {
                "unit": first["unit"].removeprefix("trunk."),
                "mean s: start": start["mean"].mean(),
                "end": end["mean"].mean(),
                "lowest to highest channel": f"{end['lowest'].mean():.3f} to {end['highest'].mean():.3f}",
                "sd over clips: start": start["sd_clips"].mean(),
                "sd over clips: end": end["sd_clips"].mean(),
                "look-alikes apart by": pd.to_numeric(end["look_alikes"]).mean(),
            }
        )
    numbers = dict.fromkeys(SPREADS, ".4f")
    return formatted(pd.DataFrame(rows), numbers | {"mean s: start": ".3f", "end": ".3f"})


def gates_recorded_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """s by unit, start and end, with the span of its channels, and its spread over clips; with its alt text."""
    table, runs = gates_recorded_table(records), with_gates(records)
    rows = np.arange(len(table))
    fig, (level, spread) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    low, high = (
        np.mean([[unit[name] for unit in r.gates["end"]] for r in runs], axis=0) for name in ("lowest", "highest")
    )
    level.fill_between(rows, low, high, color=COLOURS[ATTENTION], alpha=0.25, label="lowest to highest channel, end")
    level.plot(rows, table["end"], "o-", color=COLOURS[ATTENTION], markersize=4, label="mean s, end")
    level.plot(rows, table["mean s: start"], "--", color="#7f7f7f", label="mean s, start")
    level.set(ylim=(0, 1), ylabel="s", title="Where the gates stand")
    before, after, apart = (table[name] for name in SPREADS)
    spread.plot(rows, after, "o-", color=COLOURS[ATTENTION], markersize=4, label="between clips, end")
    spread.plot(rows, before, "--", color="#7f7f7f", label="between clips, start")
    if apart.notna().all():
        spread.plot(rows, apart, ":", color=COLOURS[BASELINE], label="between look-alike classes, end")
    spread.set(ylabel="standard deviation of s", title="How far they attend")
    spread.set_ylim(bottom=0)
    for axis in (level, spread):
        axis.set_xlabel("gated unit, from the first to the last")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False, fontsize=8)
    shown = f"mean s {table['end'].min():.2f} to {table['end'].max():.2f}, between clips it differs by "
    shown += f"{after.min():.4f} to {after.max():.4f}"
    return fig, f"The gates' s by unit before and after training, mean of {len(runs)} runs: at the end {shown}."
