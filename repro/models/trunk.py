"""The 2D trunk: ResNet-34 up to layer 4, run on every sampled frame (paper, sections "ResNet34 network", Table 1)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repro.models.blocks import BasicBlock, make_gate

BLOCKS = (3, 4, 6, 3)  # 16 units
CHANNELS = (64, 128, 256, 512)


def scaled(channels: int, width: float) -> int:
    """Channels at a width factor, at least 4. Width 1 is the paper's network."""
    return max(4, round(channels * width))


class ResNet34Trunk(nn.Module):
    """ResNet-34 without pooling and classifier; every unit may carry a gate.

    Shape: ``(frames, 3, H, W)`` float, RGB, ImageNet-normalised, to ``(frames, 512 * width, ceil(H/32), ceil(W/32))``.
    """

    def __init__(self, *, width: float = 1.0, gate: str = "none", reduction: int = 16, gate_bias: float = 0.0) -> None:
        super().__init__()
        widths = [scaled(channels, width) for channels in CHANNELS]
        self.channels = widths[-1]
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels_in = widths[0]
        for stage, (blocks, channels) in enumerate(zip(BLOCKS, widths), start=1):
            units = []
            for unit in range(blocks):
                stride = 2 if stage > 1 and unit == 0 else 1
                branch_gate = make_gate(gate, channels, reduction=reduction, bias=gate_bias)
                units.append(BasicBlock(channels_in, channels, stride=stride, gate=branch_gate))
                channels_in = channels
            self.add_module(f"layer{stage}", nn.Sequential(*units))

    def forward(self, frames: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(frames))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


@dataclass(frozen=True)
class LoadReport:
    """Which tensors a state dict gave to a module: nothing is skipped in silence."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # in the module, not in the state dict (the gates, say)
    unused: tuple[str, ...]  # in the state dict, not in the module (the classifier, say)

    def __str__(self) -> str:
        def listed(names):
            return f"{len(names)}" + (f" ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})" if names else "")

        return f"loaded {len(self.loaded)}, not in the file {listed(self.missing)}, unused {listed(self.unused)}"


def load_trunk(trunk: ResNet34Trunk, state: Mapping[str, Tensor]) -> LoadReport:
    """Load torchvision's ResNet-34 state dict (or one with its names) into a trunk.

    Returns the report; gates keep their initial values since no ImageNet weights exist for them.
    Raises ValueError when nothing matches by name, or when a tensor of the same name has another shape.
    """
    own = trunk.state_dict()
    wrong = [
        f"{k}: {tuple(state[k].shape)} for {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} tensors have another shape than the trunk's ({wrong[0]}); "
            "weights of the paper's ResNet-34 fit only a trunk of width 1"
        )
    loaded = tuple(k for k in own if k in state)
    if not loaded:
        raise ValueError(
            "no tensor of this state dict has a name of the trunk's (expected torchvision's: conv1.weight, "
            f"layer1.0.conv1.weight, ...; found {', '.join(list(state)[:3]) or 'nothing'})"
        )
    trunk.load_state_dict({k: state[k] for k in loaded}, strict=False)
    return LoadReport(loaded, tuple(k for k in own if k not in state), tuple(k for k in state if k not in own))


def read_weights(path) -> dict[str, Tensor]:
    """Read a state dict from a ``.safetensors`` file or a ``torch.save`` file, tensors only (nothing is executed)."""
    path = str(path)
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
