"""The studies of a page: which runs are one study, what people call it, and whether it converged."""

import pytest
from made import DIGEST, both_networks, demo_record

from repro.report.study import shown, study_text


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
