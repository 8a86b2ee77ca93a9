"""The audit of a study's clips, as the report shows it: made where the clips are at hand, else as it was recorded."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro.data.clips import Clip, Split, read_split
from repro.data.facts import AGAIN, DOES_NOT_DECODE, STORE
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
from repro.files import read_table
from repro.records.measure import measured, read_measured_table, read_measurements

WORK = Path("build/audit")
NAME = "audit"  # results/<study>/audit.json and audit.parquet
PARTS = ("train", "test")
SHOWN = 8  # rows of a table of odd clips


class Audit(NamedTuple):
    """What an audit says of a split's clips."""

    split: Split
    table: pd.DataFrame  # a row a clip, training first: its name and repro.data.facts.FIELDS
    at_hand: bool  # the clips are on this machine; if not, they have names for paths


@dataclass(frozen=True)
class ClipSet:
    """A set of clips on the page of the data: those of a run. ``audit`` None: neither they nor a recorded audit are
    there."""

    run: Experiment
    text: str  # what a reader must know of it, in Markdown
    audit: Audit | None

    @property
    def at_hand(self) -> bool:
        """Whether the clips are on this machine."""
        return self.audit is not None and self.audit.at_hand


def find_set(values: Mapping[str, Any]) -> ClipSet:
    """A set of clips, audited where they are at hand, else as the study's audit was recorded.

    values: fields of an experiment, and ``if_missing``: "error" stops where the clips are not at hand, and files the
    audit that was made; "note" says that they are not, and files nothing: a study that is only shown keeps its record.

    Raises ValueError for an unknown field, FileNotFoundError and ValueError as :func:`repro.data.clips.read_split`.
    """
    run = Experiment.from_mapping({name: value for name, value in values.items() if name != "if_missing"})
    shown_only, note = values.get("if_missing") == "note", ""
    try:
        split = read_split(run, check=run.unusable == "error")
        found: Audit | None = _made(run, split, file=not shown_only)
    except FileNotFoundError as error:
        if not shown_only:
            raise
        note = f"**The clips are not at hand on this machine**, so no picture of them is shown. ({error})"
        found = recorded_audit(run.study)
        if found:
            made = read_measurements(NAME)[run.study]["provenance"]
            note += f"\n\nThe audit is as recorded at {made['started']}, commit {made['commit'][:10]}."
    return ClipSet(run, "\n\n".join(filter(None, (run.remark, note, content_text(found) if found else ""))), found)


def _made(run: Experiment, split: Split, *, file: bool) -> Audit:
    if not file:
        return Audit(split, audit_split(split, run), True)
    with measured(run.study, NAME) as found:
        table = audit_split(split, run)
        found.content |= {"dataset": run.dataset, "layout": run.layout, "split": run.split}
        found.content["classes"] = list(split.classes)
        # each clip's part, label and group, so that all that is shown of the audit needs no clips
        clips = [(clip.name, part, clip.label, clip.group) for part in PARTS for clip in getattr(split, part)]
        named = pd.DataFrame(clips, columns=["name", "part", "label", "group"])
        found.table = named.merge(table.drop(columns="modified"), on="name", how="left", validate="one_to_one")
    return Audit(split, table, True)


def sets_table(found: Sequence[ClipSet]) -> pd.DataFrame:
    """One row a set: classes, clips and groups on each side, decoded frames."""
    rows: list[dict[str, Any]] = []
    for each in found:
        if each.audit is None:
            rows.append({"clips": each.run.dataset, "classes": "not at hand"})
            continue
        counts, frames = class_balance(each.audit.split), each.audit.table["frames"]
        row: dict[str, Any] = {"clips": each.run.dataset, "classes": str(len(counts))}
        row |= {name: int(counts[name].sum()) for name in ("train", "test")}
        # a group whose clips stand in several classes (a film, an actor in a scene) counts once
        row["groups"] = len({clip.group for clip in (*each.audit.split.train, *each.audit.split.test)})
        rows.append(row | {"frames": f"{frames.min()} to {frames.max()}, median {frames.median():.0f}"})
    return pd.DataFrame(rows)


def audit_split(split: Split, run: Experiment) -> pd.DataFrame:
    """One row for each clip of a run's split, training first, with the fields of an audit.

    Taken from ``manifest.parquet`` beside the videos (``repro prepare --audit``) where it knows all the clips; else
    every clip that was not audited before is decoded now.
    """
    paths = {clip.name: clip.path for clip in (*split.train, *split.test)}
    prepared = Path(run.videos).parent / STORE
    if prepared.is_file():
        table = read_table(prepared, AGAIN).set_index("name")
        if paths.keys() <= set(table.index):
            return table.loc[list(paths)].reset_index()
    with contextlib.redirect_stdout(sys.stderr):  # progress is for the batch log, not for the page
        return audit(paths, WORK / f"{run.study}.parquet")


def recorded_audit(study: str) -> Audit | None:
    """The study's audit as last filed, or None. The clips have names for paths: none is there."""
    filed, table = read_measurements(NAME).get(study), read_measured_table(study, NAME)
    if filed is None or table is None:
        return None
    train, test = (
        tuple(Clip(row.name, Path(row.name), row.label, row.group) for row in rows.itertuples(index=False))
        for rows in (table[table["part"] == part] for part in PARTS)
    )
    return Audit(Split(tuple(filed["classes"]), train, test), table.drop(columns=["part", "label", "group"]), False)


def content_text(found: Audit) -> str:
    """How much there is, and in which codecs, in Markdown."""
    table = found.table
    codecs = ", ".join(f"{name or 'none'} ({n})" for name, n in table["codec"].value_counts().items())
    return (
        f"{len(table):,} clips, {table['frames'].sum():,} decoded frames, {table['bytes'].sum() / 1e6:,.0f} MB; "
        f"codecs: {codecs}."
    )


def risks(found: Audit, *, left_out: bool) -> Iterator[tuple[pd.DataFrame, str]]:
    """What could spoil a result: a table of counts with its caption, then each table of odd clips that has rows.

    left_out: unusable clips are left out of training, which the caption then says.
    """
    split, table, _ = found
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
