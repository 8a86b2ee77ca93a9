"""I3D: Inception-v1 inflated to three dimensions, on RGB.

Paper: J. Carreira, A. Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017,
arXiv:1705.07750.
Code read: google-deepmind/kinetics-i3d@6da69a3 (i3d.py: layers, TensorFlow's "SAME" padding) and
hassony2/kinetics_i3d_pytorch@10f0068 (src/i3dpt.py: the classifier's pool, no batch-norm scale in the checkpoints).
Departures: the RGB stream alone; batch norm has PyTorch's scale, which the original's lacks (7,280 parameters of the
count); the classifier's average pool takes the whole map, which is the original's 7x7 at 224 pixels, so that smaller
images run too. The 107.9 G and 12.1 M that papers print for 64 frames (by memory) belong to another implementation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.models.peers.parts import channels_first

# 1x1x1; 3x3x3 reduced, 3x3x3; second 3x3x3 reduced, 3x3x3; projection after the pool
STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
FEWEST_FRAMES = 9  # below, a single map is left in time, and the classifier's pool takes two


class SameConv3d(nn.Conv3d):
    """Convolution with TensorFlow's "SAME" padding: output size is input / stride rounded up, zeros outside."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, same_padding(x.shape[2:], self.kernel_size, self.stride)))


class SameMaxPool3d(nn.Module):
    """Max pool with TensorFlow's "SAME" padding; what is outside never wins."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        padding = same_padding(x.shape[2:], self.kernel, self.stride)
        return F.max_pool3d(F.pad(x, padding, value=float("-inf")), self.kernel, self.stride)


class Mixed(nn.Module):
    """An Inception block. Shape: ``(B, channels_in, N, h, w)`` to ``(B, channels, N, h, w)``."""

    def __init__(
        self, channels_in: int, single: int, reduce: int, triple: int, other_reduce: int, other: int, proj: int
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            (
                unit(channels_in, single, 1),
                nn.Sequential(unit(channels_in, reduce, 1), unit(reduce, triple, 3)),
                nn.Sequential(unit(channels_in, other_reduce, 1), unit(other_reduce, other, 3)),
                nn.Sequential(SameMaxPool3d((3, 3, 3), (1, 1, 1)), unit(channels_in, proj, 1)),
            )
        )
        self.channels = single + triple + other + proj

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class I3D(nn.Module):
    """Inflated Inception-v1, logits averaged over time.

    Shape: ``(B, N, 3, H, W)`` float, N >= 9 (published with 64 in training, all frames in test), H and W of 32 or
    more, to logits ``(B, classes)``. Raises ValueError for another shape.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        layers = [
            unit(3, 64, 7, 2),
            SameMaxPool3d((1, 3, 3), (1, 2, 2)),
            unit(64, 64, 1),
            unit(64, 192, 3),
            SameMaxPool3d((1, 3, 3), (1, 2, 2)),
        ]
        pools = (SameMaxPool3d((3, 3, 3), (2, 2, 2)), SameMaxPool3d((2, 2, 2), (2, 2, 2)))
        channels = 192
        for stage, blocks in enumerate(STAGES):
            if stage:
                layers.append(pools[stage - 1])
            for block in blocks:
                mixed = Mixed(channels, *block)
                layers.append(mixed)
                channels = mixed.channels
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Conv3d(channels, classes, 1)

    def forward(self, clips: Tensor) -> Tensor:
        x = channels_first(clips)
        if clips.shape[1] < FEWEST_FRAMES:
            raise ValueError(f"I3D takes {FEWEST_FRAMES} frames or more, not {clips.shape[1]}")
        x = self.features(x)
        x = F.avg_pool3d(x, (2, *x.shape[3:]), stride=1)
        return self.fc(self.dropout(x)).mean((2, 3, 4))


def unit(channels_in: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ "SAME" convolution without bias, batch norm, ReLU."""
    return nn.Sequential(
        SameConv3d(channels_in, channels, kernel, stride, bias=False),
        nn.BatchNorm3d(channels, eps=1e-3),
        nn.ReLU(inplace=True),
    )


def same_padding(sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]) -> list[int]:
    """Zeros before and after in each dimension, last dimension first (``F.pad``'s order), by TensorFlow's rule.

    The output has ceil(size / stride) elements; an odd number of zeros puts the larger half after.
    """
    padding: list[int] = []
    for size, width, step in zip(sizes, kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + width - size, 0)
        padding = [total // 2, total - total // 2, *padding]
    return padding
