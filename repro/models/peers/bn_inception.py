"""BN-Inception, the 2D trunk of TSN, TRN and ECO: Inception with batch normalisation, whole or cut in its third stage.

Paper: S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift", ICML 2015, arXiv:1502.03167 (its Figure 5, by memory).
Code read: mit-han-lab/temporal-shift-module@83c77b7 (archs/bn_inception.py, of pretrainedmodels' lineage) and
mzolfaghari/ECO-efficient-video-understanding@f864450 (models_ECO_Full/kinetics/deploy.prototxt): the same layers,
every convolution with a bias although batch norm follows, pools without padding rounded up.
Departures: batch norm's momentum is PyTorch's 0.1 where that PyTorch code writes 0.9 (in PyTorch's sense the running
statistics would be almost the last batch's). Weights start as the prototxt's "xavier" (uniform, by fan-in, by memory
of Caffe), biases at 0.
"""

import torch
from torch import Tensor, nn

# name: (1x1, 3x3 reduced, 3x3, double 3x3 reduced, double 3x3, what the pool is, channels of its projection)
# without 1x1 and projection: the block halves height and width
BLOCKS = {
    "3a": (64, 64, 64, 64, 96, "mean", 32),
    "3b": (64, 64, 96, 64, 96, "mean", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "mean", 128),
    "4b": (192, 96, 128, 96, 128, "mean", 128),
    "4c": (160, 128, 160, 128, 160, "mean", 128),
    "4d": (96, 128, 192, 160, 192, "mean", 128),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "mean", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


class InceptionBlock(nn.Module):
    """Branches side by side: 1x1, 3x3, two 3x3 in a row ("double"), pool and projection.

    Shape: ``(B, channels_in, h, w)`` to ``(B, channels, h / stride, w / stride)``, the strided blocks rounding up.
    """

    def __init__(
        self,
        channels_in: int,
        single: int,
        reduce: int,
        triple: int,
        double_reduce: int,
        double: int,
        pool: str,
        proj: int,
    ) -> None:
        super().__init__()
        strided = not proj
        stride = 2 if strided else 1
        self.single = conv(channels_in, single, 1) if single else None
        self.triple = nn.Sequential(conv(channels_in, reduce, 1), conv(reduce, triple, 3, stride))
        self.double_head = nn.Sequential(conv(channels_in, double_reduce, 1), conv(double_reduce, double, 3))
        self.double_tail = conv(double, double, 3, stride)
        self.pool: nn.Module = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if not strided:
            pool_layer = (nn.AvgPool2d if pool == "mean" else nn.MaxPool2d)(3, stride=1, padding=1)
            self.pool = nn.Sequential(pool_layer, conv(channels_in, proj, 1))
        self.channels = single + triple + double + (proj or channels_in)

    def join(self, x: Tensor, double: Tensor) -> Tensor:
        """The block's output, given its input and what ``double_head`` made of it."""
        branches = [self.triple(x), self.double_tail(double), self.pool(x)]
        if self.single is not None:
            branches.insert(0, self.single(x))
        return torch.cat(branches, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.double_head(x))


class BNInceptionLow(nn.Module):
    """Stem, 3a, 3b and the first two layers of 3c's double branch: ECO's 2D network.

    Shape: ``(B, 3, H, W)`` to ``(B, 96, H/8, W/8)``: 96x28x28 at 224 pixels.
    """

    channels = 96

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 64, 7, 2),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            conv(64, 64, 1),
            conv(64, 192, 3),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        )
        self.block_3a = InceptionBlock(192, *BLOCKS["3a"])
        self.block_3b = InceptionBlock(self.block_3a.channels, *BLOCKS["3b"])
        _, _, _, reduce, double, _, _ = BLOCKS["3c"]
        self.double_3c = nn.Sequential(conv(self.block_3b.channels, reduce, 1), conv(reduce, double, 3))
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.double_3c(self.block_3b(self.block_3a(self.stem(images))))


class BNInception(nn.Module):
    """The whole trunk without pool and classifier.

    Shape: ``(B, 3, H, W)`` to ``(B, 1024, H/32, W/32)``, each halving rounded up: 1024x7x7 at 224 pixels.
    """

    channels = 1024

    def __init__(self) -> None:
        super().__init__()
        low = BNInceptionLow()
        self.stem = low.stem
        self.low = nn.Sequential(low.block_3a, low.block_3b)
        self.block_3c = InceptionBlock(low.block_3b.channels, *BLOCKS["3c"])
        channels, blocks = self.block_3c.channels, []
        for name in list(BLOCKS)[3:]:
            blocks.append(InceptionBlock(channels, *BLOCKS[name]))
            channels = blocks[-1].channels
        self.high = nn.Sequential(*blocks)
        initialise(self)

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """ECO-Full's two: :class:`BNInceptionLow`'s output ``(B, 96, H/8, W/8)`` and the trunk's, sharing layers."""
        x = self.low(self.stem(images))
        double = self.block_3c.double_head(x)
        return double, self.high(self.block_3c.join(x, double))

    def forward(self, images: Tensor) -> Tensor:
        return self.both(images)[1]


def conv(channels_in: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with bias, batch norm, ReLU; padded to keep the size (halve it, rounded up, at stride 2)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def initialise(network: nn.Module) -> None:
    """Caffe's "xavier" for every convolution: uniform with variance 1 / fan-in; biases 0."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="linear")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
