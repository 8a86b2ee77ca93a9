"""The datasets' page: lists at hand are counted and filed, the others stay as they were last counted."""

import json
import shutil
from pathlib import Path

import tiny

from repro.data.catalogue import CATALOGUE
from repro.report.datasets import answer_text, count_at_hand, counts_table, terms_table


def test_lists_at_hand_are_counted_and_filed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tiny.write_ucf101(tmp_path / "set", videos=False)
    for part in ("train", "test"):
        for split in (2, 3):
            first = tmp_path / f"set/annotations/{part}list01.txt"
            shutil.copy(first, first.with_name(f"{part}list0{split}.txt"))
    assert count_at_hand("s", {"ucf101": "nowhere"}) == {} and not Path("results").exists()
    counts = count_at_hand("s", {"ucf101": data["annotations"], "hmdb51": "nowhere"})
    assert counts["ucf101"]["found"]["classes"] == 2
    assert json.loads(Path("results/s/lists.json").read_text())["counts"] == counts
    assert count_at_hand("s", {"ucf101": "nowhere"}) == counts  # as last counted
    table = counts_table(counts)
    states = {name: set(rows[""]) for name, rows in table.groupby("dataset")}
    assert states["UCF101"] == {"DIFFERS"} and states["HMDB51"] == {""}
    text = answer_text(counts, [])
    assert f"differ from this study's catalogue in **{(table[''] == 'DIFFERS').sum()}** of" in text
    assert "not counted: HMDB51" in text and text.endswith("clips here: none.")


def test_terms_of_every_dataset():
    table = terms_table()
    assert table["dataset"].tolist() == [one.title for one in CATALOGUE.values()]
    assert table["cite"].str.len().gt(0).all() and "UCF101.rar (6.9 GB)" in table["archives"].tolist()
