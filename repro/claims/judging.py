"""What a verdict is, what it may rest on, and how intervals and several outcomes become one: shared by all rules.

An outcome is one of ``OUTCOMES``. A rule sees fresh records only. The rules for a measured gain are all alike
(:func:`judge_gain`): *reproduced* when its whole 95 % interval is on the claimed side, *partly* when only the estimate
is, *contradicted* when the whole interval is on the other side, and *not testable* without more clips in between. That
interval is over clips: a gain of networks is *undecided*, whatever it says, where pairs of runs differ in sign, and so
is a claim on which studies do. What is claimed of many (:func:`of_all`) is *mostly not* so when it holds for less than
half of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from repro.metrics.statistics import Interval
from repro.paper.cells import Claim, Paper
from repro.records import compare
from repro.records.record import Record
from repro.records.table6 import Measured

MEANING = {
    "reproduced": "the evidence is on the paper's side",
    "partly": "it leans to the paper's side, or at least half of what is claimed holds",
    "undecided": "seeds or studies say the opposite of one another",
    "mostly not": "less than half of what is claimed holds",
    "contradicted": "the evidence is on the other side",
    "not testable": "not here: what it takes is named with the claim",
}
OUTCOMES = tuple(MEANING)
SUSTAINED = 1e14  # floating-point operations a second: what a data-centre GPU may sustain in training, an assumption
RENDERED = {"rendered demo set": "rendered clips"}  # a dataset that has no name in the field


@dataclass(frozen=True)
class Source:
    """A record or measurement that a verdict rests on."""

    name: str  # its folder or file under results/
    started: datetime  # with its time zone
    contributor: str = ""  # who made it, where that is not this study

    @classmethod
    def of(cls, name: str, provenance: Mapping[str, Any]) -> "Source":
        return cls(name, datetime.fromisoformat(provenance["started"]), provenance.get("contributor", ""))


def sources(records: Iterable[Record]) -> tuple[Source, ...]:
    return tuple(Source.of(record.name, record.provenance) for record in records)


@dataclass(frozen=True)
class Finding:
    """What one set of like runs says of a gain."""

    study: str
    place: str  # on which clips, its study not named
    difference: Interval  # Res34-SE-IM-Net minus baseline, over groups of clips
    clips: int  # tested
    groups: int  # that they come from
    pairs: int  # of runs
    better: int  # of the pairs: on the side that the paper claims
    stuck: tuple[str, ...] = ()  # networks of the runs that did no better than guessing, one for each run
    rest: Interval | None = None  # the difference without the pairs that have such a run


@dataclass(frozen=True)
class Verdict:
    """What became of one claim."""

    claim: Claim
    outcome: str  # one of OUTCOMES
    test: str  # how it was tested here
    evidence: str  # figures with interval and n
    settle: str  # what would settle it
    chapter: str = ""  # page of the book
    without: str = ""  # for "not testable": what is missing
    scope: str = ""  # the clips that the verdict speaks for
    short: str = ""  # the evidence in a few words, where the outcome alone says too little
    sources: tuple[Source, ...] = ()  # what it rests on
    findings: tuple[Finding, ...] = ()  # of a gain: set of like runs by set
    since: datetime | None = None  # when its rule last came to decide otherwise

    @property
    def how(self) -> str:
        """In a few words what the verdict rests on."""
        if self.outcome == "not testable":
            return self.text
        return self.short or self.scope or ("by construction" if self.chapter == "architecture" else self.evidence)

    @property
    def text(self) -> str:
        return f"not testable without {self.without}" if self.outcome == "not testable" else self.outcome

    @property
    def seen_before(self) -> tuple[Source, ...]:
        """The sources that are older than the rule: whoever wrote it could have known what they say."""
        return tuple(source for source in self.sources if self.since is not None and source.started < self.since)


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules may look at."""

    paper: Paper
    records: tuple[Record, ...]  # fresh ones
    stale: tuple[str, ...] = ()  # names of those left out
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # today's, of Table 6's networks compared
    table6: dict[str, Measured] = field(default_factory=dict)  # record by device
    online: dict[str, dict[str, Any]] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)  # PFLOP of profiles/paper.yaml by group of runs

    def by_study(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.experiment.study, []).append(record)
        return found

    def alike(self) -> list[list[Record]]:
        """The records apart by classes, settings and clips (:func:`repro.records.compare.alike`)."""
        return compare.alike(self.records)

    def hours(self, *groups: str) -> str:
        """What these groups of profiles/paper.yaml and the pre-training take: `` (... PFLOP, about ... hours ...)``.

        Empty where the costs are not known.
        """
        if not self.costs:
            return ""
        training, before = sum(self.costs[group] for group in groups), self.costs["kinetics"]
        hours = (training + before) * 1e15 / SUSTAINED / 3600
        return (
            f" (about {hours:.0f} hours on one GPU if it sustains {SUSTAINED / 1e12:.0f} TFLOP/s: {training:,.0f} "
            f"PFLOP for all runs of both networks, {before:,.0f} once for Kinetics)"
        )


Rule = Callable[[Claim, Evidence], Verdict]
RULES: dict[str, Rule] = {}


def rule(*ids: str, since: str) -> Callable[[Rule], Rule]:
    """The rule of these claims.

    since: the time, with its zone, at which it last came to decide otherwise. Whoever changes what a rule decides
    renews it, so that a reader sees which records are older than the rule that judges them.
    """
    at = datetime.fromisoformat(since)
    if at.tzinfo is None:
        raise ValueError(f"{ids[0]}: since: {since} has no time zone")

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ids, lambda claim, evidence: replace(function(claim, evidence), since=at)))
        return function

    return register


def judge_gain(gain: Interval) -> str:
    """One of OUTCOMES for an effect that the paper says is above zero; see the module's text."""
    if gain.low > 0:
        return "reproduced"
    if gain.high < 0:
        return "contradicted"
    return "partly" if gain.point > 0 else "not testable"


def combined(outcomes: Iterable[str], mixed: str = "undecided") -> str:
    """Several outcomes as one: their common one, ``mixed`` when some speak for the claim and others against it.

    One that needs more clips does not count beside others, but leaves a claim that they confirm at *partly*.
    """
    found = set(outcomes)
    if len(found) == 1:
        return found.pop()
    speaks_for, against = found & {"reproduced", "partly"}, found & {"mostly not", "contradicted"}
    if "undecided" in found or (speaks_for and against):
        return mixed
    if speaks_for:
        return "partly"
    return "mostly not" if "mostly not" in against else "contradicted"


def of_all(held: int, number: int) -> str:
    """The outcome of what is claimed of all, from how many of them it holds for."""
    if held in (0, number):
        return "reproduced" if held else "contradicted"
    return "partly" if 2 * held >= number else "mostly not"


LESS_CERTAIN = {"reproduced": "partly", "partly": "not testable"}


def over_runs(outcome: str, gains: Sequence[float]) -> str:
    """The outcome that an interval gives, in the light of each pair of runs.

    *Undecided* where pairs differ in sign; one step nearer to doubt unless two pairs or more have the claim's sign.
    """
    if min(gains) < 0 < max(gains):
        return "undecided"
    if outcome == "reproduced" and not (len(gains) > 1 and min(gains) > 0):
        return "partly"
    if outcome == "contradicted" and not (len(gains) > 1 and max(gains) < 0):
        return "not testable"
    return outcome


def where(records: Sequence[Record], among: Sequence[Sequence[Record]] = ()) -> str:
    """How the verdicts name a study's clips, and who else ran some of it.

    among: the groups that are named beside it; the study's name is added where one of them is of the same dataset.
    """
    dataset = records[0].experiment.dataset
    if sum(group[0].experiment.dataset == dataset for group in among) > 1:
        dataset = f"{RENDERED.get(dataset, dataset)} ({records[0].experiment.study})"
    names = dict.fromkeys(r.provenance["contributor"] for r in records if r.provenance.get("contributor"))
    return f"on {RENDERED.get(dataset, dataset)}" + (f" (runs of {', '.join(names)} among them)" if names else "")


def scale(records: Sequence[Record]) -> str:
    """The networks that were trained, beside the paper's: width, pixels, frames, and from which weights."""

    def span(name: str, unit: str) -> str:
        values = sorted({getattr(record.experiment, name) for record in records})
        return " to ".join(f"{value:g}" for value in dict.fromkeys((values[0], values[-1]))) + unit

    weights = {bool(e.start_from or e.trunk_weights or e.head_weights) for e in (r.experiment for r in records)}
    start = " or ".join(
        words for other, words in ((False, "from scratch"), (True, "from other weights")) if other in weights
    )
    return (
        f"{span('width', '')} times the paper's width, {span('size', ' pixels')}, {span('frames', ' frames')}, trained "
        f"{start}"
    )


def missing(claim: Claim, evidence: str, without: str, *, test: str, settle: str, chapter: str = "") -> Verdict:
    """A verdict of *not testable*."""
    return Verdict(claim, "not testable", test, evidence, settle, chapter, without)
