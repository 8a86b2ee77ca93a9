"""A profile: one YAML file that lists every run of one study. Reads without importing torch.

Keys::

    study: demo                      # folder under results/
    remark: ...                      # printed wherever the results are shown
    demo_set: {root: data/demo, ...} # optional: arguments of repro.data.demo.render_demo_set, rendered when missing
    fields: {...}                    # repro.config.Experiment fields of every run
    runs:                            # every combination of models, splits and seeds is one run
      # name and fields are optional; a named group is a study of its own, results/<study>-<name>: one for each dataset
      - {models: [...], splits: [...], seeds: [...], name: "hmdb51", fields: {...}}
    pages: {complexity: {...}, online: {...}}   # optional: parameters of those notebooks
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from repro.config import Experiment, check_names

KEYS = ("study", "remark", "demo_set", "fields", "runs", "pages")
RUN_KEYS = ("models", "splits", "seeds", "name", "fields")
PAGES = ("data", "datasets", "decoding", "complexity", "online")


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
                    fields = {
                        "remark": values.get("remark", ""),
                        **(values.get("fields") or {}),
                        **group.get("fields", {}),
                    }
                    fields |= {"study": study, "run": run, "model": model, "split": split, "seed": seed}
                    experiments[study, run] = Experiment.from_mapping(fields)
    return Profile(values["study"], values.get("demo_set"), tuple(experiments.values()), pages)


def _check_mapping(value: Any, key: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: expected 'name: value' entries, not {value!r}")
