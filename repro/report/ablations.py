"""The effect of single choices: runs that differ from a reference run in one thing, compared with it clip by clip.

A variant is a study whose name starts with the ablation's (``ablation-gate-se``), and the other networks of the
reference's own study. What was changed is read off the records' fields, not off their names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, CONTROL, TEMPORAL, TITLES
from repro.metrics.confusion import two_way_choice
from repro.metrics.statistics import Interval, seeds_spread
from repro.metrics.text import with_interval
from repro.paper.look_alikes import backwards_pairs
from repro.records import compare
from repro.records.record import Record
from repro.records.scores import is_right, mistaken_for_partner, paired_difference
from repro.report.figures import COLOURS


@dataclass(frozen=True)
class Variant:
    """Runs with one choice changed, each with the reference run of the same clips, split and seed."""

    changed: tuple[tuple[str, Any, Any], ...]  # field, in the reference, here
    pairs: tuple[tuple[Record, Record], ...]  # reference, variant

    @property
    def title(self) -> str:
        """What was changed, in a few words."""
        words = [TITLES[here] if field == "model" else f"{field}: {here}" for field, _, here in self.changed]
        return ", ".join(words).replace("_", " ")

    @property
    def fields(self) -> set[str]:
        return {field for field, _, _ in self.changed}

    def difference(self, score: Callable[[Record], np.ndarray] = is_right) -> Interval:
        """Variant less reference: clips paired, seeds averaged, groups resampled."""
        return paired_difference(self.pairs, score)

    def by_seed(self, score: Callable[[Record], np.ndarray] = is_right) -> list[float]:
        return [float(score(b).mean() - score(a).mean()) for a, b in self.pairs]

    def finding(self, score: Callable[[Record], np.ndarray] = is_right) -> str:
        """``higher`` or ``lower`` if the interval excludes 0 and two seeds or more all agree, else why neither."""
        interval, single = self.difference(score), self.by_seed(score)
        if interval.low <= 0 <= interval.high:
            return "no difference shown"
        if len(single) < 2:
            return "one seed settles nothing"
        if min(single) < 0 < max(single):
            return "seeds disagree"
        return "higher" if interval.low > 0 else "lower"


def reference_runs(records: Sequence[Record]) -> list[Record]:
    """The runs of Equation 4's network in its default form."""
    return [r for r in records if r.experiment.model == ATTENTION and r.experiment.gate in (None, "se_im")]


def variants(reference: Sequence[Record], others: Sequence[Record]) -> list[Variant]:
    """What was changed and where a reference run of the same clips, split and seed is there to compare with.

    reference: runs of one study, `reference_runs` among them. others: runs of the ablation's studies. In the order of
    ``others``, the reference study's other networks first.
    """
    base = {_place(record): record for record in reference_runs(reference)}
    found: dict[tuple, dict[tuple, tuple[Record, Record]]] = {}
    for record in [*(r for r in reference if r not in base.values()), *others]:
        partner = base.get(_place(record))
        if partner is not None and (changed := compare.changed(partner, record)):
            # a run that two studies hold counts once
            found.setdefault(changed, {}).setdefault(_place(record), (partner, record))
    return [Variant(changed, tuple(pairs.values())) for changed, pairs in found.items()]


def pretraining(scratch: Sequence[Record], started: Sequence[Record]) -> list[Variant]:
    """Runs that start from weights of their own network, each with the run from scratch of the same seed: by network.

    scratch: runs of one study. started: runs that have ``start_from`` and differ from them in nothing else, unless in
    the learning rate, as fine-tuning may.
    """
    found: dict[tuple, list[tuple[Record, Record]]] = {}
    base = {(r.experiment.model, *_place(r)): r for r in scratch if not r.experiment.start_from}
    for record in started:
        partner = base.get((record.experiment.model, *_place(record)))
        if partner is None:
            continue
        changed = {field: (there, here) for field, there, here in compare.changed(partner, record)}
        source = changed.pop("start_from", None)
        if source and set(changed) <= {"learning_rate"}:
            title = ("pre-training", None, f"{source[1].rpartition('/')[0]}, {TITLES[record.experiment.model]}")
            rates = tuple((field, *values) for field, values in changed.items())
            found.setdefault((title, *rates), []).append((partner, record))
    return [Variant(changed, tuple(pairs)) for changed, pairs in found.items()]


def _place(record: Record) -> tuple:
    return record.data["hash"], record.experiment.split, record.experiment.seed


def right_backwards(record: Record) -> float:
    """Share right inside the pairs that are each other played backwards, 0..1; NaN where the classes have none."""
    pairs = backwards_pairs(record.classes)
    if not pairs:
        return float("nan")
    return float(np.concatenate([two_way_choice(record.scores, record.labels, pair) for pair in pairs]).mean())


def both_backwards(variant: Variant) -> tuple[float, float]:
    """`right_backwards` of the reference and of the variant in per cent, mean of seeds."""
    reference, changed = (100 * np.mean([right_backwards(pair[k]) for pair in variant.pairs]) for k in (0, 1))
    return float(reference), float(changed)


def variants_table(found: Sequence[Variant]) -> pd.DataFrame:
    """One row a variant: accuracies beside the reference's on the same seeds, difference, spread, look-alikes."""
    rows = []
    for variant in found:
        spread = seeds_spread(variant.by_seed())
        pairs = variant.pairs
        rows.append(
            {
                "changed": variant.title,
                "seeds": len(pairs),
                "clips (groups)": f"{len(pairs[0][0].labels)} ({variant.difference().n})",
                "reference (%)": 100 * np.mean([is_right(a).mean() for a, _ in pairs]),
                "changed (%)": 100 * np.mean([is_right(b).mean() for _, b in pairs]),
                "difference [95 %]": with_interval(variant.difference(), signed=True),
                "sd over seeds (points)": 100 * spread.sd,
                "accuracy": variant.finding(),
                "taken for the look-alike [95 %]": with_interval(variant.difference(mistaken_for_partner), signed=True),
                "backwards pairs right (%)": both_backwards(variant)[1],
            }
        )
    return pd.DataFrame(rows)


def variants_figure(found: Sequence[Variant]) -> Figure:
    """Differences in top-1 from the reference with their intervals, a small mark for each seed."""
    fig, axis = plt.subplots(figsize=(8.5, 1.0 + 0.36 * len(found)), layout="constrained")
    for row, variant in enumerate(found):
        interval = variant.difference()
        axis.plot([100 * interval.low, 100 * interval.high], [row, row], color=COLOURS[ATTENTION], linewidth=2)
        axis.plot(100 * interval.point, row, "o", color=COLOURS[ATTENTION])
        single = [100 * gain for gain in variant.by_seed()]
        axis.plot(single, [row] * len(single), "|", color="#555555", markersize=9)
    axis.axvline(0, color="black", linestyle=":", linewidth=1)
    axis.set_yticks(range(len(found)), [f"{v.title} ({len(v.pairs)} seeds)" for v in found])
    axis.set(ylim=(len(found) - 0.5, -0.5), title="One choice changed in Res34-SE-IM-Net")
    axis.set(xlabel="difference in test top-1 (points): mean of seeds with 95 % interval over clips, a tick a seed")
    return fig


def said(variant: Variant | None, score: Callable[[Record], np.ndarray] = is_right) -> str:
    """``+1.2 points [-0.3, +2.7], 3 seeds: no difference shown``; ``not run`` for None."""
    if variant is None:
        return "not run"
    interval = with_interval(variant.difference(score), signed=True)
    return f"{interval}, {len(variant.pairs)} seeds: {variant.finding(score)}"


def answers(found: Sequence[Variant]) -> list[str]:
    """Does the identity path matter, does the gate reduce confusion, does the head see time, which habit counts."""

    def one(**fields) -> Variant | None:
        wanted = {(k, v) for k, v in fields.items()}
        return next((v for v in found if {(k, here) for k, _, here in v.changed} == wanted), None)

    plain, control = one(model="resnet34_3dres18"), one(model=CONTROL)
    lines = [
        "**Does the identity path in the gate matter?** Plain SE in place of Equation 4: top-1 "
        f"{said(one(gate='se'))}.",
        f"**Is it the gate, or the larger branch?** The branch times a constant in place of the gate: top-1 "
        f"{said(one(gate='constant'))}. No gate at all: {said(plain)}.",
        "**Does the gate reduce confusion between look-alikes?** Share of clips taken for their class's look-alike "
        f"without a gate, less the share with it: {said(plain, mistaken_for_partner)}.",
    ]
    if control is not None:
        head, average = both_backwards(control)
        lines.append(
            f"**Does the 3D head see time?** Inside the pairs that are each other played backwards it has {head:.1f} % "
            f"right, the same trunk with frames averaged {average:.1f} % (mean of {len(control.pairs)} seeds; half is "
            "chance)."
        )
    else:
        lines.append("**Does the 3D head see time?** Frames averaged in its place: not run with these seeds.")
    later = one(model=TEMPORAL)
    line = (
        "**Does temporal attention in the head help**, which the paper leaves to future work? Added to "
        f"{TITLES[ATTENTION]}: top-1 {said(later)}."
    )
    if later is not None and backwards_pairs(later.pairs[0][0].classes):
        without, attending = both_backwards(later)
        line += (
            f" Inside the backwards pairs it has {attending:.1f} % right, the network without it {without:.1f} % (mean "
            f"of {len(later.pairs)} seeds; half is chance)."
        )
    lines.append(line)
    return lines
