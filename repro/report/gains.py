"""The main point on the pages: what the gate does to accuracy, study by study, in a sentence and as a table."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from repro.claims.judging import judge_gain, silent
from repro.records.scores import gains_by_seed
from repro.report import forest
from repro.report.learned import gain_text
from repro.report.study import Study, rates_text

SAYS = {
    "reproduced": "it recognises more of these clips",
    "contradicted": "it recognises fewer of these clips",
    "undecided": "this could be chance",
}


def compared(studies: Sequence[Study]) -> list[Study]:
    """The studies that hold pairs of both networks."""
    return [study for study in studies if study.pairs]


def answer_text(studies: Sequence[Study]) -> str:
    """What the gate does to accuracy, a sentence for each study that converged; which say nothing, and why."""
    found = compared(studies)
    sure = [study for study in found if study.converged]
    lines = [f"- **{study.name}: {gain_text(study.pairs)}**: {_says(study)} ({_counted(study)})." for study in sure]
    if not sure:
        lines = ["**Not known yet:** no study here trained both networks until they had learned their training clips."]
    if early := [study for study in found if not study.converged]:
        named = "; ".join(f"{study.name} {gain_text(study.pairs)} ({_counted(study)})" for study in early)
        lines.append(f"- Stopped early, so no evidence: {named}.")
    return "\n".join(lines) if sure else "\n\n".join([lines[0], *(line.removeprefix("- ") for line in lines[1:])])


def forest_figure(studies: Sequence[Study]) -> tuple[Figure, str]:
    """The gain of each study with both kinds of chance, with its alternative text."""
    rows = []
    for study in compared(studies):
        early = "" if study.converged else " (stopped early)"
        if gain := study.gain:
            rows.append(forest.Row(study.name + early, gain, gains_by_seed(study.pairs)))
    return forest.forest_figure(rows)


def _says(study: Study) -> str:
    gain = study.gain
    if gain is None:
        return ""
    why = silent(gain)
    return f"{SAYS['undecided']}, for {why}" if why else SAYS[judge_gain(gain)]


def _counted(study: Study) -> str:
    gain = study.gain
    if gain is None:
        return "no pair of runs"
    pairs = "one pair of runs, so the interval is over clips alone" if gain.runs == 1 else f"{gain.runs} pairs of runs"
    rates = f"; {own}" if "chosen" in (own := rates_text(study)) else ""
    return f"{pairs}, {gain.clips} test clips of {gain.groups} sources{rates}"
