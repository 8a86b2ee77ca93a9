"""What gates do with each channel, read while a network runs."""

import numpy as np
import torch
from torch import nn

from repro.metrics.gates import gates_of, gates_seen
from repro.models import build


def gate_values(network, clips) -> dict[str, np.ndarray]:
    """s of every gate for every clip ``(B, N, 3, H, W)``, by unit."""
    network.eval()
    with torch.no_grad(), gates_seen(network, clips.shape[1]) as seen:
        network.stack(clips)
    return {unit: s.numpy() for unit, s in seen.items()}


def test_gate_values_are_those_of_equation_4():
    network = build("res34_se_im_net", classes=2, width=0.0625, gate_bias=0.0).eval()
    assert len(gates_of(network)) == 16 and not gates_of(build("resnet34_3dres18", classes=2, width=0.0625))
    for gate in gates_of(network).values():
        nn.init.zeros_(gate.fc2.weight)
    network.trunk.layer1[0].gate.fc2.bias.data.fill_(1.0)
    found = gate_values(network, torch.rand(3, 2, 3, 64, 64))
    assert next(iter(found)) == "trunk.layer1.0" and found["trunk.layer1.0"].shape == (3, 4)
    assert np.allclose(found["trunk.layer1.0"], 1 / (1 + np.exp(-1)))
    assert np.allclose(found["trunk.layer4.2"], 0.5)
    assert not any(gate._forward_hooks for gate in gates_of(network).values())


def test_gate_values_of_a_clip_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    network = build("res34_se_im_net", classes=2, width=0.0625)
    clips = torch.rand(3, 2, 3, 64, 64)
    together, alone = gate_values(network, clips), gate_values(network, clips[1:2])
    for unit, values in alone.items():
        assert np.allclose(together[unit][1], values[0], atol=1e-6)
