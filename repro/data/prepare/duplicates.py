"""What an audit's table says of a split: the same clip in training and test, groups on both sides, balance, clips
left out. No clip is read.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from repro.data.clips import Split
from repro.data.facts import DOES_NOT_DECODE, OK
from repro.data.prepare.inspect import PRINTS

NEAR = 10
"""Largest distance, in bits of 64, of each of the four perceptual hashes of two clips that count as nearly the same.

Of the 394 clips of ucf101-3, three differ from the same clips as distributed (another codec) by 3 bits at most; 63 of
899 pairs of one group by 10 or less; of 76,522 pairs across groups the nearest two by 18.
"""
BLOCK = 256  # training clips compared with all test clips at a time: some 10 MB for UCF101


def exact_duplicates(audit: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Pairs of a training and a test clip of the same bytes: columns ``train, test, sha256``."""
    train, test = _sides(audit, split, "sha256")
    return train.merge(test, on="sha256")[["train", "test", "sha256"]]


def near_duplicates(audit: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Pairs of a training and a test clip that look the same: columns ``train, test, bits, same_group``, nearest first.

    ``bits`` is the largest of the four Hamming distances between their perceptual hashes, at most :data:`NEAR`. Exact
    duplicates are among them, re-encoded and resized copies, and clips of one scene by a camera that stands; not parts
    of one film at other times, mirrored or cropped ones.
    """
    train, test = _sides(audit, split, "prints")
    rows = _near(_as_numbers(train["prints"]), _as_numbers(test["prints"]))
    group = _clips(split).set_index("name")["group"]
    pairs = pd.DataFrame(
        [(train["train"].iat[i], test["test"].iat[j], b) for i, j, b in rows], columns=["train", "test", "bits"]
    )
    pairs["same_group"] = pairs["train"].map(group) == pairs["test"].map(group)
    return pairs.sort_values(["bits", "train", "test"], ignore_index=True)


def alike(audit: pd.DataFrame) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of clips, whatever split: each clip of the same bytes as an earlier one, with the first of them; and pairs
    of other bytes that look the same (:data:`NEAR`)."""
    known = audit[audit["sha256"] != ""]
    first = known.groupby("sha256")["name"].transform("first")
    same = [(one, other) for one, other in zip(first, known["name"], strict=True) if one != other]
    printed = audit[audit["prints"] != ""]
    names, sums, prints = printed["name"].tolist(), printed["sha256"].tolist(), _as_numbers(printed["prints"])
    pairs = _near(prints, prints)
    return same, [(names[i], names[j]) for i, j, _ in pairs if i < j and sums[i] != sums[j]]


def shared_groups(split: Split) -> pd.DataFrame:
    """Groups (clips of one source video) on both sides of the split: columns ``group, train, test``, clips in each."""
    counts = _counted(split, "group")
    return counts[(counts["train"] > 0) & (counts["test"] > 0)].reset_index()


def class_balance(split: Split) -> pd.DataFrame:
    """Clips and groups a class: index ``class`` in the split's order, columns ``train, test, groups``."""
    table = _counted(split, "label").reindex(range(len(split.classes)), fill_value=0)
    groups = _clips(split).groupby("label")["group"].nunique()
    table["groups"] = groups.reindex(table.index, fill_value=0)
    return table.set_index(pd.Index(split.classes, name="class"))


def not_as_announced(audit: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Listed clips whose verdict is not "ok", the unusable first.

    Columns ``name, part, verdict, reason, frames, announced``; a clip that the audit does not know is "not audited".
    """
    facts = audit[["name", "verdict", "reason", "frames", "announced"]]
    table = _clips(split)[["name", "part"]].merge(facts, on="name", how="left").fillna({"verdict": "not audited"})
    table = table[table["verdict"] != OK]
    table = table.assign(usable=~table["verdict"].isin([DOES_NOT_DECODE, "not audited"]))
    return table.sort_values(["usable", "name"], ignore_index=True).drop(columns="usable")


def _clips(split: Split) -> pd.DataFrame:
    """A row a clip, training first: columns ``name, part, label, group``."""
    rows = [(clip.name, part, clip.label, clip.group) for part in ("train", "test") for clip in getattr(split, part)]
    return pd.DataFrame(rows, columns=["name", "part", "label", "group"])


def _sides(audit: pd.DataFrame, split: Split, field: str) -> list[pd.DataFrame]:
    """The training and the test clips that have a value: columns ``train`` or ``test`` (their names) and ``field``."""
    clips = _clips(split).merge(audit.loc[audit[field] != "", ["name", field]], on="name")
    parts = {part: clips[clips["part"] == part] for part in ("train", "test")}
    return [table[["name", field]].set_axis([part, field], axis=1) for part, table in parts.items()]


def _counted(split: Split, field: str) -> pd.DataFrame:
    """Clips of each part by a field of theirs: columns ``train, test``."""
    clips = _clips(split)
    table = pd.crosstab(clips[field], clips["part"]).reindex(columns=["train", "test"], fill_value=0)
    return table.rename_axis(columns=None)


def _near(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Places (i, j) in two arrays of prints that differ by ``NEAR`` bits at most, and by how many."""
    for start in range(0, len(left), BLOCK):
        block = left[start : start + BLOCK]
        near = np.argwhere(np.bitwise_count(block[:, None, 0] ^ right[None, :, 0]) <= NEAR)
        bits = np.bitwise_count(block[near[:, 0]] ^ right[near[:, 1]]).max(axis=1, initial=0)
        for (i, j), b in zip(near[bits <= NEAR], bits[bits <= NEAR], strict=True):
            yield start + i, j, int(b)


def _as_numbers(prints: pd.Series) -> np.ndarray:
    """uint64 ``(clips, PRINTS)`` from their hexadecimal digits."""
    return np.frombuffer(bytes.fromhex("".join(prints)), ">u8").reshape(-1, PRINTS).astype(np.uint64)
