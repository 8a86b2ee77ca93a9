"""What a run leaves behind, so that every table, interval and test can be made again without the data or a GPU.

A record is a folder ``results/<study>/<run>/`` with two files:

- ``record.json``: the experiment's fields, provenance, data manifest hash, behaviour digest, history by epoch;
- ``predictions.parquet``: one row a test clip: ``clip, label, group`` and a ``logit_<class>`` column for each class.

Nothing derived is kept: accuracies are computed from the predictions whenever they are shown.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.experiment.fields import Experiment, check_names
from repro.records.freshness import Digest, differences

SCHEMA = 1
RESULTS = Path("results")
FIELDS = {"experiment": dict, "classes": list, "data": dict, "provenance": dict, "digest": dict, "history": list}
LIBRARIES = ("torch", "torchvision", "opencv-python-headless", "opencv-python", "numpy")


@dataclass(frozen=True)
class Record:
    """One finished run, read from its folder."""

    folder: Path
    experiment: Experiment
    classes: tuple[str, ...]
    data: dict[str, Any]  # hash, clips by part
    provenance: dict[str, Any]
    digest: Digest
    history: pd.DataFrame  # one row an epoch
    predictions: pd.DataFrame

    @property
    def name(self) -> str:
        return f"{self.experiment.study}/{self.experiment.run}"

    @property
    def labels(self) -> np.ndarray:
        """True classes, int ``(clips,)``."""
        return self.predictions["label"].to_numpy()

    @property
    def scores(self) -> np.ndarray:
        """Logits, float ``(clips, classes)``."""
        return self.predictions[[f"logit_{name}" for name in self.classes]].to_numpy()

    def stale(self, today: Digest) -> list[str]:
        """The behaviours in which today's code differs from the code that made this record; empty when fresh."""
        return differences(self.digest, today)


def write_record(
    *,
    experiment: Experiment,
    classes: tuple[str, ...],
    data: dict[str, Any],
    provenance: dict[str, Any],
    digest: Digest,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    results: Path = RESULTS,
) -> Record:
    """Write a record whole or not at all, replacing one of the same study and run."""
    folder = Path(results) / experiment.study / experiment.run
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    predictions.to_parquet(draft / "predictions.parquet", index=False)
    content = {
        "schema": SCHEMA,
        "experiment": experiment.to_dict(),
        "classes": list(classes),
        "data": data,
        "provenance": provenance,
        "digest": digest,
        "history": json.loads(history.to_json(orient="records", double_precision=6)),
    }
    (draft / "record.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    read_record(draft)  # what cannot be read again is not filed
    old = folder.with_name(f".{folder.name}.old")  # set aside, not deleted, until the new one is in place
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return read_record(folder)


def read_record(folder: Path) -> Record:
    """Read and check one record. Raises ValueError that names the file, the field and the mend.

    Nothing is taken on trust: whoever sends a record may have edited it.
    """
    folder = Path(folder)
    path = folder / "record.json"
    mend = "take it from its source again, or delete the folder and run the experiment again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        predictions = pd.read_parquet(folder / "predictions.parquet")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: this record cannot be read ({error}); {mend}") from None
    try:
        experiment = _checked_fields(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {mend}") from None
    classes = tuple(content["classes"])
    columns = ["clip", "label", "group", *(f"logit_{name}" for name in classes)]
    if list(predictions.columns) != columns:
        raise ValueError(f"{folder / 'predictions.parquet'}: columns are not {', '.join(columns)}; {mend}")
    listed = content["data"]["clips"]["test"]
    check_whole_split(predictions["clip"], listed, where=str(folder / "predictions.parquet"))
    kinds = [pd.api.types.infer_dtype(predictions[name]) for name in columns]
    if kinds[:3] != ["string", "integer", "string"] or set(kinds[3:]) != {"floating"}:
        raise ValueError(
            f"{folder / 'predictions.parquet'}: clip and group must be text, label a whole number, logits "
            f"floating-point numbers without gaps; {mend}"
        )
    if (
        not np.isfinite(predictions[columns[3:]].to_numpy()).all()
        or not predictions["label"].between(0, len(classes) - 1).all()
    ):
        raise ValueError(f"{folder / 'predictions.parquet'}: a logit is not finite or a label not in range; {mend}")
    return Record(
        folder=folder,
        experiment=experiment,
        classes=classes,
        data=content["data"],
        provenance=content["provenance"],
        digest=content["digest"],
        history=pd.DataFrame(content["history"]),
        predictions=predictions,
    )


def _checked_fields(content: Any) -> Experiment:
    """The experiment of a record's fields, when all of them have the form that the report reads them in.

    Raises ValueError that names the field.
    """
    if not isinstance(content, dict):
        raise ValueError("is no object of fields")
    if content.get("schema") != SCHEMA:
        raise ValueError(f"schema {content.get('schema')} is not {SCHEMA}")
    check_names(content, ["schema", *FIELDS], "record")
    for name, kind in FIELDS.items():
        if name not in content:
            raise ValueError(f"field {name!r} is missing")
        if not isinstance(content[name], kind):
            raise ValueError(f"field {name!r} is not {'a list' if kind is list else 'an object of fields'}")

    def texts(values) -> bool:
        return isinstance(values, list) and all(isinstance(value, str) for value in values)

    def counts(values) -> bool:
        return isinstance(values, dict) and all(type(values.get(part)) is int for part in ("train", "test"))

    classes, data, digest = content["classes"], content["data"], content["digest"]
    if not texts(classes) or len(set(classes)) != len(classes) or not classes:
        raise ValueError("field 'classes' is not a list of different names")
    if not isinstance(data.get("hash"), str) or not counts(data.get("clips")):
        raise ValueError("field 'data' needs hash, a text, and clips, the numbers of train and test")
    if not counts(data.get("listed", data["clips"])):
        raise ValueError("field 'data': listed needs the numbers of train and test")
    left_out = data.get("left_out", {})
    parts = left_out.values() if isinstance(left_out, dict) else [None]
    if not all(isinstance(part, list) and all(texts(pair) and len(pair) == 2 for pair in part) for part in parts):
        raise ValueError("field 'data': left_out needs pairs of a clip and a reason, by part")
    for section, values in digest.items():
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise ValueError(f"field 'digest': {section!r} is not a list of numbers")
    if not all(isinstance(row, dict) for row in content["history"]):
        raise ValueError("field 'history' is not a list of epochs, each an object of numbers")
    return Experiment.from_mapping(content["experiment"])


def read_study(study: str, results: Path = RESULTS) -> list[Record]:
    """Every record of one study, by run name; an empty list where there is none."""
    folder = Path(results) / study
    return [read_record(path.parent) for path in sorted(folder.glob("[!.]*/record.json"))]


def studies(results: Path = RESULTS) -> list[str]:
    """Names of the studies that hold a record."""
    return sorted({path.parent.parent.name for path in Path(results).glob("*/[!.]*/record.json")})


def check_whole_split(scored: pd.Series, listed: int, *, where: str) -> None:
    """Refuse unless every listed clip was scored exactly once.

    Raises ValueError otherwise: an accuracy over part of a split is not the split's accuracy.
    """
    if scored.nunique() != len(scored) or len(scored) != listed:
        raise ValueError(
            f"{where}: {len(scored)} scores for {scored.nunique()} different clips, but the split lists {listed}; "
            "no accuracy is reported for part of a split: evaluate again"
        )


def make_provenance() -> dict[str, Any]:
    """Commit, machine and libraries, now. Whoever measures adds ``seconds`` and ``device`` when done."""
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown: not a git checkout",
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "lock": _lock_hash(),
        "driver": _driver(),
    }


def commit_known(commit: str) -> bool | None:
    """Whether a commit is in this checkout's history; None where this is no git checkout."""
    if not _git("rev-parse", "HEAD"):
        return None
    # other text could be an option, or a branch's name, which says nothing of the code
    return bool(
        re.fullmatch("[0-9a-f]{7,64}", commit) and _git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}")
    )


def _lock_hash() -> str | None:
    """16 hexadecimal digits over requirements.lock, where this is a checkout."""
    lock = Path(__file__).parents[2] / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:16] if lock.is_file() else None


def _driver() -> str | None:
    """The GPU driver's version, where there is one."""
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    return done.stdout.split("\n")[0].strip() or None if done.returncode == 0 else None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def write_measurement(
    study: str,
    name: str,
    content: dict[str, Any],
    *,
    provenance: dict,
    table: pd.DataFrame | None = None,
    results: Path = RESULTS,
) -> Path:
    """File what was measured on this machine (speed, an audit) as ``results/<study>/<name>.json``.

    A ``table`` goes beside it as ``<name>.parquet``, first, so that a measurement with its JSON file is whole.
    """
    path = Path(results) / study / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    if table is not None:
        table.to_parquet(draft, index=False)
        draft.replace(path.with_suffix(".parquet"))
    draft.write_text(json.dumps({"provenance": provenance, **content}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_measurements(name: str, results: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The measurement of that name in every study that has one, by study."""
    found = {}
    for path in sorted(Path(results).glob(f"*/{name}.json")):
        try:
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}); delete it and measure again") from None
    return found


def read_measured_table(study: str, name: str, results: Path = RESULTS) -> pd.DataFrame | None:
    """The table filed with a measurement, or None where there is none. Raises ValueError for a broken file."""
    path = Path(results) / study / f"{name}.parquet"
    if not path.is_file():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a parquet file ({error}); delete it and measure again") from None
