"""What a verdict is, what it may rest on, and how intervals and several outcomes become one: shared by all rules.

An outcome is one of ``OUTCOMES``. A rule sees fresh records of the paper's networks only, each run once.

*One set of like runs* (same clips and settings, :func:`repro.records.compare.alike`). An effect is one estimate over
runs and groups of clips. The set speaks for or against the claim where the estimate's p is below ``LEVEL``, and it
cannot speak where its chance is not known: from one run (what another training would give) or fewer than
``FEWEST_GROUPS`` groups of clips, or where a few of them hold most clips. ``LEVEL`` is 1 %, for several sets are asked:
of ten without any effect fewer than one in twenty then seems to confirm it.

*Several sets of one claim* (:func:`combined`). Sets that cannot tell do not vote; the others give their common outcome,
or *partly* where they differ. *Several parts of one claim* (:func:`parts`): *reproduced* needs all of them, one is
*partly*. So more runs that say the same move a set from *undecided* to an outcome and never back, a set added never
takes a verdict away from what it says itself, one that cannot tell changes nothing, and order does not matter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from repro.data.catalogue import CATALOGUE
from repro.experiment.fields import CONTROL, Experiment
from repro.metrics.statistics import Estimate
from repro.metrics.text import hours_text
from repro.paper.cells import Claim, Paper
from repro.records import compare
from repro.records.questions import have_converged
from repro.records.record import Record
from repro.records.table6 import Measured

MEANING = {
    "reproduced": "found here as the paper says it",
    "partly": "a part of it holds here (of a claim about all others half or more), or it holds in some studies and the "
    "opposite in others",
    "undecided": "tested, and what was found could be chance or rests on too little",
    "contradicted": "the opposite was found here",
    "not testable": "not here: what it takes is named with the claim",
}
OUTCOMES = tuple(MEANING)
BY_CONSTRUCTION = "Settled by construction."
LEVEL = 0.01  # p below which a set of runs speaks
FEWEST_GROUPS = 20  # intervals over fewer are not known to hold (repro.metrics.statistics)
FEWEST_EQUAL = FEWEST_GROUPS / 2  # groups of unequal size are worth fewer equal ones; nor over fewer of these
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
    """Each record once."""
    return tuple(dict.fromkeys(Source.of(record.name, record.provenance) for record in records))


@dataclass(frozen=True)
class Finding:
    """What one set of like runs says of a claim."""

    study: str
    place: str  # on which clips
    outcome: str  # one of OUTCOMES
    short: str  # the figures, with their interval
    details: str  # what stands behind them
    rest: str = ""  # the figures without the runs that learned nothing, where there are such
    stuck: tuple[str, ...] = ()  # the names of those runs

    @property
    def text(self) -> str:
        return f"{self.place}: {self.short} ({self.details}){self.without}: {self.outcome}"

    @property
    def without(self) -> str:
        return f"; without the runs that learned nothing ({', '.join(self.stuck)}): {self.rest}" if self.stuck else ""


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
    runs: str = ""  # which kind of runs its rule judges
    clips: str = ""  # and on which clips

    @property
    def how(self) -> str:
        """In a few words what the verdict rests on."""
        if self.outcome == "not testable":
            return self.text
        return self.short or self.scope or ("by construction" if self.chapter == "networks" else self.evidence)

    @property
    def text(self) -> str:
        return f"not testable without {self.without}" if self.outcome == "not testable" else self.outcome

    @property
    def seen_before(self) -> tuple[Source, ...]:
        """The sources that are older than the rule: whoever wrote it could have known what they say."""
        return tuple(source for source in self.sources if self.since is not None and source.started < self.since)


def is_evidence(experiment: Experiment) -> bool:
    """Whether a run speaks for the paper's networks: by its role, network and steering, never by its study's name.

    Runs with one choice changed speak for that choice, runs of a tuning for a rate, runs steered by test clips for
    nothing. The control without a 3D head is none of these, whichever study it is part of.
    """
    if experiment.watch == "test":
        return False
    if experiment.model == CONTROL:
        return experiment.role != "tuning"
    return experiment.role == "main" and compare.is_as_read(experiment)


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules may look at.

    Of the records given, those that are no evidence are left out, and so are sets of like runs that ended before they
    had learned their training clips: they compare how fast networks learn.
    """

    paper: Paper
    records: tuple[Record, ...]  # fresh ones
    stale: tuple[str, ...] = ()  # names of those left out
    stopped: tuple[str, ...] = field(default=(), init=False)  # of those left out because they had not converged
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # today's, of Table 6's networks compared
    table6: dict[str, Measured] = field(default_factory=dict)  # record by device
    backends: tuple[Measured, ...] = ()  # the two networks' runtimes alone, on other CPUs
    online: dict[str, dict[str, Any]] = field(default_factory=dict)
    pace: Mapping[str, Any] | None = None  # a file played at its own rate to a network of full width
    costs: dict[str, tuple[int, float]] = field(default_factory=dict)  # runs and PFLOP of profiles/paper.yaml by group

    def __post_init__(self) -> None:
        found = [record for record in self.records if is_evidence(record.experiment)]
        stopped = {record.name for some in compare.alike(found) if not have_converged(some) for record in some}
        object.__setattr__(self, "records", tuple(record for record in found if record.name not in stopped))
        object.__setattr__(self, "stopped", tuple(record.name for record in found if record.name in stopped))

    def by_study(self) -> dict[str, list[Record]]:
        """The records by study; a run that several studies hold is in one of them alone."""
        found: dict[str, list[Record]] = {}
        for some in self.alike():
            for record in some:
                found.setdefault(record.experiment.study, []).append(record)
        return found

    def alike(self) -> list[list[Record]]:
        """The records apart by classes, settings and clips, each run once (:func:`repro.records.compare.alike`)."""
        return compare.alike(self.records)

    def full_size(self, *groups: str) -> str:
        """The command that runs these groups of profiles/paper.yaml after pre-training, and what it takes if known."""
        only = f" --config only={groups[0]}" if len(groups) == 1 else ""
        needed = ", ".join(CATALOGUE[group].title for group in groups)
        text = f"`.venv/bin/snakemake runs --cores all --configfile profiles/paper.yaml{only}`, with {needed}, Kinetics"
        if not self.costs:
            return f"{text}."
        runs, training = (sum(column) for column in zip(*(self.costs[group] for group in groups)))
        first, before = self.costs["kinetics"]
        return (
            f"{text}: about {hours_text((training + before) * 1e15)} ({training:,.0f} PFLOP for {runs:.0f} runs of "
            f"both networks, {before:,.0f} for {first} on Kinetics before them). What gain they can show is not known "
            "before their spread is."
        )


Rule = Callable[[Claim, Evidence], Verdict]
RULES: dict[str, Rule] = {}


def rule(*ids: str, runs: str, clips: str = "none", since: str) -> Callable[[Rule], Rule]:
    """The rule of these claims.

    runs, clips: which kind of runs it judges and on which clips, in words for the page of the verdicts. since: when,
    with the zone, it last came to decide otherwise, so that a reader sees which records are older; whoever changes what
    a rule decides renews it. Raises ValueError for a time without a zone.
    """
    at = datetime.fromisoformat(since)
    if at.tzinfo is None:
        raise ValueError(f"{ids[0]}: since: {since} has no time zone; write one behind it")

    def register(function: Rule) -> Rule:
        def judge(claim: Claim, evidence: Evidence) -> Verdict:
            return replace(function(claim, evidence), since=at, runs=runs, clips=clips)

        RULES.update(dict.fromkeys(ids, judge))
        return function

    return register


def judge_gain(gain: Estimate) -> str:
    """One of OUTCOMES for an effect that the paper says is above zero; see the module's text."""
    if silent(gain) or gain.p >= LEVEL:
        return "undecided"
    return "reproduced" if gain.point > 0 else "contradicted"


def silent(gain: Estimate) -> str:
    """Why an estimate cannot speak, however large it is; nothing where it can."""
    if gain.sd_runs is None:
        return "one training alone cannot tell"
    if gain.groups < FEWEST_GROUPS:
        return f"fewer than {FEWEST_GROUPS} groups of clips cannot tell"
    few = f"most clips are of few groups, worth {gain.spread.equal:.1f} of equal size, which cannot tell"
    return few if gain.spread.equal < FEWEST_EQUAL else ""


def combined(outcomes: Iterable[str]) -> str:
    """What several sets of runs say of one claim; see the module's text."""
    found = set(outcomes)
    if votes := found - {"undecided", "not testable"}:
        return votes.pop() if len(votes) == 1 else "partly"
    return "undecided" if "undecided" in found else "not testable"


def parts(outcomes: Iterable[str]) -> str:
    """What the parts of one claim say together: all of them hold, some, none; else it is not known yet."""
    found = set(outcomes)
    if len(found) == 1:
        return found.pop()
    return "partly" if found & {"reproduced", "partly"} else "undecided"


def of_most(gains: Sequence[Estimate]) -> str:
    """The outcome of what is claimed of most of several effects: that more than half of them are above zero.

    That u of n effects are there has p = (n - u + 1) times the u-th smallest p of one side, whatever ties the effects
    together (Y. Benjamini, R. Heller, Biometrics 64:1215, 2008, in Bonferroni's form). Contradicted: so many are below
    zero that no more than half can be above.
    """
    n, most = len(gains), len(gains) // 2 + 1
    for outcome, sign, u in (("reproduced", 1, most), ("contradicted", -1, n - most + 1)):
        sided = sorted(1.0 if silent(g) or sign * g.point <= 0 else g.p / 2 for g in gains)
        if (n - u + 1) * sided[u - 1] < LEVEL / 2:
            return outcome
    return "undecided"


def of_all(held: int, number: int) -> str:
    """The outcome of what is claimed of all, from how many of them it holds for: all, at least half, or fewer."""
    if held == number:
        return "reproduced"
    return "partly" if 2 * held >= number else "contradicted"


def where(records: Sequence[Record], among: Sequence[Sequence[Record]] = ()) -> str:
    """How the verdicts name a study's clips, and who else ran some of it; with the study's name where ``among``, the
    groups that are named beside it, another one is of the same dataset."""
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
    start = " or ".join("from other weights" if other else "from scratch" for other in sorted(weights))
    return (
        f"{span('width', '')} times the paper's width, {span('size', ' pixels')}, {span('frames', ' frames')}, trained "
        f"{start}"
    )


def missing(claim: Claim, evidence: str, without: str, *, test: str, settle: str, chapter: str = "") -> Verdict:
    """A verdict of *not testable*."""
    return Verdict(claim, "not testable", test, evidence, settle, chapter, without)
