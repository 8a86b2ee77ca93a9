"""P3D-199: ResNet-152 whose 3x3 convolutions became a 1x3x3 and a 3x1x1 one, joined in three ways in turn.

Paper: Z. Qiu, T. Yao, T. Mei, "Learning Spatio-Temporal Representation with Pseudo-3D Residual Networks", ICCV 2017,
arXiv:1711.10305.
Code read: qijiezhao/pseudo-3d-pytorch@1396431 (p3d_model.py), a port of the authors' Caffe network.
As in the port: stem 1x7x7; 3 + 8 + 36 blocks of types A, B, C, A, ...; time is halved by max pools after the stem and
after each of these three stages; the last stage of 3 blocks is a plain 2D one on what is left of time; strides are in
the first 1x1x1 convolution of a block. 199 = 1 + 47 x 4 + 3 x 3 + 1 layers.
Departures: the average pool is global (5x5 in the port); when more than one moment is left before the 2D stage (32
frames or more) its features are averaged over time, where the port's reshape would mix channels and time. Initial
weights are this project's (Kaiming by fan-out).
"""

from torch import Tensor, nn

from repro.models.blocks import initialise
from repro.models.peers.parts import Extent, Residual, channels_first, conv_norm

BLOCKS = (3, 8, 36)  # pseudo-3D blocks of the stages res2, res3, res4
FLAT_BLOCKS = 3  # plain 2D blocks of res5
KINDS = "ABC"
SHORTEST = 16  # frames: time is halved four times


class Pseudo3d(nn.Module):
    """A 1x3x3 convolution S and a 3x1x1 convolution T, each with batch norm and ReLU.

    ``kind``: A is T(S(x)), one after the other; B is S(x) + T(x), side by side; C is S(x) + T(S(x)) (paper, Fig. 3).
    Shape: ``(B, channels, N, H, W)`` to the same.
    """

    def __init__(self, channels: int, *, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.space = conv_norm(channels, channels, (1, 3, 3))
        self.time = conv_norm(channels, channels, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        space = self.space(x)
        time = self.time(x if self.kind == "B" else space)
        return time if self.kind == "A" else space + time


def bottleneck(channels_in: int, channels: int, middle: nn.Module, *, stride: Extent = 1, dims: int = 3) -> Residual:
    """1x1x1, the given middle, 1x1x1 to four times the channels, and a shortcut; the stride is the first one's.

    Of maps ``(B, channels_in, N, H, W)``, or ``(B, channels_in, H, W)`` with ``dims=2``.
    """
    branch = nn.Sequential(
        conv_norm(channels_in, channels, 1, stride=stride, dims=dims),
        middle,
        conv_norm(channels, 4 * channels, 1, relu=False, dims=dims),
    )
    return Residual(branch, channels_in, 4 * channels, stride=stride, dims=dims)


class P3D(nn.Module):
    """P3D ResNet. Shape: ``(B, N, 3, H, W)`` float, 16 frames or more, to logits ``(B, classes)``.

    Raises ValueError for another shape.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.stem = conv_norm(3, 64, (1, 7, 7), stride=(1, 2, 2))
        self.pool = nn.MaxPool3d((2, 3, 3), stride=2, padding=(0, 1, 1))
        self.pool_time = nn.MaxPool3d((2, 1, 1))
        stages, channels_in, index = [], 64, 0
        for stage, blocks in enumerate(BLOCKS):
            channels = 64 * 2**stage
            parts = []
            for block in range(blocks):
                stride = (1, 2, 2) if stage and block == 0 else 1
                middle = Pseudo3d(channels, kind=KINDS[index % len(KINDS)])
                parts.append(bottleneck(channels_in, channels, middle, stride=stride))
                channels_in, index = 4 * channels, index + 1
            stages.append(nn.Sequential(*parts))
        self.res2, self.res3, self.res4 = stages
        channels *= 2
        parts = []
        for block in range(FLAT_BLOCKS):
            flat = conv_norm(channels, channels, 3, dims=2)
            parts.append(bottleneck(channels_in, channels, flat, stride=1 if block else 2, dims=2))
            channels_in = 4 * channels
        self.res5 = nn.Sequential(*parts)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(channels_in, classes)
        initialise(self)

    def forward(self, clips: Tensor) -> Tensor:
        x = channels_first(clips)
        if x.shape[2] < SHORTEST:
            raise ValueError(f"P3D halves time four times: clips need {SHORTEST} frames or more, not {x.shape[2]}")
        x = self.pool(self.stem(x))
        for stage in (self.res2, self.res3, self.res4):
            x = self.pool_time(stage(x))
        batch_and_time = x.shape[0], x.shape[2]
        x = self.res5(x.transpose(1, 2).flatten(0, 1))  # each moment as an image
        x = x.mean((2, 3)).unflatten(0, batch_and_time).mean(1)
        return self.fc(self.dropout(x))
