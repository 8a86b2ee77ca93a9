"""Records that others made: checked before they count, filed with the name of whoever ran them.

The real datasets can be settled only by those who have them. A record is small (scores, no weights and no clips), so it
can be sent; what it says can be checked without the clips: the test list against the official one, accuracies from the
scores, the code's behaviour against today's. What cannot be checked from it is that the scores are a network's.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from repro.data.catalogue import CATALOGUE, Dataset
from repro.data.clips import read_split
from repro.data.counts import clips_digest
from repro.data.layouts import LAYOUTS
from repro.data.prepare.entries import ArchiveError, entries
from repro.experiment.fields import FILING_FIELDS, MACHINE_FIELDS
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.records.freshness import Digest, used_by
from repro.records.record import (
    RESULTS,
    Record,
    commit_known,
    read_measurements,
    read_record,
    read_study,
    studies,
    write_record,
)
from repro.training.behaviour import todays_digest

FILES = ("record.json", "predictions.parquet")
LARGEST = 1 << 30  # bytes unpacked from one archive; Kinetics' scores are 32 MB a run
NEEDED = {  # of provenance
    "commit": str,
    "uncommitted_changes": bool,
    "started": str,
    "seconds": int | float,
    "device": str,
    "processor": str,
    "libraries": dict,
}
OF_A_STUDY = {"run", "remark", "model", "gate", "split", "seed", "start_from", *FILING_FIELDS, *MACHINE_FIELDS}
"""Fields in which the runs of one study may differ."""
RERUN = "run it again with this code"
STATES = ("ok", "note", "FAULT")


@dataclass(frozen=True)
class Finding:
    """One line of the check. state: of `STATES`; a note is for the reader, a fault keeps the record from counting."""

    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:5}  {self.text}"


@contextmanager
def record_folders(path: Path) -> Iterator[list[Path]]:
    """The records in a run's folder, a study's folder, a ``record.json``, or a .zip or .tar.gz of any of them.

    An archive is unpacked into a temporary folder, of its files the records' alone. Raises FileNotFoundError, or
    ValueError for an archive that is broken, too large or names a place outside itself, and where there is no record.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="repro-") as temporary:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
        place = path
        if path.is_file() and path.name != "record.json":
            place = Path(temporary) / path.name  # messages about what was in it then name it
            _unpack(path, place)
        found = [place] if place.is_file() else sorted(place.rglob("record.json"))
        # a folder that begins with a dot is a draft, or what a desktop left
        inside = [one.parent for one in found if not any(part.startswith(".") for part in one.relative_to(place).parts)]
        if not inside:
            raise ValueError(f"{path}: holds no record.json; send the folders results/<study>/<run> as they are")
        yield inside


def _unpack(path: Path, target: Path) -> None:
    total = 0
    try:
        for entry in entries([path], "unpacking"):
            inside = PurePosixPath(entry.name)
            if inside.is_absolute() or ".." in inside.parts or "\\" in entry.name or "\0" in entry.name:
                raise ValueError(f"{path}: names a place outside itself ({entry.name}); it is not unpacked")
            if inside.name in FILES:
                total += entry.bytes
                if total > LARGEST:
                    raise ValueError(f"{path}: unpacks to more than {LARGEST >> 20} MiB; send fewer runs at once")
                place = target.joinpath(*inside.parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                with entry.open() as source, place.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    except (ArchiveError, RuntimeError) as error:  # zipfile has no class of its own for a method that it does not know
        reason = str(error).removeprefix(f"{path}: ").partition("; ")[0]
        text = f"{path}: neither a record's folder, a record.json nor a whole .zip or .tar.gz ({reason}); send it again"
        raise ValueError(text) from None
    target.mkdir(exist_ok=True)  # of an archive without a record, too


def filed(results: Path = RESULTS) -> list[Record]:
    """Every record under ``results``."""
    return [record for study in studies(results) for record in read_study(study, results)]


def check_all(
    folders: Sequence[Path], *, annotations: Path | None = None, results: Path = RESULTS, today: Digest | None = None
) -> list[list[Finding]]:
    """`check` for each folder, against the records under ``results`` and against each other."""
    others = filed(results)
    for folder in folders:
        with suppress(ValueError):  # its own check says so
            others.append(read_record(folder))
    options = {"annotations": annotations, "results": results, "today": today, "others": others}
    return [check(folder, **options) for folder in folders]


def check(
    folder: Path,
    *,
    annotations: Path | None = None,
    results: Path = RESULTS,
    today: Digest | None = None,
    others: Sequence[Record] | None = None,
) -> list[Finding]:
    """What can be said of one record without its clips. Writes nothing.

    annotations: folder of the official lists; without it a whole test split is compared with the digests recorded in
    ``results/datasets/lists.json``, a subset of the classes cannot be. today: the digest of today's code. others: the
    records that it is compared with; None: those under ``results``.
    """
    try:
        record = read_record(folder)
    except ValueError as error:
        return [Finding("FAULT", str(error))]
    today = todays_digest() if today is None else today
    return [
        Finding("ok", f"{record.name}: whole, fields understood, {len(record.labels)} finite score rows"),
        *_provenance(record),
        *_list(record, annotations, results),
        *_digest(record, today),
        *_others(record, filed(results) if others is None else others),
        *_accuracy(record),
    ]


def sound(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "FAULT" for finding in findings)


def _provenance(record: Record) -> list[Finding]:
    """Who made it, when, on what and by which code."""
    path, made = record.folder / "record.json", record.provenance
    for name, kind in {**NEEDED, "contributor": str}.items():
        if name in made and not isinstance(made[name], kind):
            text = f"{path}: provenance: {name} is {made[name]!r}; send the record as repro wrote it"
            return [Finding("FAULT", text)]
        if name in NEEDED and name not in made:
            return [Finding("FAULT", f"{path}: provenance: {name!r} is missing; send the record as repro wrote it")]
    try:
        started = datetime.fromisoformat(made["started"])
    except ValueError:
        started = None
    if started is None or started.tzinfo is None:
        text = f"{path}: provenance: started is {made['started']!r}, no time with its zone; send it as repro wrote it"
        return [Finding("FAULT", text)]
    by = f" by {made['contributor']}" if "contributor" in made else ""
    found = [
        Finding(
            "ok",
            f"made {started:%Y-%m-%d %H:%M}{by} on {made['device']} of {made['processor']} in "
            f"{made['seconds'] / 60:.0f} minutes, commit {made['commit'][:10]}, "
            + ", ".join(f"{name} {version}" for name, version in made["libraries"].items()),
        )
    ]
    if made["uncommitted_changes"]:
        found.append(Finding("note", "the code had uncommitted changes: its commit does not say all"))
    if commit_known(made["commit"]) is False:
        text = f"commit {made['commit'][:40]} is not in this repository: the code that ran cannot be looked up"
        found.append(Finding("note", text))
    return found


def _digest(record: Record, today: Digest) -> list[Finding]:
    """The behaviour of the code that made it against today's."""
    path = record.folder / "record.json"
    if stale := record.stale(today):
        return [
            Finding("FAULT", f"{path}: digest: today's code behaves differently in {', '.join(stale)}; {RERUN}"),
        ]
    if absent := sorted(set(used_by(record.experiment, today)) - set(record.digest)):
        return [Finding("FAULT", f"{path}: digest: says nothing of {', '.join(absent)}; {RERUN}")]
    return [Finding("ok", "digest: today's code behaves as the code that made it")]


def _accuracy(record: Record) -> list[Finding]:
    """Accuracies from the scores, against the one of the history where the test clips steered the run."""
    scores, labels, experiment = record.scores, record.labels, record.experiment
    top1 = topk_accuracy(scores, labels, k=1)
    top5 = f", top-5 {topk_accuracy(scores, labels, k=5):.2%}" if scores.shape[1] > 5 else ""
    found = [
        Finding(
            "ok",
            f"accuracy from the scores: top-1 {top1:.2%}{top5}, mean of classes "
            f"{mean_class_accuracy(scores, labels):.2%}; n = {len(labels)} clips, {len(record.classes)} classes",
        )
    ]
    # the weights that are evaluated are those of the best epoch, in the same view
    same = experiment.test_clips * experiment.test_crops == 1 and experiment.last_batch == "keep"
    if same and "test_top1" in record.history:
        noted = float(pd.to_numeric(record.history["test_top1"], errors="coerce").max())
        if not abs(noted - top1) * len(labels) < 2:  # a GPU may round a tie another way; NaN is a fault, too
            text = (
                f"history: the best test_top1 is {noted:.2%}, but the scores give {top1:.2%}; send it as repro wrote it"
            )
            found.append(Finding("FAULT", f"{record.folder}: {text}"))
    return found


def _list(record: Record, annotations: Path | None, results: Path) -> list[Finding]:
    """The test clips, labels and groups against the official list."""
    experiment = record.experiment
    clips = record.predictions
    where = record.folder / FILES[1]
    if annotations is not None:
        try:
            split = read_split(
                experiment.layout,
                videos=annotations,
                annotations=annotations,
                split=experiment.split,
                classes=experiment.classes,
                check=False,
            )
        except (OSError, ValueError) as error:
            return [Finding("FAULT", f"the lists in {annotations} do not fit this record: {error}")]
        if tuple(split.classes) != record.classes:
            return [Finding("FAULT", f"{where}: its classes are not those of the lists in {annotations}")]
        official = {clip.name: clip for clip in split.test}
        left_out = set(_left_out(record))
        return _compare(clips, official, {clip.name for clip in split.train}, left_out, where, annotations)
    if fault := _names(record):
        return [Finding("FAULT", f"{where}: {fault}; send it as repro wrote it")]
    dataset = next((d for d in CATALOGUE.values() if d.layout == experiment.layout), None)
    if dataset is None or len(record.classes) != dataset.counts["classes"]:
        text = f"{experiment.dataset} is no official dataset as a whole: its clip names are checked with --annotations"
        return [Finding("note", text)]
    digest = _official_digest(dataset, experiment.split, results)
    if digest is None or _left_out(record):
        text = f"clip names not checked against the lists of {dataset.title}: pass --annotations"
        return [Finding("note", text)]
    if digest == clips_digest(zip(clips["clip"], clips["label"])):
        return [Finding("ok", f"test clips and labels are those of {dataset.title}'s official split, all {len(clips)}")]
    number = dataset.counts.get(f"split {experiment.split}: test")
    text = (
        f"{where}: {len(clips)} clips with their labels are not the {number} of {dataset.title}'s official test split "
        f"{experiment.split}; --annotations says which"
    )
    return [Finding("FAULT", text)]


def _names(record: Record) -> str | None:
    """What is wrong with labels and groups by the clips' own names, where the layout's names tell them."""
    group_of = LAYOUTS[record.experiment.layout].group
    if group_of is None:
        return None
    for clip, label, group in record.predictions[["clip", "label", "group"]].itertuples(index=False):
        told = group_of(clip, record.classes[label])
        if told is None:
            return f"label: {clip} is no name of a clip of class {record.classes[label]}"
        if told != group:
            return f"group: {clip} is of group {told}, not {group}"
    return None


def _left_out(record: Record) -> list[str]:
    """Names of the listed test clips that the run could not use, as its record gives them."""
    return [str(name) for name, *_ in record.data.get("left_out", {}).get("test", [])]


def _official_digest(dataset: Dataset, split: int, results: Path) -> str | None:
    """The digest of an official test list as it was counted here; None where it was not."""
    known = read_measurements("lists", results).get("datasets", {}).get("counts", {}).get(dataset.name, {})
    return known.get("tests", {}).get(str(split))


def _compare(clips, official: Mapping[str, Any], training: set[str], left_out: set[str], where, lists) -> list[Finding]:
    scored = set(clips["clip"])
    for words, names in (
        ("clips of the training list are scored as test clips", scored & training),
        ("clips that no list names are scored", scored - set(official) - training),
        ("test clips of the list have no score", set(official) - scored - left_out),
    ):
        if names:
            return [Finding("FAULT", f"{where}: {len(names)} {words}, {min(names)} for one; evaluate on {lists}")]
    for column in ("label", "group"):
        wanted = np.array([getattr(official[name], column) for name in clips["clip"]])
        wrong = clips["clip"].to_numpy()[clips[column].to_numpy() != wanted]
        if len(wrong):
            text = f"{where}: {column}: {len(wrong)} clips have another one than the list says, {wrong[0]} for one"
            return [Finding("FAULT", f"{text}; evaluate on {lists}")]
    found = [Finding("ok", f"test clips, labels and groups are those of the lists in {lists}, {len(clips)} clips")]
    if left_out:
        found.append(Finding("note", f"{len(left_out)} listed test clips were not usable and have no score"))
    return found


def _others(record: Record, others: Sequence[Record]) -> list[Finding]:
    """Other records that have the same place or the same scores, and a study of that name with other settings."""
    found = []
    for other in others:
        if other.folder.resolve() == record.folder.resolve():
            continue
        same = _same_scores(record, other)
        seeds = record.experiment.seed != other.experiment.seed
        if other.name == record.name:
            what = "with the same scores" if same else "with other scores"
            found.append(Finding("note", f"{other.folder} is the same run, {what}"))
        elif same and seeds:
            text = f"its scores are those of {other.folder}, which has another seed: one of them is a copy"
            found.append(Finding("FAULT", f"{record.folder}: {text}; send each seed's own run"))
        elif same:
            # a choice may change nothing (clipping of gradients that are never large); a copy looks the same
            found.append(Finding("note", f"its scores are those of {other.folder}, another run of the same seed"))
    if text := _collision(record, others):
        found.append(Finding("note", text))
    return found


def _collision(record: Record, others: Sequence[Record]) -> str | None:
    """How the settings of another study of that name differ."""

    def settings(one: Record) -> dict[str, Any]:
        fields = {name: value for name, value in one.experiment.to_dict().items() if name not in OF_A_STUDY}
        return fields | {"classes": list(one.classes)}

    mine = settings(record)
    for other in others:
        if other.experiment.study == record.experiment.study:
            theirs = settings(other)
            if unlike := [name for name in mine if mine[name] != theirs[name]]:
                name = unlike[0]
                return (
                    f"study {record.experiment.study}: {record.name} has {name}: {mine[name]}, but {other.folder} has "
                    f"{theirs[name]}; give one of the studies another name (study in record.json)"
                )
    return None


def _same_scores(one: Record, other: Record) -> bool:
    if one.classes != other.classes or len(one.labels) != len(other.labels):
        return False
    first, second = (r.predictions.sort_values("clip") for r in (one, other))
    return list(first["clip"]) == list(second["clip"]) and np.array_equal(first.iloc[:, 3:], second.iloc[:, 3:])


def add(
    path: Path,
    *,
    contributor: str,
    annotations: Path | None = None,
    results: Path = RESULTS,
    today: Digest | None = None,
) -> list[Record]:
    """Check every record in ``path`` and file all of them under ``results`` with the contributor's name, or none.

    Returns those that were filed. A run that is here already with the same fields and scores stays as it is; but where
    ``path`` is its own folder under ``results`` and it names nobody, it gets the name: whoever sends a pull request ran
    it there. Raises ValueError with every fault that was found, and for a run or a study's name that is here already
    with something else; OSError where they cannot be written.
    """
    contributor = contributor.strip()
    if not contributor or not contributor.isprintable():
        raise ValueError("contributor: say in one line who ran these, as the report should name them")
    with record_folders(path) as folders:
        checked = check_all(folders, annotations=annotations, results=results, today=today)
        faults = [finding.text for findings in checked for finding in findings if finding.state == "FAULT"]
        sent = [read_record(folder) for folder, findings in zip(folders, checked) if sound(findings)]
        here = filed(results)
        known = {_place(record, results): record for record in here}
        new = []
        for record in sent:
            place = _place(record, results)
            if place.exists() and not (place in known and _same_run(record, known[place])):
                faults.append(f"{place} is here already: run seeds that nobody has, each counts once")
            elif text := _collision(record, [*here, *sent]):
                faults.append(text)
            elif not place.exists() or (place == record.folder.resolve() and "contributor" not in record.provenance):
                new.append(record)
        names = [record.name for record in sent]
        faults += [f"{name} is in it twice" for name in dict.fromkeys(names) if names.count(name) > 1]
        if faults:
            raise ValueError("\n  ".join([f"{path}: nothing was filed:", *faults]))
        return _file(new, contributor, results)


def _place(record: Record, results: Path) -> Path:
    return Path(results).resolve() / record.experiment.study / record.experiment.run


def _same_run(one: Record, other: Record) -> bool:
    return (one.experiment, one.data) == (other.experiment, other.data) and _same_scores(one, other)


def _file(records: Sequence[Record], contributor: str, results: Path) -> list[Record]:
    """Write all records with the contributor's name, or none."""
    done: list[Record] = []
    try:
        for record in records:
            done.append(_write(record, record.provenance | {"contributor": contributor}, results))
    except BaseException:  # a full disk, an interruption
        for record, copy in zip(records, done):
            if record.folder.resolve() == copy.folder.resolve():  # one that was there keeps its place
                with suppress(OSError):
                    _write(record, record.provenance, results)
            else:
                shutil.rmtree(copy.folder, ignore_errors=True)
        raise
    return done


def _write(record: Record, provenance: dict[str, Any], results: Path) -> Record:
    return write_record(
        experiment=record.experiment,
        classes=record.classes,
        data=record.data,
        provenance=provenance,
        digest=record.digest,
        history=record.history,
        predictions=record.predictions,
        results=results,
    )
