"""The effect of single choices: what was changed is read off the records, and compared with the right runs."""

import numpy as np
import pandas as pd
import pytest
from made import DIGEST, demo_record

from repro.paper.look_alikes import backwards_pairs
from repro.records.scores import gains_by_seed, mistaken_for_partner
from repro.report import ablations


@pytest.fixture
def reference(tmp_path):
    """Three seeds of Res34-SE-IM-Net with 12 clips of 120 wrong, and of the baseline with 24 wrong."""
    return [
        demo_record(tmp_path, study="ref", model=model, seed=seed, wrong=range(wrong))
        for model, wrong in (("res34_se_im_net", 12), ("resnet34_3dres18", 24))
        for seed in (0, 1, 2)
    ]


def variant(tmp_path, name, seeds=(0, 1, 2), wrong=range(36), **fields):
    study = f"choice-{name}"
    return [demo_record(tmp_path, study=study, role="ablation", seed=seed, wrong=wrong, **fields) for seed in seeds]


def test_what_was_changed_is_read_off_the_records(tmp_path, reference):
    others = [
        *variant(tmp_path, "a", gate="se"),
        *variant(tmp_path, "b", head_stride=[2, 1, 1], threads=2),
        *variant(tmp_path, "c", model="resnet34_frame_average", seeds=(0,)),
        *variant(tmp_path, "d", gate="se", data_hash="other clips"),
        *variant(tmp_path, "e", seeds=(7,), gate="times_1.5"),
    ]
    found = ablations.variants(reference, others)
    assert [v.title for v in found] == [
        "ResNet34-3DRes18", "gate: se", "head stride: [2, 1, 1]", "ResNet-34, frames averaged",
    ]  # fmt: skip
    assert [len(v.pairs) for v in found] == [3, 3, 3, 1]
    assert all(a.experiment.seed == b.experiment.seed for v in found for a, b in v.pairs)


def test_choices_are_told_by_their_role_whatever_their_study_is_called_and_only_fresh_ones_count(tmp_path):
    named = demo_record(tmp_path, study="choice-gate-se", gate="se")
    tuned = demo_record(tmp_path, study="choice-rate", role="tuning")
    fresh = demo_record(tmp_path, study="other", role="ablation", gate="se")
    stale = demo_record(tmp_path, study="other", role="ablation", gate="times_2", digest={"sampling": [0.0]})
    assert ablations.choices([named, tuned, fresh, stale], DIGEST) == [fresh]


def test_differences_by_hand(tmp_path, reference):
    plain, se = ablations.variants(reference, variant(tmp_path, "a", gate="se"))
    assert se.difference().point == pytest.approx((84 - 108) / 120)
    assert gains_by_seed(plain.pairs) == pytest.approx(3 * [-0.1])
    assert se.finding() == plain.finding() == "lower"
    row = ablations.variants_table([se]).iloc[0]
    assert (row["reference (%)"], row["changed (%)"]) == pytest.approx((90.0, 70.0))
    assert row["runs"] == 3 and row["accuracy"] == "lower"
    assert row["difference [95 %]"].startswith("-20.0 points [")


def test_pretrained_runs_are_compared_with_those_from_scratch_of_their_network_and_seed(tmp_path, reference):
    def started(model, seed, wrong, **fields):
        fields |= {"model": model, "seed": seed, "start_from": f"before-clips/{model}-split1-seed{seed}"}
        return demo_record(tmp_path, wrong=range(wrong), study="started", run=f"{model}-{seed}-{wrong}", **fields)

    runs = [started("res34_se_im_net", seed, 6) for seed in (0, 1)]
    runs += [started("resnet34_3dres18", 0, 36), started("resnet34_3dres18", 7, 1)]  # none from scratch has seed 7
    runs += [started("res34_se_im_net", 2, 60, epochs=9)]  # another choice, too
    attention, baseline = ablations.pretraining(reference, runs)
    assert attention.title == "pre-training: before-clips, Res34-SE-IM-Net"
    assert gains_by_seed(attention.pairs) == pytest.approx([6 / 120, 6 / 120])
    assert gains_by_seed(baseline.pairs) == pytest.approx([-0.1])
    table = ablations.pretraining_table([attention, baseline])
    assert list(table.columns[:4]) == ["network", "runs", "from scratch (%)", "pre-trained (%)"]
    assert table.attrs["formats"]["from scratch (%)"] == ".1f" and len(table.columns) == 6
    slower = [started("res34_se_im_net", 0, 5, learning_rate=0.5)]
    (found,) = ablations.pretraining(reference, slower)
    assert found.title == "pre-training: before-clips, Res34-SE-IM-Net, learning rate: 0.5"
    assert ablations.pretraining(reference, reference) == []


def test_one_seed_settles_nothing_and_seeds_that_disagree_widen_the_interval(tmp_path, reference):
    one = variant(tmp_path, "a", seeds=(0,), gate="se")
    mixed = variant(tmp_path, "b", seeds=(0, 1), gate="times_1.5")
    mixed += variant(tmp_path, "b", seeds=(2,), gate="times_1.5", wrong=range(6))
    _, one, mixed = ablations.variants(reference, [*one, *mixed])
    assert one.difference().high < 0 and one.finding() == "one pair of runs settles nothing"
    assert mixed.difference().high > 0 and mixed.finding() == "no difference shown"
    same = variant(tmp_path, "c", gate="se_im_vector", wrong=range(12))
    assert ablations.variants(reference, same)[1].finding() == "no difference shown"
    again = ablations.variants(reference, [*same, *variant(tmp_path, "d", gate="se_im_vector")])[1]
    assert len(again.pairs) == 3  # a run held twice counts once


def test_answers_name_what_was_not_run(tmp_path, reference):
    lines = ablations.answers(ablations.variants(reference, []))
    assert "not run" in lines[0] and "not run" in lines[3]
    assert "No gate at all: -10.0 points" in lines[1] and "at the gates' rate" not in lines[1]
    faster = variant(tmp_path, "r", model="resnet34_3dres18", learning_rate=0.5, seeds=(0, 1), wrong=())
    lines = ablations.answers(ablations.variants(reference, faster))
    assert "; at the gates' rate: +" in lines[1]
    swapped = variant(tmp_path, "c", model="resnet34_frame_average", seeds=(0, 1), wrong=())
    lines = ablations.answers(ablations.variants(reference, swapped))
    assert "100.0 % right" in lines[3] and "mean of 2 pairs" in lines[3]

    assert lines[-1].endswith("top-1 not run.")


def test_temporal_attention_is_answered_with_the_backwards_pairs(tmp_path, reference):
    inside = backwards_pairs(reference[0].classes)[0]
    # one pair of two, each taken for the other
    swapped = [k for k, label in enumerate(reference[0].labels) if label in inside]
    later = [demo_record(tmp_path, study="t", model="res34_se_im_ta_net", seed=s, to_partner=swapped) for s in (0, 1)]
    line = ablations.answers(ablations.variants(reference, later))[-1]
    assert "top-1 -6.7 points [" in line  # 20 clips of 120 wrong, 12 without it
    assert "it has 50.0 % right, the network without it 100.0 % (mean of 2 pairs" in line


def test_a_gated_network_s_gate_is_a_choice_of_its_own(tmp_path, reference):
    """Temporal attention over another gate in the trunk differs in two things; a network without gates in one."""
    others = [
        *variant(tmp_path, "a", model="res34_se_im_ta_net", seeds=(0,)),
        *variant(tmp_path, "b", model="res34_se_im_ta_net", seeds=(1,), gate="se"),
        *variant(tmp_path, "c", model="resnet34_frame_average", seeds=(0,), reduction=4),
    ]
    assert [v.title for v in ablations.variants(reference, others)] == [
        "ResNet34-3DRes18", "Res34-SE-IM-Net, temporal attention",
        "Res34-SE-IM-Net, temporal attention, gate: se", "ResNet-34, frames averaged",
    ]  # fmt: skip


def test_confusion_of_look_alikes_is_compared(tmp_path, reference):
    others = [demo_record(tmp_path, study="ablation-a", gate="se", seed=s, to_partner=range(30)) for s in (0, 1)]
    (found,) = ablations.variants(reference[:2], others)
    assert found.difference(mistaken_for_partner).point == pytest.approx(30 / 120)
    assert found.finding(mistaken_for_partner) == "higher"
    # the partner's logit wins inside 8 backwards pairs' clips: none of the first 30 clips, so all are right
    assert np.isclose(ablations.right_backwards(others[0]), 1.0)


def test_habits_that_were_run_and_that_were_not(tmp_path, reference):
    found = ablations.variants(reference, variant(tmp_path, "h", clipping="after_step"))
    lines = ablations.habits_text(found).split("\n")
    assert "- `bgr_slip`: not run." in lines and "`clipped_after_step`" not in lines[0]
    assert lines[-1].startswith("- clipping: after step: -20.0 points [")
    assert not any(line.startswith("- ResNet34") for line in lines)  # no habit


def test_the_figure_has_a_row_a_variant(tmp_path, reference):
    found = ablations.variants(reference, variant(tmp_path, "a", gate="se"))
    fig, alt = ablations.variants_figure(found)
    assert "from Res34-SE-IM-Net: ResNet34-3DRes18 -10.0 points [" in alt and "; gate: se -20.0 points [" in alt
    names = [text.get_text().partition(",")[0] for text in fig.axes[0].texts]
    assert names == ["ResNet34-3DRes18: 3 pairs", "gate: se: 3 pairs"]


def norms(*largest):
    return pd.DataFrame({"train_loss": 1.0, "train_top1": 0.5, "gradient_norm_largest": largest})


@pytest.mark.parametrize(
    "there, here, fields, cannot",
    [
        (norms(4, 17), norms(4, 17), {"clipping": "after_step"}, "no gradient's norm was above 17, and clipping"),
        (norms(4, 17), norms(4, 51), {"clipping": "after_step"}, ""),
        (norms(4, 17), norms(4, 17), {"clip_gradient": 5.0}, ""),
        (norms(4, 17), norms(4, 17), {"clip_gradient": 20.0}, "clipping begins at 20"),
        (norms(4, 17).iloc[:, :2], norms(4, 17).iloc[:, :2], {"clipping": "after_step"}, ""),  # an old history
        (norms(1, 1), norms(1, 1).assign(test_top1=[0.5, 0.6]), {"watch": "test"}, "a cosine schedule is not steered"),
        (norms(1, 1), norms(1, 1).assign(test_top1=[0.6, 0.5]), {"watch": "test"}, ""),  # an earlier epoch was kept
        (norms(1, 1), norms(1, 1), {"clipping": "after_step", "momentum": 0.5}, ""),
    ],
)
def test_a_switch_that_could_not_act_is_said_to(tmp_path, there, here, fields, cannot):
    first = [demo_record(tmp_path, study="ref", seed=s, wrong=range(9), history=there) for s in (0, 1)]
    second = [demo_record(tmp_path, study="other", seed=s, wrong=range(9), history=here, **fields) for s in (0, 1)]
    (found,) = ablations.variants(first, second)
    assert cannot in found.idle and bool(found.idle) == bool(cannot)
    assert ablations.said(found).startswith("cannot act here: " if cannot else "+0.0 points [")
    row = ablations.variants_table([found]).iloc[0]
    if cannot:
        assert cannot in row["difference [95 %]"] and row["accuracy"] == "cannot act here"
