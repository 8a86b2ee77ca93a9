"""The main point on the pages: what the gate does to accuracy, study by study, in a sentence and as a forest plot."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.judging import LEVEL, judge_gain, silent
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import percent, with_interval
from repro.records.questions import has_converged, one_start_text, unlike_starts
from repro.records.rates import alike, by_rate, choosing
from repro.records.record import Record
from repro.records.scores import gain_of, gains_by_seed, is_right, share_of
from repro.report.figures import draw_gains
from repro.report.show import NARROW
from repro.report.study import OneRate, Pairs, Study, rates_text

SAYS = {
    "reproduced": "it recognises more of these clips",
    "contradicted": "it recognises fewer of these clips",
    "undecided": "this could be chance",
}
TOGETHER = {
    SAYS["reproduced"]: "The gate recognises more clips of each set.",
    SAYS["contradicted"]: "The gate recognises fewer clips of each set.",
    SAYS["undecided"]: "Neither a gain nor a loss of accuracy by the gate is shown: each difference could be chance.",
}
"""What all sets of clips say where they say the same."""


def compared(studies: Sequence[Study]) -> list[Study]:
    """The studies that hold pairs of both networks."""
    return [study for study in studies if study.pairs]


def answer_text(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> str:
    """What the gate does to accuracy: what all studies that converged say together, and the gain of each, also at one
    rate.

    records: any; those whose weights a study started from say whether their rates were alike.
    """
    found = [(study, gain) for study, gain in _gains(studies) if study.converged]
    if not found:
        return "**Not known yet:** no study here trained both networks until they had learned their training clips."
    says = [silent(gain) or SAYS[judge_gain(gain)] for _, gain in found]
    same, told = len(set(says)) == 1, []
    for (study, gain), word in zip(found, says):
        own = "" if same else f" ({word})"
        one = [f"{_bold(gain_of(pairs, is_right))} both at {rate:g}" for rate, pairs in _rates(one_rate, study)]
        told.append(f"{study.name} {', '.join([_bold(gain) + _rates_differ(study, records) + own, *one])}")
    first = TOGETHER.get(says[0], f"Not known yet: {says[0]}.") if same else "It differs from set to set."
    return f"**{first}** With gates minus without: {'; '.join(told)}."


def details_text(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> str:
    """How those studies' rates were chosen, where their runs began, which had not learned; what says nothing.

    records: any; those that chose a rate say which others they could not tell from it.
    """
    lines = []
    for study, gain in (found := _gains(studies)):
        if study.converged:
            chosen_by = study.records[0].experiment.rate_chosen_by
            told = [rates_text(study) + _unsure_text(study, choosing(records, chosen_by))] if chosen_by else []
            told += [_one_rate_text(study, rate, pairs) for rate, pairs in _rates(one_rate, study)]
            told += [one_start_text(study.records).removeprefix("; ")] if gain.runs > 1 else []
            told += [_starts_text(study, records)]
            told = [text for text in (*told, _learned_text(study)) if text]
            lines += [f"- {study.name}: {'; '.join(told)}."] if told else []
    early = [f"{study.name} {with_interval(gain, signed=True)}" for study, gain in found if not study.converged]
    return "\n".join(lines + ([f"- Training clips not learned, so no evidence: {'; '.join(early)}."] if early else []))


def forest_figure(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> tuple[Figure, str]:
    """The gain of each study that converged, if any did, and, below it, at one rate; with its alt text."""
    sure = [study for study in studies if study.converged] or studies
    rows = rows_of(sure, one_rate, records)
    label = (
        f"gain in test top-1 (points), {TITLES[ATTENTION]} minus baseline; a tick a pair of runs\n"
        f"(bars: 95 %; a verdict takes p below {LEVEL:g}, so more than a bar on one side of 0)"
    )
    fig, listed = rows_figure(rows, label)
    return fig, f"Gain in test top-1, {TITLES[ATTENTION]} minus {TITLES[BASELINE]}, with 95 % intervals: {listed}."


def rows_of(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> dict[str, Pairs]:
    """By name, with what differs beside the gate, the pairs of each study and, below it, those at one rate."""
    rows: dict[str, Pairs] = {}
    for study in compared(studies):
        early = "" if study.converged else " (training clips not learned)"
        rows[study.name + _rates_differ(study, records) + early] = study.pairs
        rows |= {f"{study.name}, both at {rate:g}": pairs for rate, pairs in _rates(one_rate, study)}
    return rows


def rows_figure(rows: Mapping[str, Pairs], label: str) -> tuple[Figure, str]:
    """A gain a row below its name and what it rests on, and all of them in words; label: of the axis."""
    gains = [gain_of(pairs, is_right) for pairs in rows.values()]
    counted = [f"{g.runs} pair{'s' if g.runs > 1 else ''}, {g.clips} clips, {g.groups} sources" for g in gains]
    fig, axis = plt.subplots(figsize=(NARROW, 0.85 + 0.47 * len(rows)), layout="constrained")
    blank = [""] * len(rows)
    draw_gains(axis, blank, gains, blank, [gains_by_seed(pairs) for pairs in rows.values()])
    axis.set_ylim(len(rows) - 0.6, -0.8)
    for at, (name, words) in enumerate(zip(rows, counted)):
        text = f"{name}: {words}"
        axis.annotate(text, (0, at - 0.28), xycoords=("axes fraction", "data"), fontsize=8).set_in_layout(False)
    axis.set_xlabel(label, fontsize=8)
    listed = "; ".join(
        f"{name} {with_interval(gain, signed=True)}, {words}"
        f"{'' if gain.sd_runs is not None else ' (hollow: without the chance of training)'}"
        for name, gain, words in zip(rows, gains, counted)
    )
    return fig, listed


def _gains(studies: Sequence[Study]) -> list[tuple[Study, Estimate]]:
    return [(study, gain) for study in studies if (gain := study.gain)]


def _bold(gain: Estimate) -> str:
    return f"**{with_interval(gain, signed=True)}**"


def _rates(one_rate: OneRate, study: Study) -> Iterable[tuple[float, Pairs]]:
    return one_rate.get(study.name, {}).items()


def _rates_differ(study: Study, records: Sequence[Record]) -> str:
    """In what its networks differ beside the gate; nothing where in nothing."""
    starts = ", weights of unlike rates" if _starts(study, records) else ""
    return own_rates_text(study) + starts


def _learned_text(study: Study) -> str:
    """How many runs of a converged study had not learned their training clips; nothing where all had."""
    if all(has_converged(run) for pair in study.pairs for run in pair):
        return ""
    late = " and ".join(
        f"{sum(not has_converged(pair[k]) for pair in study.pairs)} of {len(study.pairs)} runs {words} gates"
        for k, words in ((1, "with"), (0, "without"))
    )
    return f"{late} ended before they had learned their training clips"


def _starts_text(study: Study, records: Sequence[Record]) -> str:
    """From which runs of unlike rates the networks started, for their gain is in the study's, too; else nothing."""
    told = ", ".join(
        f"{TITLES[run.experiment.model]} from `{run.name}` (rate {run.experiment.learning_rate:g}, "
        f"{percent(share_of([run], is_right).point)} right there)"
        for run in _starts(study, records)
    )
    return f"weights from runs that differ in more than the gate: {told}" if told else ""


def _starts(study: Study, records: Sequence[Record]) -> list[Record]:
    return unlike_starts((run for pair in study.pairs for run in pair), records)


DETAILS = "How these runs were made: rates, weights to start from, which had not learned their training clips"


def _unsure_text(study: Study, tuning: Sequence[Record]) -> str:
    """Which rates could not be told from a network's own, in brackets; nothing where all could."""
    runs = {model: by_rate(tuning, model) for model in study.networks}
    found = {TITLES[model]: rates for model, some in runs.items() if some and (rates := alike(some))}
    told = [f"of {title} not told from {' and '.join(f'{rate:g}' for rate in rates)}" for title, rates in found.items()]
    return f" ({'; '.join(told)})" if told else ""


def _one_rate_text(study: Study, rate: float, pairs: Pairs) -> str:
    """What is to be known of the runs at one rate: their folders, those that had not learned, and the study's own gain
    on their splits and seeds where these are fewer than its own."""
    there = {(gated.experiment.split, gated.experiment.seed) for _, gated in pairs}
    same = [pair for pair in study.pairs if (pair[1].experiment.split, pair[1].experiment.seed) in there]
    runs = [run for pair in pairs for run in pair]
    told = ["runs of " + " and ".join(f"`{study}`" for study in dict.fromkeys(run.experiment.study for run in runs))]
    told += filter(None, [unlearned_text(runs)])
    if len(same) < len(study.pairs):
        gain = with_interval(gain_of(same, is_right), signed=True)
        told.append(f"{len(same)} of the {len(study.pairs)} splits and seeds, which gain {gain} at the chosen rates")
    return f"both at {rate:g}: {', '.join(told)}"


def own_rates_text(study: Study) -> str:
    """That its networks differ in their rate, too; nothing where they do not."""
    return ", each at its own rate" if study.own_rates else ""


def unlearned_text(runs: Sequence[Record]) -> str:
    """How many of these runs ended before they had learned their training clips; nothing where none did."""
    late = sum(not has_converged(run) for run in runs)
    return f"{late} of {len(runs)} runs had not learned their training clips" if late else ""
