"""What reaches the network, and 16 bits on a CPU."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from repro.experiment.fields import Experiment
from repro.models import build
from repro.models.blocks import BasicBlock
from repro.training.optimiser import freeze_statistics
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


def gradients(model: str, frames: int, size: int, precision: str) -> dict[str, torch.Tensor]:
    """Of a quarter-width network's parameters, from weights and clips that are the same for every precision.

    The memory that torch is about to take is filled with 1e30 before each of the head's convolutions goes backwards:
    the faulty ones take in what lies there, which is often 0. Statistics are frozen, since those of four clips amplify
    the rounding of 16 bits.
    """
    torch.manual_seed(0)
    network = build(model, classes=3, width=0.25, dropout=0.0).train()
    for module in network.modules():
        if isinstance(module, BasicBlock):
            nn.init.constant_(module.bn2.weight, 0.5)  # at its start of 0 the branches have no gradient
    freeze_statistics(network, "none")

    def spoil(elements: int) -> None:
        for _ in range(2):
            junk = [torch.full((elements * share // 2,), 1e30) for share in (1, 2, 2, 4, 8)]
            del junk

    def before_backward(module, _inputs, output) -> None:
        output.register_hook(lambda _gradient: spoil(module.weight.numel()))

    for module in network.head.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(before_backward)
    pictures = torch.randint(256, (4 * frames, 3, 4, 4)).float()
    clips = F.interpolate(pictures, size=size, mode="bilinear").byte().unflatten(0, (4, frames))
    recogniser = Recogniser(network, Experiment(model=model, precision=precision))
    F.cross_entropy(recogniser(clips), torch.tensor([0, 1, 2, 0])).backward()
    return {name: parameter.grad.double() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("model", ["resnet34_3dres18", "res34_se_im_net"])
@pytest.mark.parametrize("frames, size", [(4, 64), (8, 112)])
def test_gradients_in_bf16_are_those_of_fp32(model, frames, size):
    """With the head in bf16 too, torch 2.15 gives NaN or values 1e13 to 1e38 times too large in all of these."""
    exact, rounded = (gradients(model, frames, size, precision) for precision in ("32-true", "bf16-mixed"))
    everything = [torch.cat([each.flatten() for each in found.values()]) for found in (exact, rounded)]
    assert F.cosine_similarity(*everything, dim=0) > 0.95
    for name, gradient in exact.items():
        assert rounded[name].abs().max() < 0.1 + 10 * gradient.abs().max(), name
        if gradient.ndim > 2:  # convolutions; a gate's few hidden units may have next to no gradient
            assert F.cosine_similarity(gradient.flatten(), rounded[name].flatten(), dim=0) > 0.9, name
