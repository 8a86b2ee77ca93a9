"""ECO: the low part of BN-Inception on every frame, the maps stacked in time, a 3D ResNet-18 on the stack.

Paper: M. Zolfaghari, K. Singh, T. Brox, "ECO: Efficient Convolutional Network for Online Video Understanding",
ECCV 2018, arXiv:1804.09066.
Code read: mzolfaghari/ECO-efficient-video-understanding@f864450 (models_ECO_Lite/kinetics/deploy.prototxt,
models_ECO_Full/kinetics/deploy.prototxt). The 2D part ends after the first 3x3 of inception_3c's double branch, where
the map is still 28x28; res3 has three convolutions, not four; sums are of raw convolution outputs, batch norm and ReLU
follow; the strided shortcuts are 3x3x3 convolutions without batch norm; every convolution has a bias. ECO-Full adds
the rest of BN-Inception on every frame, averages its features over frames and joins both vectors before the classifier.
Departures: both average pools take the whole map, which is the prototxt's window (4 x 7 x 7 at 16 frames, N/4 in
general) at 224 pixels, so that smaller images run too.
N must be a multiple of 4: the window N/4 covers the map only then. Dropout as in those files: 0.3 (Lite), 0.5 on the 3D
and 0.6 on the 2D features (Full).
"""

import torch
from torch import Tensor, nn

from repro.models.peers.bn_inception import BNInception, BNInceptionLow, initialise
from repro.models.peers.tsn import frames_as_batch


class PreActivated(nn.Module):
    """Batch norm, ReLU, then two 3x3x3 convolutions, added to the raw input or to its 3x3x3 projection.

    Shape: ``(B, channels_in, N, h, w)`` to ``(B, channels, N, h, w)``, all three halved (rounded up) at stride 2.
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm3d(channels_in)
        self.conv1 = nn.Conv3d(channels_in, channels, 3, stride, 1)
        self.bn2 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, 1, 1)
        self.downsample = nn.Conv3d(channels_in, channels, 3, stride, 1) if stride > 1 else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, raw: Tensor) -> Tensor:
        x = self.relu(self.bn1(raw))
        shortcut = raw if self.downsample is None else self.downsample(x)
        return self.conv2(self.relu(self.bn2(self.conv1(x)))) + shortcut


class ECOHead3d(nn.Sequential):
    """ECO's 3D network. Shape: ``(B, 96, N, h, w)`` to ``(B, 512, N/4, h/4, w/4)``."""

    channels = 512

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(BNInceptionLow.channels, 128, 3, 1, 1),  # res3a
            PreActivated(128, 128),  # res3b
            PreActivated(128, 256, stride=2),  # res4a
            PreActivated(256, 256),
            PreActivated(256, 512, stride=2),  # res5a
            PreActivated(512, 512),
            nn.BatchNorm3d(512),
            nn.ReLU(inplace=True),
        )
        initialise(self)


class ECOLite(nn.Module):
    """2D network, 3D network, classifier.

    Shape: ``(B, N, 3, H, W)`` float, N a multiple of 4 (published with 4 to 32), H and W of 32 or more, to logits
    ``(B, classes)``. Raises ValueError for another shape.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.trunk = BNInceptionLow()
        self.head = ECOHead3d()
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(ECOHead3d.channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        maps = self.trunk(frames_in_fours(clips))
        x = self.head(in_time(maps, clips)).mean((2, 3, 4))
        return self.fc(self.dropout(x))


class ECOFull(nn.Module):
    """ECO-Lite and, beside its 3D network, the rest of BN-Inception averaged over frames; shapes as ECO-Lite."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.trunk = BNInception()
        self.head = ECOHead3d()
        self.dropout = nn.Dropout(0.5)
        self.dropout_2d = nn.Dropout(0.6)
        self.fc = nn.Linear(BNInception.channels + ECOHead3d.channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        low, high = self.trunk.both(frames_in_fours(clips))
        in_3d = self.dropout(self.head(in_time(low, clips)).mean((2, 3, 4)))
        in_2d = self.dropout_2d(high.mean((2, 3))).unflatten(0, clips.shape[:2]).mean(1)
        return self.fc(torch.cat([in_2d, in_3d], 1))


def frames_in_fours(clips: Tensor) -> Tensor:
    """``(B, N, 3, H, W)`` to ``(B * N, 3, H, W)``. Raises ValueError for another shape, or N not a multiple of 4."""
    images = frames_as_batch(clips)
    if clips.shape[1] % 4:
        raise ValueError(f"ECO's pool takes numbers of frames that are multiples of 4, not {clips.shape[1]}")
    return images


def in_time(maps: Tensor, clips: Tensor) -> Tensor:
    """Maps of frames ``(B * N, C, h, w)`` to ``(B, C, N, h, w)``, B and N being those of the clips."""
    return maps.unflatten(0, clips.shape[:2]).transpose(1, 2)
