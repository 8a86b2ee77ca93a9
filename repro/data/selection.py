"""The clips of one experiment: its split as read, unusable clips refused or left out, and what each really holds."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro.data.clips import Clip, Split, read_split
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

    A listed clip that is missing or does not decode is an error, or left out and named in ``data`` with the reason
    (``unusable: leave_out``): accuracies are then of the clips that are left, and the record says how many were listed.

    Raises:
        FileNotFoundError, ValueError: as :func:`repro.data.clips.read_split`; a class has no usable clip in one part.
        DecodeError: a clip does not decode, and is not to be left out.
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
    listed = {"train": split.train, "test": split.test}
    kept = {part: tuple(clip for clip in clips if clip.name not in reasons) for part, clips in listed.items()}
    for part, clips in listed.items():
        labels = {clip.label for clip in kept[part]}
        for label, name in enumerate(split.classes):
            if label not in labels:
                first = next(clip.name for clip in clips if clip.label == label)
                raise ValueError(
                    f"class {name}: none of its {part} clips can be used, first {first} ({reasons[first]}); "
                    "mend them or name a subset of classes"
                )
    left_out = {part: [[c.name, reasons[c.name]] for c in clips if c.name in reasons] for part, clips in listed.items()}
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
    state = {row.name: (row.bytes, row.frames) for row in table.itertuples(index=False)}
    sets = [[(clip, part) for part in ("training", "test") for clip in getattr(split, part.removesuffix("ing"))]]
    for look in (lambda clip: state[clip.name], lambda clip: _sum(clip.path, BEGINNING), lambda clip: _sum(clip.path)):
        sets = [same for each in sets for same in _grouped(each, look) if len(same) > 1]
    texts = []
    for where, side in (
        ("in training and test", lambda one: one[1]),
        ("in two classes", lambda one: one[0].label),
    ):
        pairs = [(same[0], one) for same in sets for one in same if side(one) != side(same[0])]
        if pairs:
            first = " and ".join(f"{clip.name} ({part})" for clip, part in pairs[0])
            texts.append(f"{len(pairs):,} {where}, first {first}")
    if texts:
        print(f"the same bytes: {'; '.join(texts)}; take copies out of the lists or keep them on one side", flush=True)


def _grouped(clips: Sequence[tuple[Clip, str]], look: Callable[[Clip], Any]) -> Iterable[list[tuple[Clip, str]]]:
    found: dict[Any, list[tuple[Clip, str]]] = {}
    for clip, part in clips:
        found.setdefault(look(clip), []).append((clip, part))
    return found.values()


def _sum(path: Path, most: int = -1) -> Any:
    """A hash of the file's first ``most`` bytes, or of all; a folder of frames is like no other."""
    if path.is_dir():
        return path
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(most)).digest()
