"""X3D-M: a narrow, deep network of channel-wise 3x3x3 convolutions, without any stride in time.

Paper: C. Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020, arXiv:2004.04730.
Code read: facebookresearch/pytorchvideo@124e132 (pytorchvideo/models/x3d.py), @267ae63 (layers/utils.py, rounding of
widths), facebookresearch/SlowFast@10a1bcb (slowfast/models/resnet_helper.py, shortcuts).
X3D-M: width factor 2 (24, 48, 96, 192 channels), depth factor 2.2 (3, 5, 11, 7 blocks), bottleneck factor 2.25, squeeze
and excitation in every other block with a sixteenth of the channels, rounded to eights.
Departures: every projection shortcut has batch norm, as in SlowFast; pytorchvideo leaves it out in the first stage,
where the channels stay the same (48 parameters). The head's pool is global, where pytorchvideo fixes its window.
"""

from torch import Tensor, nn

from repro.models.blocks import initialise
from repro.models.peers.parts import Residual, channels_first, conv_norm

CHANNELS = (24, 48, 96, 192)
BLOCKS = (3, 5, 11, 7)  # 1, 2, 5, 3 times 2.2, rounded up
BOTTLENECK = 2.25
HEAD_CHANNELS = 2048


class SqueezeExcite(nn.Module):
    """Channels weighted by a gate on their mean over time and space, with a sixteenth of the channels inside.

    Shape: ``(B, channels, N, H, W)`` to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = round_to_eights(channels / 16)
        self.fc1 = nn.Conv3d(channels, hidden, 1)
        self.fc2 = nn.Conv3d(hidden, channels, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean((2, 3, 4), keepdim=True)
        return x * self.fc2(self.relu(self.fc1(squeezed))).sigmoid()


def bottleneck(channels_in: int, channels_out: int, *, stride: int = 1, gate: bool = False) -> Residual:
    """1x1x1 up, channel-wise 3x3x3 (which has the stride in space), optional gate, SiLU, 1x1x1 down, and a shortcut."""
    inner = int(BOTTLENECK * channels_out)
    strides = (1, stride, stride)
    branch = nn.Sequential(
        *conv_norm(channels_in, inner, 1),
        *conv_norm(inner, inner, 3, stride=strides, groups=inner, relu=False),
        SqueezeExcite(inner) if gate else nn.Identity(),
        nn.SiLU(inplace=True),
        *conv_norm(inner, channels_out, 1, relu=False),
    )
    return Residual(branch, channels_in, channels_out, stride=strides)


class X3D(nn.Module):
    """X3D. Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        channels_in = CHANNELS[0]
        self.stem = nn.Sequential(
            nn.Conv3d(3, channels_in, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False),
            *conv_norm(channels_in, channels_in, (5, 1, 1), groups=channels_in),
        )
        stages = []
        for channels, blocks in zip(CHANNELS, BLOCKS):
            parts = []
            for block in range(blocks):
                parts.append(bottleneck(channels_in, channels, stride=1 if block else 2, gate=block % 2 == 0))
                channels_in = channels
            stages.append(nn.Sequential(*parts))
        self.res2, self.res3, self.res4, self.res5 = stages
        inner = int(BOTTLENECK * channels_in)
        self.conv5 = conv_norm(channels_in, inner, 1)
        self.project = nn.Linear(inner, HEAD_CHANNELS, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(HEAD_CHANNELS, classes)
        initialise(self)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.stem(channels_first(clips))
        x = self.conv5(self.res5(self.res4(self.res3(self.res2(x)))))
        x = self.relu(self.project(x.mean((2, 3, 4))))
        return self.fc(self.dropout(x))


def round_to_eights(width: float) -> int:
    """The nearest multiple of 8, at least 8, and one step more where that would lose over a tenth."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8
