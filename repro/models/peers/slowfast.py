"""SlowFast 8x8 R50: a wide ResNet-50 on few frames and a narrow one on many, connected from the second to the first.

Paper: C. Feichtenhofer, H. Fan, J. Malik, K. He, "SlowFast Networks for Video Recognition", ICCV 2019,
arXiv:1812.03982.
Code read: facebookresearch/pytorchvideo@124e132 (pytorchvideo/models/slowfast.py), facebookresearch/SlowFast@10a1bcb
(slowfast/models/resnet_helper.py), @0a7067b (slowfast/datasets/utils.py).
8x8: the fast pathway sees all frames (32), the slow one every fourth (alpha 4: 8 frames); the fast has an eighth of
the channels (beta 1/8); connections are 7x1x1 convolutions with stride 4 to twice the fast channels. Convolutions have
extent 3 in time from res4 on in the slow pathway and everywhere in the fast one; strides are in the 1x3x3.
Departures: the slow pathway takes frames 0, 4, ..., 28, the paper's constant stride, with which the connections'
outputs line up; SlowFast's loader takes eight evenly from first to last (0, 4, 8, 13, 17, 22, 26, 31), so weights
trained there would see other frames. Pools are global, where pytorchvideo fixes their windows. Initial weights are this
project's.
"""

import torch
from torch import Tensor, nn

from repro.models.blocks import initialise
from repro.models.peers.parts import Residual, channels_first, conv_norm

BLOCKS = (3, 4, 6, 3)
ALPHA = 4  # fast frames for one slow frame
BETA_INVERSE = 8  # slow channels for one fast channel
FUSION_RATIO = 2  # channels of a connection for one fast channel
SLOW_EXTENTS = (1, 1, 3, 3)  # in time, of the first convolution of each block of res2 ... res5
FAST_EXTENTS = (3, 3, 3, 3)


class SlowFast(nn.Module):
    """SlowFast R50. Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``; the slow pathway sees each 4th frame.

    Raises ValueError for another shape.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        width = 64
        self.slow_stem = stem(width, extent=1)
        self.fast_stem = stem(width // BETA_INVERSE, extent=5)
        slow_in, fast_in = width, width // BETA_INVERSE
        self.slow, self.fast, self.fuse = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for index, blocks in enumerate(BLOCKS):
            self.fuse.append(connection(fast_in))
            slow_in += FUSION_RATIO * fast_in
            channels, stride = width * 2**index, 2 if index else 1
            self.slow.append(stage(slow_in, channels, blocks, extent=SLOW_EXTENTS[index], stride=stride))
            self.fast.append(
                stage(fast_in, channels // BETA_INVERSE, blocks, extent=FAST_EXTENTS[index], stride=stride)
            )
            slow_in, fast_in = 4 * channels, 4 * channels // BETA_INVERSE
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(slow_in + fast_in, classes)
        initialise(self)

    def forward(self, clips: Tensor) -> Tensor:
        fast = channels_first(clips)
        slow = self.slow_stem(fast[:, :, ::ALPHA])
        fast = self.fast_stem(fast)
        for fuse, slow_stage, fast_stage in zip(self.fuse, self.slow, self.fast):
            slow = slow_stage(torch.cat([slow, fuse(fast)], dim=1))
            fast = fast_stage(fast)
        pooled = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)
        return self.fc(self.dropout(pooled))


def stem(channels: int, *, extent: int) -> nn.Sequential:
    """extent x7x7 convolution and 3x3 max pool: a quarter of height and width, all frames."""
    return nn.Sequential(
        *conv_norm(3, channels, (extent, 7, 7), stride=(1, 2, 2)),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    )


def bottleneck(channels_in: int, channels: int, *, extent: int, stride: int = 1) -> Residual:
    """extent x1x1, 1x3x3 (which has the stride), 1x1x1 to four times the channels, and a shortcut."""
    strides = (1, stride, stride)
    branch = nn.Sequential(
        *conv_norm(channels_in, channels, (extent, 1, 1)),
        *conv_norm(channels, channels, (1, 3, 3), stride=strides),
        *conv_norm(channels, 4 * channels, 1, relu=False),
    )
    return Residual(branch, channels_in, 4 * channels, stride=strides)


def stage(channels_in: int, channels: int, blocks: int, *, extent: int, stride: int) -> nn.Sequential:
    """``blocks`` bottlenecks to ``4 * channels`` channels, the first with the stride."""
    first = bottleneck(channels_in, channels, extent=extent, stride=stride)
    return nn.Sequential(first, *(bottleneck(4 * channels, channels, extent=extent) for _ in range(blocks - 1)))


def connection(channels: int) -> nn.Sequential:
    """From the fast pathway's maps to what is joined to the slow one's: time in steps of ALPHA, twice the channels."""
    return conv_norm(channels, FUSION_RATIO * channels, (7, 1, 1), stride=(ALPHA, 1, 1))
