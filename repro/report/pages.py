"""The pages of the book, in its order: what each is made from, what it reads, where it stands.

All that names a notebook or lists pages asks here: the Snakefile, the table of contents, the headings of pages by
study, the tests and README's list of notebooks. A new page is one entry of ``KINDS``. Reads without importing torch.
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
    """A page, or one for each of several studies. Paths and patterns are relative to the project's folder."""

    name: str  # of its file in the book; <name>-<study> where there is one for each study
    source: str  # the notebook, or the text under book/
    title: str  # its heading, as the source has it
    part: str  # of the book; "" for the page that the book opens with
    # "": one page; "study": for each study shown; "clips": for each set of clips; "trained": for the study whose
    # attention network is trained here
    each: str = ""
    records: str = ""  # it reads: "" none; "study": those of its study; "all"
    files: tuple[str, ...] = ()  # patterns of what else it reads: measurements, profiles
    makes: tuple[str, ...] = ()  # what it measures of a study of the profile; of another it shows what is there
    clips: bool = False  # shows clips of its study, where they are at hand
    weights: bool = False  # shows what its study's networks do, where their weights are at hand
    alone: bool = False  # takes a machine for itself: a speed measured while another run shares the cores is not one
    parameters: tuple[str, ...] = ()  # fields of its study's first run, and if_missing


DATA = (
    "study", "dataset", "remark", "layout", "videos", "annotations", "classes", "split", "frames", "size", "unusable",
    "if_missing",
)  # fmt: skip

# fmt: off
TRAIN = Kind("train", "notebooks/01_train.ipynb", "Train one network", "")  # leaves a record, no page

KINDS = (
    Kind("claims", "notebooks/02_claims.ipynb", "Can the paper be reproduced? The verdicts", "",
         records="all", files=("results/table6/*", "results/*/online.json", "profiles/paper.yaml")),

    Kind("datasets", "notebooks/03_datasets.ipynb", "The datasets", "Data",
         files=("results/datasets/lists.json", "results/*/decoding.json")),
    Kind("data", "notebooks/04_data.ipynb", "Clips and sampling", "Data", each="clips", clips=True,
         makes=("results/{study}/audit.json", "results/{study}/audit.parquet"), parameters=DATA),

    Kind("architecture", "notebooks/05_architecture.ipynb", "The two networks", "Experiments"),
    Kind("accuracy", "notebooks/06_accuracy.ipynb", "Accuracy", "Experiments", each="study",
         records="study", clips=True, parameters=("study",)),
    Kind("confusion", "notebooks/07_confusion.ipynb", "Look-alike actions", "Experiments", each="study",
         records="study", clips=True, weights=True, parameters=("study",)),
    Kind("ablations", "notebooks/08_ablations.ipynb", "One choice at a time", "Experiments", records="all"),
    Kind("complexity", "notebooks/09_complexity.ipynb", "Complexity and speed", "Experiments",
         files=("results/table6/*", "results/*/inference.json")),
    Kind("protocols", "notebooks/10_protocols.ipynb", "How the runs were trained", "Experiments", records="all"),
    Kind("online", "notebooks/11_online.ipynb", "Online recognition", "Experiments", each="trained",
         records="study", clips=True, weights=True, alone=True, makes=("results/{study}/online.json",),
         parameters=("study", "run")),

    Kind("paper", "notebooks/12_paper.ipynb", "The paper as data, and what it leaves open", "The paper", records="all"),
    Kind("forensics", "notebooks/13_forensics.ipynb",
         "Forensics: which counts can the reported accuracies come from?", "The paper"),
    Kind("references", "book/references.md", "References", "The paper"),

    Kind("reproduce", "book/reproduce.md", "Reproduce it yourself", "Do it yourself"),

    Kind("runs", "notebooks/14_runs.ipynb", "Appendix: every run", "Appendix", records="all"),
    Kind("statistics", "notebooks/15_statistics.ipynb", "Statistics", "Appendix", records="all"),
    Kind("plan", "book/plan.md", "The plan of the runs", "Appendix"),
)
# fmt: on
ROOT_PAGE = KINDS[0].name


def placed(name: str) -> tuple[Kind, str]:
    """The kind of a page and its study, "" where it has none. Raises ValueError for a name without a place."""
    for kind in KINDS:
        if name == kind.name and not kind.each:
            return kind, ""
        if kind.each and name.startswith(f"{kind.name}-"):
            return kind, name.removeprefix(f"{kind.name}-")
    known = ", ".join(f"{kind.name}-<study>" if kind.each else kind.name for kind in KINDS)
    raise ValueError(f"page {name}: the book has no place for it; pages are named: {known}")


def heading_of(name: str) -> str:
    """The heading of the page of this name: its kind's title, and its study where there is one page for each."""
    kind, study = placed(name)
    return f"{kind.title} · {study}" if study else kind.title


# ---- the pages of one profile


@dataclass(frozen=True)
class Page:
    """A page of a profile's book that is executed."""

    name: str
    kind: Kind
    parameters: dict[str, Any]
    reads: tuple[str, ...]  # the notebook first
    makes: tuple[str, ...]
    at_hand: dict[str, bool]  # clips and weights, as far as it shows any: the page is another one without

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

    def records(self, study: str) -> list[str]:
        """The records of a study, made or to be made."""
        if study in self.own:
            return [f"results/{study}/{experiment.run}/record.json" for experiment in self.own[study]]
        return [path.as_posix() for path in self.recorded.get(study, [])]

    def standing_for(self, kind: Kind) -> Sequence[Experiment | None]:
        """A run of each study that has a page of this kind; [None] for a page of no study."""
        if kind.each == "study":
            return [self.first[study] for study in self.shown]
        if kind.each == "clips":  # of the studies of the same clips the profile's own, else one from scratch
            chosen, known = [], set[str]()
            for study in sorted(
                self.shown, key=lambda study: (study not in self.own, bool(self.first[study].start_from))
            ):
                if not self.clips[study] & known:
                    chosen.append(self.first[study])
                known |= self.clips[study]
            return chosen
        if kind.each == "trained":  # the weights of one network alone are sure to be there
            return [run for run in self.profile.experiments if run.model == ATTENTION][:1]
        return [None]


def pages_of(profile: Profile) -> list[Page]:
    """Every page of a profile's book that is executed, in the book's order.

    Raises ValueError for a record under results/ that cannot be read, and for parameters of a page that does not exist.
    """
    executed = [kind for kind in KINDS if kind.source.endswith(".ipynb")]
    check_names(profile.pages, [kind.name for kind in executed], "pages")
    studies = Studies(profile)
    wanted = [(kind, run) for kind in executed for run in studies.standing_for(kind)]
    made = [path for kind, run in wanted for path in _made(kind, run, studies)]
    return [_page(kind, run, studies, made) for kind, run in wanted]


def _page(kind: Kind, run: Experiment | None, studies: Studies, made: Sequence[str]) -> Page:
    values: dict[str, Any] = {}
    at_hand: dict[str, bool] = {}
    rendered: list[str] = []
    if run:
        own = run.study in studies.own
        values = run.to_dict() | {"if_missing": "error" if own else "note"}
        root = (studies.profile.demo_set or {}).get("root")
        if kind.clips and root and Path(run.videos).is_relative_to(root):
            rendered = [f"{root}/demo.json"]
        if kind.clips:
            at_hand["clips"] = own or bool(rendered) or Path(run.videos).is_dir()
        if kind.weights:
            at_hand["weights"] = own or any(Path("build/runs", run.study).glob("*/weights.pt"))
    return Page(
        name=f"{kind.name}-{run.study}" if run else kind.name,
        kind=kind,
        parameters={name: values[name] for name in kind.parameters} | studies.profile.pages.get(kind.name, {}),
        reads=(kind.source, *dict.fromkeys(_read(kind, run, studies, made)), *rendered),
        makes=_made(kind, run, studies),
        at_hand=at_hand,
    )


def _made(kind: Kind, run: Experiment | None, studies: Studies) -> tuple[str, ...]:
    """What a page measures, where its study is the profile's own."""
    return tuple(name.format(study=run.study) for name in kind.makes) if run and run.study in studies.own else ()


def _read(kind: Kind, run: Experiment | None, studies: Studies, made: Sequence[str]) -> Iterator[str]:
    """Records and files that a page reads, there already or to be made."""
    for study in studies.all if kind.records == "all" else [run.study] if kind.records == "study" and run else []:
        yield from studies.records(study)
    for pattern in kind.files:
        yield from sorted(path.as_posix() for path in Path().glob(pattern))
        yield from (path for path in made if Path(path).match(pattern))
    if run and run.study not in studies.own:
        yield from (path for name in kind.makes if Path(path := name.format(study=run.study)).is_file())
