"""May these runs be put together? Asked here alone: by claims, tables, resuming, outsiders' records and pages.

The answer comes from the role that each field of an experiment declares (:mod:`repro.experiment.fields`) and from the
hash of a run's clips, which a record keeps. Fields of filing and of the machine never keep runs apart: whoever has the
same clips in another folder, or a machine with more cores, has made the same run.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, ROLES, TEMPORAL, Experiment
from repro.records.record import Record

OF_A_RUN = ("model", "gate", "split", "seed")  # in which the runs of one set differ
OF_GATES = ("gate", "reduction", "gate_bias")  # that only networks with gates read
WITH_GATES = (ATTENTION, TEMPORAL)
OF_HEADS = ("head_stride",)  # that only networks with a 3D head read
READ_BY = {BASELINE: OF_HEADS, ATTENTION: (*OF_HEADS, *OF_GATES)}
USUAL = Experiment()  # the paper's networks as the ledger of assumptions reads its text


def deciding_fields(experiment: Experiment) -> dict[str, Any]:
    """The fields that decide a result. The gate of Equation 4, named, is the default; other networks have none."""
    fields = {name: value for name, value in experiment.to_dict().items() if ROLES[name] == "result"}
    if experiment.model not in WITH_GATES or experiment.gate == "se_im":
        fields["gate"] = None
    return fields


def is_as_read(experiment: Experiment) -> bool:
    """Whether the network is one of the paper's two as its text is read here, with no choice in it changed."""
    fields, usual = deciding_fields(experiment), deciding_fields(USUAL)
    return experiment.model in READ_BY and all(fields[name] == usual[name] for name in READ_BY[experiment.model])


def settings(record: Record) -> dict[str, Any]:
    """What the runs of one set have in common: everything that decides the result but network, split and seed.

    A run that starts from the weights of another starts from its own network's; from which seed's, `partners` asks.
    Where a tuning study chose the learning rates, each network has its own.
    """
    experiment = record.experiment
    fields = {name: value for name, value in deciding_fields(experiment).items() if name not in OF_A_RUN}
    if experiment.rate_chosen_by:
        del fields["learning_rate"]
    if experiment.start_from:
        fields["start_from"] = re.sub(rf"{re.escape(experiment.model)}|seed\d+", "", experiment.start_from)
    return fields | {"classes": list(record.classes)}  # a subset by name and all of a smaller set are the same clips


def _run(record: Record) -> tuple[Any, ...]:
    """What tells a run from the others of its set."""
    fields = deciding_fields(record.experiment)
    return tuple(fields[name] for name in OF_A_RUN)


def alike(records: Iterable[Record]) -> list[list[Record]]:
    """The records apart by classes, settings and clips: only within one set are figures put together, whoever ran them.
    A run that several studies hold counts once. The largest study comes first."""
    ordered = [record for study in _studies(records) for record in study]
    copies = _copies(ordered)
    found: dict[tuple[str, int], dict[tuple[Any, ...], Record]] = {}
    for record in ordered:
        one = str(settings(record)), copies[_clips(record)]
        found.setdefault(one, {}).setdefault(_run(record), record)
    return [list(runs.values()) for runs in found.values()]


def partners(records: Sequence[Record], first: str, second: str) -> list[tuple[Record, Record]]:
    """Runs of two networks that differ in nothing but the network: same clips, split, seed, settings and start.

    The clips are those of the predictions, whatever the hash says. Runs with another gate than Equation 4's (an
    ablation) have no partner. Of runs that several studies hold, the first counts.
    """
    found: dict[str, dict[tuple[Any, ...], Record]] = {first: {}, second: {}}
    for record in records:
        model, gate, split, seed = _run(record)
        if model in found and gate is None:
            started = re.findall(r"seed\d+", record.experiment.start_from or "")
            found[model].setdefault((str(settings(record)), *started, record.data["hash"], split, seed), record)
    pairs = [(record, found[second][key]) for key, record in found[first].items() if key in found[second]]
    return [(a, b) for a, b in pairs if scored_clips(a) == scored_clips(b)]


def made_again(records: Iterable[Record]) -> list[tuple[Record, Record]]:
    """The same run of several studies, whatever they are for: the one that was made first with each that came after, by
    code of the same behaviour."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.provenance["started"]):
        found.setdefault((str(settings(record)), record.data["hash"], *_run(record)), []).append(record)
    return [(first, later) for first, *rest in found.values() for later in rest if not later.stale(first.digest)]


def changed(reference: Record, record: Record) -> tuple[tuple[str, str, str], ...]:
    """The choices in which a run differs from another, its seed apart: field, value there, value here.

    Fields that the network of this run does not read say nothing, nor do rates that one study chose for each network.
    Another network than the reference, whose rate was chosen so, at a rate that was not, has that rate as its choice.
    """
    there, here = (deciding_fields(each.experiment) for each in (reference, record))
    skipped, listed = {"seed", "rate_chosen_by"}, set[str]()
    if here["model"] != there["model"]:
        if tuned := there["rate_chosen_by"]:
            (skipped if here["rate_chosen_by"] == tuned else listed).add("learning_rate")
        skipped |= {*(() if here["model"] in WITH_GATES else OF_GATES)}
        skipped |= {*(OF_HEADS if here["model"] == CONTROL else ())}
    names = [name for name in there if name in listed or (name not in skipped and there[name] != here[name])]
    return tuple((name, str(there[name]), str(here[name])) for name in names)


# ---- which clips


def scored_clips(record: Record) -> dict[str, tuple[str, str]]:
    """The class and group of each test clip."""
    clips, labels, groups = (record.predictions[name] for name in ("clip", "label", "group"))
    return {clip: (record.classes[label], group) for clip, label, group in zip(clips, labels, groups)}


def clips_known(experiment: Experiment, hashed: str | None = None) -> set[str]:
    """What tells a run's clips, also before it is made: where they lie, and their hash (of one split) once it is
    recorded. Who shares either has the same."""
    place = str([experiment.layout, experiment.videos, experiment.annotations, experiment.classes])
    return {place} | ({f"split {experiment.split}: {hashed}"} if hashed else set())


def _studies(records: Iterable[Record]) -> list[list[Record]]:
    """The records by study, the largest first, then by name; those of one study by name."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.name):
        found.setdefault(record.experiment.study, []).append(record)
    return [found[name] for name in sorted(found, key=lambda name: (-len(found[name]), name))]


def _clips(record: Record) -> tuple[tuple[str, ...], int, str]:
    """The clips of one split: classes, split, hash."""
    return record.classes, record.experiment.split, record.data["hash"]


def _copies(records: Iterable[Record]) -> dict[tuple[tuple[str, ...], int, str], int]:
    """Which copy of a dataset the clips of each split are of, by number.

    A hash is of one split's clips, so it does not tell which clips of another split are of the same copy. A study does:
    what it calls one dataset is of one copy. So clips join the copy that the rest of their study is of, unless that is
    known to have other clips for their split; where several copies could be meant, or none is known, they stand apart.
    """
    found: dict[tuple[tuple[str, ...], int, str], int] = {}
    named: dict[tuple[str, str], set[tuple[tuple[str, ...], int, str]]] = {}
    for record in (record for study in _studies(records) for record in study):
        named.setdefault((record.experiment.study, record.experiment.dataset), set()).add(_clips(record))
    for sets in map(sorted, named.values()):
        for clips in (clips for clips in sets if clips not in found):
            classes, split, _ = clips
            taken = {copy for (c, s, _), copy in found.items() if (c, s) == (classes, split)}
            rest = {found[other] for other in sets if other in found and other[0] == classes} - taken
            found[clips] = rest.pop() if len(rest) == 1 else len(found)
    return found
