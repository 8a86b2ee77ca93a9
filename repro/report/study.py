"""The studies that pages show: sets of like runs, whoever made them, with names for people, the surest first.

Runs that learned nothing are marked wherever they count, with the result without them beside it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.claims.judging import RENDERED, is_evidence
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import in_markdown, percent, with_interval
from repro.records import compare
from repro.records.freshness import Digest
from repro.records.questions import CONVERGED, has_converged, have_converged, learned_nothing, training_top1
from repro.records.record import RESULTS, Record
from repro.records.scores import gain_of, is_right, share_of

Pairs = Sequence[tuple[Record, Record]]
OneRate = Mapping[str, Mapping[float, Pairs]]
"""By a study's name: runs with one learning rate for both networks, by that rate (`repro.report.doses.one_rate_of`)."""
NOTHING = "learned nothing"


def mark(record: Record) -> str:
    """`` (learned nothing)`` behind a run's name, or nothing."""
    return f" ({NOTHING})" if learned_nothing(record) else ""


def stuck_text(records: Sequence[Record]) -> str:
    """Which of a study's runs learned nothing, and what they answer most; nothing where all learned."""
    stuck = []
    for run in filter(learned_nothing, records):
        counts = np.bincount(run.scores.argmax(1), minlength=len(run.classes))
        answer, share = in_markdown(run.classes[counts.argmax()]), percent(counts.max() / counts.sum())
        place = f"{TITLES[run.experiment.model]}, split {run.experiment.split}, seed {run.experiment.seed}"
        stuck.append(f"{place}, answers {answer} to {share} of clips")
    if not stuck:
        return ""
    return (
        f"**{len(stuck)} of {len(records)} runs {NOTHING}**, right no more often than one answer to every clip would "
        f"be: {'; '.join(stuck)}. They count like any other; where they do, the result without them stands beside."
    )


def top1_text(records: Sequence[Record]) -> str:
    """Top-1 of one network's runs, as ``62.5 % [58.1, 66.7]``."""
    return with_interval(share_of(records, is_right))


def gain_text(pairs: Pairs) -> str:
    """Gain in top-1 of the second network, as ``+2.1 points [-0.3, +4.5]``."""
    return with_interval(gain_of(pairs, is_right), signed=True)


def beside(pairs: Pairs, text: Callable[[Pairs], str]) -> str:
    """``text`` of these pairs of runs, and of those that learned, where some did not."""
    rest = [pair for pair in pairs if not any(map(learned_nothing, pair))]
    if len(rest) == len(pairs):
        return text(pairs)
    return f"{text(pairs)}; where both learned {text(rest) if rest else 'no pair is left'}"


def beside_runs(records: Sequence[Record], text: Callable[[Sequence[Record]], str]) -> str:
    """``text`` of one network's runs, and of those that learned, where some did not."""
    rest = [record for record in records if not learned_nothing(record)]
    if len(rest) == len(records):
        return text(records)
    return f"{text(records)}; of those that learned {text(rest) if rest else 'none is left'}"


@dataclass(frozen=True)
class Study:
    """Runs of the same clips and settings. ``name``: for people, another for every study of a page."""

    name: str
    records: tuple[Record, ...]

    @property
    def pairs(self) -> Pairs:
        """Runs of the baseline and of the network with gates that differ in nothing else."""
        return compare.partners(self.records, BASELINE, ATTENTION)

    @property
    def gain(self) -> Estimate | None:
        """What the gates add to top-1; None without a pair."""
        return gain_of(self.pairs, is_right) if self.pairs else None

    @property
    def converged(self) -> bool:
        return have_converged(self.records)

    @property
    def own_rates(self) -> bool:
        """Whether its networks differ in their learning rate."""
        return len({record.experiment.learning_rate for record in self.records}) > 1

    @property
    def networks(self) -> dict[str, list[Record]]:
        """Its runs by network, in the order of `TITLES`."""
        found = {model: [r for r in self.records if r.experiment.model == model] for model in TITLES}
        return {model: runs for model, runs in found.items() if runs}


def shown(records: Iterable[Record], today: Digest) -> list[Study]:
    """The studies of a page: fresh runs made as evidence, each set of like runs one study.

    Converged ones first, then the one whose gain is known best; studies without a pair of runs last.
    """
    # the control counts as evidence whichever study it is part of
    made = [record for record in records if record.experiment.role == "main" or is_evidence(record.experiment)]
    found = compare.alike([record for record in made if not record.stale(today)])
    named = [Study(name, tuple(runs)) for name, runs in zip(names([runs[0] for runs in found]), found)]

    def order(study: Study) -> tuple[bool, bool, float, str]:
        gain = study.gain
        if gain is None:
            return True, True, math.inf, study.name
        return not study.converged, gain.sd_runs is None, gain.high - gain.low, study.name

    return sorted(named, key=order)


# ---- names

WORDS = {
    "start_from": lambda value: "pre-trained" if value else "from scratch",
    "epochs": lambda value: f"{value} epochs",
    "width": lambda value: f"width ×{value:g}",
    "size": lambda value: f"{value} pixels",
    "frames": lambda value: f"{value} frames",
    "learning_rate": lambda value: f"learning rate {value:g}",
}
"""What tells like studies apart, the first of them that does, in a reader's words."""


def names(firsts: Sequence[Record]) -> list[str]:
    """A name for each study, given one of its runs: its clips, and what tells it from others of the same clips."""
    clips = [RENDERED.get(record.experiment.dataset, record.experiment.dataset) for record in firsts]
    plain = [name[0].upper() + name[1:] for name in clips]
    return [
        ", ".join([name, *_apart(record, [other for other, same in zip(firsts, plain) if same == name])])
        for record, name in zip(firsts, plain)
    ]


def _apart(record: Record, others: Sequence[Record]) -> list[str]:
    """The fields of `WORDS` in which some of the others differ, until none of them is like this one; else its study."""
    left, found = [other for other in others if other is not record], []
    for field, words in WORDS.items():
        own = words(getattr(record.experiment, field))
        rest = [other for other in left if words(getattr(other.experiment, field)) == own]
        if len(rest) < len(left):
            found.append(own)
        left = rest
    return [*found, *([record.experiment.study] if left else [])]


# ---- what a page says of a study


def none_text(results: Path = RESULTS) -> str:
    """What a page says where there is no study to show."""
    return f"**Not run:** `{results}` holds no fresh record. See [From a bare machine](reproduce.html)."


def study_text(study: Study) -> str:
    """How a study was made and how far its runs learned: one paragraph, and one on runs that learned nothing."""
    first = study.records[0].experiment
    splits, seeds = (
        ", ".join(map(str, sorted({getattr(record.experiment, name) for record in study.records})))
        for name in ("split", "seed")
    )
    runs = " and ".join(f"{len(some)} of {TITLES[model]}" for model, some in study.networks.items())
    text = (
        f"`results/{first.study}`: {first.remark} {runs}; splits {splits}, seeds {seeds}, "
        f"{first.epochs} epochs, {rates_text(study)}. {convergence_text(study)}"
    )
    return "\n\n".join(filter(None, (text, stuck_text(study.records))))


def runs_of(studies: Sequence[Study], one_rate: OneRate) -> list[Record]:
    """The runs of these studies, and those at one rate that stand beside them."""
    beside = (pair for gains in one_rate.values() for pairs in gains.values() for pair in pairs)
    return [*(run for study in studies for run in study.records), *(run for pair in beside for run in pair)]


def rates_text(study: Study) -> str:
    """The learning rate of all networks, or each one's own."""
    rates = {model: some[0].experiment.learning_rate for model, some in study.networks.items()}
    if not study.own_rates:
        return f"learning rate {next(iter(rates.values())):g}"
    own = ", ".join(f"{rate:g} of {TITLES[model]}" for model, rate in rates.items())
    return f"learning rates [chosen on validation clips](training.html): {own}"


def early_text(studies: Sequence[Study]) -> str:
    """That the study a page speaks of had not learned its training clips: what follows is no evidence. Else nothing."""
    if not studies or studies[0].converged:
        return ""
    few = " (one pair)" if studies[0].gain and studies[0].gain.runs == 1 else ""
    return (
        f"**Not known yet:** the runs of {studies[0].name}{few} ended before they had learned their training clips. "
        "What follows is no evidence; intervals of single runs are over clips alone."
    )


def convergence_text(study: Study) -> str:
    """How many runs had learned their training clips at the end; the page of every run marks those that had not."""
    late = [record for record in study.records if not has_converged(record)]
    if not late:
        return "All of its runs had learned their training clips when they ended."
    ends = sorted(training_top1(record) for record in late)
    span = percent(ends[0]) if len(late) == 1 else f"{percent(ends[0])} to {percent(ends[-1])}"
    text = (
        f"**{len(late)} of {len(study.records)} runs ended before they had learned their training clips** (training "
        f"top-1 {span}; {percent(CONVERGED, 0)} is asked for)"
    )
    if not study.converged:
        return f"{text}: this compares how fast networks learn, and no verdict rests on it."
    return f"{text}, [marked in the table of runs](runs.html)."
