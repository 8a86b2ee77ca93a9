"""Protocols and habits of published code: valid, switched on one by one, and as the ledger of assumptions says."""

import pytest
import torch
import yaml

from repro.experiment.fields import ROLES, Experiment
from repro.experiment.protocols import HABITS, PROTOCOLS, as_yaml, fields_of, habits_of, protocol_of
from repro.models import build
from repro.paper.cells import load

LEDGER = {entry.id: entry for entry in load().assumptions}


def experiment(protocol="sound", habits=(), layout="ucf101") -> Experiment:
    return Experiment(layout=layout, **fields_of(protocol, habits, layout=layout))


# The ledger's reading, and the values of paper_text that it stands for
TAKEN = {
    "head-strides": ("(2,2,2) twice", {"head_stride": [2, 2, 2]}),
    "equation-4": ("scaled branch", {"gate": None}),  # the network's own: see the next test
    "se-ratio": ("16", {"reduction": 16}),
    "se-gate-start": ("bias 0", {"gate_bias": 0.0}),
    "batch-size": ("64", {"batch_size": 16, "accumulate": 4}),
    "momentum": ("0.9", {"momentum": 0.9}),
    "weight-decay": ("5e-4", {"weight_decay": 0.0005, "parameter_groups": "one"}),
    "nesterov": ("yes", {"nesterov": True}),
    "epochs": ("40 epochs", {"epochs": 40}),
    "schedule-validation-set": ("held-out training groups", {"watch": "validation", "validation_fraction": 0.1}),
    "clipping-order": ("before", {"clipping": "before_step"}),
    "test-sampling": ("segment centres", {"sampling": "paper_text"}),
    "short-clips": ("repeat evenly", {"sampling": "paper_text"}),
    "scale-jitter": ("ECO", {"crop_scales": [1.0, 0.875, 0.75, 0.66]}),
    "flip": ("not on Something-Something v1", {"flip": True}),
    "input-normalisation": ("RGB/255, ImageNet mean and std", {"values": "imagenet"}),
    "input-size": ("224x224", {"size": 224}),
    "bn-training": ("all", {"batch_norm": "all"}),
    "dropped-batch": ("all", {"last_batch": "keep"}),
}


@pytest.mark.parametrize("entry", TAKEN)
def test_paper_text_takes_the_ledgers_readings(entry):
    reading, values = TAKEN[entry]
    assert LEDGER[entry].taken == reading
    found = experiment("paper_text").to_dict()
    assert {name: found[name] for name in values} == values


def test_a_networks_own_gate_is_the_ledgers_reading_of_equation_4():
    branch = torch.rand(1, 8, 2, 2)
    gate = build("res34_se_im_net", classes=2, width=0.125).trunk.layer1[0].gate
    torch.testing.assert_close(gate(branch), branch + gate.weights(branch) * branch)  # f + s * f
    assert build("resnet34_3dres18", classes=2, width=0.125).trunk.layer1[0].gate is None


def test_every_field_of_paper_text_is_named():
    """What decides a result, and is not the dataset's or the network's own, is in the protocol."""
    free = {"layout", "classes", "split", "unusable", "decoder", "precision"}
    free |= {"model", "width", "trunk_weights", "head_weights", "start_from", "seed", "swap_labels", "rate_chosen_by"}
    free |= {"mirror_sides", "flip"}  # of the dataset: see fields_of
    assert set(PROTOCOLS["paper_text"]) == {name for name, role in ROLES.items() if role == "result"} - free


@pytest.mark.parametrize("name", HABITS)
def test_a_habit_can_be_switched_on_alone(name):
    layout = layout_of(name)
    for protocol in ("sound", "paper_text"):
        without, with_it = experiment(protocol, layout=layout), experiment(protocol, [name], layout)
        assert habits_of(without) == [] and habits_of(with_it) == [name]
        fields = without.to_dict()
        changed = {k: v for k, v in with_it.to_dict().items() if fields[k] != v}
        assert changed and changed.items() <= HABITS[name].fields.items()
    assert set(HABITS[name].ledger) <= set(LEDGER)
    assert protocol_of(with_it) == f"sound but {name}"


@pytest.mark.parametrize("layout", ["ucf101", "hmdb51", "something_v1"])
def test_published_code_has_every_habit_that_concerns_the_dataset(layout):
    code = experiment("as_published_code", layout=layout)
    expected = [name for name in HABITS if name != "sides_mirrored" or layout == "something_v1"]
    assert habits_of(code) == expected and protocol_of(code) == "as published code"
    assert code.mirror_sides == (layout == "something_v1")
    assert protocol_of(experiment("paper_text", layout=layout)) == "sound"
    assert experiment("paper_text", layout=layout).flip == (layout != "something_v1")


def test_a_half_habit_is_not_called_sound():
    assert protocol_of(Experiment(last_batch="drop_partial")) == "sound but last_batch drop_partial"
    both = Experiment(values="eco_pytorch", **HABITS["test_steers"].fields)
    assert protocol_of(both) == "sound but test_steers, values eco_pytorch"


def layout_of(habit: str) -> str:
    return "something_v1" if habit == "sides_mirrored" else "ucf101"


@pytest.mark.parametrize("protocol, habits, layout", [
    *((protocol, [], layout) for protocol in PROTOCOLS for layout in ("hmdb51", "something_v1")),
    *(("sound", [name], layout_of(name)) for name in HABITS),
])  # fmt: skip
def test_the_printed_fields_are_an_experiment_and_habits_say_what_they_do(protocol, habits, layout):
    text, printed = as_yaml(protocol, habits, layout=layout), experiment(protocol, habits, layout)
    first = f"# protocol {protocol}{''.join(f' + {name}' for name in habits)}"
    assert text.startswith(f"{first}\nlayout: {layout}\n")
    assert Experiment.from_mapping(yaml.safe_load(text)) == printed
    remarks = [line for line in text.splitlines() if line.startswith("# ")]
    assert remarks == [first, *(f"# {name}: {HABITS[name].text}" for name in habits_of(printed))]
    assert not habits or habits_of(printed) == habits
