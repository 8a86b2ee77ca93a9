"""Two-stream: one network on a frame, one on a stack of optical flow, their class scores averaged.

Paper: K. Simonyan, A. Zisserman, "Two-Stream Convolutional Networks for Action Recognition in Videos", NeurIPS 2014,
arXiv:1406.2199; with VGG-16 after C. Feichtenhofer, A. Pinz, A. Zisserman, "Convolutional Two-Stream Network Fusion
for Video Action Recognition", CVPR 2016, arXiv:1604.06573.
Code read: feichtenhofer/twostreamfusion@9c8caa6 (cnn_ucf101_temporal.m: 20 flow channels of 224x224, the first layer's
weights averaged over RGB and repeated, VGG-16 or VGG-M-2048 as the base).
Departures: both networks are torchvision's VGG-16 where the 2014 paper has CNN-M-2048 (by memory of it); late fusion by
averaging only (no SVM, no convolutional fusion). Dropout is torchvision's 0.5.
"""

import math

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

FLOW_CHANNELS = 20  # 10 fields, horizontal and vertical


class TwoStream(nn.Module):
    """Spatial and temporal network, softmax scores averaged.

    Shape: frames ``(B, 1, 3, H, W)`` and flow ``(B, 20, H, W)``, float, H and W of 32 or more (published at 224), to
    logits ``(B, classes)`` whose softmax is the average of the two networks' softmax. The paper trains the two apart.
    Raises ValueError for other shapes.
    """

    def __init__(self, spatial: nn.Module, temporal: nn.Module) -> None:
        super().__init__()
        self.spatial = spatial
        self.temporal = temporal

    def forward(self, frames: Tensor, flow: Tensor) -> Tensor:
        if frames.ndim != 5 or tuple(frames.shape[1:3]) != (1, 3):
            raise ValueError(f"frames must be (batch, 1, 3, height, width), not {tuple(frames.shape)}")
        if flow.ndim != 4 or flow.shape[1] != FLOW_CHANNELS:
            raise ValueError(f"flow must be (batch, {FLOW_CHANNELS}, height, width), not {tuple(flow.shape)}")
        spatial = self.spatial(frames.squeeze(1)).log_softmax(1)
        temporal = self.temporal(flow).log_softmax(1)
        return torch.logaddexp(spatial, temporal) - math.log(2)


def two_stream(*, classes: int = 101) -> TwoStream:
    """Two VGG-16; see :class:`TwoStream` for shapes and errors."""
    temporal = vgg16(num_classes=classes)
    temporal.features[0] = nn.Conv2d(FLOW_CHANNELS, 64, 3, padding=1)
    nn.init.kaiming_normal_(temporal.features[0].weight, mode="fan_out", nonlinearity="relu")  # torchvision's
    nn.init.zeros_(temporal.features[0].bias)
    return TwoStream(vgg16(num_classes=classes), temporal)
