"""Scores of clips whose frames come in another order, and of networks whose gates are held still."""

import numpy as np
import pytest
import tiny
import torch

from repro.metrics.gates import gates_fixed, gates_of, gates_seen
from repro.models import build
from repro.training.evaluation import GATE_FIXED, ORDERS, gates_rows, in_order
from repro.training.loop import train


def test_orders_by_hand():
    clips = torch.arange(2 * 4).view(2, 4, 1)
    assert in_order(clips, "reversed", ["a", "b"])[:, :, 0].tolist() == [[3, 2, 1, 0], [7, 6, 5, 4]]
    shuffled = in_order(clips, "shuffled", ["a", "b"])[:, :, 0]
    assert shuffled.sort(1).values.tolist() == clips[:, :, 0].tolist()
    assert torch.equal(shuffled[:1], in_order(clips[:1], "shuffled", ["a"])[:, :, 0])  # whatever the batch


def test_a_shuffled_clip_never_keeps_its_order():
    for frames in (2, 3, 16):
        for k in range(200):
            order = ORDERS["shuffled"](frames, f"clip{k}")
            assert sorted(order) == list(range(frames)) != list(order)
    assert ORDERS["shuffled"](1, "clip").tolist() == [0]


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = build("res34_se_im_net", classes=2, width=0.125).eval()
    for gate in gates_of(made).values():  # an untrained gate hardly looks at its input
        torch.nn.init.normal_(gate.fc2.weight, std=5)
    for module in made.modules():  # nor does an untrained branch say anything
        if hasattr(module, "bn2"):
            torch.nn.init.ones_(module.bn2.weight)
    return made


@torch.no_grad()
def test_fixed_gates_give_what_they_are_told(network):
    clips = torch.randn(3, 2, 3, 64, 64)
    own = network(clips)
    with gates_seen(network, 2) as seen:
        network(clips)
    assert len(seen) == 16 and seen["trunk.layer1.0"].shape == (3, 8)
    with gates_fixed(network, {unit: torch.full_like(s[0], 0.5) for unit, s in seen.items()}):
        fixed = network(clips)
    constant = build("res34_se_im_net", classes=2, width=0.125, gate="times_1.5").eval()
    constant.load_state_dict(network.state_dict(), strict=False)
    torch.testing.assert_close(fixed, constant(clips))
    assert torch.equal(network(clips), own) and not torch.allclose(own, fixed)


def test_rows_of_gates_by_hand():
    s = torch.tensor([[0.2, 0.6], [0.4, 0.6], [0.6, 1.0], [0.8, 1.0]], dtype=torch.float64)  # clips x channels
    (row,) = gates_rows({"unit": s}, np.array([0, 0, 1, 1]), ["drink", "eat"])
    assert row == {
        "unit": "unit", "channels": 2, "mean": 0.65, "lowest": 0.5, "highest": 0.8, "sd_channels": 0.15,
        "sd_clips": round((np.sqrt(0.05) + 0.2) / 2, 6), "look_alikes": 0.4,
    }  # fmt: skip
    assert gates_rows({"unit": s}, np.array([0, 0, 1, 1]), ["drink", "golf"])[0]["look_alikes"] is None


@pytest.mark.parametrize(
    "model, altered, gated",
    [
        ("res34_se_im_net", ["shuffled", "reversed", GATE_FIXED], True),
        ("resnet34_3dres18", ["shuffled", "reversed"], False),
        ("resnet34_frame_average", [], False),
    ],
)
def test_a_run_records_altered_scores_and_gates(tmp_path, model, altered, gated):
    experiment = tiny.experiment(tiny.write_ucf101(tmp_path / "set"), epochs=1, model=model, frames=4)
    record = train(experiment, results=tmp_path / "results", work=tmp_path / "runs")
    assert list(record.altered) == altered
    assert all(scores.shape == record.scores.shape for scores in record.altered.values())
    for scores in (record.altered[order] for order in ORDERS if order in record.altered):
        assert not np.array_equal(scores, np.float16(record.scores))
    assert list(record.gates) == (["start", "end"] if gated else [])
    if gated:
        assert [row["unit"] for row in record.gates["end"]][:2] == ["trunk.layer1.0", "trunk.layer1.1"]
        assert record.gates["start"] != record.gates["end"]
