"""The main point on the pages: of studies that converged, and of those that did not."""

import pytest
from made import DIGEST, both_networks, demo_record
from test_rates import run as tried

from repro.experiment.fields import ATTENTION, BASELINE
from repro.report import gains
from repro.report.study import shown


@pytest.fixture
def studies(tmp_path):
    """One study that converged with a clear gain, and one of another dataset that ended too soon."""
    early = both_networks(tmp_path, study="early", data_hash="others", dataset="other clips", seeds=(0,))
    for run in early:
        run.history["train_top1"] *= 0.6
    return shown([*both_networks(tmp_path), *early], DIGEST)


def test_a_study_that_converged_says_what_it_found_and_one_that_stopped_early_is_no_evidence(studies):
    first, second = gains.answer_text(studies, {}, []), gains.details_text(studies, {}, []).split("\n")[-1]
    assert first.startswith(
        "**The gate recognises more clips of each set.** With gates minus without: Made clips **+41.7 points ["
    )
    assert first.endswith("]**.") and "Other clips" not in first
    assert second.startswith("- Training clips not learned, so no evidence: Other clips +41.7 points [")
    assert second.endswith("].")


def test_runs_that_had_not_learned_their_clips_are_counted_and_the_gain_without_their_pairs_is_said(tmp_path):
    runs = both_networks(tmp_path, seeds=range(3))
    late = next(run for run in runs if run.experiment.seed == 2 and run.experiment.model == "res34_se_im_net")
    late.history["train_top1"] = 0.9
    text = gains.details_text(shown(runs, DIGEST), {}, runs)
    assert "1 of 3 runs with gates and 0 of 3 runs without gates ended before they had learned their" in text
    assert text.endswith("learned their training clips.")


def test_without_a_converged_study_nothing_is_known_yet(studies):
    assert gains.answer_text(studies[1:], {}, []).startswith(
        "**Not known yet:** no study here trained both networks until"
    )
    details = gains.details_text(studies[1:], {}, [])
    assert details.startswith("- Training clips not learned, so no evidence: Other clips")
    assert gains.answer_text([], {}, []).startswith("**Not known yet:**")


def test_one_pair_of_runs_could_be_chance(tmp_path):
    one = both_networks(tmp_path, seeds=(0,))
    text = gains.answer_text(shown(one, DIGEST), {}, [])
    assert text.startswith(
        "**Not known yet: one training alone cannot tell.** With gates minus without: Made clips **+41"
    )


def test_studies_that_say_different_things_say_them_one_by_one(tmp_path):
    runs = both_networks(tmp_path)
    same = both_networks(tmp_path, range(9), range(9), study="same", data_hash="others", dataset="other clips")
    text = gains.answer_text(shown([*runs, *same], DIGEST), {}, [])
    assert text.startswith("**It differs from set to set.** With gates minus without: ")
    assert "Made clips **+41.7 points [" in text and "]** (it recognises more of these clips)" in text
    assert "Other clips **+0.0 points [" in text and "]** (this could be chance)" in text
    alone = gains.answer_text(shown(same, DIGEST), {}, [])
    assert alone.startswith("**Neither a gain nor a loss of accuracy by the gate is shown: each difference could be")


TRIED = {0.04: (0.3, 0.2), 0.08: (0.5, 0.7), 0.16: (0.4, 0.6)}  # rates, and validation top-1 of two seeds


def test_rates_that_validation_clips_chose_are_said_and_which_they_could_not_tell(tmp_path):
    fields = {"rate_chosen_by": "rates", "data_hash": "clips"}
    runs = [
        run
        for rate, model in ((0.16, "res34_se_im_net"), (0.08, "resnet34_3dres18"))
        for run in both_networks(tmp_path, learning_rate=rate, **fields)
        if run.experiment.model == model
    ]
    text = gains.details_text(shown(runs, DIGEST), {}, runs)
    chosen = "0.08 of ResNet34-3DRes18, 0.16 of Res34-SE-IM-Net"
    text_of_rates = f"- Made clips: learning rates [chosen on validation clips](training.html): {chosen}"
    assert text == f"{text_of_rates}."
    assert gains.answer_text(shown(runs, DIGEST), {}, []).endswith("]**, each at its own rate.")
    tuning = [tried(tmp_path, "resnet34_3dres18", rate, s, some[s]) for rate, some in TRIED.items() for s in (0, 1)]
    unsure = gains.details_text(shown(runs, DIGEST), {}, [*runs, *tuning])
    assert unsure == text_of_rates + " (of ResNet34-3DRes18 not told from 0.16)."


def test_the_forest_has_a_row_a_study_that_converged_and_a_single_pair_is_hollow(tmp_path, studies):
    one = both_networks(tmp_path, study="one", data_hash="few", dataset="few runs", seeds=(0,))
    studies = shown([run for study in studies for run in study.records] + one, DIGEST)
    fig, alt = gains.forest_figure(studies, {}, [])
    axis, _ = fig.axes
    assert [text.get_text() for text in axis.texts] == [
        "Made clips: 2 pairs, 120 clips, 120 sources",
        "Few runs: 1 pair, 120 clips, 120 sources",
    ]
    points = [line for line in axis.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([50 / 1.2] * 2)
    assert [line.get_markerfacecolor() == "none" for line in points] == [False, True]
    first, *_ = (list(line.get_xdata()) for line in axis.lines if line.get_marker() == "None")
    assert first == pytest.approx([100 * studies[0].gain.low, 100 * studies[0].gain.high])
    ticks = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "|"]
    assert ticks == [pytest.approx([50 / 1.2] * 2), pytest.approx([50 / 1.2])]
    assert "Other clips" not in alt and "Other clips (training clips not" in gains.forest_figure(studies[2:], {}, [])[1]
    assert "Made clips +41.7 points [" in alt and "1 pair, 120 clips, 120 sources (hollow" in alt


def test_runs_at_one_rate_stand_behind_their_study_s_gain_and_below_its_bar(studies):
    one_rate = {"Made clips": {0.16: studies[0].pairs}}
    text = gains.answer_text(studies, one_rate, [])
    assert text.count("**+41.7 points [") == 2 and text.endswith("]** both at 0.16.")
    every = gains.details_text(studies, one_rate, [])
    assert every.startswith("- Made clips: both at 0.16: runs of `made`.")
    fewer = gains.details_text(studies, {"Made clips": {0.16: studies[0].pairs[:1]}}, [])
    assert "- Made clips: both at 0.16: runs of `made`, 1 of the 2 splits and seeds, which gain +41.7 points [" in fewer
    for run in studies[0].pairs[0]:
        run.history["train_top1"] = 0.9
    late = gains.details_text(studies, one_rate, [])
    assert "- Made clips: both at 0.16: runs of `made`, 2 of 4 runs had not learned their training clips; " in late
    _, alt = gains.forest_figure(studies, one_rate, [])
    assert "; Made clips, both at 0.16 +41.7 points [" in alt


def test_weights_from_runs_of_unlike_rates_are_named(tmp_path):
    """A gain after pre-training at two rates is not the gate's alone."""
    first = [
        demo_record(tmp_path, study="first", model=model, learning_rate=rate, wrong=range(wrong))
        for model, rate, wrong in ((BASELINE, 0.08, 60), (ATTENTION, 0.16, 12))
    ]
    then = [
        demo_record(tmp_path, study="then", model=run.experiment.model, seed=seed, start_from=run.name)
        for run in first
        for seed in (0, 1)
    ]
    (study,) = shown(then, DIGEST)
    text = gains.details_text([study], {}, [*first, *then])
    assert text.endswith(
        "; weights from runs that differ in more than the gate: "
        f"ResNet34-3DRes18 from `{first[0].name}` (rate 0.08, 50.0 % right there), "
        f"Res34-SE-IM-Net from `{first[1].name}` (rate 0.16, 90.0 % right there)."
    )
    assert gains.answer_text([study], {}, [*first, *then]).endswith("]**, weights of unlike rates.")
    (name,) = gains.rows_of([study], {}, [*first, *then])
    assert name.endswith(", weights of unlike rates")
    assert "weights from" not in gains.details_text([study], {}, then), "the runs that they started from are not there"
