"""The pages of the book, in its order: what each is made from, what it reads, where it stands.

One page for each thing of the paper, numbered as there, with all studies that speak to it. All that names a notebook
or lists pages asks here: the Snakefile, the table of contents and the tests. A new page is one entry of ``KINDS``.
Reads without importing torch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.experiment.fields import ATTENTION, Experiment
from repro.experiment.profile import Profile
from repro.files import check_names
from repro.records.compare import clips_known

EXECUTED = "build/pages"


@dataclass(frozen=True)
class Kind:
    """A page. Paths and patterns are relative to the project's folder."""

    name: str  # of its file in the book
    source: str  # the notebook, or the text under book/
    title: str  # its heading, as the source has it
    part: str  # of the book; "" for the pages that stand before all parts
    records: bool = False  # it reads the records of all runs
    files: tuple[str, ...] = ()  # patterns of what else it reads: measurements, profiles
    # it takes a run of each of several studies: "clips", one for each set of clips; "trained", the first network with
    # gates that the profile trains
    takes: str = ""
    makes: tuple[str, ...] = ()  # what it measures of those, where they are the profile's own
    clips: bool = False  # shows clips where they are at hand
    weights: bool = False  # shows what networks do, where their weights are at hand
    alone: bool = False  # takes a machine for itself: a speed measured while another run shares the cores is not one


PAPERS = "The paper's tables and figures"
BEYOND = "Beyond the paper"
RUNNING = "For those who run it"
# What the page on the data takes of each set of clips, and if_missing
SET = (
    *("study", "dataset", "remark", "layout", "videos", "annotations", "classes", "split"),
    *("frames", "size", "unusable"),
)

# fmt: off
TRAIN = Kind("train", "notebooks/01_train.ipynb", "Train one network", "")  # leaves a record, no page

KINDS = (
    Kind("answer", "notebooks/02_answer.ipynb", "Can the paper be reproduced?", "",
         records=True,
         files=("results/table6/*", "results/backends-*/cpu.json", "results/*/online.json", "profiles/paper.yaml")),
    Kind("reading", "notebooks/03_reading.ipynb", "How to read this", "", records=True),

    Kind("networks", "notebooks/04_networks.ipynb", "Figures 2 to 4, Table 1: the networks", PAPERS),
    Kind("data", "notebooks/05_data.ipynb", "Table 2: the data", PAPERS, takes="clips", clips=True,
         files=("results/datasets/lists.json", "results/*/decoding.json"),
         makes=("results/{study}/audit.json", "results/{study}/audit.parquet")),
    Kind("training", "notebooks/06_training.ipynb", "Table 3: the training", PAPERS, records=True),
    Kind("others", "notebooks/07_others.ipynb", "Tables 4 and 5: beside other methods", PAPERS, records=True),
    Kind("complexity", "notebooks/08_complexity.ipynb", "Table 6: complexity and speed", PAPERS,
         files=("results/table6/*", "results/backends-*/cpu.json", "results/*/inference.json")),
    Kind("gate", "notebooks/09_gate.ipynb", "Table 7: with and without the gate", PAPERS, records=True),
    Kind("look-alikes", "notebooks/10_look_alikes.ipynb", "Table 8, Figure 1: look-alikes", PAPERS, records=True,
         clips=True, weights=True),
    Kind("online", "notebooks/11_online.ipynb", "Figure 5: online recognition", PAPERS, records=True, takes="trained",
         clips=True, weights=True, alone=True, files=("results/*/timeline.*", "results/online/*.json"),
         makes=("results/{study}/online.json", "results/{study}/timeline.json", "results/{study}/timeline.parquet")),

    Kind("choices", "notebooks/12_choices.ipynb", "One choice at a time", BEYOND, records=True),
    Kind("time", "notebooks/13_time.ipynb", "Does the head use time?", BEYOND, records=True),
    Kind("forensics", "notebooks/14_forensics.ipynb", "What the reported percentages can be", BEYOND),
    Kind("statistics", "notebooks/15_statistics.ipynb", "Statistics", BEYOND, records=True),

    Kind("reproduce", "book/reproduce.md", "From a bare machine", RUNNING),
    Kind("server", "book/server.md", "On a GPU server", RUNNING),
    Kind("own-clips", "book/own-clips.md", "Your own clips", RUNNING),
    Kind("send", "book/send.md", "Send a record", RUNNING),
    Kind("ledger", "notebooks/16_ledger.ipynb", "What the text leaves open", RUNNING, records=True,
         files=("results/*/timeline.*",)),
    Kind("plan", "book/plan.md", "The plan of the runs", RUNNING),
    Kind("runs", "notebooks/17_runs.ipynb", "Every run", RUNNING, records=True),
    Kind("references", "book/references.md", "References", RUNNING),
)
# fmt: on
ROOT_PAGE = KINDS[0].name


def placed(name: str) -> Kind:
    """The kind of a page. Raises ValueError for a name without a place."""
    if found := next((kind for kind in KINDS if kind.name == name), None):
        return found
    known = ", ".join(kind.name for kind in KINDS)
    raise ValueError(f"page {name}: the book has no place for it; pages are named: {known}")


# ---- the pages of one profile


@dataclass(frozen=True)
class Page:
    """A page of a profile's book that is executed."""

    name: str
    kind: Kind
    parameters: dict[str, Any]
    reads: tuple[str, ...]  # the notebook first
    makes: tuple[str, ...]
    at_hand: dict[str, bool]  # which clips and weights, as far as it shows any: the page is another one without

    @property
    def file(self) -> str:
        return f"{EXECUTED}/{self.name}.ipynb"


class Studies:
    """The studies that a profile makes and those that are recorded under results/, which are shown beside them."""

    def __init__(self, profile: Profile):
        self.profile = profile
        self.own: dict[str, list[Experiment]] = {}
        for experiment in profile.experiments:
            self.own.setdefault(experiment.study, []).append(experiment)
        self.recorded: dict[str, list[Path]] = {}
        for path in sorted(Path("results").glob("*/[!.]*/record.json")):
            if path.parts[1] not in self.own:
                self.recorded.setdefault(path.parts[1], []).append(path)
        self.all = sorted({*self.own, *self.recorded})
        self.first: dict[str, Experiment] = {}  # one run of each
        self.clips: dict[str, set[str]] = {}  # and what its clips are
        for study in self.all:
            self.first[study], hashed = self._first(study)
            self.clips[study] = clips_known(self.first[study], hashed)
        self.shown = [study for study in self.all if self.first[study].role == "main"]  # with pages of their own

    def _first(self, study: str) -> tuple[Experiment, str | None]:
        """A run and its clips' hash; None where this profile makes the run: pages are the same before and after it."""
        if study in self.own:
            return self.own[study][0], None
        path = self.recorded[study][0]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Experiment.from_mapping(content["experiment"] | {"study": study}), content["data"]["hash"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: this record cannot be read ({error}); delete it or run it again") from None

    def rendered(self, study: str) -> bool:
        """Whether the study's clips are those that the profile renders."""
        made = self.profile.demo_set
        return made is not None and Path(self.first[study].videos).is_relative_to(made["root"])

    def records(self, study: str) -> list[str]:
        """The records of a study, made or to be made."""
        if study in self.own:
            return [f"results/{study}/{experiment.run}/record.json" for experiment in self.own[study]]
        return [path.as_posix() for path in self.recorded.get(study, [])]

    def taken(self, kind: Kind) -> list[Experiment]:
        """The runs that a page of this kind takes; see `Kind.takes`."""
        if kind.takes == "clips":  # of the studies of the same clips the profile's own, else one from scratch
            chosen, known = [], set[str]()
            for study in sorted(
                self.shown, key=lambda study: (study not in self.own, bool(self.first[study].start_from))
            ):
                if not self.clips[study] & known:
                    chosen.append(self.first[study])
                known |= self.clips[study]
            return chosen
        if kind.takes == "trained":  # its weights are sure to be there
            return [run for run in self.profile.experiments if run.model == ATTENTION][:1]
        return []


def pages_of(profile: Profile) -> list[Page]:
    """Every page of a profile's book that is executed, in the book's order.

    Raises ValueError for a record under results/ that cannot be read, and for parameters of a page that does not exist.
    """
    executed = [kind for kind in KINDS if kind.source.endswith(".ipynb")]
    check_names(profile.pages, [kind.name for kind in executed], "pages")
    studies = Studies(profile)
    made = [path for kind in executed for path in _made(kind, studies)]
    pages = []
    for kind in executed:
        parameters = _parameters(kind, studies) | profile.pages.get(kind.name, {})
        makes = _made(kind, studies)
        reads = (path for path in dict.fromkeys(_read(kind, studies, made)) if path not in makes)
        pages.append(Page(kind.name, kind, parameters, (kind.source, *reads), makes, _at_hand(kind, studies)))
    return pages


def _parameters(kind: Kind, studies: Studies) -> dict[str, Any]:
    runs = studies.taken(kind)
    if kind.takes == "clips":
        missing = ("error" if run.study in studies.own else "note" for run in runs)
        return {"sets": [{n: run.to_dict()[n] for n in SET} | {"if_missing": m} for run, m in zip(runs, missing)]}
    if kind.takes == "trained":
        return {"study": runs[0].study, "run": runs[0].run} if runs else {"study": "", "run": ""}
    return {}


def _at_hand(kind: Kind, studies: Studies) -> dict[str, bool]:
    """Of each study shown, whether its clips and weights are there or will be, as far as the page shows any."""
    shown: dict[str, bool] = {}
    for study in studies.shown if kind.clips or kind.weights else ():
        own = study in studies.own
        if kind.clips:
            there = own or studies.rendered(study) or Path(studies.first[study].videos).is_dir()
            shown[f"clips of {study}"] = there
        if kind.weights:
            shown[f"weights of {study}"] = own or any(Path("build/runs", study).glob("*/weights.pt"))
    return shown


def _made(kind: Kind, studies: Studies) -> tuple[str, ...]:
    """What a page measures, of the studies that are the profile's own."""
    own = [run.study for run in studies.taken(kind) if run.study in studies.own]
    return tuple(name.format(study=study) for study in own for name in kind.makes)


def _read(kind: Kind, studies: Studies, made: Sequence[str]) -> Iterator[str]:
    """Records and files that a page reads, there already or to be made."""
    for study in studies.all if kind.records else ():
        yield from studies.records(study)
    for pattern in kind.files:
        yield from sorted(path.as_posix() for path in Path().glob(pattern))
        yield from (path for path in made if Path(path).match(pattern))
    for run in studies.taken(kind):
        if run.study not in studies.own:
            yield from (path for name in kind.makes if Path(path := name.format(study=run.study)).is_file())
    if kind.clips and studies.profile.demo_set and any(map(studies.rendered, studies.shown)):
        yield f"{studies.profile.demo_set['root']}/demo.json"
