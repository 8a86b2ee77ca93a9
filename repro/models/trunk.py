"""The 2D trunk: ResNet-34 up to layer 4, run on every sampled frame (paper, sections "ResNet34 network", Table 1)."""

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
        stages = []
        for stage, (blocks, channels) in enumerate(zip(BLOCKS, widths)):
            units = []
            for unit in range(blocks):
                stride = 2 if stage > 0 and unit == 0 else 1
                branch_gate = make_gate(gate, channels, reduction=reduction, bias=gate_bias)
                units.append(BasicBlock(channels_in, channels, stride=stride, gate=branch_gate))
                channels_in = channels
            stages.append(nn.Sequential(*units))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, frames: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(frames))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
