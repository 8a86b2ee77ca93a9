"""Tables 7 and 8 from made cells and made runs, against numbers worked out by hand."""

import numpy as np
import pytest
from made import DIGEST, FULL, both_networks, labels_of, logits, record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper.cells import Cell, load
from repro.report.own_tables import table7, table8
from repro.report.study import shown

PAPER = load()
CLASSES = ("cartwheel", "flic_flac", "drink", "eat", *(f"class{k:02d}" for k in range(47)))


def filled(number: int, values: dict[str, tuple]):
    """The paper with a table's cells filled in, as from the PDF."""
    table, rows = PAPER.table(number), []
    for row in table.rows:
        cells = {c: Cell(value=v, source="made") for c, v in zip(table.columns, values[row.name])}
        rows.append(row.model_copy(update={"by_column": cells}))
    return PAPER.model_copy(update={"tables": (table.model_copy(update={"rows": tuple(rows)}),)})


def hmdb51(results, model, taken: int, seed=0, **fields):
    """A full-size run on 51 classes of 30 test clips, all right but some cartwheels taken for flic-flacs."""
    labels = labels_of(51, 30)
    predicted = labels.copy()
    predicted[:taken] = 1
    values = {"layout": "hmdb51", "dataset": "HMDB51", "study": "paper-hmdb51", "model": model, "seed": seed} | FULL
    return record(results, classes=CLASSES, labels=labels, scores=logits(predicted, 51), **values | fields)


def test_without_cells_and_runs_everything_says_so():
    table = table7(PAPER, [], [], {}).set_index("clips")
    assert table["the paper"].to_dict() == {
        "HMDB51": "– → 71.85 %", "UCF101": "– → 92.196 %", "Something-Something v1": "– → 36.5 %",
    }  # fmt: skip
    assert table.loc["UCF101", "difference [95 %]"] == "not run" and table.loc["UCF101", "pairs of runs"] == "0"
    pairs = table8(PAPER, [], [])
    assert list(pairs["pair"]) == ["flic-flac / cartwheel", "wave / clap", "drink / eat", "fencing / sword"]
    assert pairs["the paper"].tolist() == [
        "– (introduction, Fig. 1; Table 8)",
        "– (introduction, Fig. 1)",
        "– (online recognition, Fig. 5)",
        "– (introduction, Fig. 1)",
    ]
    assert set(pairs["with gates [95 %]"]) == {"not run"}


def test_cells_from_the_pdf_stand_in_the_papers_column():
    paper = filled(7, {"ResNet34-3DRes18": (69.5, 91.0, 35.0), "Res34-SE-IM-Net": (71.85, 92.196, 36.5)})
    assert table7(paper, [], [], {})["the paper"][0] == "69.5 % → 71.85 %"
    row = table8(filled(8, {"ResNet34-3DRes18": (0.3,), "Res34-SE-IM-Net": (0.1,)}), [], []).iloc[0]
    assert row["the paper"] == "0.3 → 0.1 (introduction, Fig. 1; Table 8)"


def test_official_runs_stand_beside_them(tmp_path):
    taken = {BASELINE: 12, ATTENTION: 3}
    runs = [hmdb51(tmp_path, model, some, seed) for seed in (0, 1) for model, some in taken.items()]
    studies = shown(runs, DIGEST)
    table = table7(PAPER, runs, studies, {})
    assert list(table["clips"]) == ["HMDB51, from scratch", "UCF101", "Something-Something v1"]  # once, not twice
    row = table.iloc[0]
    assert row["without gates [95 %]"].startswith("99.2 % [")  # 1518 of 1530
    assert row["difference [95 %]"].startswith(f"{100 * 9 / 1530:+.1f} points [") and row["pairs of runs"] == "2"
    pairs = table8(PAPER, runs, studies).set_index("pair")
    assert pairs.loc["flic-flac / cartwheel", "without gates [95 %]"].startswith("0.400 [")  # 12 of 30
    assert pairs.loc["flic-flac / cartwheel", "with gates [95 %]"].startswith("0.100 [")
    assert pairs.loc["flic-flac / cartwheel", "difference [95 %]"].startswith("-0.300 [")
    assert pairs.loc["drink / eat", "with gates [95 %]"].startswith("0.000 [")
    assert pairs.loc["wave / clap", "with gates [95 %]"] == "no such classes"


@pytest.mark.parametrize("change", [{"width": 0.25}, {"layout": "ucf101"}])
def test_other_runs_stand_below_as_studies_of_their_own(tmp_path, change):
    runs = [hmdb51(tmp_path, model, 3, **change) for model in (BASELINE, ATTENTION)]
    table = table7(PAPER, runs, shown(runs, DIGEST), {})
    assert list(table["with gates [95 %]"][:3]) == ["not run"] * 3 and table["clips"][3] == "HMDB51"
    assert np.all(table8(PAPER, runs, [])["with gates [95 %]"] == "not run")


def test_studies_that_stopped_early_say_so_and_show_their_look_alikes(tmp_path):
    runs = both_networks(tmp_path, kind="to_partner")
    for run in runs:
        run.history["train_top1"] = 0.5
    table = table7(PAPER, runs, shown(runs, DIGEST), {})
    assert table["clips"][3] == "Made clips (training clips not learned)" and table["n"][3] == "120 clips, 120 sources"
    at_one = table7(PAPER, runs, shown(runs, DIGEST), {"Made clips": {0.16: shown(runs, DIGEST)[0].pairs[:1]}})
    assert at_one["clips"][4] == "Made clips, both at 0.16" and at_one["pairs of runs"][4] == "1"
    pairs = table8(PAPER, runs, shown(runs, DIGEST))
    alone = pairs[pairs["pair"].str.endswith(" (apart by order alone)")]
    assert [pair.partition(" (")[0] for pair in alone["pair"]] == ["Sit / Stand", "Pick / Put"]
    assert (alone["the paper"] == "–").all()
    assert (pairs["clips"] == "Made clips (20 clips, 20 sources)").sum() == 6 and pairs["the paper"].str.startswith(
        "–"
    ).all()


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
    table = table7(PAPER, runs, [], {})
    rows = table[table["clips"].str.startswith("HMDB51")].set_index("clips")["difference [95 %]"]
    kinds = ("from scratch", "trunk: ResNet34_Weights.IMAGENET1K_V1", "Kinetics")
    assert set(rows.index) == {f"HMDB51, {kind}" for kind in kinds}
    assert rows.str.startswith("+0.6 points [").all()  # 9 of 1530
    pairs = table8(PAPER, runs, [])
    named = pairs[pairs["pair"] == "flic-flac / cartwheel"].set_index("clips")["with gates [95 %]"]
    assert [named[f"HMDB51, {kind}"][:5] for kind in kinds] == ["0.000", "0.333", "0.667"]
