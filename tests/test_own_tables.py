"""Tables 7 and 8 from made cells and made runs, against numbers worked out by hand."""

import numpy as np
import pytest
from made import FULL, labels_of, logits, record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper.cells import NOT_STATED, Cell, load
from repro.report.own_tables import table7, table8

PAPER = load()
NAMES = {BASELINE: "ResNet34-3DRes18", ATTENTION: "Res34-SE-IM-Net"}
CLASSES = ("cartwheel", "flic_flac", "drink", "eat", *(f"class{k:02d}" for k in range(47)))


def filled(number: int, values: dict[str, tuple]):
    """The paper with a table's cells filled in, as from the PDF."""
    tables = []
    for table in PAPER.tables:
        if table.number == number:
            rows = []
            for row in table.rows:
                cells = {c: Cell(value=v, source="made") for c, v in zip(table.columns, values[row.name])}
                rows.append(row.model_copy(update={"by_column": cells}))
            table = table.model_copy(update={"rows": tuple(rows)})
        tables.append(table)
    return PAPER.model_copy(update={"tables": tuple(tables)})


def hmdb51(results, model, taken: int, seed=0, **fields):
    """A full-size run on 51 classes of 30 test clips, all right but some cartwheels taken for flic-flacs."""
    labels = labels_of(51, 30)
    predicted = labels.copy()
    predicted[:taken] = 1
    values = {"layout": "hmdb51", "dataset": "HMDB51", "study": "paper-hmdb51", "model": model, "seed": seed} | FULL
    return record(results, classes=CLASSES, labels=labels, scores=logits(predicted, 51), **values | fields)


def test_without_cells_and_runs_everything_says_so():
    table = table7(PAPER, []).set_index("dataset")
    assert table.loc["HMDB51", "paper: ResNet34-3DRes18"] == NOT_STATED == table.loc["HMDB51", "paper: difference"]
    assert table.loc["HMDB51", "paper: Res34-SE-IM-Net"] == "71.85 %"  # the text states these
    assert table.loc["UCF101", "paper: Res34-SE-IM-Net"] == "92.196 %"
    assert table.loc["UCF101", "here: difference [95 %]"] == "not run: needs UCF101 and a GPU"
    pairs = table8(PAPER, [])
    assert list(pairs["pair"]) == ["flic-flac / cartwheel", "wave / clap", "drink / eat", "fencing / sword"]
    assert set(pairs["paper: difference"]) == {NOT_STATED}


def test_cells_from_the_pdf_make_the_papers_differences():
    paper = filled(7, {"ResNet34-3DRes18": (69.5, 91.0, 35.0), "Res34-SE-IM-Net": (71.85, 92.196, 36.5)})
    assert list(table7(paper, [])["paper: difference"]) == ["+2.35 points", "+1.20 points", "+1.50 points"]
    row = table8(filled(8, {"ResNet34-3DRes18": (0.3,), "Res34-SE-IM-Net": (0.1,)}), []).iloc[0]
    assert row["paper: ResNet34-3DRes18"] == "0.3" and row["paper: difference"] == "-0.200"


def test_official_runs_stand_beside_them(tmp_path):
    runs = [
        hmdb51(tmp_path, model, taken, seed) for seed in (0, 1) for model, taken in ((BASELINE, 12), (ATTENTION, 3))
    ]
    row = table7(PAPER, runs).set_index("dataset").loc["HMDB51"]
    assert row["here: ResNet34-3DRes18 [95 %]"].startswith("99.2 % [")  # 1518 of 1530
    gain = 100 * 9 / 1530
    assert row["here: difference [95 %]"].startswith(f"{gain:+.1f} points [")
    assert row["here: difference [95 %]"].endswith("2 pairs of runs")
    pairs = table8(PAPER, runs).set_index("pair")
    assert pairs.loc["flic-flac / cartwheel", "here: ResNet34-3DRes18 [95 %]"].startswith("0.400 [")  # 12 of 30
    assert pairs.loc["flic-flac / cartwheel", "here: Res34-SE-IM-Net [95 %]"].startswith("0.100 [")
    assert pairs.loc["drink / eat", "here: Res34-SE-IM-Net [95 %]"].startswith("0.000 [")
    assert pairs.loc["wave / clap", "here: Res34-SE-IM-Net [95 %]"] == "no such classes"


@pytest.mark.parametrize("change", [{"width": 0.25}, {"layout": "ucf101"}])
def test_other_runs_do_not(tmp_path, change):
    runs = [hmdb51(tmp_path, model, 3, **change) for model in (BASELINE, ATTENTION)]
    assert (table7(PAPER, runs)["here: Res34-SE-IM-Net [95 %]"] == "not run").all()
    assert np.all(table8(PAPER, runs)["here: Res34-SE-IM-Net [95 %]"] == "not run: needs HMDB51 and a GPU")


def test_protocols_stand_apart(tmp_path):
    """From scratch, from torchvision's weights, and after Kinetics: three rows, no mean of them."""
    starts = {
        "scratch": {},
        "torchvision": {"trunk_weights": "ResNet34_Weights.IMAGENET1K_V1"},
        "chain": {"start_from": "paper-kinetics/{model}-split1-seed0"},
    }
    runs = []
    for wrong, (study, start) in enumerate(starts.items()):
        for model, taken in ((BASELINE, 10 * wrong + 9), (ATTENTION, 10 * wrong)):
            fields = {name: value.format(model=model) for name, value in start.items()}
            runs.append(hmdb51(tmp_path, model, taken, study=study, **fields))
    rows = table7(PAPER, runs)
    rows = rows[rows["dataset"] == "HMDB51"].set_index("run here")["here: difference [95 %]"]
    assert set(rows.index) == {"from scratch", "trunk: ResNet34_Weights.IMAGENET1K_V1", "Kinetics"}
    assert rows.str.startswith("+0.6 points [").all() and rows.str.endswith("1 pairs of runs").all()  # 9 of 1530
    pairs = table8(PAPER, runs)
    named = pairs[pairs["pair"] == "flic-flac / cartwheel"].set_index("run here")["here: Res34-SE-IM-Net [95 %]"]
    assert {protocol: text[:5] for protocol, text in named.items()} == {
        "from scratch": "0.000",
        "trunk: ResNet34_Weights.IMAGENET1K_V1": "0.333",
        "Kinetics": "0.667",
    }
