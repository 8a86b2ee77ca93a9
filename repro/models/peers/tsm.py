"""TSM: a 2D ResNet-50 in which a quarter of each residual branch's channels comes from the frame before or after.

Paper: J. Lin, C. Gan, S. Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019,
arXiv:1811.08383.
Code read: mit-han-lab/temporal-shift-module@4759ad8 (ops/temporal_shift.py: place "blockres", 1/8 of the channels each
way) and @0185b90 (README.md).
Departures: none in the layers, which are torchvision's ResNet-50 with the same names, so its weights load. The number
of frames comes from the input instead of being fixed at construction.
"""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from repro.models.peers.tsn import classifier, frames_as_batch

FRACTION = 8  # 1/8 of the channels from the next frame, 1/8 from the one before


class ShiftedBottleneck(Bottleneck):
    """torchvision's bottleneck, its residual branch on shifted input. Shape: ``(B, N, C, h, w)`` to the same order."""

    def forward(self, x: Tensor) -> Tensor:
        identity = x.flatten(0, 1)
        if self.downsample is not None:
            identity = self.downsample(identity)
        out = temporal_shift(x).flatten(0, 1)
        out = self.relu(self.bn1(self.conv1(out)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + identity).unflatten(0, x.shape[:2])


class TSMResNet50(ResNet):
    """ResNet-50 with a temporal shift in each of its 16 residual branches, scores averaged over frames.

    Shape: ``(B, N, 3, H, W)`` float, any N >= 1 (published with 8 and 16), H and W of 32 or more, to logits
    ``(B, classes)``. Raises ValueError for another shape.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__(ShiftedBottleneck, [3, 4, 6, 3])
        self.fc: nn.Linear = classifier(512 * ShiftedBottleneck.expansion, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(frames_as_batch(clips)))))
        x = x.unflatten(0, clips.shape[:2])
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.dropout(x.mean((3, 4)))).mean(1)


def temporal_shift(x: Tensor, fraction: int = FRACTION) -> Tensor:
    """The first 1/fraction of the channels from the next frame, the second from the one before, zero at the ends.

    Shape: ``(B, N, C, h, w)`` to the same.
    """
    fold = x.shape[2] // fraction
    nothing = torch.zeros_like(x[:, :1, :fold])
    from_next = torch.cat([x[:, 1:, :fold], nothing], 1)
    from_last = torch.cat([nothing, x[:, :-1, fold : 2 * fold]], 1)
    return torch.cat([from_next, from_last, x[:, :, 2 * fold :]], 2)
