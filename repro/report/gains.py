"""The main point on the pages: what the gate does to accuracy, study by study, in a sentence and as a forest plot."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.judging import LEVEL, judge_gain, silent
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import percent, with_interval
from repro.records.questions import has_converged, one_start_text
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


def compared(studies: Sequence[Study]) -> list[Study]:
    """The studies that hold pairs of both networks."""
    return [study for study in studies if study.pairs]


def answer_text(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> str:
    """What the gate does to accuracy, a sentence for each study that converged, and what it does at one rate.

    records: any; those whose weights a study started from say whether their rates were alike.
    """
    lines = []
    for study, gain in _gains(studies):
        if study.converged:
            says = silent(gain) or SAYS[judge_gain(gain)]
            top1 = [percent(share_of([pair[k] for pair in study.pairs], is_right).point) for k in (0, 1)]
            found = f"{with_interval(gain, signed=True)}**, {top1[0]} without and {top1[1]} with gates"
            differs = own_rates_text(study)
            if _unlike_starts(study, records):
                differs += ", both pre-trained, at unlike learning rates"
            rates = one_rate.get(study.name, {}).items()
            same = "; ".join(f"at {rate:g} {_gained_text(pairs)}" for rate, pairs in rates)
            same = f" Both {same}." if same else ""
            lines.append(f"- **{study.name}: {found}{differs} ({_counted(gain)}): {says}.{same}")
    unknown = "**Not known yet:** no study here trained both networks until they had learned their training clips."
    return "\n".join(lines) or unknown


def details_text(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> str:
    """How those studies' rates were chosen, where their runs began, which had not learned; what says nothing.

    records: any; those that chose a rate say which others they could not tell from it.
    """
    lines = []
    for study, gain in (found := _gains(studies)):
        if study.converged:
            chosen_by = study.records[0].experiment.rate_chosen_by
            told = [rates_text(study) + _unsure_text(study, choosing(records, chosen_by))] if chosen_by else []
            told += [_one_rate_text(study, rate, pairs) for rate, pairs in one_rate.get(study.name, {}).items()]
            told += [one_start_text(study.records).removeprefix("; ")] if gain.runs > 1 else []
            told += [_starts_text(study, records)]
            told = [text for text in (*told, _learned_text(study)) if text]
            lines += [f"- {study.name}: {'; '.join(told)}."] if told else []
    early = [f"{study.name} {with_interval(gain, signed=True)}" for study, gain in found if not study.converged]
    return "\n".join(lines + ([f"- Training clips not learned, so no evidence: {'; '.join(early)}."] if early else []))


def forest_figure(studies: Sequence[Study], one_rate: OneRate) -> tuple[Figure, str]:
    """The gain of each study that holds pairs of both networks and, below it, at one rate; with its alt text."""
    rows = rows_of(studies, one_rate)
    label = (
        f"gain in test top-1 (points), {TITLES[ATTENTION]} minus baseline; a tick a pair of runs\n"
        f"(bars: 95 %; a verdict takes p below {LEVEL:g}, so more than a bar on one side of 0)"
    )
    fig, listed = rows_figure(rows, label)
    return fig, f"Gain in test top-1, {TITLES[ATTENTION]} minus {TITLES[BASELINE]}, with 95 % intervals: {listed}."


def rows_of(studies: Sequence[Study], one_rate: OneRate) -> dict[str, Pairs]:
    """By name the pairs of each study and, below it, those at one rate."""
    rows: dict[str, Pairs] = {}
    for study in compared(studies):
        rows[study.name + ("" if study.converged else " (not learned)")] = study.pairs
        rows |= {f"{study.name}, both at {rate:g}": pairs for rate, pairs in one_rate.get(study.name, {}).items()}
    return rows


def rows_figure(rows: Mapping[str, Pairs], label: str) -> tuple[Figure, str]:
    """A gain a row below its name and what it rests on, and all of them in words; label: of the axis."""
    gains = [gain_of(pairs, is_right) for pairs in rows.values()]
    counted = [f"{g.runs} pair{'s' if g.runs > 1 else ''}, {g.clips} clips, {g.groups} sources" for g in gains]
    fig, axis = plt.subplots(figsize=(NARROW, 0.85 + 0.5 * len(rows)), layout="constrained")
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


def _gained_text(pairs: Pairs) -> str:
    gain = gain_of(pairs, is_right)
    return f"**{with_interval(gain, signed=True)}** ({_counted(gain)})"


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
        for run in _unlike_starts(study, records)
    )
    return f"weights from runs that differ in more than the gate: {told}" if told else ""


def _unlike_starts(study: Study, records: Sequence[Record]) -> list[Record]:
    """The runs whose weights a study's networks started from where these had unlike rates, the baseline's first."""
    starts = {run.experiment.start_from for pair in study.pairs for run in pair}
    runs = [record for record in records if record.name in starts]
    unlike = len({run.experiment.learning_rate for run in runs}) > 1
    return sorted(runs, key=lambda run: run.experiment.model != BASELINE) if unlike else []


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
    return ", each at its own learning rate" if study.own_rates else ""


def unlearned_text(runs: Sequence[Record]) -> str:
    """How many of these runs ended before they had learned their training clips; nothing where none did."""
    late = sum(not has_converged(run) for run in runs)
    return f"{late} of {len(runs)} runs had not learned their training clips" if late else ""


def _counted(gain: Estimate) -> str:
    return "one pair of runs, over clips alone" if gain.runs == 1 else f"{gain.runs} pairs of runs"
