"""Parameter groups and steps of the optimiser, against numbers worked out by hand."""

import pytest
import torch
from torch import nn

from repro.experiment.fields import Experiment
from repro.models import build
from repro.training.optimiser import freeze_statistics, make_optimiser, make_schedule, parameter_groups

RATE, DECAY = 0.1, 0.01
COSINE = {"schedule": "cosine", "validation_fraction": 0.0}


def experiment(**fields) -> Experiment:
    return Experiment(**{"learning_rate": RATE, "weight_decay": DECAY, **fields})


@pytest.mark.parametrize("model", ["resnet34_3dres18", "res34_se_im_net"])
def test_eco_pytorchs_groups_of_a_network(model):
    network = build(model, classes=3, width=0.125)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    weights, biases, norms = parameter_groups(network, experiment(parameter_groups="eco_pytorch"))
    assert [(g["lr"], g["weight_decay"]) for g in (weights, biases, norms)] == [(0.1, 0.01), (0.2, 0.0), (0.1, 0.0)]
    by_group = [{names[id(p)] for p in group["params"]} for group in (weights, biases, norms)]
    assert sum(map(len, by_group)) == len(names) and set.union(*by_group) == set(names.values())
    gates = {n for n in names.values() if ".gate." in n and n.endswith("bias")}
    assert by_group[1] == {"head.fc.bias"} | gates  # convolutions have none: batch norm follows
    assert by_group[2] == {n for n in names.values() if ".bn" in n or n.startswith("trunk.bn") or ".downsample.1." in n}
    assert {"trunk.conv1.weight", "head.fc.weight", "head.stage1.0.downsample.0.weight"} <= by_group[0]


def test_one_group_is_all_parameters_alike():
    network = build("res34_se_im_net", classes=3, width=0.125)
    (group,) = parameter_groups(network, experiment())
    assert len(group["params"]) == len(list(network.parameters()))
    assert (group["lr"], group["weight_decay"]) == (RATE, DECAY)


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_by_hand(nesterov):
    """A weight of 1, a bias of 2, a batch norm's weight of 1, each with gradient 0.5 twice."""
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.fill_(2.0)
    fields = experiment(parameter_groups="eco_pytorch", momentum=0.9, nesterov=nesterov)
    optimiser = make_optimiser(parameter_groups(network, fields), fields)
    for _ in range(2):
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)
        optimiser.step()

    def by_hand(value, rate, decay):
        buffer = 0.0
        for _ in range(2):
            gradient = 0.5 + decay * value
            buffer = 0.9 * buffer + gradient  # the first step's buffer is the gradient
            value -= rate * (gradient + 0.9 * buffer if nesterov else buffer)
        return value

    found = [network[0].weight.item(), network[0].bias.item(), network[1].weight.item()]
    assert found == pytest.approx([by_hand(1.0, 0.1, 0.01), by_hand(2.0, 0.2, 0.0), by_hand(1.0, 0.1, 0.0)], abs=1e-6)


def test_a_schedule_changes_every_group_by_the_same_factor():
    network = build("resnet34_3dres18", classes=3, width=0.125)
    fields = experiment(parameter_groups="eco_pytorch", epochs=2, **COSINE)
    optimiser = make_optimiser(parameter_groups(network, fields), fields)
    schedule = make_schedule(optimiser, fields)
    optimiser.step()
    schedule.step()
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.05, 0.1, 0.05])
    fields = experiment(parameter_groups="eco_pytorch", saturate=1)
    optimiser = make_optimiser(parameter_groups(network, fields), fields)
    plateau = make_schedule(optimiser, fields)
    for top1 in (0.5, 0.5):
        optimiser.step()
        plateau.step(top1)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.01, 0.02, 0.01])


@pytest.mark.parametrize("which, trained", [("all", None), ("first", 1), ("none", 0)])
def test_statistics_that_are_trained(which, trained):
    network = build("resnet34_3dres18", classes=2, width=0.125).train()
    freeze_statistics(network, which)
    norms = {n: m for n, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert sum(m.training for m in norms.values()) == (len(norms) if trained is None else trained)
    before = {n: m.running_mean.clone() for n, m in norms.items()}
    network(torch.randn(2, 2, 3, 64, 64)).sum().backward()
    moved = [n for n, m in norms.items() if not torch.equal(m.running_mean, before[n])]
    assert moved == {"all": list(norms), "first": ["trunk.bn1"], "none": []}[which]
    assert all(m.weight.grad is not None for m in norms.values())  # weights learn all the same
