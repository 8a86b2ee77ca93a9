"""A profile: one YAML file that lists every run of one study. Reads without importing torch.

Keys::

    study: demo                      # folder under results/
    role: main                       # optional: what it is for. main: evidence for the claims; ablation; tuning
    remark: ...                      # printed wherever the results are shown
    like: demo                       # optional: what profiles/demo.yaml sets as demo_set, protocol, habits and fields
    demo_set: {root: data/demo, ...} # optional: arguments of repro.data.demo.render_demo_set, rendered when missing
    protocol: paper_text             # optional: fields of repro.experiment.protocols; fields below come before it
    habits: [test_steers, ...]       # optional: habits of published code to switch on
    fields: {...}                    # repro.experiment.fields.Experiment fields of every run
    runs:                            # every combination of models, splits and seeds is one run
      # Of these, name, role, protocol, habits and fields are optional; they come before the study's. A named group is a
      # study of its own, results/<study>-<name>: one for each dataset.
      # start_from: "{study}-kinetics/{model}-split1-seed{seed}" in fields makes a chain: that run comes first
      - {models: [...], splits: [...], seeds: [...], name: "hmdb51", role: main, protocol: ..., habits: [...],
         fields: {...}}
    only: [hmdb51]                   # optional: these groups alone, and those that they start from
    pages: {complexity: {...}, online: {...}}   # optional: parameters of those notebooks
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from repro.experiment.fields import Experiment, Role
from repro.experiment.protocols import fields_of
from repro.files import Written, check_names, checked, read_yaml

PROFILES = Path(__file__).parents[2] / "profiles"
Fields = dict[str, Any]


class Group(Written):
    """Every combination of models, splits and seeds is one run."""

    models: list[Any] = Field(min_length=1)
    splits: list[Any] = Field(min_length=1)
    seeds: list[Any] = Field(min_length=1)
    name: str | None = None
    role: Role | None = None
    protocol: str | None = None
    habits: list[str] | None = None
    fields: Fields | None = None


class Study(Written):
    """A profile as it is written, with what the profile named by ``like`` sets."""

    study: str
    role: Role = "main"
    remark: str = ""
    like: str | None = None
    demo_set: Fields | None = None
    protocol: str | None = None
    habits: list[str] | None = None
    fields: Fields | None = None
    runs: list[Group] = Field(min_length=1)
    only: str | list[str] | None = None
    pages: dict[str, Fields] | None = None


@dataclass(frozen=True)
class Profile:
    """A study and its runs, checked."""

    study: str
    role: Role
    demo_set: Fields | None
    experiments: tuple[Experiment, ...]
    pages: dict[str, Fields]


def require_profile(path: Path) -> None:
    """Raises FileNotFoundError that names the profiles that exist where there is no such file."""
    if not Path(path).is_file():
        known = ", ".join(sorted(other.name for other in PROFILES.glob("*.yaml")))
        raise FileNotFoundError(f"there is no profile {path}; name a file, as of those in {PROFILES.name}/: {known}")


def read_profile(path: Path, only: list[str] | None = None) -> Profile:
    """Read a profile file, with these groups as its ``only`` where they are given.

    Raises FileNotFoundError or ValueError that names the file, the key and the mend.
    """
    require_profile(path)
    values = read_yaml(path)
    try:
        return make_profile({**values, "only": only} if only and isinstance(values, Mapping) else values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def make_profile(values: Mapping[str, Any]) -> Profile:
    """Check a profile's values. Raises ValueError that names the key and the mend."""
    if not isinstance(values, Mapping) or not values.get("study"):
        raise ValueError("study: name the study; pass a profile (snakemake --configfile profiles/demo.yaml)")
    study = checked(Study, _inherited(values), "")
    experiments: dict[tuple[str, str], Experiment] = {}
    for experiment in _runs(study):
        key = experiment.study, experiment.run
        if key in experiments:
            raise ValueError(f"runs: {experiment.run} is listed twice; give one group a name")
        experiments[key] = experiment
    return Profile(study.study, study.role, study.demo_set, _chosen(experiments, study), study.pages or {})


def _inherited(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what the profile named by ``like`` sets and they do not; fields are joined one by one."""
    if not values.get("like"):
        return dict(values)
    path = PROFILES / f"{values['like']}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in PROFILES.glob("*.yaml")))
        raise ValueError(f"like: {values['like']!r} is no profile; known: {known}")
    base = _inherited(read_yaml(path))
    base = {key: base[key] for key in ("demo_set", "protocol", "habits", "fields") if key in base}
    fields = values.get("fields") or {}
    if isinstance(fields, Mapping):
        fields = {**(base.get("fields") or {}), **fields}
    return {**base, **values, "fields": fields}


def _runs(study: Study) -> Iterator[Experiment]:
    """The experiment of every run, in the profile's order."""
    for group in study.runs:
        fields = {"role": group.role or study.role, "remark": study.remark, **_fields(study, group)}
        for model, split, seed in itertools.product(group.models, group.splits, group.seeds):
            names = {"study": study.study, "model": model, "split": split, "seed": seed}
            if isinstance(pattern := fields.get("start_from"), str):
                try:
                    names["start_from"] = pattern.format(**names)
                except (KeyError, ValueError, IndexError):
                    known = ", ".join(f"{{{name}}}" for name in names)
                    raise ValueError(f"start_from: {pattern!r} is not understood; it may hold {known}") from None
            if group.name:
                names["study"] = f"{study.study}-{group.name}"
            yield Experiment.from_mapping(fields | names | {"run": f"{model}-split{split}-seed{seed}"})


def _fields(study: Study, group: Group) -> Fields:
    """The fields of a group's runs: the protocol's, then the habits', then the study's own, then the group's."""
    own = {**(study.fields or {}), **(group.fields or {})}
    habits = (study.habits if group.habits is None else group.habits) or []
    layout = own.get("layout", Experiment().layout)
    for name in habits:
        for field, value in fields_of(habits=[name], layout=layout).items():
            if own.get(field, value) != value:
                raise ValueError(
                    f"habits: {name} sets {field}: {value!r}, but fields say {own[field]!r}; leave one out"
                )
    return fields_of(group.protocol or study.protocol or "sound", habits, layout=layout) | own


def _chosen(experiments: Mapping[tuple[str, str], Experiment], study: Study) -> tuple[Experiment, ...]:
    """The runs of the groups named by ``only``, with those that they start from, which come first; all without it."""
    if not study.only:
        return tuple(experiments.values())
    only = [study.only] if isinstance(study.only, str) else study.only
    check_names(only, [group.name for group in study.runs if group.name], "only")
    wanted = {key for key in experiments if key[0] in {f"{study.study}-{name}" for name in only}}
    while sources := {s for key in wanted if (s := source_of(experiments[key]))} & set(experiments) - wanted:
        wanted |= sources
    return tuple(experiment for key, experiment in experiments.items() if key in wanted)


def source_of(experiment: Experiment) -> tuple[str, str] | None:
    """Study and run that a run starts from, if it starts from one."""
    study, slash, run = (experiment.start_from or "").partition("/")
    return (study, run) if slash and study else None
