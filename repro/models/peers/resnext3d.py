"""3D ResNeXt-101: bottlenecks whose 3x3x3 convolution works in 32 groups.

Paper: K. Hara, H. Kataoka, Y. Satoh, "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR
2018, arXiv:1711.09577.
Code read: kenshohara/3D-ResNets-PyTorch@26632d5 (models/resnext.py), @042b98c (README.md). Shortcut type B: a 1x1x1
projection where the shape changes. Stem 7x7x7, stride 1 in time, then a 3x3x3 max pool with stride 2 in all
directions; the last three stages halve time and space.
Departures: the average pool is global, where the code fixes its window from the clip's size. The revision read is from
the middle of a rewrite (it defines ``ResNeXt`` twice, the second counts); the stem with stride 2 in time for clips of
32 frames or more, in models/resnet.py@2031c32, is not in the class followed here and is left out.
"""

from torch import Tensor, nn

from repro.models.blocks import initialise
from repro.models.peers.parts import Residual, channels_first, conv_norm

CARDINALITY = 32
BLOCKS = (3, 4, 23, 3)


def bottleneck(channels_in: int, channels: int, *, stride: int = 1) -> Residual:
    """1x1x1, grouped 3x3x3 (which has the stride), 1x1x1 to twice the channels, and a shortcut."""
    branch = nn.Sequential(
        conv_norm(channels_in, channels, 1),
        conv_norm(channels, channels, 3, stride=stride, groups=CARDINALITY),
        conv_norm(channels, 2 * channels, 1, relu=False),
    )
    return Residual(branch, channels_in, 2 * channels, stride=stride)


class ResNeXt3d(nn.Module):
    """3D ResNeXt. Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.stem = conv_norm(3, 64, 7, stride=(1, 2, 2))
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        stages, channels_in = [], 64
        for stage, blocks in enumerate(BLOCKS):
            channels = 128 * 2**stage
            first = bottleneck(channels_in, channels, stride=2 if stage else 1)
            channels_in = 2 * channels
            stages.append(nn.Sequential(first, *(bottleneck(channels_in, channels) for _ in range(blocks - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(channels_in, classes)
        initialise(self)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.maxpool(self.stem(channels_first(clips)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))
