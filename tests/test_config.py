"""The experiment's fields: the paper's defaults, and one clear message for a slip."""

import re

import pytest
import torch

from repro.data import decoders
from repro.data.batches import scored_clips
from repro.data.transforms import TEST_CROPS, VALUES
from repro.experiment.fields import CHOICES, DECODERS, Experiment
from repro.training.optimiser import freeze_statistics, make_optimiser, make_schedule


def test_defaults_are_what_the_paper_states():
    experiment = Experiment()
    stated = {"learning_rate": 0.001, "frames": 16, "dropout": 0.5, "clip_gradient": 50.0, "saturate": 5}
    assert {name: getattr(experiment, name) for name in stated} == stated
    assert experiment.schedule == "plateau" and experiment.width == 1.0 and experiment.size == 224


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match=r"unknown name 'learning_rte'; did you mean 'learning_rate'\?"):
        Experiment.from_mapping({"learning_rte": 0.1})


@pytest.mark.parametrize(
    "values",
    [{"flip": "false"}, {"epochs": "3"}, {"epochs": 2.5}, {"epochs": True}, {"seed": None}, {"learning_rate": "1e-3"},
     {"classes": "[A, B]"}, {"classes": [1]}, {"classes": True}, {"head_stride": [2, 2, "2"]}],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_name(values):
    (name,) = values
    with pytest.raises(ValueError, match=rf"^{name}: .* is not .*-f params.yaml"):
        Experiment(**values)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"classes": "Punch"}, "classes: 'Punch' is not a list; write classes: [Punch, ...]"),
        ({"head_stride": 2}, "head_stride: 2 is not a list; write head_stride: [2, ...]"),
    ],
)
def test_one_value_for_a_list_is_told_how_to_write_it(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Experiment(**values)


def test_an_int_becomes_a_float_and_a_tuple_a_list():
    experiment = Experiment(width=1, head_stride=(1, 2, 2), classes=["A", "B"])
    assert type(experiment.width) is float and experiment.head_stride == [1, 2, 2]
    assert Experiment.from_mapping(experiment.to_dict()) == experiment


@pytest.mark.parametrize(
    "values, message",
    [
        ({"validation_fraction": 0.0}, "validation_fraction: the plateau schedule"),
        ({"schedule": "step"}, "schedule: 'step' is not one of"),
        ({"epochs": 0}, "epochs: 0 must be more than 0"),
        ({"validation_fraction": 1.0}, "validation_fraction: 1.0"),
        ({"head_stride": [2, 2]}, "head_stride:"),
        ({"study": "../x"}, "study: "),
        ({"layout": "ucf"}, "layout: 'ucf' is not one of ucf101, hmdb51, something_v1, kinetics400, folder"),
        ({"decoder": "ffmpeg"}, "decoder: 'ffmpeg' is not one of opencv, torchcodec, decord, pyav"),
        ({"sampling": "eco"}, "sampling: 'eco' is not one of paper_text, eco_pytorch"),
        ({"unusable": "skip"}, "unusable: 'skip' is not one of error, leave_out"),
        ({"layout": "something_v1"}, "flip: left and right are labels of .*; set flip: false or swap_labels: true"),
        ({"accumulate": 0}, "accumulate: 0 must be more than 0"),
        ({"prefetch": 0}, "prefetch: 0 must be more than 0"),
        ({"devices": 0}, "devices: 0 must be more than 0"),
        ({"nodes": 0}, "nodes: 0 must be more than 0"),
        ({"test_clips": 0}, "test_clips: 0 must be more than 0"),
        ({"test_clips": 11}, "test_clips: 11 must be 1 to 10"),
        ({"test_crops": 5}, "test_crops: 5 is not one of 1, 3, 10"),
        ({"values": "bgr"}, "values: 'bgr' is not one of imagenet, eco_pytorch, eco_pytorch_resnet"),
        ({"last_batch": "pad"}, "last_batch: 'pad' is not one of keep, drop_partial, drop"),
        ({"clipping": "never"}, "clipping: 'never' is not one of before_step, after_step"),
        ({"parameter_groups": "two"}, "parameter_groups: 'two' is not one of one, eco_pytorch"),
        ({"batch_norm": "last"}, "batch_norm: 'last' is not one of all, first, none"),
        ({"watch": "train"}, "watch: 'train' is not one of validation, test"),
        ({"precision": "bf16"}, "precision: 'bf16' is not one of 32-true, bf16-mixed, 16-mixed"),
        ({"accelerator": "gpu"}, "accelerator: 'gpu' is not one of auto, cpu, cuda"),
        ({"crop_on": "gpu"}, "crop_on: 'gpu' is not one of cpu, device"),
        ({"watch": "test"}, "watch: test clips steer this run, so set none aside: validation_fraction: 0"),
        ({"start_from": "a/b", "trunk_weights": "w"}, "start_from: .* leave trunk_weights and head_weights empty"),
        ({"start_from": "a/b", "head_weights": "w"}, "start_from: .* leave trunk_weights and head_weights empty"),
        ({"batch_size": 6, "devices": 2, "nodes": 2}, "batch_size: 6 clips cannot be shared evenly by 4 devices"),
        ({"mirror_sides": True, "swap_labels": True}, "mirror_sides: needs flip: true and no swap_labels"),
        ({"mirror_sides": True, "flip": False}, "mirror_sides: needs flip: true and no swap_labels"),
        ({"layout": "something_v1", "flip": False, "test_crops": 10}, "test_crops: 10 mirrors clips"),
        ({"test_clips": 2, "sampling": "eco_pytorch"}, "test_clips: .* one clip a video; set sampling: paper_text"),
        ({"crop_on": "device", "test_clips": 2}, "crop_on: several views are cropped on the cpu"),
        ({"crop_on": "device", "test_crops": 3}, "crop_on: several views are cropped on the cpu"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**values)


def test_something_v1_is_mirrored_with_swapped_labels_or_not_at_all():
    assert Experiment(layout="something_v1", flip=False).swap_labels is False
    assert Experiment(layout="something_v1", swap_labels=True).flip is True


def test_something_v1_is_mirrored_with_the_labels_kept_only_where_that_is_asked_for():
    assert Experiment(layout="something_v1", mirror_sides=True).flip is True
    assert Experiment(layout="something_v1", flip=False, test_crops=3).test_crops == 3


def test_the_choices_are_those_that_the_code_knows():
    assert tuple(decoders.DECODERS) == DECODERS
    assert tuple(VALUES) == CHOICES["values"] and CHOICES["test_crops"] == TEST_CROPS
    for last_batch in CHOICES["last_batch"]:
        assert scored_clips(9, 4, last_batch) in (9, 8)
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(1))
    for batch_norm in CHOICES["batch_norm"]:
        freeze_statistics(network, batch_norm)


def test_the_test_list_steers_only_where_that_is_asked_for():
    steered = Experiment(watch="test", validation_fraction=0.0)
    assert (steered.schedule, steered.watch) == ("plateau", "test")
    assert Experiment(schedule="cosine", validation_fraction=0.0).watch == "validation"


def test_the_effective_batch():
    assert Experiment(batch_size=16, accumulate=4, devices=2, nodes=2).effective_batch == 64
    assert Experiment().effective_batch == Experiment().batch_size


def test_a_record_of_before_these_fields_says_what_was_done():
    old = Experiment().to_dict()
    before = {
        "decoder": "opencv", "sampling": "paper_text", "swap_labels": False, "unusable": "error", "values": "imagenet",
        "mirror_sides": False, "accumulate": 1, "last_batch": "keep", "clipping": "before_step",
        "parameter_groups": "one", "batch_norm": "all", "watch": "validation", "test_clips": 1, "test_crops": 1,
        "prefetch": 2, "accelerator": "auto", "devices": 1, "nodes": 1, "crop_on": "cpu", "compile": False,
        "head_weights": None, "start_from": None,
    }  # fmt: skip
    assert {name: old.pop(name) for name in before} == before
    assert Experiment.from_mapping(old) == Experiment()


def test_model_options_follow_the_network():
    taken = ("classes", "width", "gate", "head_stride")
    assert Experiment(gate="se").model_options(taken) == {"width": 1.0, "gate": "se", "head_stride": (2, 2, 2)}
    with pytest.raises(ValueError, match="gate: "):
        Experiment(gate="se").model_options(("classes", "width"))


def schedule(**fields):
    experiment = Experiment(learning_rate=1.0, **fields)
    optimiser = make_optimiser([torch.nn.Parameter(torch.zeros(1))], experiment)
    return optimiser, make_schedule(optimiser, experiment)


def test_the_plateau_divides_by_ten_after_exactly_five_epochs_without_improvement():
    optimiser, plateau = schedule()
    rates = []
    # best at epoch 0; equal counts as no improvement; better at 4; then 5 epochs without, and 5 more
    for top1 in [0.5, 0.5, 0.4, 0.5, 0.6, 0.6, 0.5, 0.6, 0.1, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]:
        optimiser.step()
        plateau.step(top1)
        rates.append(round(optimiser.param_groups[0]["lr"], 9))
    assert rates == [1.0] * 9 + [0.1] * 5 + [0.01]


def test_the_cosine_ends_at_zero():
    optimiser, cosine = schedule(schedule="cosine", validation_fraction=0.0, epochs=4)
    rates = [optimiser.param_groups[0]["lr"]]
    for _ in range(4):
        optimiser.step()
        cosine.step()
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466, 0.0], abs=1e-7)
