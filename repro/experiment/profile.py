"""A profile: one YAML file that lists every run of one study. Reads without importing torch.

Keys::

    study: demo                      # folder under results/
    remark: ...                      # printed wherever the results are shown
    like: demo                       # optional: what profiles/demo.yaml sets as demo_set, protocol, habits and fields
    demo_set: {root: data/demo, ...} # optional: arguments of repro.data.demo.render_demo_set, rendered when missing
    protocol: paper_text             # optional: fields of repro.experiment.protocols; fields below come before it
    habits: [test_steers, ...]       # optional: habits of published code to switch on
    fields: {...}                    # repro.experiment.fields.Experiment fields of every run
    runs:                            # every combination of models, splits and seeds is one run
      # Of these, name, protocol, habits and fields are optional; they come before the study's. A named group is a study
      # of its own, results/<study>-<name>: one for each dataset.
      # start_from: "{study}-kinetics/{model}-split1-seed{seed}" in fields makes a chain: that run comes first
      - {models: [...], splits: [...], seeds: [...], name: "hmdb51", protocol: ..., habits: [...], fields: {...}}
    only: [hmdb51]                   # optional: these groups alone, and those that they start from
    pages: {complexity: {...}, online: {...}}   # optional: parameters of those notebooks
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from repro.experiment.fields import Experiment, check_names
from repro.experiment.protocols import fields_of

KEYS = ("study", "remark", "like", "demo_set", "protocol", "habits", "fields", "runs", "only", "pages")
PROFILES = Path(__file__).parents[2] / "profiles"
RUN_KEYS = ("models", "splits", "seeds", "name", "protocol", "habits", "fields")
ABLATION = "ablation-"  # how the studies start that hold one changed choice each: they share a page
PAGES = ("data", "datasets", "decoding", "complexity", "online", "training", "ablations")


@dataclass(frozen=True)
class Profile:
    """A study and its runs, checked."""

    study: str
    demo_set: dict[str, Any] | None
    experiments: tuple[Experiment, ...]
    pages: dict[str, dict[str, Any]]


def read_profile(path) -> Profile:
    """Read a profile file. Raises FileNotFoundError or ValueError that names the file, the key and the mend."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no profile {path}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    try:
        return make_profile(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def make_profile(values: Mapping[str, Any]) -> Profile:
    """Check a profile's values. Raises ValueError that names the key and the mend."""
    if not isinstance(values, Mapping) or not values.get("study"):
        raise ValueError("study: name the study; pass a profile (snakemake --configfile profiles/demo.yaml)")
    check_names(values, KEYS, "profile")
    values = _inherited(values)
    pages = values.get("pages") or {}
    for key in ("demo_set", "fields", "pages"):
        _check_mapping(values.get(key) or {}, key)
    check_names(pages, PAGES, "pages")
    for page, parameters in pages.items():
        _check_mapping(parameters, f"pages: {page}")
    experiments: dict[tuple[str, str], Experiment] = {}
    if not values.get("runs"):
        raise ValueError("runs: list at least one group of models, splits and seeds")
    for group in values["runs"]:
        _check_mapping(group, "runs: each entry")
        check_names(group, RUN_KEYS, "runs")
        _check_mapping(group.get("fields", {}), "runs: fields")
        for key in ("models", "splits", "seeds"):
            if not isinstance(group.get(key), list) or not group[key]:
                raise ValueError(f"runs: {key} must be a list with one entry or more")
        study = f"{values['study']}-{group['name']}" if "name" in group else values["study"]
        for model in group["models"]:
            for split in group["splits"]:
                for seed in group["seeds"]:
                    run = f"{model}-split{split}-seed{seed}"
                    if (study, run) in experiments:
                        raise ValueError(f"runs: {run} is listed twice; give one group a name")
                    fields = {"remark": values.get("remark", ""), **_fields(values, group)}
                    names = {"study": study, "run": run, "model": model, "split": split, "seed": seed}
                    if isinstance(fields.get("start_from"), str):
                        fields["start_from"] = _filled(fields["start_from"], names | {"study": values["study"]})
                    experiments[study, run] = Experiment.from_mapping(fields | names)
    return Profile(values["study"], values.get("demo_set"), _chosen(experiments, values), pages)


def _inherited(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what the profile named by ``like`` sets and they do not; fields are joined one by one."""
    if not values.get("like"):
        return dict(values)
    path = PROFILES / f"{values['like']}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in PROFILES.glob("*.yaml")))
        raise ValueError(f"like: {values['like']!r} is no profile; known: {known}")
    base = yaml.safe_load(path.read_text(encoding="utf-8"))
    base = {key: base[key] for key in ("demo_set", "protocol", "habits", "fields") if key in base}
    _check_mapping(values.get("fields") or {}, "fields")
    fields = {**(base.get("fields") or {}), **(values.get("fields") or {})}
    return {**base, **values, "fields": fields}


def _fields(values: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a group's runs: the protocol's, then the habits', then the study's own, then the group's."""
    own = {**(values.get("fields") or {}), **(group.get("fields") or {})}
    habits = group.get("habits", values.get("habits")) or []
    if not isinstance(habits, list):
        raise ValueError(f"habits: {habits!r} is not a list; write habits: [{habits}, ...]")
    protocol = group.get("protocol", values.get("protocol")) or "sound"
    layout = own.get("layout", Experiment().layout)
    for name in habits:
        for field, value in fields_of(habits=[name], layout=layout).items():
            if own.get(field, value) != value:
                raise ValueError(
                    f"habits: {name} sets {field}: {value!r}, but fields say {own[field]!r}; leave one out"
                )
    return fields_of(protocol, habits, layout=layout) | own


def _filled(pattern: str, names: Mapping[str, Any]) -> str:
    try:
        return pattern.format(**names)
    except (KeyError, ValueError, IndexError):
        known = ", ".join(f"{{{name}}}" for name in names if name != "run")
        raise ValueError(f"start_from: {pattern!r} is not understood; it may hold {known}") from None


def _chosen(experiments: Mapping[tuple[str, str], Experiment], values: Mapping[str, Any]) -> tuple[Experiment, ...]:
    """The runs of the groups named by ``only``, with those that they start from, which come first; all without it."""
    only = values.get("only")
    if not only:
        return tuple(experiments.values())
    only = [only] if isinstance(only, str) else only
    names = [group["name"] for group in values["runs"] if "name" in group]
    check_names(only, names, "only")
    wanted = {key for key in experiments if key[0] in {f"{values['study']}-{name}" for name in only}}
    while sources := {source_of(experiments[key]) for key in wanted} & set(experiments) - wanted:
        wanted |= sources
    return tuple(experiment for key, experiment in experiments.items() if key in wanted)


def source_of(experiment: Experiment) -> tuple[str, str] | None:
    """Study and run that a run starts from, if it starts from one."""
    study, slash, run = (experiment.start_from or "").partition("/")
    return (study, run) if slash and study else None


def _check_mapping(value: Any, key: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected 'name: value' entries, not {value!r}")
