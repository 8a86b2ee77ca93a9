"""What is there of a run already: its fresh record, or build/runs/<study>/<run> with its checkpoints and weights."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repro.experiment.fields import Experiment
from repro.files import write_whole
from repro.records.compare import deciding_fields
from repro.records.freshness import Digest, differences
from repro.records.record import Record, read_record, write_record

WORK = Path("build/runs")
LAST, BEST, WEIGHTS = "last.ckpt", "best.ckpt", "weights.pt"


def fresh_record(experiment: Experiment, results: Path, data: Mapping[str, Any], sections: Digest) -> Record | None:
    """The record that is there, if it is this experiment's and today's code would make it again.

    data: of the clips, with their ``hash``, and of the weights that it starts from. sections: the behaviours of today's
    code that it uses.
    """
    folder = results / experiment.study / experiment.run
    if not (folder / "record.json").is_file():
        return None
    found = read_record(folder)
    if differing := _of_another(found, experiment, data):
        what = " and ".join(differing[:2])
        print(
            f"{found.folder}: holds the record of another experiment, which differs in {what}; it will be replaced "
            "when this run ends (set run: to keep both)",
            flush=True,
        )
        return None
    if found.stale(sections):
        return None
    print(f"{found.name}: a fresh record is there, nothing to train", flush=True)
    if found.experiment == experiment:
        return found
    parts = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "folder"}
    return write_record(**parts | {"experiment": experiment}, results=results)  # filed under new words


def _of_another(record: Record, experiment: Experiment, data: Mapping[str, Any]) -> list[str]:
    """The fields in which the record is of another result than this experiment's; empty where it is of the same."""
    old, new = deciding_fields(record.experiment), deciding_fields(experiment)
    fields = [name for name in new if old[name] != new[name]]
    if record.data["hash"] != data["hash"]:
        places = ("dataset", "videos", "annotations")
        fields += [name for name in places if getattr(record.experiment, name) != getattr(experiment, name)]
        fields.append("the clips themselves")
    if _digests(record.data) != _digests(data):
        fields.append("the weights it starts from")
    return fields


def _digests(data: Mapping[str, Any]) -> list[str]:
    return [each["digest"] for each in data.get("start", [])]


def prepare_folder(folder: Path, experiment: Experiment, sections: Digest, data: Mapping[str, Any]) -> None:
    """Make the run's folder ready: with the last finished epoch of the same run, or empty for a new start.

    ``sections`` and ``data`` as for :func:`fresh_record`. A finished run of other settings is set aside, never deleted.
    Raises ValueError where an unfinished one of other settings, clips, weights or code is there, and says what differs.
    """
    identity = {
        "fields": deciding_fields(experiment),
        "data": data["hash"],
        "digest": sections,
        "start": {each["part"]: each["digest"] for each in data.get("start", [])},
    }
    path, last = folder / "identity.json", folder / LAST
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            # A field added since: its default is what was done
            found["fields"] = deciding_fields(Experiment()) | found["fields"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not readable ({error}); delete the folder {folder} to begin anew") from None
        differing = _differing(found, json.loads(json.dumps(identity)))
        if not differing:
            for draft in folder.glob(".*.draft"):  # of a process that was killed while it wrote
                draft.unlink()
            return
        if last.is_file() and not (folder / WEIGHTS).is_file():
            raise ValueError(
                f"{folder}: an unfinished run is there, and this one differs from it: {'; '.join(differing)}. Set "
                "run: to another name to keep both, put the settings back to go on with it, or delete that folder to "
                "begin anew"
            )
        aside = folder.with_name(f"{folder.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        folder.rename(aside)
        print(f"{folder}: what is there is of another run ({differing[0]}); moved to {aside}", flush=True)
    elif folder.exists():
        shutil.rmtree(folder)  # killed before the identity was written: nothing of worth is there
    folder.mkdir(parents=True)
    write_whole(path, json.dumps(identity))


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    old, new = found["fields"], wanted["fields"]
    names = [name for name in new if old.get(name) != new[name]] + [name for name in old if name not in new]
    what = [f"{name} is {new.get(name)!r} here, {old.get(name)!r} there" for name in names]
    if found["data"] != wanted["data"]:
        what.append("the clips themselves are others")
    if found["start"] != wanted["start"]:
        what.append("the weights it starts from are others")
    if changed := differences(found["digest"], wanted["digest"]):
        what.append(f"the code behaves otherwise in {', '.join(changed)}")
    return what
