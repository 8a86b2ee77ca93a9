"""Duplicates, leakage and balance on tables whose answers are known by hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from repro.data.clips import Clip, Split
from repro.data.facts import COUNT_DIFFERS, DOES_NOT_DECODE, FIELDS, OK
from repro.data.prepare import duplicates
from repro.data.prepare.duplicates import exact_duplicates, near_duplicates


def clip(name: str, label: int, group: str) -> Clip:
    return Clip(name, Path("videos") / name, label, group)


def flipped(print_: str, *bits: int) -> str:
    """The prints with some of their 256 bits turned over."""
    return f"{int(print_, 16) ^ sum(1 << (255 - bit) for bit in bits):064x}"


RANDOM = np.random.default_rng(0)
PRINTS = {name: RANDOM.bytes(32).hex() for name in ("a", "b", "c", "d", "e", "f")}
SPLIT = Split(
    ("Bar", "Foo"),
    train=(clip("a", 0, "g1"), clip("b", 0, "g2"), clip("c", 1, "g3"), clip("d", 1, "g3")),
    test=(clip("e", 0, "g1"), clip("f", 1, "g4")),
)


def audit_table(**changes: dict) -> pd.DataFrame:
    """Six good clips, no two alike, and the given changes by name."""
    facts = {"frames": 9, "announced": 9, "verdict": OK}
    rows = [
        {"name": name, **FIELDS, **facts, "sha256": f"sum of {name}", "prints": prints, **changes.get(name, {})}
        for name, prints in PRINTS.items()
    ]
    return pd.DataFrame(rows)


def test_a_clean_split_has_none():
    assert exact_duplicates(audit_table(), SPLIT).empty
    near = near_duplicates(audit_table(), SPLIT)
    assert near.empty and list(near.columns) == ["train", "test", "bits", "same_group"]


def test_exact_duplicates_across_the_split_only():
    same = {"sha256": "one"}
    found = exact_duplicates(audit_table(a=same, b=same, f=same), SPLIT)
    assert found.values.tolist() == [["a", "f", "one"], ["b", "f", "one"]]
    assert exact_duplicates(audit_table(c=same, d=same), SPLIT).empty  # both are training clips
    missing = {"sha256": ""}
    assert exact_duplicates(audit_table(a=missing, e=missing), SPLIT).empty  # not read, so not known to be the same


def test_near_duplicates_are_near_in_every_print():
    table = audit_table(
        e={"prints": flipped(PRINTS["a"], 0, 64, 65, 130)},  # 1, 2, 1, 0 bits of each 64
        f={"prints": flipped(PRINTS["c"], *range(192, 202))},  # 10 bits of the last
        b={"prints": flipped(PRINTS["c"], 0)},  # 11 bits from f in all, 10 at most in one
        d={"prints": flipped(PRINTS["c"], 203)},  # 11 in one
    )
    found = near_duplicates(table, SPLIT)
    assert found.values.tolist() == [["a", "e", 2, True], ["b", "f", 10, False], ["c", "f", 10, False]]
    assert near_duplicates(audit_table(a={"prints": ""}, e={"prints": ""}), SPLIT).empty


def test_near_duplicates_agree_with_the_plain_way_over_many_clips():
    rng = np.random.default_rng(1)
    names = [f"{i}" for i in range(700)]
    base = rng.integers(0, 256, (40, 32), np.uint8)  # 40 scenes, each clip some bits from one of them
    noise = np.packbits(rng.random((700, 256)) < 0.05, axis=1)
    prints = base[rng.integers(40, size=700)] ^ noise
    table = pd.DataFrame({"name": names, "prints": [p.tobytes().hex() for p in prints]})
    clips = [clip(name, 0, name) for name in names]
    found = near_duplicates(table, Split(("a",), tuple(clips[:600]), tuple(clips[600:])))
    bits = np.unpackbits(prints, axis=1).reshape(700, 4, 64)
    apart = (bits[:600, None] != bits[None, 600:]).sum(axis=3).max(axis=2)
    expected = {(str(i), str(600 + j)): apart[i, j] for i, j in np.argwhere(apart <= 10)}
    assert len(expected) > 100
    assert {(row.train, row.test): row.bits for row in found.itertuples()} == expected


def test_groups_on_both_sides():
    assert duplicates.shared_groups(SPLIT).values.tolist() == [["g1", 1, 1]]
    assert duplicates.shared_groups(Split(SPLIT.classes, SPLIT.train[1:], SPLIT.test)).empty


def test_balance():
    table = duplicates.class_balance(SPLIT)
    assert table.to_dict("index") == {
        "Bar": {"train": 2, "test": 1, "groups": 2},
        "Foo": {"train": 2, "test": 1, "groups": 2},
    }
    only = duplicates.class_balance(Split(SPLIT.classes, SPLIT.train[:2], ()))
    assert only.loc["Foo"].tolist() == [0, 0, 0] and only.loc["Bar"].tolist() == [2, 0, 2]


def test_clips_left_out_come_first_with_their_reason():
    table = audit_table(
        b={"verdict": COUNT_DIFFERS, "frames": 8, "reason": "frames decoded: 8, announced: 9"},
        f={"verdict": DOES_NOT_DECODE, "frames": 0, "reason": "empty file"},
    )
    found = duplicates.not_as_announced(table[table["name"] != "d"], SPLIT)
    assert found["name"].tolist() == ["d", "f", "b"]
    assert found["part"].tolist() == ["train", "test", "train"]
    assert found["verdict"].tolist() == ["not audited", DOES_NOT_DECODE, COUNT_DIFFERS]
    assert found["reason"].tolist()[1:] == ["empty file", "frames decoded: 8, announced: 9"]
