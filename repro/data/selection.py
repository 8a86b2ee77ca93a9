"""The clips of one experiment: its split as read, unusable clips refused or left out, and what each really holds."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro.data.clips import Split, read_split
from repro.data.lists import require_folder
from repro.data.manifest import build_manifest, manifest_hash, unusable
from repro.experiment.fields import Experiment


class Selection(NamedTuple):
    """What a run trains and is tested on."""

    split: Split
    lengths: pd.Series  # decoded frames by clip name
    data: dict[str, Any]  # what the record says: hash, clips by part; listed and left_out where a clip was left out


def select_clips(experiment: Experiment) -> Selection:
    """Read the experiment's split and count every clip's frames.

    A listed clip that is missing or does not decode is an error (FileNotFoundError, DecodeError), or left out and named
    in ``data`` with the reason (``unusable: leave_out``). Raises ValueError as :func:`repro.data.clips.read_split`, and
    where a class has no usable clip in one part.
    """
    leave_out = experiment.unusable == "leave_out"
    if leave_out:
        require_folder("videos", experiment.videos)
    split = read_split(experiment, check=not leave_out)
    split, notes = _without_unusable(split, experiment.decoder) if leave_out else (split, {})
    table = build_manifest([*split.train, *split.test], decoder=experiment.decoder)
    _say_copies(split, table)
    train, test = table.iloc[: len(split.train)], table.iloc[len(split.train) :]
    data = {"hash": manifest_hash(train, test), "clips": {"train": len(train), "test": len(test)}}
    return Selection(split, table.set_index("name")["frames"], data | notes)


def _without_unusable(split: Split, decoder: str) -> tuple[Split, dict[str, Any]]:
    """The split without its unusable clips, and what the record says of them; nothing where all can be used."""
    reasons = unusable([*split.train, *split.test], decoder=decoder)
    if not reasons:
        return split, {}
    listed, kept, left_out = {"train": split.train, "test": split.test}, {}, {}
    for part, clips in listed.items():
        kept[part] = tuple(clip for clip in clips if clip.name not in reasons)
        left_out[part] = [[clip.name, reasons[clip.name]] for clip in clips if clip.name in reasons]
        for label in sorted({clip.label for clip in clips} - {clip.label for clip in kept[part]}):
            first = next(clip.name for clip in clips if clip.label == label)
            raise ValueError(
                f"class {split.classes[label]}: none of its {part} clips can be used, first {first} "
                f"({reasons[first]}); mend them or name a subset of classes"
            )
    name, reason = next(iter(reasons.items()))
    print(
        f"left out: {len(left_out['train'])} of {len(split.train)} training and {len(left_out['test'])} of "
        f"{len(split.test)} test clips, first {name}: {reason}",
        flush=True,
    )
    notes = {"listed": {part: len(clips) for part, clips in listed.items()}, "left_out": left_out}
    return Split(split.classes, kept["train"], kept["test"]), notes


BEGINNING = 1 << 16  # bytes in which two clips of one size nearly always differ


def _say_copies(split: Split, table: pd.DataFrame) -> None:
    """Print one line where files of the same bytes stand in two classes, or in training and test.

    Read are the first bytes of those that have one size and number of frames, and all of those that begin alike.
    """
    parts = ["training"] * len(split.train) + ["test"] * len(split.test)
    clips = table.assign(part=parts, path=[clip.path for clip in (*split.train, *split.test)])
    same = ["bytes", "frames"]
    for column, most in (("beginning", BEGINNING), ("all", -1)):
        clips = clips[clips.duplicated(same, keep=False)]
        clips = clips.assign(**{column: [_sum(path, most) for path in clips["path"]]})
        same.append(column)
    clips = clips.join(clips.groupby(same)[["name", "part", "label"]].transform("first").add_suffix("_first"))
    texts = []
    for words, field in (("in training and test", "part"), ("in two classes", "label")):
        pairs = clips[clips[field] != clips[f"{field}_first"]]
        for pair in pairs.head(1).itertuples():
            first = f"{pair.name_first} ({pair.part_first}) and {pair.name} ({pair.part})"
            texts.append(f"{len(pairs):,} {words}, first {first}")
    if texts:
        print(f"the same bytes: {'; '.join(texts)}; take copies out of the lists or keep them on one side", flush=True)


def _sum(path: Path, most: int) -> str:
    """A hash of the file's first ``most`` bytes (-1: all); a folder of frames is like no other."""
    if path.is_dir():
        return str(path)
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(most)).hexdigest()
