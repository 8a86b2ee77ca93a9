"""What reaches the network, and 16 bits on a CPU."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from repro.experiment.fields import Experiment
from repro.models import build
from repro.training.recogniser import Recogniser

# --- what reaches the network


class See(nn.Module):
    """Keeps what it is given."""

    def forward(self, clips):
        self.seen = clips
        return clips.new_zeros(len(clips), 2)


@pytest.mark.parametrize("values, seen", [
    ("imagenet", [(10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225]),
    ("eco_pytorch", [200 - 104, 100 - 117, 10 - 128]),
    ("eco_pytorch_resnet", [200 - 0.485, 100 - 0.456, 10 - 0.406]),
])  # fmt: skip
def test_the_values_that_networks_are_fed(values, seen):
    network = See()
    clip = torch.tensor([10, 100, 200], dtype=torch.uint8).view(1, 1, 3, 1, 1)  # red, green, blue
    Recogniser(network, Experiment(values=values))(clip)
    assert network.seen.flatten().tolist() == pytest.approx(seen, rel=1e-5)


# --- 16 bits on a CPU


def test_the_head_stays_in_fp32(monkeypatch):
    """torch 2.15 computes weight gradients of 3x3x3 convolutions wrongly in bf16 where maps are a few cells wide.

    With AVX-512 and bf16, (4, 128, 2, 1, 1) gives values up to 1e36. On a CPU the head's gradients must be fp32's own.
    """
    torch.manual_seed(0)
    network = build("res34_se_im_net", classes=5, width=0.25, dropout=0.0).train()
    maps, labels = torch.randn(4, 128, 8, 4, 4), torch.tensor([0, 1, 2, 3])
    monkeypatch.setattr(network, "stack", lambda clips: maps)
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        network.zero_grad()
        recogniser = Recogniser(network, Experiment(precision=precision))
        loss = F.cross_entropy(recogniser(torch.zeros(4, 8, 3, 112, 112, dtype=torch.uint8)), labels)
        loss.backward()
        found[precision] = {n: p.grad.clone() for n, p in network.head.named_parameters()}
    for name, exact in found["32-true"].items():  # in bf16 they would differ by a hundredth at least
        assert (found["bf16-mixed"][name] - exact).abs().max() < 1e-3 * max(exact.abs().max(), 0.1), name


# Channels in, out, side, kernel, stride of the trunk's convolutions at 64 and 112 pixels, at quarter width
TRUNK = [(3, 16, 64, 7, 2), (16, 16, 16, 3, 1), (16, 32, 16, 3, 2), (16, 32, 16, 1, 2), (32, 64, 8, 3, 2),
         (64, 128, 4, 3, 2),
         (64, 128, 4, 1, 2), (128, 128, 2, 3, 1), (64, 128, 7, 3, 2), (128, 128, 4, 3, 1)]  # fmt: skip


@pytest.mark.parametrize("channels_in, channels_out, side, kernel, stride", TRUNK)
def test_the_trunks_convolutions_are_right_in_bf16(channels_in, channels_out, side, kernel, stride):
    torch.manual_seed(0)
    x = torch.randn(32, channels_in, side, side).to(torch.bfloat16, memory_format=torch.channels_last)
    weight = (torch.randn(channels_out, channels_in, kernel, kernel) / (channels_in**0.5 * kernel)).bfloat16()
    out_side = (side - 1) // stride + 1
    arriving = torch.randn(32, channels_out, out_side, out_side).bfloat16()
    found = []
    for dtype in (torch.bfloat16, torch.float64):
        inputs = [x.detach().to(dtype).requires_grad_(), weight.detach().to(dtype).requires_grad_()]
        F.conv2d(*inputs, stride=stride, padding=kernel // 2).backward(arriving.to(dtype))
        found.append([each.grad.double() for each in inputs])
    for rounded, exact in zip(*found):
        assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()
