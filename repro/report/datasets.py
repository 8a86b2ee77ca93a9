"""The data's page: the clips at hand audited, official lists counted against the catalogue, how fast clips are read."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro.bench.decoding import CACHE, CEILING, READERS
from repro.data.catalogue import CATALOGUE, compare
from repro.data.clips import Clip, Split, read_split
from repro.data.counts import count_lists
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
from repro.files import read_table, size_text
from repro.metrics.text import percent
from repro.paper.cells import Table
from repro.records.measure import measured, read_measured_table, read_measurements
from repro.report.show import formatted
from repro.report.tables import paper_table

AUDIT, LISTS = "audit", "lists"  # results/<study>/audit.json and audit.parquet, lists.json
WORK = Path("build/audit")
PARTS = ("train", "test")
SHOWN = 8  # rows of a table of odd clips
VALIDATED = ("something_v1",)  # datasets whose test list has no labels
Counts = Mapping[str, Mapping[str, Any]]  # what repro.data.counts.count_lists found, by dataset


# ---- the clips at hand


class Audit(NamedTuple):
    """What an audit says of a split's clips."""

    split: Split
    table: pd.DataFrame  # a row a clip, training first: its name and repro.data.facts.FIELDS
    at_hand: bool  # the clips are on this machine; if not, they have names for paths


@dataclass(frozen=True)
class ClipSet:
    """A set of clips, those of a run. ``audit`` None: neither they nor a recorded audit are there."""

    run: Experiment
    text: str  # what a reader must know of it, in Markdown
    audit: Audit | None

    @property
    def at_hand(self) -> bool:
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
        table = audit_split(split, run) if shown_only else _filed(run, split)
        found: Audit | None = Audit(split, table, True)
    except FileNotFoundError as error:
        if not shown_only:
            raise
        note = f"**The clips are not at hand on this machine**, so no picture of them is shown. ({error})"
        filed = read_measurements(AUDIT)
        same = [study for study, made in filed.items() if made["dataset"] == run.dataset]
        study = run.study if run.study in filed or not same else same[0]
        found = recorded_audit(study)
        if found:
            made = filed[study]["provenance"]
            note += f"\n\nThe audit is as recorded at {made['started']}, commit {made['commit'][:10]}."
    return ClipSet(run, "\n\n".join(filter(None, (run.remark, note, content_text(found) if found else ""))), found)


def _filed(run: Experiment, split: Split) -> pd.DataFrame:
    """`audit_split`, filed with each clip's part, label and group, so that all that is shown of it needs no clips."""
    with measured(run.study, AUDIT) as found:
        table = audit_split(split, run)
        found.content |= {"dataset": run.dataset, "layout": run.layout, "split": run.split}
        found.content["classes"] = list(split.classes)
        clips = [(clip.name, part, clip.label, clip.group) for part in PARTS for clip in getattr(split, part)]
        named = pd.DataFrame(clips, columns=["name", "part", "label", "group"])
        found.table = named.merge(table.drop(columns="modified"), on="name", how="left", validate="one_to_one")
    return table


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
    filed, table = read_measurements(AUDIT).get(study), read_measured_table(study, AUDIT)
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


def sets_table(found: Sequence[ClipSet]) -> pd.DataFrame:
    """One row a set: classes, clips and groups on each side, decoded frames."""
    rows: list[dict[str, Any]] = []
    for each in found:
        if each.audit is None:
            rows.append({"clips": each.run.dataset, "classes": "not at hand"})
            continue
        counts, frames = class_balance(each.audit.split), each.audit.table["frames"]
        row: dict[str, Any] = {"clips": each.run.dataset, "classes": str(len(counts))}
        row |= {name: int(counts[name].sum()) for name in PARTS}
        # a group whose clips stand in several classes (a film, an actor in a scene) counts once
        row["groups"] = len({clip.group for clip in (*each.audit.split.train, *each.audit.split.test)})
        rows.append(row | {"frames": f"{frames.min()} to {frames.max()}, median {frames.median():.0f}"})
    return pd.DataFrame(rows)


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


# ---- official lists, terms and origin


def count_at_hand(study: str, annotations: Mapping[str, str]) -> Counts:
    """Count the official lists whose folders are there, and file the counts; the others are as they were last counted.

    annotations: dataset -> folder. Raises as :func:`repro.data.counts.count_lists`.
    """
    counts = dict(read_measurements(LISTS).get(study, {}).get("counts", {}))
    with measured(study, LISTS) as found:
        at_hand = {name: count_lists(name, folder) for name, folder in annotations.items() if Path(folder).is_dir()}
        counts |= at_hand
        if at_hand:
            found.content["counts"] = counts
    return counts


def counts_table(counts: Counts) -> pd.DataFrame:
    """Each quantity of the catalogue beside the count, and whether they agree ("" where it was not counted)."""
    table = pd.DataFrame(
        {"dataset": CATALOGUE[name].title, "quantity": row.quantity, "catalogue": row.catalogue, "counted": row.found}
        | {"": "" if row.agrees is None else "agrees" if row.agrees else "DIFFERS"}
        for name in CATALOGUE
        for row in compare(name, counts.get(name, {}).get("found", {}))
    )
    return formatted(table, {"catalogue": ",", "counted": ",.0f"})


LISTED = {"Classes": "classes", "Clips": "clips", "Training": "split 1: train", "Test": "split 1: test"}
"""What is counted for a column of the paper's Table 2; Something-Something v1 is tested on its validation set."""


def table2(table: Table, counts: Counts) -> pd.DataFrame:
    """The paper's Table 2: what its text states, and in brackets what its official lists hold."""
    shown = paper_table(table).set_index("")
    for name, dataset in CATALOGUE.items():
        found = counts.get(name, {}).get("found", {})
        listed = LISTED | ({"Validation": "split 1: test", "Test": "listed without label"} if name in VALIDATED else {})
        for column, quantity in listed.items():
            if dataset.title in shown.index and column in shown and quantity in found:
                shown.loc[dataset.title, column] = f"{shown.loc[dataset.title, column]} ({found[quantity]:,})"
    return shown.reset_index()


def answer_text(counts: Counts, sets: Sequence[ClipSet]) -> str:
    """Whether the lists say what the catalogue says, and which clips were at hand, in two sentences."""
    differences = int((counts_table(counts)[""] == "DIFFERS").sum())
    never = [dataset.title for name, dataset in CATALOGUE.items() if name not in counts]
    text = f"The official lists differ from this study's catalogue in **{differences}** of their numbers"
    text += f" (not counted: {', '.join(never)})" if never else ""
    named = [each.run.dataset for each in sets if each.audit]
    return f"{text}. None of the paper's datasets was at hand as a whole; clips here: {', '.join(named) or 'none'}."


def terms_table() -> pd.DataFrame:
    """Terms, archives and citation of each dataset."""
    return pd.DataFrame(
        {
            "dataset": d.title,
            "terms": d.licence,
            "archives": "; ".join(f"{a.file} ({size_text(a.bytes)})" for a in d.archives if a.part == "videos"),
            "to be asked for": "yes" if any(a.asked for a in d.archives) else "no",
            "cite": d.citation,
        }
        for d in CATALOGUE.values()
    )


# ---- reading clips, as `repro.bench.decoding` filed it: before November 2026 with libraries that are no longer offered


def conditions(content: Mapping[str, Any]) -> str:
    """When, where and with what it was measured, in Markdown."""
    made = content["provenance"]
    libraries = ", ".join(f"{name} {version}" for name, version in content["libraries"].items())
    return (
        f"Measured {made['started'][:10]} on one core of {made['processor']} ({made['cores']} cores), {libraries}; "
        f"{content['repeats']} interleaved rounds for each N, {content['size']}×{content['size']} pixels. Files were "
        "in memory: no disk is in these rates."
    )


def rates_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a source and reader: frames wrong, median clips a second of CPU time for each N, kilobytes of a clip.

    The share of the ceiling is at the middle N.
    """
    rows = []
    for source, found in content["sources"].items():
        for name, reader in READERS.items():
            if name not in found["ways"] or not found["ways"][name]["speed"]:
                continue
            exact, speed = found["ways"][name]["exact"], found["ways"][name]["speed"]
            ceiling = speed[_middle(content)]["of_ceiling"]
            rows.append(
                {"clips": f"{source} ({found['clips']})", "read by": reader.title}
                | {"frames wrong": f"{exact['wrong']} of {exact['asked']}" if exact["asked"] else "gives none"}
                | {f"N = {n}": f"{rate['cpu']['median']:.1f}" for n, rate in speed.items()}
                | {"% of the ceiling": 100 * ceiling["median"] if ceiling else None}
                | {"kB a clip": found["bytes"]["cache" if reader.cached else "video"] / 1e3}
            )
    return formatted(pd.DataFrame(rows), {"% of the ceiling": ".0f", "kB a clip": ",.0f"})


def _middle(content: Mapping[str, Any]) -> str:
    return str(content["frames"][len(content["frames"]) // 2])


def findings(content: Mapping[str, Any]) -> list[str]:
    """What the numbers say: a line for each source, and one on libraries that are not offered, in Markdown."""
    n, said = _middle(content), []
    for source, found in content["sources"].items():
        speed = {name: found["ways"][name]["speed"][n] for name in ("opencv", CACHE, CEILING)}
        rate, cached = speed["opencv"]["cpu"]["median"], speed[CACHE]["cpu"]["median"]
        text = f"**{source}.** OpenCV reads {rate:.1f} clips of {n} frames a second and core"
        if ceiling := speed["opencv"]["of_ceiling"]:
            shares = speed["opencv"]["shares"]
            text += f", {100 * ceiling['median']:.0f} % of the ceiling (cropping and resizing, which it has not, take "
            text += f"{percent(shares['resize'] + shares['crop'], 0)})"
        text += f"; the frame cache {cached:.1f}"
        if gain := speed["opencv"]["cache_gain"]:
            text += f", {gain['median']:.1f} times as many ({gain['low']:.1f} to {gain['high']:.1f})"
        times = found["bytes"]["cache"] / found["bytes"]["video"]
        said.append(f"{text}. It takes {times:.0f} times the space of the videos.")
    if others := _other_frames(content):
        said.append(
            f"**Not offered**, because on these ordinary files other frames came than those asked for, or none: "
            f"{'; '.join(others)}."
        )
    return said


def _other_frames(content: Mapping[str, Any]) -> list[str]:
    """By reader that is not offered: the wrong frames and the refused clips of each source where there are some."""
    texts: dict[str, list[str]] = {}
    for source, found in content["sources"].items():
        for name, facts in found["ways"].items():
            exact = facts["exact"]
            if name in READERS or not exact:
                continue
            if exact["wrong"]:
                texts.setdefault(facts["title"], []).append(f"{exact['wrong']} of {exact['asked']} frames ({source})")
            if exact.get("refused"):
                texts.setdefault(facts["title"], []).append(f"{exact['refused']} clips refused ({source})")
    return [f"{title}: {', '.join(parts)}" for title, parts in texts.items()]
