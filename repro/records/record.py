"""What a run leaves behind, so that every table, interval and test can be made again without the data or a GPU.

A record is a folder ``results/<study>/<run>/`` with these files:

- ``record.json``: the experiment's fields, provenance, data manifest hash, behaviour digest, history by epoch, what the
  gates did before and after training;
- ``predictions.parquet``: one row a test clip: ``clip, label, group`` and a ``logit_<class>`` column for each class;
- ``altered.parquet``: the network's logits of the same clips with something altered (``repro.training.evaluation``):
  ``altered, clip`` and the logits, in 16 bits. Not there where nothing was altered.

Nothing derived is kept: accuracies are computed from the predictions whenever they are shown.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from repro.experiment.fields import Experiment
from repro.files import Written, checked, read_table
from repro.records.freshness import Digest, differences, used_by

SCHEMA = 1
RESULTS = Path("results")
ALTERED = "altered.parquet"
GONE = ("test_clips", "test_crops", "crop_on")  # fields of an experiment that earlier versions wrote
RERUN = "take it from its source again, or delete the folder and run the experiment again"


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
    altered: dict[str, np.ndarray] = field(default_factory=dict)  # logits (clips, classes) by what was altered
    gates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # rows a unit, at "start" and "end"

    @property
    def name(self) -> str:
        return f"{self.experiment.study}/{self.experiment.run}"

    @property
    def labels(self) -> np.ndarray:
        """True classes, int ``(clips,)``."""
        return self.predictions["label"].to_numpy()

    @cached_property
    def scores(self) -> np.ndarray:
        """Logits, float ``(clips, classes)``, not to be written to."""
        scores = self.predictions[[f"logit_{name}" for name in self.classes]].to_numpy()
        scores.flags.writeable = False
        return scores

    @property
    def seconds(self) -> float:
        """What it took; provenance knows the last process alone, so of a stopped run its epochs count at least."""
        epochs = self.history["seconds"].sum() if "seconds" in self.history else 0.0
        return max(self.provenance["seconds"], float(epochs))

    def stale(self, today: Digest) -> list[str]:
        """The behaviours in which today's code differs from the code that made this record, or of which the record says
        nothing; empty when fresh."""
        return differences(*(used_by(self.experiment, sections) for sections in (self.digest, today)))


def write_record(
    *,
    experiment: Experiment,
    classes: tuple[str, ...],
    data: dict[str, Any],
    provenance: dict[str, Any],
    digest: Digest,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    altered: Mapping[str, np.ndarray] | None = None,
    gates: Mapping[str, Any] | None = None,
    results: Path = RESULTS,
) -> Record:
    """Write a record whole or not at all, replacing one of the same study and run."""
    folder = Path(results) / experiment.study / experiment.run
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    predictions.to_parquet(draft / "predictions.parquet", index=False)
    if altered:
        _altered_table(altered, predictions).to_parquet(draft / ALTERED, index=False)
    content = {
        "schema": SCHEMA,
        "experiment": experiment.to_dict(),
        "classes": list(classes),
        "data": data,
        "provenance": provenance,
        "digest": digest,
        "history": json.loads(history.to_json(orient="records", double_precision=6)),
        "gates": dict(gates or {}),
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


class _Kept(BaseModel):
    """A part of record.json that may hold more than is asked of it."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Counts(_Kept):
    """Numbers of clips."""

    train: int
    test: int


class _Data(_Kept):
    """The clips: the hash over those that were used, their numbers, and those that were listed but not usable."""

    hash: str
    clips: _Counts
    listed: _Counts | None = None
    left_out: dict[str, list[Annotated[list[str], Field(min_length=2, max_length=2)]]] = {}  # clip and reason, by part


class _Content(Written):
    """record.json."""

    version: Literal[SCHEMA] = Field(alias="schema")  # type: ignore[valid-type]
    experiment: dict[str, Any]
    classes: list[str] = Field(min_length=1)
    data: _Data
    provenance: dict[str, Any]
    digest: dict[str, list[float]]
    history: list[dict[str, Any]]
    gates: dict[Literal["start", "end"], list[dict[str, Any]]] = Field(default_factory=dict)

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) != len(classes):
            raise ValueError("a class is named twice")
        return classes


def read_record(folder: Path) -> Record:
    """Read and check one record. Raises ValueError that names the file, the field and the mend.

    Nothing is taken on trust: whoever sends a record may have edited it.
    """
    folder = Path(folder)
    path, table = folder / "record.json", folder / "predictions.parquet"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())}); {RERUN}") from None
    _check_version(content, path)  # first: another version may have other files
    predictions = read_table(table, RERUN)
    try:
        experiment = _experiment(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {RERUN}") from None
    classes = tuple(content["classes"])
    columns = ["clip", "label", "group", *(f"logit_{name}" for name in classes)]
    if list(predictions.columns) != columns:
        raise ValueError(f"{table}: columns are not {', '.join(columns)}; {RERUN}")
    check_whole_split(predictions["clip"], content["data"]["clips"]["test"], where=str(table))
    kinds = [pd.api.types.infer_dtype(predictions[name]) for name in columns]
    if kinds[:3] != ["string", "integer", "string"] or set(kinds[3:]) != {"floating"}:
        needed = "clip and group must be text, label a whole number, logits floating-point numbers without gaps"
        raise ValueError(f"{table}: {needed}; {RERUN}")
    in_range = predictions["label"].between(0, len(classes) - 1).all()
    if not (in_range and np.isfinite(predictions[columns[3:]].to_numpy()).all()):
        raise ValueError(f"{table}: a logit is not finite or a label not in range; {RERUN}")
    return Record(
        folder=folder,
        experiment=experiment,
        classes=classes,
        data=content["data"],
        provenance=content["provenance"],
        digest=content["digest"],
        history=pd.DataFrame(content["history"]),
        predictions=predictions,
        altered=_read_altered(folder / ALTERED, predictions),
        gates=content.get("gates", {}),
    )


def _altered_table(altered: Mapping[str, np.ndarray], predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of altered.parquet: one an alteration and clip."""
    parts = []
    for name, logits in altered.items():
        table = predictions[["clip"]].assign(altered=name)[["altered", "clip"]]
        parts.append(table.join(pd.DataFrame(to_16_bits(logits), columns=predictions.columns[3:])))
    return pd.concat(parts, ignore_index=True)


def to_16_bits(logits: np.ndarray) -> np.ndarray:
    """Logits beyond what 16 bits hold become the largest that they do: a finished run is filed all the same."""
    largest = np.finfo(np.float16).max
    return np.clip(logits, -largest, largest).astype(np.float16)


def _read_altered(path: Path, predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """The logits by what was altered, clips in the order of ``predictions``. Raises ValueError."""
    if not path.is_file():
        return {}
    table = read_table(path, RERUN)
    if list(table.columns) != ["altered", "clip", *predictions.columns[3:]]:
        raise ValueError(f"{path}: columns are not altered, clip and the logits of predictions.parquet; {RERUN}")
    found = {}
    for name, rows in table.groupby("altered", sort=False):
        if list(rows["clip"]) != list(predictions["clip"]):
            raise ValueError(f"{path}: {name}: its clips are not those of predictions.parquet; {RERUN}")
        found[str(name)] = rows.iloc[:, 2:].to_numpy(np.float32)
        if not np.isfinite(found[str(name)]).all():
            raise ValueError(f"{path}: {name}: a logit is not finite; {RERUN}")
    return found


def _check_version(content: Any, path: Path) -> None:
    """Raises ValueError that says of another version's record what to do; whatever is no version is left to others."""
    written = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(written, int) or written == SCHEMA:
        return
    mend = "a later version of repro wrote this record: update repro, then read it" if written > SCHEMA else RERUN
    raise ValueError(f"{path}: schema: {written}: this version of repro reads {SCHEMA}; {mend}")


def _experiment(content: Any) -> Experiment:
    """The experiment of a record's content, all of which is checked. Raises ValueError that names the field."""
    fields = checked(_Content, content, "").experiment
    if gone := ", ".join(name for name in GONE if name in fields):
        raise ValueError(f"experiment: {gone}: an earlier version wrote this record; there are no such fields")
    return Experiment.from_mapping(fields)


def read_all(results: Path = RESULTS) -> list[Record]:
    """Every record under ``results``, by study and run."""
    return [read_record(path.parent) for path in sorted(Path(results).glob("*/[!.]*/record.json"))]


def check_whole_split(scored: pd.Series, listed: int, *, where: str) -> None:
    """Refuse unless every listed clip was scored exactly once.

    Raises ValueError otherwise: an accuracy over part of a split is not the split's accuracy.
    """
    if scored.nunique() != len(scored) or len(scored) != listed:
        raise ValueError(
            f"{where}: {len(scored)} scores for {scored.nunique()} different clips, but the split lists {listed}; "
            "no accuracy is reported for part of a split: evaluate again"
        )
