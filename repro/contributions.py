"""Records that others made: checked before they count, filed with the name of whoever ran them.

The real datasets can be settled only by those who have them. A record is small (scores, no weights and no clips), so it
can be sent; what it says can be checked without the clips: the test list against the official one, accuracies from the
scores, the code's behaviour against today's. What cannot be checked from it is that the scores are a network's.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from repro.data.catalogue import CATALOGUE, Dataset
from repro.data.clips import read_split
from repro.data.counts import clips_digest
from repro.freshness import Digest, todays_digest
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.records import RESULTS, Record, read_measurements, read_record, read_study, studies, write_record

PARTS = ("experiment", "classes", "data", "provenance", "digest", "history", "predictions")
FILES = ("record.json", "predictions.parquet")
NEEDED = ("commit", "uncommitted_changes", "started", "seconds", "device", "processor", "libraries")  # of provenance


@dataclass(frozen=True)
class Finding:
    """One line of the check. state: ok, note (for the reader) or FAULT (keeps the record from being filed)."""

    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:5}  {self.text}"


@contextmanager
def record_folders(path: Path) -> Iterator[list[Path]]:
    """The records in a run's folder, a study's folder, a ``record.json`` or a .zip of any of them.

    A zip is unpacked into a temporary folder, of its files the records' alone. Raises FileNotFoundError, or ValueError
    for a zip that is broken or names a place outside itself, and where there is no record.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="repro-") as temporary:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
        if path.is_dir():
            folders = [found.parent for found in sorted(path.rglob("record.json"))]
        elif path.name == "record.json":
            folders = [path.parent]
        else:
            _unzip(path, Path(temporary))
            folders = [found.parent for found in sorted(Path(temporary).rglob("record.json"))]
        if not folders:
            raise ValueError(f"{path}: holds no record.json; send the folders results/<study>/<run> as they are")
        yield folders


def _unzip(path: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                inside = PurePosixPath(entry.filename)
                if inside.is_absolute() or ".." in inside.parts or "\\" in entry.filename:
                    raise ValueError(f"{path}: names a place outside itself ({entry.filename}); it is not unpacked")
                if inside.name in FILES:
                    place = target.joinpath(*inside.parts)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as source, place.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: neither a record's folder, a record.json nor a whole zip ({error})") from None


def check(
    folder: Path, *, annotations: Path | None = None, results: Path = RESULTS, today: Digest | None = None
) -> list[Finding]:
    """What can be said of one record without its clips. Writes nothing.

    annotations: folder of the official lists; without it a whole test split is compared with the digests recorded in
    ``results/datasets/lists.json``, a subset of the classes cannot be. today: the digest of today's code.
    """
    today = todays_digest() if today is None else today
    try:
        return _check(read_record(folder), annotations, results, today)
    except ValueError as error:
        return [Finding("FAULT", str(error))]
    except (TypeError, KeyError, AttributeError) as error:  # a value of another kind than repro writes
        text = f"{Path(folder) / FILES[0]}: not understood: {error!r}; send the record as repro wrote it"
        return [Finding("FAULT", text)]


def _check(record: Record, annotations: Path | None, results: Path, today: Digest) -> list[Finding]:
    if not record.digest:
        return [Finding("FAULT", f"{record.folder / FILES[0]}: digest: is empty; send the record as repro wrote it")]
    found = [Finding("ok", f"{record.name}: whole, fields understood, {len(record.labels)} finite score rows")]
    found += _provenance(record)
    found += _list(record, annotations, results)
    stale = record.stale(today)
    found.append(
        Finding("FAULT", f"digest: today's code behaves differently in {', '.join(stale)}; run it again with this code")
        if stale
        else Finding("ok", "digest: today's code behaves as the code that made it")
    )
    found += _others(record, results)
    scores, labels = record.scores, record.labels
    top5 = f", top-5 {topk_accuracy(scores, labels, k=5):.2%}" if scores.shape[1] > 5 else ""
    found.append(
        Finding(
            "ok",
            f"accuracy from the scores: top-1 {topk_accuracy(scores, labels, k=1):.2%}{top5}, mean of classes "
            f"{mean_class_accuracy(scores, labels):.2%}; n = {len(labels)} clips, {len(record.classes)} classes",
        )
    )
    return found


def sound(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "FAULT" for finding in findings)


def _provenance(record: Record) -> list[Finding]:
    path, made = record.folder / "record.json", record.provenance
    if absent := [name for name in NEEDED if name not in made]:
        return [Finding("FAULT", f"{path}: provenance: {absent[0]!r} is missing; send the record as repro wrote it")]
    try:
        started = datetime.fromisoformat(str(made["started"]))
    except ValueError:
        started = None
    if started is None or started.tzinfo is None:
        text = f"{path}: provenance: started is {made['started']!r}, no time with its zone; send it as repro wrote it"
        return [Finding("FAULT", text)]
    who = made.get("contributor", "not named (repro records add --contributor)")
    found = [
        Finding(
            "ok",
            f"made {started:%Y-%m-%d %H:%M} by {who} on {made['device']} of {made['processor']} in "
            f"{made['seconds'] / 60:.0f} minutes, torch {made['libraries'].get('torch', 'unknown')}, commit "
            f"{made['commit'][:10]}",
        )
    ]
    if made["uncommitted_changes"]:
        found.append(Finding("note", "the code had uncommitted changes: its commit does not say all"))
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
    dataset = CATALOGUE.get(experiment.layout)
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


def _others(record: Record, results: Path) -> list[Finding]:
    """Records here that have the same place or the same scores."""
    found = []
    for study in studies(results):
        for other in read_study(study, results):
            if other.folder.resolve() == record.folder.resolve():
                continue
            same = _same_scores(record, other)
            if other.name == record.name:
                what = "with the same scores" if same else "with other scores"
                found.append(Finding("note", f"{other.folder} is here already, {what}"))
            elif same and other.experiment.seed != record.experiment.seed:
                text = f"its scores are those of {other.folder}, which has another seed: one of them is a copy"
                found.append(Finding("FAULT", text))
    return found


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

    Raises ValueError with every fault that was found, and for a run that is here already: each seed counts once.
    """
    if not contributor.strip():
        raise ValueError("contributor: say who ran these, as the report should name them")
    with record_folders(path) as folders:
        faults, records = [], []
        for folder in folders:
            findings = check(folder, annotations=annotations, results=results, today=today)
            faults += [finding.text for finding in findings if finding.state == "FAULT"]
            if sound(findings):
                records.append(read_record(folder))
        taken = [r.name for r in records if (Path(results) / r.experiment.study / r.experiment.run).exists()]
        faults += [
            f"{Path(results) / name} is here already: run seeds that nobody has, each counts once" for name in taken
        ]
        names = [record.name for record in records]
        faults += [f"{name} is in it twice" for name in dict.fromkeys(names) if names.count(name) > 1]
        if faults:
            raise ValueError("\n  ".join([f"{path}: nothing was filed:", *faults]))
        filed: list[Record] = []
        try:
            for record in records:
                parts = {name: getattr(record, name) for name in PARTS}
                parts["provenance"] = record.provenance | {"contributor": contributor.strip()}
                filed.append(write_record(**parts, results=results))
        except BaseException:  # a full disk, Ctrl-C: none of them stays
            for record in filed:
                shutil.rmtree(record.folder)
            raise
        return filed
