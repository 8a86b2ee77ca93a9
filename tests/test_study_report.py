"""The studies of a page: which runs are one study, what people call it, whether it converged, who learned nothing."""

import pytest
from made import DIGEST, both_networks, demo_record, labels_of, logits, record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper.cells import load
from repro.report import ablations, own_tables, peers_tables, tables
from repro.report.study import shown, stuck_text, study_text


def test_fresh_main_runs_are_studies_the_surest_first(tmp_path):
    short = both_networks(tmp_path, study="short", epochs=3)
    for run in short:
        run.history["train_top1"] *= 0.9
    long = both_networks(tmp_path, range(40), range(20), study="long")
    others = [
        *both_networks(tmp_path, study="choice", role="ablation", dropout=0.1),
        *both_networks(tmp_path, study="old", dropout=0.2, digest={"sampling": [0.0]}),
    ]
    alone = [demo_record(tmp_path, study="alone", dataset="other clips", data_hash="others")]
    found = shown([*short, *alone, *long, *others], DIGEST)
    assert [study.name for study in found] == ["Made clips, 2 epochs", "Made clips, 3 epochs", "Other clips"]
    assert [study.converged for study in found] == [True, False, True]
    assert len(found[0].pairs) == 2 and found[2].gain is None
    assert found[0].gain.point == pytest.approx(20 / 120)


def test_names_say_what_tells_studies_apart(tmp_path):
    pretrained = both_networks(tmp_path, study="b", start_from="x/{model}")
    found = shown(
        [*both_networks(tmp_path, study="a"), *pretrained, *both_networks(tmp_path, study="c", flip=False)], DIGEST
    )
    assert {study.name for study in found} == {
        "Made clips, from scratch, a", "Made clips, pre-trained", "Made clips, from scratch, c",
    }  # fmt: skip


def test_a_study_is_introduced_with_how_far_its_runs_learned(tmp_path):
    runs = both_networks(tmp_path, remark="Made up.")
    (study,) = shown(runs, DIGEST)
    assert study_text(study) == (
        "`results/made`: Made up. 2 of ResNet34-3DRes18 and 2 of Res34-SE-IM-Net; splits 1, seeds 0, 1, 2 epochs, "
        "learning rate 0.001. All of its runs had learned their training clips when they ended."
    )
    runs[0].history["train_top1"] *= 0.7
    (study,) = shown(runs, DIGEST)
    assert "**1 of 4 runs ended before they had learned their training clips** (training top-1 70.0 %; 98 % is" in (
        study_text(study)
    )
    for run in runs:
        run.history["train_top1"] = 0.6
    assert "no verdict rests on it." in study_text(shown(runs, DIGEST)[0])


LABELS = labels_of(12, 10)


@pytest.fixture
def records(tmp_path):
    """Three pairs of runs; SE-IM of seed 2 answers Stand to every clip, the others have 20 and 14 clips wrong."""
    return made(tmp_path)


def made(tmp_path, **fields):
    runs = []
    for seed in range(3):
        runs.append(demo_record(tmp_path, model=BASELINE, seed=seed, to_partner=range(20), **fields))
        if seed < 2:
            runs.append(demo_record(tmp_path, model=ATTENTION, seed=seed, to_partner=range(14), **fields))
    classes = runs[0].classes
    scores = logits([classes.index("Stand")] * 120, 12)
    return [*runs, record(tmp_path, classes=classes, labels=LABELS, scores=scores, model=ATTENTION, seed=2, **fields)]


def test_a_study_s_pages_begin_with_it(records):
    (study,) = shown(records, DIGEST)
    text = study_text(study)
    assert "**1 of 6 runs learned nothing**" in text
    assert "Res34-SE-IM-Net, split 1, seed 2, answers Stand to 100.0 % of clips" in text
    assert "learned nothing" not in study_text(shown(records[:5], DIGEST)[0]) and not stuck_text(records[:5])


def test_the_accuracy_page_has_the_result_without_it(records):
    (row,) = tables.comparison_table(records).to_dict("records")
    assert row["difference [95 %]"].startswith("-21.7 points [")  # (2 x 6 - 90) / 360
    assert "; where both learned +5.0 points [" in row["difference [95 %]"]
    row = own_tables.table7(load(), records, shown(records, DIGEST), {}).iloc[3]
    assert "of those that learned" not in row["without gates [95 %]"]
    assert "; of those that learned 88.3 % [" in row["with gates [95 %]"]  # 106 of 120
    names = list(tables.accuracy_table(records)["network"])
    assert [name.endswith("(learned nothing)") for name in names] == [False] * 5 + [True]
    assert "learned" not in tables.comparison_table(records[:4])["difference [95 %]"][0]


def test_single_choices_have_the_result_without_it(records):
    (variant,) = ablations.variants([r for r in records if r.experiment.seed], [])
    assert "; where both learned -5.0 points [" in ablations.said(variant)
    assert "; where both learned -5.0" in ablations.variants_table([variant])["difference [95 %]"][0]


def test_the_paper_s_tables_have_the_result_without_it(tmp_path):
    classes = ("cartwheel", "flic_flac", *(f"class{k:02d}" for k in range(49)))
    labels = labels_of(51, 30)
    fields = {"layout": "hmdb51", "width": 1.0, "frames": 16, "size": 224, "dataset": "HMDB51"}
    runs = []
    for seed in range(2):
        for model in (BASELINE, ATTENTION):
            guessed = labels if seed == 0 or model == BASELINE else 0 * labels + 1
            scores = logits(guessed, 51)
            one = record(tmp_path, classes=classes, labels=labels, scores=scores, model=model, seed=seed, **fields)
            runs.append(one)
    row = own_tables.table7(load(), runs, [], {}).iloc[0]
    assert "; of those that learned 100.0 % [" in row["with gates [95 %]"]
    assert "; where both learned +0.0 points [" in row["difference [95 %]"]
    pair = own_tables.table8(load(), runs, []).set_index("pair").loc["flic-flac / cartwheel"]
    assert pair["with gates [95 %]"].startswith("0.500 [")
    assert "; of those that learned 0.000 [" in pair["with gates [95 %]"]
    shown = peers_tables.peers_table(load(), "hmdb51", runs).set_index("network")["run here [95 %]"]
    assert "; of those that learned 100.0 % [" in shown["Res34-SE-IM-Net"]
