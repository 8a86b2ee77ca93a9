"""What gates do with each channel: read while a network runs, and told to a reader."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from tiny import experiment
from torch import nn

from repro.data.clips import Clip
from repro.metrics.gates import gate_values, gates_of
from repro.models import build
from repro.report.gates import before_training, gates_figure, gates_table, gates_text, raised_channels, raised_table


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


def test_raised_channels_reports_on_other_clips():
    """Channel 2 tells the classes apart everywhere; the noise that picked the others does not come back."""
    rng = np.random.default_rng(0)
    labels, groups = np.tile([0, 1], 40), np.repeat(np.arange(20), 4)
    s = 0.5 + 0.01 * rng.standard_normal((80, 64))
    s[labels == 0, 2] += 0.3
    found = raised_channels({"a": s}, labels, groups, (0, 1), top=3)
    assert found["channel"][0] == 2 and list(found["unit"]) == ["a"] * 3
    assert found["first, other"][0] - found["second, other"][0] == pytest.approx(0.3, abs=0.02)
    noise = found.iloc[1:]
    picked = (noise["first, picking"] - noise["second, picking"]).abs().mean()
    assert (noise["first, other"] - noise["second, other"]).abs().mean() < picked
    assert raised_channels({"a": s}, labels, np.zeros(80), (0, 1)).empty


def test_gates_text():
    still, moved = {"u": np.full((4, 2), 0.5)}, {"u": np.array([[0.3, 0.8], [0.5, 0.8]])}
    text = gates_text(moved, still)
    assert "between 0.40 and 0.80" in text and "by 1.40 to 1.80" in text
    assert "differs by 0.0500" in text and "before the training by 0.0000" in text


def test_gates_table_by_hand():
    (row,) = gates_table({"u": np.array([[0.4, 0.8], [0.4, 0.6]])}).to_dict("records")
    assert row["channels"] == 2 and row["mean s"] == pytest.approx(0.55) and row["raised (s > 0.5)"] == "50 %"
    assert row["sd between clips"] == pytest.approx(0.05) and row["highest channel"] == pytest.approx(0.7)


def test_raised_channels_for_a_reader():
    clips = [Clip(f"{k}", Path(f"{k}.avi"), k % 2, f"g{k // 2}") for k in range(8)]
    values = {"u": np.array([[0.9 if clip.label else 0.1, 0.5] for clip in clips])}
    table, caption = raised_table(values, clips, (0, 1), ("Eat", "Drink"))
    assert caption == "Eat / Drink: the channels that tell them apart most (8 clips)"
    assert list(table) == ["unit", "channel"] + [
        f"s, {name}, {half} half" for half in ("picking", "other") for name in ("Eat", "Drink")
    ]
    assert table["channel"][0] == 0 and table.iloc[0, 2:].tolist() == pytest.approx([0.1, 0.9, 0.1, 0.9])
    assert table.attrs["formats"]["s, Eat, other half"] == ".3f"
    assert raised_table(values, clips[:1], (0, 1), ("Eat", "Drink"))[0].empty


def test_gates_figure_says_the_means():
    values = {"trunk.layer1.0": np.full((4, 8), 0.5), "trunk.layer4.2": np.full((4, 16), 0.7)}
    fig, alt = gates_figure(values, values)
    assert "in each of 2 units over 4 test clips: trunk.layer1.0 0.50; trunk.layer4.2 0.70;" in alt
    plt.close(fig)


def test_the_network_before_its_training_is_that_of_its_seed():
    fields = {"layout": "ucf101", "videos": "v", "annotations": "a"}
    first, again, other = (
        before_training(experiment(fields, model="res34_se_im_net", seed=seed), 3).state_dict()["trunk.conv1.weight"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
