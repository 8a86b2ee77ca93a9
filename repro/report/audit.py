"""The audit of a study's clips, as the report shows it: made where the clips are at hand, else as it was recorded."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro.data.clips import Clip, ClipFields, Split, read_split
from repro.data.facts import DOES_NOT_DECODE, STORE
from repro.data.prepare.audit import audit
from repro.data.prepare.duplicates import (
    NEAR,
    class_balance,
    exact_duplicates,
    near_duplicates,
    not_as_announced,
    shared_groups,
)
from repro.experiment.fields import Experiment
from repro.records.measure import measured, read_measured_table, read_measurements
from repro.records.record import RESULTS

WORK = Path("build/audit")
NAME = "audit"  # results/<study>/audit.json and audit.parquet
UNUSABLE = ("error", "leave_out")
SHOWN = 8  # rows of a table of odd clips


class Audit(NamedTuple):
    """What an audit says of a split's clips."""

    split: Split
    table: pd.DataFrame  # a row a clip, training first: its name and repro.data.facts.FIELDS
    at_hand: bool  # the clips are on this machine; if not, they have names for paths
    note: str  # what a reader must know of it, in Markdown


def find_audit(
    study: str,
    dataset: str,
    fields: ClipFields,
    *,
    unusable: str = "error",
    if_missing: str = "error",
    work: Path = WORK,
    results: Path = RESULTS,
) -> Audit | str:
    """Audit the clips where they are at hand, else take the study's recorded audit; where there is none, say so.

    Args:
        dataset: its name, for the record.
        fields: which clips.
        unusable: "error" stops at a listed clip that is not there, "leave_out" goes on without it.
        if_missing: "error" stops where the clips are not at hand, and files the audit that was made; "note" takes what
            was recorded, and files nothing: a study that is only shown keeps its record.

    Raises ValueError for other words, FileNotFoundError and ValueError as :func:`repro.data.clips.read_split`.
    """
    for name, value, known in (("if_missing", if_missing, ("error", "note")), ("unusable", unusable, UNUSABLE)):
        if value not in known:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")
    try:
        split = read_split(fields, check=unusable == "error")
        if if_missing == "note":
            return Audit(split, audit_split(split, fields.videos, study=study, work=work), True, "")
        with measured(study, NAME, results=results) as found:
            table = audit_split(split, fields.videos, study=study, work=work)
            found.content |= {"dataset": dataset, "layout": fields.layout, "split": fields.split}
            found.content["classes"] = list(split.classes)
            found.table = _with_split(split, table)
        return Audit(split, table, True, "")
    except FileNotFoundError as error:
        if if_missing == "error":
            raise
        note = f"**The clips are not at hand on this machine**, so no picture of them is shown. ({error})"
        recorded = recorded_audit(study, results)
        if recorded is None:
            return note
        split, table, filed = recorded
        made = filed["provenance"]
        note += f"\n\nThe audit is as recorded at {made['started']}, commit {made['commit'][:10]}."
        return Audit(split, table, False, note)


@dataclass(frozen=True)
class ClipSet:
    """A set of clips on the page of the data. ``audit`` None: neither the clips nor a recorded audit are there."""

    study: str
    dataset: str
    text: str  # what a reader must know of it, in Markdown
    audit: Audit | None
    frames: int
    size: int
    left_out: bool  # unusable clips are left out of training

    @property
    def at_hand(self) -> bool:
        """Whether the clips are on this machine."""
        return self.audit is not None and self.audit.at_hand


def find_set(values: Mapping[str, Any]) -> ClipSet:
    """A set of clips, audited (`find_audit`), from fields of an experiment and ``if_missing``.

    Raises ValueError for an unknown field, and as `find_audit`.
    """
    of_run = {name: value for name, value in values.items() if name != "if_missing"}
    run = Experiment.from_mapping(of_run)
    fields = ClipFields(run.layout, run.videos, run.annotations, run.split, run.classes)
    missing = values.get("if_missing", "error")
    found = find_audit(run.study, run.dataset, fields, unusable=run.unusable, if_missing=missing)
    note, audited = (found, None) if isinstance(found, str) else (found.note, found)
    text = "\n\n".join(filter(None, (run.remark, note, content_text(audited) if audited else "")))
    return ClipSet(run.study, run.dataset, text, audited, run.frames, run.size, run.unusable == "leave_out")


def sets_table(found: Sequence[ClipSet]) -> pd.DataFrame:
    """One row a set: classes, clips and groups on each side, decoded frames."""
    rows: list[dict[str, Any]] = []
    for each in found:
        if each.audit is None:
            rows.append({"clips": each.dataset, "classes": "not at hand"})
            continue
        counts, frames = class_balance(each.audit.split), each.audit.table["frames"]
        row: dict[str, Any] = {"clips": each.dataset, "classes": str(len(counts))}
        row |= {name: int(counts[name].sum()) for name in ("train", "test")}
        # a group whose clips stand in several classes (a film, an actor in a scene) counts once
        row["groups"] = len({clip.group for clip in (*each.audit.split.train, *each.audit.split.test)})
        rows.append(row | {"frames": f"{frames.min()} to {frames.max()}, median {frames.median():.0f}"})
    return pd.DataFrame(rows)


def audit_split(split: Split, videos: Path | str, *, study: str, work: Path = WORK) -> pd.DataFrame:
    """One row for each clip of the split, training first, with the fields of an audit.

    Taken from ``manifest.parquet`` beside ``videos`` (``repro prepare --audit``) where it knows all the clips; else
    every clip that was not audited before is decoded now.
    """
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    prepared = Path(videos).parent / STORE
    if prepared.is_file():
        table = pd.read_parquet(prepared).set_index("name")
        if paths.keys() <= set(table.index):
            return table.loc[list(paths)].reset_index()
    with contextlib.redirect_stdout(sys.stderr):  # progress is for the batch log, not for the page
        return audit(paths, work / f"{study}.parquet")


def _with_split(split: Split, table: pd.DataFrame) -> pd.DataFrame:
    """The audit with each clip's part, label and group, so that all that is shown of it needs no clips."""
    clips = pd.DataFrame(
        [(clip.name, part, clip.label, clip.group) for part in ("train", "test") for clip in getattr(split, part)],
        columns=["name", "part", "label", "group"],
    )
    return clips.merge(table.drop(columns="modified"), on="name", how="left", validate="one_to_one")


def recorded_audit(study: str, results: Path = RESULTS) -> tuple[Split, pd.DataFrame, dict[str, Any]] | None:
    """(split, audit, what was filed with it) as last filed, or None. The clips have names for paths: none is there."""
    filed = read_measurements(NAME, results).get(study)
    table = read_measured_table(study, NAME, results) if filed else None
    if filed is None or table is None:
        return None
    parts = {
        part: tuple(
            Clip(name, Path(name), label, group)
            for name, label, group in zip(rows["name"], rows["label"], rows["group"], strict=True)
        )
        for part, rows in table.groupby("part")
    }
    split = Split(tuple(filed["classes"]), parts.get("train", ()), parts.get("test", ()))
    return split, table.drop(columns=["part", "label", "group"]), filed


def content_text(found: Audit) -> str:
    """How much there is, and in which codecs, in Markdown."""
    table = found.table
    codecs = ", ".join(f"{name or 'none'} ({n})" for name, n in table["codec"].value_counts().items())
    return (
        f"{len(table):,} clips, {table['frames'].sum():,} decoded frames, {table['bytes'].sum() / 1e6:,.0f} MB; "
        f"codecs: {codecs}."
    )


def risks(found: Audit, *, left_out: bool = False) -> Iterator[tuple[pd.DataFrame, str]]:
    """What could spoil a result: a table of counts with its caption, then each table of odd clips that has rows.

    left_out: unusable clips are left out of training, which the caption then says.
    """
    split, table = found.split, found.table
    odd, groups = not_as_announced(table, split), shared_groups(split)
    same, near = exact_duplicates(table, split), near_duplicates(table, split)
    across = near[~near["same_group"]]
    unusable = odd["verdict"] == DOES_NOT_DECODE
    lost = odd["announced"] - odd["frames"]
    short = f" (announced minus decoded: {lost.min()} to {lost.max()})" if len(odd) else ""
    counts = [
        ("clips that do not decode or are missing", int(unusable.sum())),
        (f"clips with another count than announced{short}", int((~unusable).sum())),
        ("groups with clips in training and in test", len(groups)),
        ("pairs of the same bytes in training and test", len(same)),
        (f"pairs of one group that look the same ({NEAR} bits or less)", len(near) - len(across)),
        (f"pairs of different groups that look the same ({NEAR} bits or less)", len(across)),
    ]
    yield pd.DataFrame(counts, columns=["question", "found"]), "What could spoil a result"
    for rows, caption in (
        (odd, "Clips that are not what they announce" + ", left out where unusable" * left_out),
        (groups, "Groups on both sides of the split"),
        (same, "The same clip in training and test"),
        (across, "Clips of different groups that look the same, in training and test"),
    ):
        if len(rows):
            more = f"; {len(rows) - SHOWN} more are not shown" if len(rows) > SHOWN else ""
            yield rows.head(SHOWN).reset_index(drop=True), caption + more
