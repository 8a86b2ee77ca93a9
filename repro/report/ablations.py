"""The effect of single choices: runs that differ from a reference run in one thing, compared with it clip by clip.

Variants are runs whose role is ablation, and the other networks of the reference's own study. What was changed is read
off the records' fields, not off their names.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL, TITLES
from repro.experiment.protocols import HABITS
from repro.metrics.confusion import two_way_choice
from repro.metrics.statistics import Estimate
from repro.metrics.text import percent, with_interval
from repro.paper.look_alikes import backwards_pairs
from repro.records import compare
from repro.records.freshness import Digest
from repro.records.record import Record
from repro.records.scores import gain_of, is_right, mistaken_for_partner
from repro.report.gains import rows_figure
from repro.report.show import formatted
from repro.report.study import Pairs, beside, gain_text

LOOK_ALIKE = "taken for the look-alike [95 %]"


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

    def difference(self, score: Callable[[Record], np.ndarray] = is_right) -> Estimate:
        """Variant minus reference, paired by clip and run."""
        return gain_of(self.pairs, score)

    @property
    def counted(self) -> str:
        """How many pairs of runs there are: ``3 pairs``."""
        return f"{len(self.pairs)} pair{'s' if len(self.pairs) > 1 else ''}"

    @property
    def idle(self) -> str:
        """Why what was changed could not act in these runs; empty where it could."""
        runs = [record for pair in self.pairs for record in pair]
        if self.fields <= {"clipping", "clip_gradient"}:
            largest = max(r.history.get("gradient_norm_largest", pd.Series([math.inf])).max() for r in runs)
            limit = min(record.experiment.clip_gradient for record in runs)
            if largest <= limit:
                return f"no gradient's norm was above {largest:.0f}, and clipping begins at {limit:g}"
        if self.fields == {"watch"} and all(record.experiment.schedule == "cosine" for record in runs):
            watched = [record.history["test_top1"] for record in runs if "test_top1" in record.history]
            if watched and all(top1.idxmax() == top1.index[-1] for top1 in watched):
                return "a cosine schedule is not steered, and the last weights were the best on the test clips, too"
        return ""

    def finding(self, score: Callable[[Record], np.ndarray] = is_right) -> str:
        """``higher`` or ``lower`` if the interval excludes 0 and holds the chance of training, else why neither."""
        if self.idle:
            return "cannot act here"
        interval = self.difference(score)
        if interval.low <= 0 <= interval.high:
            return "no difference shown"
        if interval.runs < 2:
            return "one pair of runs settles nothing"
        return "higher" if interval.low > 0 else "lower"


def choices(records: Sequence[Record], today: Digest) -> list[Record]:
    """The fresh runs that were made to change one choice."""
    return [record for record in records if record.experiment.role == "ablation" and not record.stale(today)]


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
    """Share right inside the backwards pairs (one class is the other played backwards), 0..1; NaN without any."""
    pairs = backwards_pairs(record.classes)
    right = [two_way_choice(record.scores, record.labels, pair) for pair in pairs]
    return float(np.concatenate(right).mean()) if pairs else float("nan")


def _both_backwards(variant: Variant) -> list[str]:
    """`right_backwards` of the reference and of the variant, mean of runs: ``81.3 %``."""
    return [percent(float(np.mean([right_backwards(pair[k]) for pair in variant.pairs]))) for k in (0, 1)]


def variants_table(found: Sequence[Variant]) -> pd.DataFrame:
    """One row a variant: accuracies beside the reference's on the same splits and seeds, difference, look-alikes."""
    table = pd.DataFrame(
        {
            "changed": v.title,
            "runs": len(v.pairs),
            "reference (%)": 100 * np.mean([is_right(a).mean() for a, _ in v.pairs]),
            "changed (%)": 100 * np.mean([is_right(b).mean() for _, b in v.pairs]),
            "difference [95 %]": v.idle or beside(v.pairs, gain_text),
            "accuracy": v.finding(),
            LOOK_ALIKE: "" if v.idle else with_interval(v.difference(mistaken_for_partner), signed=True),
        }
        for v in found
    )
    return formatted(table, {"reference (%)": ".1f", "changed (%)": ".1f"})


def pretraining_table(found: Sequence[Variant]) -> pd.DataFrame:
    """`variants_table` of `pretraining`, one row a network."""
    names = {"changed": "network", "reference (%)": "from scratch (%)", "changed (%)": "pre-trained (%)"}
    table = variants_table(found).drop(columns=LOOK_ALIKE)
    return formatted(table.rename(columns=names), {"from scratch (%)": ".1f", "pre-trained (%)": ".1f"})


def variants_figure(found: Sequence[Variant]) -> tuple[Figure, str]:
    """Differences in top-1 from the reference with their intervals, a tick a pair of runs; with its alt text."""
    rows = {variant.title: variant.pairs for variant in found}
    fig, listed = rows_figure(rows, f"top-1 minus that of {TITLES[ATTENTION]} (points), a tick a pair of runs")
    return fig, f"Differences in test top-1 from {TITLES[ATTENTION]}: {listed}."


def said(variant: Variant | None, score: Callable[[Record], np.ndarray] = is_right) -> str:
    """``+1.2 points [-0.3, +2.7], 3 pairs: no difference shown``; ``not run`` for None; or why it cannot act."""
    if variant is None:
        return "not run"
    if variant.idle:
        return f"cannot act here: {variant.idle}"

    def text(pairs: Pairs) -> str:
        return with_interval(gain_of(pairs, score), signed=True)

    return f"{beside(variant.pairs, text)}, {variant.counted}: {variant.finding(score)}"


def answers(found: Sequence[Variant]) -> list[str]:
    """What the variants say of the gate's parts, of look-alikes, and of what the heads see; a line a question."""

    def one(**fields: str) -> Variant | None:
        return next((v for v in found if {(k, here) for k, _, here in v.changed} == set(fields.items())), None)

    baseline, control, later = (one(model=model) for model in (BASELINE, CONTROL, TEMPORAL))
    swapped = next(
        (v for v in found if v.fields == {"model", "learning_rate"} and v.pairs[0][1].experiment.model == BASELINE),
        None,
    )
    at_its_rate = f"; at the gates' rate: {said(swapped)}" if swapped else ""
    without = baseline and replace(baseline, pairs=tuple((changed, gated) for gated, changed in baseline.pairs))
    return [
        "**Does the identity path in the gate matter?** Plain SE in place of Equation 4: top-1 "
        f"{said(one(gate='se'))}.",
        "**Is it the gate, or the larger branch?** The branch times a constant in place of the gate: top-1 "
        f"{said(one(gate='times_1.5'))}. No gate at all: {said(baseline)}{at_its_rate}.",
        "**Does the gate reduce confusion between look-alikes?** Share of clips taken for their class's look-alike "
        f"with the gate, minus the share without: {said(without, mistaken_for_partner)}.",
        _time_answer(control),
        _attention_answer(later),
    ]


def _time_answer(control: Variant | None) -> str:
    if control is None:
        return "**Does the 3D head see time?** Frames averaged in its place: not run on these splits with these seeds."
    head, average = _both_backwards(control)
    return (
        "**Does the 3D head see time?** Inside the pairs of which one class is the other played backwards it has "
        f"{head} right, the same trunk with frames averaged {average} (mean of {control.counted}; half is chance)."
    )


def _attention_answer(later: Variant | None) -> str:
    text = (
        "**Does temporal attention in the head help**, which the paper leaves to future work? Added to "
        f"{TITLES[ATTENTION]}: top-1 {said(later)}."
    )
    if later is None or not backwards_pairs(later.pairs[0][0].classes):
        return text
    without, attending = _both_backwards(later)
    return (
        f"{text} Inside the backwards pairs it has {attending} right, the network without it {without} (mean of "
        f"{later.counted}; half is chance)."
    )


def habits_text(found: Sequence[Variant]) -> str:
    """What each habit of published code does, switched on alone: a line a habit, those first that were not run."""
    changed = set().union(*(v.fields for v in found))
    fields = set().union(*(habit.fields for habit in HABITS.values()))
    lines = [f"- `{name}`: not run." for name, habit in HABITS.items() if not changed & set(habit.fields)]
    return "\n".join(lines + [f"- {v.title}: {said(v)}." for v in found if fields & v.fields])
