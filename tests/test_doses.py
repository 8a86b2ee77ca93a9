"""Is it a gate at all? Scales at the start by hand, constants beside gates, gates held still, from made runs."""

import re
from dataclasses import replace

import numpy as np
import pytest
from made import DEMO, DIGEST, demo_record, logits

from repro.experiment.fields import ATTENTION, BASELINE
from repro.report import doses
from repro.report.study import Study, shown


@pytest.fixture
def runs(tmp_path):
    """Two seeds each: gates 10 of 120 wrong, none 40, the constant 1.5 wrong in 16, a closed gate in 40, SE in 70."""

    def some(study, wrong, model=ATTENTION, **fields):
        return [demo_record(tmp_path, study=study, model=model, seed=s, wrong=range(wrong), **fields) for s in (0, 1)]

    choice = {"role": "ablation"}
    return [
        *some("ref", 10),
        *some("ref", 40, BASELINE),
        *some("a", 16, gate="times_1.5", **choice),
        *some("b", 40, gate_bias=-4.0, **choice),
        *some("c", 70, gate="se", **choice),
        *some("d", 50, gate="se_im_vector", **choice),  # adds, does not scale
        *some("e", 50, head_stride=[2, 1, 1], **choice),  # no gate
    ]


@pytest.fixture
def found(runs):
    return doses.doses_of(runs[:4], runs, DIGEST)


@pytest.mark.parametrize(
    "fields, scale",
    [
        ({"model": BASELINE}, 1.0),
        ({"gate": None}, 1.5),
        ({"gate": "se"}, 0.5),
        ({"gate_bias": -4.0}, 1 + 1 / (1 + np.exp(4))),
        ({"gate": "times_0.5"}, 0.5),
        ({"gate": "se_im_vector"}, None),
    ],
)
def test_the_scale_of_an_untrained_branch(tmp_path, fields, scale):
    found = doses.scale_at_start(demo_record(tmp_path, **fields).experiment)
    assert found is None if scale is None else found == pytest.approx(scale)


def test_doses_stand_by_scale_and_other_choices_are_none(found):
    assert [(dose.name, round(dose.scale, 3), len(dose.runs)) for dose in found] == [
        ("plain squeeze and excitation", 0.5, 2),
        ("ResNet34-3DRes18, no gate", 1.0, 2),
        ("gate that starts closed (bias -4)", 1.018, 2),
        ("Res34-SE-IM-Net", 1.5, 2),
        ("branch times 1.5, no gate", 1.5, 2),
    ]
    table = doses.doses_table(found).set_index("network")
    assert table.loc["branch times 1.5, no gate", "minus with gates [95 %]"].startswith("-5.0 points [")
    assert table.loc["Res34-SE-IM-Net", "minus with gates [95 %]"] == "–"
    _, alt = doses.doses_figure(found)
    assert "; ×1 at 0.001, ResNet34-3DRes18, no gate -25.0 points [" in alt
    assert "at the start and the rate: ×0.5 at 0.001, plain squeeze and excitation -50.0 points [" in alt
    assert table["with gates, the same runs"].tolist() == ["91.7 %"] * 5


def test_what_the_constant_explains(found):
    text = doses.constant_text(found)
    where = "- **Does a constant do as well?** On the 2 splits and seeds that have all three, at a rate of 0.001: "
    assert text.startswith(f"{where}with gates +25.0 points [")
    assert "with the branch times 1.5 and no gate +20.0 points [" in text
    assert "gates minus that constant +5.0 points [" in text and text.endswith("]: a difference.")
    alike = [
        replace(dose, pairs=[(gated, gated) for gated, _ in dose.pairs]) if "times" in dose.name else dose
        for dose in found
    ]
    assert "]: no difference shown: by the plan's rule the constant explains it." in doses.constant_text(alike)
    for run in found[-1].runs:
        run.history["train_top1"] = 0.9
        object.__setattr__(run.experiment, "schedule", "cosine")
    assert (
        "have all three, at a rate of 0.001 (2 of 6 runs had not learned their training clips): with"
        in doses.constant_text(found)
    )


def test_where_the_gain_could_be_chance_nothing_is_explained(found):
    baseline, constant = found[1], found[-1]
    (one, none), (two, _) = baseline.pairs
    unsure = replace(baseline, pairs=((one, none), (two, two)))  # +25 and 0 points
    near = replace(constant, pairs=((one, one), (two, two)))
    text = doses.constant_text([unsure, near])
    assert "no difference shown, nor a gain that it could explain." in text
    assert "by the plan's rule" not in text


def test_the_rate_that_gates_and_constant_share(tmp_path):
    """Gates 10 of 120 wrong at 0.16, none 40 at 0.08 and 25 at 0.16, the constant 16."""

    def some(study, wrong, rate, model=ATTENTION, **fields):
        fields |= {"learning_rate": rate}
        return [demo_record(tmp_path, study=study, model=model, seed=s, wrong=range(wrong), **fields) for s in (0, 1)]

    chosen, choice = {"rate_chosen_by": "rates"}, {"role": "ablation"}
    study = [*some("ref", 10, 0.16, **chosen), *some("ref", 40, 0.08, BASELINE, **chosen)]
    constant = some("a", 16, 0.16, gate="times_1.5", **choice)
    found = doses.doses_of(study, [*study, *constant], DIGEST)
    assert doses.at_one_rate(found) == {} and doses.rate_text(found) == ""
    swapped = some("b", 25, 0.16, BASELINE, **choice)
    assert "all three, each at its rate: with gates +25.0 points [" in doses.constant_text(found)
    found = doses.doses_of(study, [*study, *constant, *swapped], DIGEST)
    assert "all three, at a rate of 0.16: with gates +12.5 points [" in doses.constant_text(found)
    assert [(dose.name, dose.rate) for dose in found[:2]] == [
        ("ResNet34-3DRes18, no gate", 0.08), ("ResNet34-3DRes18, no gate", 0.16),
    ]  # fmt: skip
    assert "ResNet34-3DRes18, no gate, at a rate of 0.16" in set(doses.doses_table(found)["network"])
    text = doses.rate_text(found)
    assert text.startswith(
        "- **Is it the learning rate?** The same network, splits and seeds: without gates, at 0.16 minus"
    )
    assert "without gates, at 0.16 minus at 0.08, +12.5 points [" in text
    assert re.search(r"\], p (< )?0\.\d{3}\. By a verdict's rule \(p below 0\.01\) shown for (none|1) of 1\.$", text)
    (pairs,) = doses.at_one_rate(found).values()
    assert [none.experiment.model for none, _ in pairs] == [BASELINE] * 2
    table = doses.doses_table(found).set_index("network")
    assert table["runs (rate)"].tolist() == ["2 (0.08)", "2 (0.16)", "2 (0.16)", "2 (0.16)"]
    assert table.loc["branch times 1.5, no gate", "minus without (at 0.08) [95 %]"].startswith("+20.0 points [")
    assert table.loc["Res34-SE-IM-Net", "minus without (at 0.08) [95 %]"].startswith("+25.0 points [")
    assert table.loc["ResNet34-3DRes18, no gate", "minus without (at 0.08) [95 %]"] == "–"
    slow = some("c", 28, 0.08, **choice)
    text = doses.rate_text(every := doses.doses_of(study, [*study, *constant, *swapped, *slow], DIGEST))
    assert list(doses.at_one_rate(every)) == [0.08, 0.16]
    assert "; with gates, at 0.16 minus at 0.08, +15.0 points [" in text


def test_where_both_networks_share_a_rate_the_other_is_said(tmp_path):
    """Both at 0.16, 10 and 12 of 120 wrong; beside them both at 0.08, 28 and 40."""

    def some(study, wrong, rate, model=ATTENTION, **fields):
        fields |= {"learning_rate": rate}
        return [demo_record(tmp_path, study=study, model=model, seed=s, wrong=range(wrong), **fields) for s in (0, 1)]

    study = [*some("ref", 10, 0.16), *some("ref", 12, 0.16, BASELINE)]
    slow = [*some("a", 28, 0.08, role="ablation"), *some("b", 40, 0.08, BASELINE, role="ablation")]
    found = doses.doses_of(study, [*study, *slow], DIGEST)
    assert list(doses.at_one_rate(found)) == [0.08] and doses.rate_text(doses.doses_of(study, study, DIGEST)) == ""
    text = doses.rate_text(found)
    assert "without gates, at 0.16 minus at 0.08, +23.3 points [" in text, "the larger rate minus the smaller"
    assert "; with gates, at 0.16 minus at 0.08, +15.0 points [" in text


def test_the_study_that_was_asked_most_is_taken(runs, tmp_path):
    """Not the surest one, which has both networks alone."""
    more = {"study": "sure", "per_class": 20}
    surer = [demo_record(tmp_path, model=m, seed=s, **more) for m in (ATTENTION, BASELINE) for s in (7, 8)]
    (reference,) = shown(runs, DIGEST)
    study, found = doses.most_asked([Study("Sure", tuple(surer)), reference], runs, DIGEST)
    assert study is reference and len(found) == 5


def test_the_constant_is_asked_on_the_runs_that_all_three_have(found):
    squeezed, baseline, _, _, constant = found
    worse = replace(baseline, pairs=(baseline.pairs[0], squeezed.pairs[1]))  # of two seeds: 25 and 50 points
    both = doses.constant_text([worse, constant])
    one = doses.constant_text([worse, replace(constant, pairs=constant.pairs[:1])])
    assert "On the 2 splits and seeds that have all three, at a rate of 0.001: with gates +37.5 points [" in both
    assert "On the 1 split and seed that has all three, at a rate of 0.001: with gates +25.0 points [" in one


def test_what_was_not_run_is_said(found):
    assert "was **not run**" in doses.constant_text(found[:3]) and doses.doses_of([], [], DIGEST) == []
    missing = "branch times 0.5, no gate; branch times 1.25, no gate; branch times 2, no gate"
    assert doses.missing_text(found) == f"- **Not run** (`profiles/rendered-choices.yaml`): {missing}."
    assert doses.missing_text([]).endswith("plain squeeze and excitation; a gate that starts closed.")


def gated(tmp_path, changed: int):
    """A run whose gates differ between clips, and of which holding them changes so many of 120 predictions."""
    row = {"unit": "trunk.layer1.0", "channels": 16, "mean": 0.5, "lowest": 0.4, "highest": 0.6, "sd_channels": 0.02}
    run = demo_record(tmp_path, model=ATTENTION, seed=changed)
    fixed = np.where(np.arange(120) < changed, (run.labels + 1) % len(DEMO), run.labels)
    run.gates["start"] = [row | {"sd_clips": 0.001, "look_alikes": 0.0}]
    run.gates["end"] = [row | {"sd_clips": 0.03, "look_alikes": 0.01}]
    run.altered["gates fixed"] = logits(fixed, len(DEMO)).astype(np.float16)
    return run


def test_a_gate_is_a_constant_where_holding_it_changes_hardly_anything(tmp_path, monkeypatch):
    still, moved = gated(tmp_path, 1), gated(tmp_path, 6)
    assert doses.fixed_text([still]).endswith("so **the gate is a constant** by the plan's rule.")
    assert doses.fixed_text([still], converged=False).endswith(
        "in these runs, which had not learned their training clips."
    )
    text = doses.fixed_text([moved])
    assert "differs from clip to clip by 0.0300" in text and "0.0010 before training" in text
    assert "it changes 6 of 120 predictions and top-1 by -5.0 points [" in text
    assert text.endswith("not a constant by the plan's rule.")
    assert doses.fixed_text([demo_record(tmp_path, model=BASELINE)]) == ""
    asked = [Study("Some", (still,)), Study("Others", (still, moved))]
    assert doses.held_text(asked).count("**too few to tell**") == 2  # 1 % of 120 and of 240 predictions
    monkeypatch.setattr(doses, "ENOUGH", 1)
    short = doses.held_text(asked)
    assert (
        "s held at each channel's mean over clips changes 1 of 120 predictions of one network on Some, top-1 with s "
        "held minus as trained " in short
    )
    assert "7 of 240 predictions of 2 networks on Others, top-1 with s held minus as trained -2.9 points [" in short
    assert "]: **a constant**; 7 of" in short and "]: **no constant** (the plan's rule: no more than 1 %" in short
    assert "width ×0.25, gates of 4 to 4 hidden units; Equation 4" in short
    still.history["train_top1"] = 0.5
    object.__setattr__(still.experiment, "schedule", "cosine")
    assert doses.held_text([Study("Some clips", (still,)), Study("None", ())]) == doses.held_text([]) == ""
    (row,) = doses.gates_recorded_table([still, moved]).to_dict("records")
    assert row["unit"] == "layer1.0" and row["sd over clips: end"] == pytest.approx(0.03)
    _, alt = doses.gates_recorded_figure([still, moved])
    assert "mean of 2 runs: at the end mean s 0.50 to 0.50, between clips it differs by 0.0300 to 0.0300" in alt
