"""Records that others made: checked before they count, filed with the name of whoever ran them.

What a record says can be checked without the clips: the test list against the official one, accuracies from the scores,
the code's behaviour against today's. What cannot be checked from it is that the scores are a network's.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator

from repro.data.catalogue import CATALOGUE
from repro.data.clips import read_split
from repro.data.counts import clips_digest
from repro.data.layouts import LAYOUTS
from repro.files import checked
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.records.compare import deciding_fields, scored_clips, settings
from repro.records.freshness import Digest
from repro.records.measure import read_measurements
from repro.records.provenance import commit_known
from repro.records.rates import rate_for
from repro.records.record import RESULTS, Record, read_all, read_record, write_record
from repro.records.scores import same_scores

RERUN = "run it again with this code"
SEND = "send the record as repro wrote it"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the check. state: ok; note, for the reader; FAULT, which keeps the record from counting."""

    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:5}  {self.text}"


ok, note, fault = (partial(Finding, state) for state in ("ok", "note", "FAULT"))


def sound(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "FAULT" for finding in findings)


def record_folders(path: Path) -> list[Path]:
    """The records in a run's folder, a study's folder, or beside a ``record.json``.

    Raises FileNotFoundError, or ValueError where there is no record.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder; name a record's or a study's folder")
    found = [path] if path.name == "record.json" else sorted(path.rglob("record.json"))
    # a folder that begins with a dot is a draft, or what a desktop left
    inside = [one.parent for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)]
    if not inside:
        flat = next(path.rglob("*\\record.json"), None)
        why = f"{path}: holds no record.json; unpack what was sent"
        if flat:
            why = f"{flat}: folders became part of the file's name; unpack what was packed on Windows with unzip or 7z"
        raise ValueError(f"{why} and give the folder that the runs are in")
    return inside


# ---- check


def check(
    folders: Sequence[Path], today: Digest, *, annotations: Path | None = None, results: Path = RESULTS
) -> list[list[Finding]]:
    """What can be said of each record without its clips, beside those under ``results`` and each other. Writes nothing.

    Args:
        today: the behaviours of today's code.
        annotations: folder of the official lists; without it a whole test split is compared with the digests recorded
            in ``results/datasets/lists.json``, and a subset of the classes cannot be.
    """
    others = read_all(results)
    for folder in folders:
        with suppress(ValueError):  # its own check says so
            others.append(read_record(folder))
    return [list(_check(folder, today, annotations, results, others)) for folder in folders]


def _check(
    folder: Path, today: Digest, annotations: Path | None, results: Path, others: Sequence[Record]
) -> Iterator[Finding]:
    try:
        record = read_record(folder)
    except ValueError as error:
        yield fault(str(error))
        return
    yield ok(f"{record.name}: whole, fields understood, {len(record.labels)} finite score rows")
    yield from _provenance(record)
    yield from _names(record, results) if annotations is None else _lists(record, annotations)
    yield from _digest(record, today)
    yield from _rate(record, others)
    yield from _others(record, others)
    yield from _accuracy(record)


class _Provenance(BaseModel):
    """What the report reads of where a record comes from."""

    model_config = ConfigDict(extra="allow", strict=True)

    commit: str
    uncommitted_changes: bool
    started: str
    seconds: float
    device: str
    processor: str
    libraries: dict[str, str]
    contributor: str = ""

    @field_validator("started")
    @classmethod
    def _a_time(cls, started: str) -> str:
        with suppress(ValueError):
            at = datetime.fromisoformat(started)
            if at.tzinfo and at < datetime.now(UTC) + timedelta(days=1):  # clocks go wrong
                return started
        raise ValueError(f"{started!r} is no time with its zone, or one to come")


def _provenance(record: Record) -> Iterator[Finding]:
    """Who made it, when, on what and by which code."""
    try:
        made = checked(_Provenance, record.provenance, f"{record.folder / 'record.json'}: provenance")
    except ValueError as error:
        yield fault(f"{error}; {SEND}")
        return
    by = f" by {made.contributor}" if made.contributor else ""
    versions = ", ".join(f"{name} {version}" for name, version in made.libraries.items())
    yield ok(
        f"made {datetime.fromisoformat(made.started):%Y-%m-%d %H:%M}{by} on {made.device} of {made.processor} in "
        f"{made.seconds / 60:.0f} minutes, commit {made.commit[:10]}, {versions}"
    )
    if made.uncommitted_changes:
        yield note("the code had uncommitted changes: its commit does not say all")
    if commit_known(made.commit) is False:
        yield note(f"commit {made.commit[:40]} is not in this repository: the code that ran cannot be looked up")


def _digest(record: Record, today: Digest) -> Iterator[Finding]:
    """The behaviour of the code that made it against today's."""
    where = f"{record.folder / 'record.json'}: digest"
    stale = record.stale(today)
    if absent := [name for name in stale if name not in record.digest]:
        yield fault(f"{where}: says nothing of {', '.join(absent)}; {RERUN}")
    elif stale:
        yield fault(f"{where}: today's code behaves differently in {', '.join(stale)}; {RERUN}")
    else:
        yield ok("digest: today's code behaves as the code that made it")


def _accuracy(record: Record) -> Iterator[Finding]:
    """Accuracies from the scores, against the one of the history where the test clips steered the run."""
    scores, labels = record.scores, record.labels
    top1 = topk_accuracy(scores, labels, k=1)
    top5 = f", top-5 {topk_accuracy(scores, labels, k=5):.2%}" if scores.shape[1] > 5 else ""
    yield ok(
        f"accuracy from the scores: top-1 {top1:.2%}{top5}, mean of classes {mean_class_accuracy(scores, labels):.2%}; "
        f"n = {len(labels)} clips, {len(record.classes)} classes"
    )
    if len(record.history) != record.experiment.epochs:
        text = f"history: {len(record.history)} epochs, but the experiment has {record.experiment.epochs}"
        yield fault(f"{record.folder / 'record.json'}: {text}; {SEND}")
    # the weights that are evaluated are those of the best epoch
    if record.experiment.last_batch == "keep" and "test_top1" in record.history:
        noted = float(pd.to_numeric(record.history["test_top1"], errors="coerce").max())
        if not abs(noted - top1) * len(labels) < 2:  # a GPU may round a tie another way; NaN is a fault, too
            text = f"history: the best test_top1 is {noted:.2%}, but the scores give {top1:.2%}"
            yield fault(f"{record.folder}: {text}; {SEND}")


def _left_out(record: Record) -> set[str]:
    """Listed test clips that the run could not use, as its record gives them."""
    return {name for name, _ in record.data.get("left_out", {}).get("test", [])}


def _lists(record: Record, lists: Path) -> Iterator[Finding]:
    """The test clips, labels and groups against the official lists."""
    experiment, clips, where = record.experiment, record.predictions, record.folder / "predictions.parquet"
    try:
        here = dataclasses.replace(experiment, videos=str(lists), annotations=str(lists))
        split = read_split(here, check=False)
    except (OSError, ValueError) as error:
        yield fault(f"the lists in {lists} do not fit this record: {error}")
        return
    if tuple(split.classes) != record.classes:
        yield fault(f"{where}: its classes are not those of the lists in {lists}")
        return
    official, training = {clip.name: clip for clip in split.test}, {clip.name for clip in split.train}
    scored, left_out = set(clips["clip"]), _left_out(record)
    for words, names in (
        ("clips of the training list are scored as test clips", scored & training),
        ("clips that no list names are scored", scored - set(official) - training),
        ("test clips of the list have no score", set(official) - scored - left_out),
    ):
        if names:
            yield fault(f"{where}: {len(names)} {words}, {min(names)} for one; evaluate on {lists}")
            return
    for column in ("label", "group"):
        wrong = [clip for clip, told in zip(clips["clip"], clips[column]) if getattr(official[clip], column) != told]
        if wrong:
            text = f"{column}: {len(wrong)} clips have another one than the list says, {wrong[0]} for one"
            yield fault(f"{where}: {text}; evaluate on {lists}")
            return
    yield ok(f"test clips, labels and groups are those of the lists in {lists}, {len(clips)} clips")
    if left_out:
        yield note(f"{len(left_out)} listed test clips were not usable and have no score")


def _names(record: Record, results: Path) -> Iterator[Finding]:
    """Labels and groups against the clips' own names, a whole test split against its digest as it was counted here."""
    experiment, clips, where = record.experiment, record.predictions, record.folder / "predictions.parquet"
    group_of = LAYOUTS[experiment.layout].group
    for clip, label, group in clips[["clip", "label", "group"]].itertuples(index=False):
        if group_of is None:  # nothing can be told from this layout's names
            break
        told = group_of(clip, record.classes[label])
        if told is None:
            yield fault(f"{where}: label: {clip} is no name of a clip of class {record.classes[label]}; {SEND}")
            return
        if told != group:
            yield fault(f"{where}: group: {clip} is of group {told}, not {group}; {SEND}")
            return
    dataset = next((d for d in CATALOGUE.values() if d.layout == experiment.layout), None)
    if dataset is None or len(record.classes) != dataset.counts["classes"]:
        yield note(
            f"{experiment.dataset} is no official dataset as a whole: pass --annotations to check its clip names"
        )
        return
    counted = read_measurements("lists", results).get("datasets", {}).get("counts", {}).get(dataset.name, {})
    digest = counted.get("tests", {}).get(str(experiment.split))
    if digest is None or _left_out(record):
        yield note(f"clip names not checked against the lists of {dataset.title}: pass --annotations")
    elif digest == clips_digest(zip(clips["clip"], clips["label"])):
        yield ok(f"test clips and labels are those of {dataset.title}'s official split, all {len(clips)}")
    else:
        number = dataset.counts.get(f"split {experiment.split}: test")
        yield fault(
            f"{where}: {len(clips)} clips with their labels are not the {number} of {dataset.title}'s official test "
            f"split {experiment.split}; --annotations says which"
        )


def _others(record: Record, others: Sequence[Record]) -> Iterator[Finding]:
    """Other records that have the same place, run, clips or scores, and a study of that name with other settings."""
    for other in others:
        if other.folder.resolve() == record.folder.resolve():
            continue
        same = same_scores(record, other)
        if other.name == record.name:
            yield note(f"{other.folder} is the same run, with {'the same' if same else 'other'} scores")
        elif same and (differs := _another_training(record, other)):
            text = f"its scores are those of {other.folder}, which has another {differs}: one of them is a copy"
            yield fault(f"{record.folder}: {text}; send each {differs}'s own run")
        elif same:
            # a choice may change nothing (clipping of gradients that are never large); a copy looks the same
            yield note(f"its scores are those of {other.folder}, another run of the same seed")
        elif _same_clips(record, other) and _same_fields(record, other):
            text = f"{other.folder} is this very run with other scores"
            if "tuning" in (record.experiment.role, other.experiment.role):
                yield note(f"{text}: no evidence, the page on statistics has both side by side")
            else:
                mend = "run seeds that nobody has, each counts once, or call a repetition role: tuning"
                yield fault(f"{record.folder}: {text}; {mend}")
        if _same_clips(record, other) and scored_clips(record) != scored_clips(other):
            text = f"its hash of the clips is that of {other.folder}, but its test clips, labels or groups are others"
            yield fault(f"{record.folder / 'record.json'}: data.hash: {text}; {SEND}")
    if collision := _collision(record, others):
        yield note(collision)


def _rate(record: Record, others: Sequence[Record]) -> Iterator[Finding]:
    """The learning rate against the one that its tuning study chose."""
    experiment, where = record.experiment, f"{record.folder / 'record.json'}: learning_rate"
    if (study := experiment.rate_chosen_by) is None:
        return
    rate = rate_for(others, study, experiment.model)
    if rate is None:
        yield fault(f"{where}: no runs of {study} are there, which chose it; send them, too")
    elif rate != experiment.learning_rate:
        text = f"{experiment.learning_rate:g}, but the validation clips of {study} chose {rate:g}"
        yield fault(f"{where}: {text}; run it again at that rate")
    else:
        yield ok(f"learning rate: {rate:g}, as the validation clips of {study} chose")


def _another_training(one: Record, other: Record) -> str | None:
    """In which of seed, split and network two runs differ, so that they cannot have one's scores; the first of them."""
    names = ("seed", "split", "model")
    return next((n for n in names if getattr(one.experiment, n) != getattr(other.experiment, n)), None)


def _same_clips(one: Record, other: Record) -> bool:
    """Whether they say that they are of the same clips: the hash is of one split's."""
    split = one.experiment.split == other.experiment.split
    return split and one.data["hash"] == other.data["hash"] and set(one.classes) == set(other.classes)


def _same_fields(one: Record, other: Record) -> bool:
    return deciding_fields(one.experiment) == deciding_fields(other.experiment)


def _collision(record: Record, others: Sequence[Record]) -> str | None:
    """How the settings of another study of that name differ, so that its runs cannot be put together with this one."""
    study, mine = record.experiment.study, settings(record)
    for other in (other for other in others if other.experiment.study == study):
        theirs = settings(other)
        for name in mine:
            if mine[name] != theirs.get(name, mine[name]):
                return (
                    f"study {study}: {record.name} has {name}: {mine[name]}, but {other.folder} has {theirs[name]}; "
                    "give one of the studies another name (study in record.json)"
                )
    return None


# ---- file


def add(
    path: Path, today: Digest, *, contributor: str, annotations: Path | None = None, results: Path = RESULTS
) -> list[Record]:
    """Check every record in ``path`` and file all of them under ``results`` with the contributor's name, or none.

    Returns those that were filed. A run that is here already with the same fields and scores stays as it is; but where
    ``path`` is its own folder under ``results`` and it names nobody, it gets the name, as for a pull request. Raises
    ValueError with every fault that was found, also a run or a study's name that is here already with something else;
    OSError where they cannot be written.
    """
    contributor = contributor.strip()
    if not contributor or not contributor.isprintable():
        raise ValueError("contributor: say in one line who ran these, as the report should name them")
    folders = record_folders(path)
    found = check(folders, today, annotations=annotations, results=results)
    faults = [finding.text for findings in found for finding in findings if finding.state == "FAULT"]
    sent = [read_record(folder) for folder, findings in zip(folders, found) if sound(findings)]
    here = read_all(results)
    known = {record.folder.resolve(): record for record in here}
    new = []
    for record in sent:
        place = Path(results).resolve() / record.name
        own = known.get(place)
        again = own and own.data == record.data and _same_fields(record, own) and same_scores(record, own)
        if place.exists() and not again:
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


def _file(records: Sequence[Record], contributor: str, results: Path) -> list[Record]:
    """Write all records with the contributor's name, or none: they take their places once all are written."""
    results.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=results) as folder:
        drafts = []
        for record in records:
            fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
            del fields["folder"]
            fields["provenance"] = record.provenance | {"contributor": contributor}
            drafts.append(write_record(**fields, results=Path(folder)))
        for number, draft in enumerate(drafts):
            place = results / draft.name
            place.parent.mkdir(exist_ok=True)
            if place.exists():  # the run itself, which named nobody
                place.rename(Path(folder) / f"old {number}")
            draft.folder.rename(place)
        return [dataclasses.replace(draft, folder=results / draft.name) for draft in drafts]
