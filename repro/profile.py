"""A profile: one YAML file that lists every run of one study. Reads without importing torch.

Keys::

    study: demo                      # folder under results/
    remark: ...                      # printed wherever the results are shown
    demo_set: {root: data/demo, ...} # optional: arguments of repro.data.demo.render_demo_set, rendered when missing
    fields: {...}                    # repro.config.Experiment fields of every run
    runs:                            # every combination of models, splits and seeds is one run
      - {models: [...], splits: [...], seeds: [...], name: "hmdb51", fields: {...}}   # name, fields: optional
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
PAGES = ("data", "complexity", "online")


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
    check_names(pages, PAGES, "pages")
    experiments: dict[str, Experiment] = {}
    if not values.get("runs"):
        raise ValueError("runs: list at least one group of models, splits and seeds")
    for group in values["runs"]:
        check_names(group, RUN_KEYS, "runs")
        for key in ("models", "splits", "seeds"):
            if not isinstance(group.get(key), list) or not group[key]:
                raise ValueError(f"runs: {key} must be a list with one entry or more")
        prefix = f"{group['name']}-" if "name" in group else ""
        for model in group["models"]:
            for split in group["splits"]:
                for seed in group["seeds"]:
                    run = f"{prefix}{model}-split{split}-seed{seed}"
                    if run in experiments:
                        raise ValueError(f"runs: {run} is listed twice; give one group a name")
                    fields = {
                        "remark": values.get("remark", ""),
                        **(values.get("fields") or {}),
                        **group.get("fields", {}),
                    }
                    fields |= {"study": values["study"], "run": run, "model": model, "split": split, "seed": seed}
                    experiments[run] = Experiment.from_mapping(fields)
    return Profile(values["study"], values.get("demo_set"), tuple(experiments.values()), pages)
