"""TSN: a 2D network on a few frames spread over the video, the class scores averaged. Blind to the frames' order.

Paper: L. Wang, Y. Xiong, Z. Wang, Y. Qiao, D. Lin, X. Tang, L. Van Gool, "Temporal Segment Networks: Towards Good
Practices for Deep Action Recognition", ECCV 2016, arXiv:1608.00859.
Code read: yjxiong/tsn-pytorch@0fa418d (models.py), @357c863 (test_models.py); for ResNet-50 also
open-mmlab/mmaction2@0282c5c (configs/recognition/tsn/metafile.yml).
Departures: the RGB stream alone. Partial batch norm (all but the first frozen in training) is a training setting, left
to whoever trains. The ResNet-50 is torchvision's (stride in the 3x3 convolution).
"""

from torch import Tensor, nn
from torchvision.models import resnet50

from repro.models.blocks import check_clips
from repro.models.peers.bn_inception import BNInception


class TSN(nn.Module):
    """A trunk and a classifier on every frame, the scores averaged over frames.

    Shape: ``(B, N, 3, H, W)`` float, any N >= 1, H and W of 32 or more, to logits ``(B, classes)``.
    Raises ValueError for another shape.
    """

    def __init__(self, trunk: nn.Module, channels: int, *, classes: int, dropout: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = classifier(channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        features = self.pool(self.trunk(frames_as_batch(clips))).flatten(1)
        scores = self.fc(self.dropout(features))
        return scores.unflatten(0, clips.shape[:2]).mean(1)


def tsn_bn_inception(*, classes: int = 101) -> TSN:
    """TSN on BN-Inception, dropout 0.8 (the reference README's for RGB); see :class:`TSN` for shapes and errors."""
    return TSN(BNInception(), BNInception.channels, classes=classes, dropout=0.8)


def tsn_resnet50(*, classes: int = 174) -> TSN:
    """TSN on torchvision's ResNet-50, dropout 0.5; see :class:`TSN` for shapes and errors."""
    network = resnet50()
    channels = network.fc.in_features
    trunk = nn.Sequential(*list(network.children())[:-2])  # without pool and classifier
    return TSN(trunk, channels, classes=classes, dropout=0.5)


def frames_as_batch(clips: Tensor) -> Tensor:
    """``(B, N, 3, H, W)`` to ``(B * N, 3, H, W)``. Raises ValueError for another shape."""
    check_clips(clips)
    return clips.flatten(0, 1)


def classifier(channels: int, classes: int) -> nn.Linear:
    """A linear layer that starts as TSN's: weights normal with deviation 0.001, biases 0."""
    layer = nn.Linear(channels, classes)
    nn.init.normal_(layer.weight, std=0.001)
    nn.init.zeros_(layer.bias)
    return layer
