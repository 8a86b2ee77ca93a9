"""The experiment's fields: the paper's defaults, and one clear message for a slip."""

import dataclasses

import pytest
import torch

from repro.data.batches import scored_clips
from repro.data.layouts import LAYOUTS
from repro.data.sampling import POLICIES
from repro.data.transforms import VALUES
from repro.experiment.fields import ROLES, Experiment, choices
from repro.training.optimiser import freeze_statistics, make_optimiser, make_schedule


@pytest.mark.parametrize(
    "values",
    [{"flip": "false"}, {"epochs": "3"}, {"epochs": 2.5}, {"epochs": True}, {"seed": None}, {"learning_rate": "1e-3"},
     {"classes": "[A, B]"}, {"classes": [1]}, {"classes": True}, {"head_stride": [2, 2, "2"]}],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_name(values):
    (name,) = values
    with pytest.raises(ValueError, match=rf"^{name}.*: input should be a valid "):
        Experiment.from_mapping(values)


def test_an_int_becomes_a_float():
    experiment = Experiment(width=1, head_stride=[1, 2, 2], classes=["A", "B"])
    assert type(experiment.width) is float
    assert Experiment.from_mapping(experiment.to_dict()) == experiment


def test_fields_are_replaced_checked():
    experiment = dataclasses.replace(Experiment(study="a"), epochs=3)
    assert (experiment.study, experiment.epochs, experiment.run) == ("a", 3, Experiment().run)
    with pytest.raises(ValueError, match="greater than 0"):
        dataclasses.replace(experiment, epochs=0)


def test_every_field_declares_its_role():
    """A field whose role is not declared fails where the module is read; which role is right is decided here."""
    assert list(ROLES) == [field.name for field in dataclasses.fields(Experiment)]
    by_role = {role: {name for name, its in ROLES.items() if its == role} for role in set(ROLES.values())}
    assert by_role["filing"] == {"study", "run", "role", "remark", "dataset", "videos", "annotations"}
    assert by_role["machine"] == {"threads", "workers", "prefetch", "accelerator", "devices", "nodes", "compile"}
    assert {"precision", "seed", "split", "learning_rate"} <= by_role["result"]


@pytest.mark.parametrize(
    "values, message",
    [
        ({"validation_fraction": 0.0}, "validation_fraction: validation clips steer the plateau"),
        ({"head_stride": [2, 2]}, "head_stride:"),
        ({"head_stride": 2}, r"head_stride: 2: input should be a valid list; write head_stride: \[2, ...\]"),
        ({"study": "../x"}, "study: "),
        ({"layout": "ucf"}, "layout: 'ucf': input should be '"),
        ({"layout": "something_v1"}, "flip: left and right are labels of .*; set flip: false or swap_labels: true"),
        ({"watch": "test"}, "watch: test clips steer this run, so set none aside: validation_fraction: 0"),
        ({"start_from": "a/b", "trunk_weights": "w"}, "start_from: .* leave trunk_weights and head_weights empty"),
        ({"start_from": "a/b", "head_weights": "w"}, "start_from: .* leave trunk_weights and head_weights empty"),
        ({"batch_size": 6, "devices": 2, "nodes": 2}, "batch_size: 6 clips cannot be shared evenly by 4 devices"),
        ({"mirror_sides": True, "swap_labels": True}, "mirror_sides: needs flip: true and no swap_labels"),
        ({"mirror_sides": True, "flip": False}, "mirror_sides: needs flip: true and no swap_labels"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Experiment.from_mapping(values)


@pytest.mark.parametrize("how", [{"flip": False}, {"swap_labels": True}, {"mirror_sides": True}])
def test_something_v1_is_mirrored_only_with_a_word_on_its_labels(how):
    assert Experiment(layout="something_v1", **how).to_dict().items() >= how.items()


def test_the_choices_are_those_that_the_code_knows():
    assert tuple(VALUES) == choices("values") and tuple(POLICIES) == choices("sampling")
    assert set(LAYOUTS) == set(choices("layout"))
    for last_batch in choices("last_batch"):
        assert scored_clips(9, 4, last_batch) in (9, 8)
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(1))
    for batch_norm in choices("batch_norm"):
        freeze_statistics(network, batch_norm)


def test_a_record_of_before_these_fields_says_what_was_done():
    old = Experiment().to_dict()
    before = {
        "decoder": "opencv", "sampling": "paper_text", "swap_labels": False, "unusable": "error", "values": "imagenet",
        "mirror_sides": False, "accumulate": 1, "last_batch": "keep", "clipping": "before_step",
        "parameter_groups": "one", "batch_norm": "all", "watch": "validation",
        "prefetch": 2, "accelerator": "auto", "devices": 1, "nodes": 1, "compile": False,
        "head_weights": None, "start_from": None,
    }  # fmt: skip
    assert {name: old.pop(name) for name in before} == before
    assert Experiment.from_mapping(old) == Experiment()


def test_model_options_follow_the_network():
    taken = ("classes", "width", "gate", "head_stride")
    assert Experiment(gate="se").model_options(taken) == {"width": 1.0, "gate": "se", "head_stride": (2, 2, 2)}
    with pytest.raises(ValueError, match="gate: "):
        Experiment(gate="se").model_options(("classes", "width"))


def test_the_plateau_divides_by_ten_after_exactly_five_epochs_without_improvement():
    experiment, rates = Experiment(learning_rate=1.0), []
    optimiser = make_optimiser([torch.nn.Parameter(torch.zeros(1))], experiment)
    plateau = make_schedule(optimiser, experiment)
    # best at epoch 0; equal counts as no improvement; better at 4; then 5 epochs without, and 5 more
    for top1 in [0.5, 0.5, 0.4, 0.5, 0.6, 0.6, 0.5, 0.6, 0.1, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]:
        optimiser.step()
        plateau.step(top1)
        rates.append(round(optimiser.param_groups[0]["lr"], 9))
    assert rates == [1.0] * 9 + [0.1] * 5 + [0.01]


@pytest.mark.parametrize(
    "name, value",
    [("size", 32), ("width", 0.001), ("dropout", 1.5), ("momentum", -1.0), ("split", 0), ("seed", -1), ("workers", -2),
     ("threads", -1), ("clip_gradient", 0.0), ("weight_decay", -1.0), ("validation_fraction", 1.0),
     ("learning_rate", float("inf")), ("gate_bias", float("nan"))],
)  # fmt: skip
def test_a_number_out_of_range_is_named_with_its_range(name, value):
    with pytest.raises(ValueError, match=rf"^{name}: {value}: input should be (greater|less|a finite)"):
        Experiment.from_mapping({name: value})
