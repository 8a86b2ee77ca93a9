"""The page of the verdicts: the answer in a few lines, every claim short and in full, what could settle the rest."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from repro.claims.judging import BY_CONSTRUCTION, MEANING, OUTCOMES, Evidence, Source, Verdict, scale, where
from repro.experiment.profile import read_profile
from repro.records.record import Record
from repro.report.foot import SNAKEMAKE
from repro.report.pages import placed
from repro.report.show import Html, anchor, badge, link, with_code
from repro.report.statistics import POWER, can_project, detected, points
from repro.report.study import Study

COMPARED = "complexity.html#the-networks-compared"  # where they are listed
Verdicts = Sequence[Verdict]


def by_outcome(verdicts: Verdicts) -> list[Verdict]:
    """The verdicts in the order of `OUTCOMES`."""
    return sorted(verdicts, key=lambda verdict: OUTCOMES.index(verdict.outcome))


# ---- in one minute


def answer_text(verdicts: Verdicts) -> str:
    """Yes, no or only in part, and how many claims were found."""
    good = any(v.outcome in ("reproduced", "partly") for v in verdicts)
    answer = "Yes" if all(v.outcome == "reproduced" for v in verdicts) else "Only in part" if good else "No"
    counted = Counter(v.outcome for v in verdicts)
    by_construction = sum(v.settle == BY_CONSTRUCTION for v in verdicts)
    named = ", ".join(
        f"{counted[outcome]} reproduced ({by_construction} of them by construction)"
        if outcome == "reproduced" and by_construction
        else f"{counted[outcome]} {outcome}"
        for outcome in OUTCOMES
        if counted[outcome]
    )
    return f"**{answer}.** Of {len(verdicts)} claims: {named}."


def runs_text(verdicts: Verdicts, evidence: Evidence, choices: Sequence[Record]) -> str:
    """Which runs verdicts count, on which clips, with networks of which size, which stand beside them, and which do
    not; nothing without runs.

    choices: runs with one choice changed that the page shows, at one rate or with a constant.
    """
    if not evidence.records:
        return ""
    places = Counter(where(runs) for runs in evidence.by_study().values() for _ in runs)
    listed = [f"{count} {place}" for place, count in places.items()]
    counted = (
        " and ".join(filter(None, (", ".join(listed[:-1]), listed[-1]))) if len(places) > 1 else next(iter(places))
    )
    full = any(v.claim.id.startswith("accuracy-") and v.outcome != "not testable" for v in verdicts)
    limit = "" if full else ": they test the ideas, not the paper's numbers"
    more = {record.name for record in choices} - {record.name for record in evidence.records}
    beside = f" {len(more)} more, with another rate or a constant, stand beside them and decide none." if more else ""
    drawn = " of a drawn figure" if counted.endswith("rendered clips") else ""
    return (
        f"Verdicts on accuracy count {places.total()} runs{', ' if len(places) > 1 else ' '}{counted}{drawn}, with "
        f"networks of {scale(evidence.records)}{limit}.{beside} [All other runs](runs.html) had not learned their "
        "training clips, chose settings, changed another choice, or repeat others. Sizes and speeds, online "
        "recognition apart, are those of the networks at full size."
    )


def meanings_text(verdicts: Verdicts) -> str:
    """What each outcome that occurs means."""
    found = {v.outcome for v in verdicts}
    meanings = "; ".join(f"*{outcome}*: {words}" for outcome, words in MEANING.items() if outcome in found)
    young = [v.claim.title for v in verdicts if v.seen_before]  # they could have been written to suit their records
    rules = f" Rules younger than a record that they judge: of *{'*, *'.join(young)}*." if young else ""
    return (
        f"{meanings}.{rules} [Networks]({COMPARED}) and results of others that claims are held against are this "
        "study's choice: of the rows of the paper's tables the text names I3D alone."
    )


# ---- every claim


def claims_table(verdicts: Verdicts) -> pd.DataFrame:
    """Every claim in a line: its verdict, what that rests on, and the page that has the numbers."""
    return pd.DataFrame(
        {
            "claim": v.claim.title,
            "verdict": badge(v.outcome),
            "because": v.how[0].upper() + v.how[1:],
            "page": _page_link(v) or "",
        }
        for v in verdicts
    )


def _page_link(verdict: Verdict) -> Html | None:
    if not verdict.chapter:
        return None
    return link(placed(verdict.chapter).title.partition(":")[0], f"{verdict.chapter}.html")


def settle_table(verdicts: Verdicts) -> pd.DataFrame:
    """What would settle the claims that no verdict is known of, and what it costs; claims that take the same, once."""
    found: dict[str, list[str]] = {}
    for v in verdicts:
        if v.outcome in ("undecided", "not testable"):
            found.setdefault(v.settle, []).append(v.claim.title)
    return pd.DataFrame(
        {"claims": "; ".join(titles), "what would settle them": with_code(settle)} for settle, titles in found.items()
    )


NEAR = {  # what the plan asks of CPUs: profile and question
    "rendered": "the gain on rendered clips",
    "rates-120": "each network's rate, by runs of 120 epochs",
    "rendered-choices": "is it the gate, a constant or the rate; one choice at a time",
    "ut-interaction": "the gain on real look-alikes",
    "ucf101-3": "the gain on three classes of UCF101",
    "rendered-wide": "does the gain change with size",
}


def near_text(records: Sequence[Record], studies: Sequence[Study]) -> str:
    """How many runs of the plan are recorded, what the others take on a CPU, and what gain all of them could show: a
    line a profile."""
    gains = {study.records[0].experiment.study: study.gain for study in studies if study.gain}
    made = {record.name: record.seconds for record in records}
    lines = []
    for question, path in ((question, Path("profiles") / f"{name}.yaml") for name, question in NEAR.items()):
        if not path.is_file():
            continue
        names = [f"{experiment.study}/{experiment.run}" for experiment in read_profile(path).experiments]
        took = [made[name] for name in names if name in made]
        minutes = f"; {sum(took) / len(took) / 60:.0f} minutes a run on one core by the mean" if took else ""
        planned = len(names) // 2  # of both networks
        gain = gains.get(path.stem) if took else None
        power = ""
        if gain and gain.runs < planned and can_project(gain):
            power = f" With all {planned} pairs a true gain of {points(detected(gain, runs=planned))} would give a "
            power += f"verdict in {100 * POWER:.0f} of 100 such studies; found so far: {100 * gain.point:+.1f}."
        lines.append(
            f"- {question[0].upper()}{question[1:]}: `{SNAKEMAKE} {path}`: {len(took)} of {len(names)} runs are "
            f"recorded{minutes}.{power}"
        )
    return "\n".join(lines)


def claims_content(verdicts: Verdicts) -> list[dict[str, Any]]:
    """The verdicts for machines: claims.json beside the book."""
    return [
        {
            "id": v.claim.id,
            "claim": v.claim.statement,
            "quote": v.claim.quote,
            "section": v.claim.section,
            "verdict": v.text,
            "evidence": v.evidence,
            "test": v.test,
            "runs": v.runs,
            "clips": v.clips,
            "settled by": v.settle,
            "page": f"{v.chapter}.html" if v.chapter else None,
            "rule since": None if v.since is None else v.since.isoformat(),
            "records": [source.name for source in v.sources],
        }
        for v in verdicts
    ]


def evidence_text(evidence: Evidence) -> str:
    """The studies that the verdicts rest on, with their remarks, and what was left out as stale."""
    lines = [
        f"- `{study}`, {len(runs)} runs: {runs[0].experiment.remark}" for study, runs in evidence.by_study().items()
    ]
    for words, names in (
        ("they ended before they had learned their training clips", evidence.stopped),
        ("today's code behaves differently", evidence.stale),
    ):
        studies = Counter(name.partition("/")[0] for name in names)
        if studies:
            listed = ", ".join(f"{number} of `{study}`" for study, number in studies.items())
            lines += ["", f"[Runs](runs.html) left out because {words}: {listed}."]
    return "\n".join(lines)


def full_table(verdicts: Verdicts, evidence: Evidence) -> pd.DataFrame:
    """Every claim in full: the sentence that is tested, its verdict, evidence with its test, the runs and clips that
    count, records and rule, and what would settle it."""
    recorded = {record.name for record in evidence.records}
    quoted, rows = Markup("{}<br><small>“{}” ({})</small>"), []
    for v in verdicts:
        beside = f"without {v.without}" if v.without else v.scope
        small = Markup("<br><small>{}</small>").format(beside) if beside else ""
        rows.append(
            {
                "claim": Html(v.claim.statement, quoted.format(v.claim.statement, v.claim.quote, v.claim.section)),
                "verdict": Html(v.text, Markup("{}{}").format(badge(v.outcome), small)),
                "evidence": _evidence_cell(v, recorded),
                "what would settle it": with_code(v.settle),
            }
        )
    return pd.DataFrame(rows)


def _evidence_cell(verdict: Verdict, recorded: Collection[str]) -> Html:
    html = Markup("{}<br><small>Test: {}<br>By: {}. On: {}.</small>").format(
        verdict.evidence, verdict.test, verdict.runs, verdict.clips
    )
    if page := _page_link(verdict):
        html += Markup("<br>{}").format(page)
    if verdict.sources:
        html += Markup("<details><summary>{}</summary>{}</details>").format(
            f"{len(verdict.sources)} record{'s' if len(verdict.sources) > 1 else ''}",
            Markup(", ").join(_source_link(source, recorded) for source in verdict.sources),
        )
    html += Markup("<br><small>{}</small>").format(_rule_text(verdict))
    return Html(verdict.evidence, html)


def _source_link(source: Source, recorded: Collection[str]) -> Markup:
    """A run's place in the appendix; a measurement, which has none there, by its file."""
    by = f" (by {source.contributor})" if source.contributor else ""
    if source.name in recorded:
        return link(source.name + by, f"runs.html#{anchor(source.name)}").html
    return Markup("{}").format(f"results/{source.name}.json{by}")


def _rule_text(verdict: Verdict) -> str:
    date, older = f"Rule of {verdict.since:%Y-%m-%d %H:%M} UTC", verdict.seen_before
    if not verdict.sources:
        return f"{date}."
    if not older:
        return f"{date}, older than its records."
    return f"{date}, newer than {len(older)} of its {len(verdict.sources)} records."
