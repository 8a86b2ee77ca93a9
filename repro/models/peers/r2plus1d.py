"""R(2+1)D: each 3x3x3 convolution of a 3D ResNet as a 1x3x3 one, batch norm, ReLU and a 3x1x1 one.

Paper: D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri, "A Closer Look at Spatiotemporal Convolutions for
Action Recognition", CVPR 2018, arXiv:1711.11248.
Code read: facebookresearch/VMZ@a5235b3 (lib/models/builder/video_model.py), @7a96918 (c2/lib/models/r3d_model.py),
@03b22cf (pt/vmz/models/utils.py, r2plus1d.py), torchvision 0.29 (models/video/resnet.py).
The channels M between the two are chosen so that the pair has the parameters of the 3x3x3 convolution:
M = 27 in out / (9 in + 3 out), rounded down. VMZ computes it for every convolution; torchvision computes it once a
block, from the first convolution, and so has fewer channels in the second where a block changes width (230 instead of
288 at 64 to 128). ``r2plus1d_18`` is torchvision's and keeps that; ``r2plus1d_34`` follows VMZ, made of torchvision's
parts and VMZ's M (as VMZ's own PyTorch port is).
Departures of ``r2plus1d_34``: batch norm has VMZ's epsilon 0.001 but PyTorch's momentum 0.1: Caffe2's 0.9 means that.
"""

from torch import nn
from torchvision.models.video import resnet

from repro.models.peers.parts import ChannelsFirst

CAFFE2_EPSILON = 1e-3


class Conv2Plus1D(resnet.Conv2Plus1D):
    """torchvision's pair of convolutions, with the paper's channels between the two (Section 3.5)."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1) -> None:
        super().__init__(in_planes, out_planes, middle_channels(in_planes, out_planes), stride, padding)


def middle_channels(channels_in: int, channels_out: int) -> int:
    """Channels M between the 1x3x3 and the 3x1x1 convolution, as many parameters as one 3x3x3 has."""
    return 27 * channels_in * channels_out // (9 * channels_in + 3 * channels_out)


def r2plus1d_18(*, classes: int = 400) -> ChannelsFirst:
    """torchvision's R(2+1)D-18; published on 16 frames of 112x112, runs on any size.

    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """
    return ChannelsFirst(resnet.r2plus1d_18(num_classes=classes))


def r2plus1d_34(*, classes: int = 400) -> ChannelsFirst:
    """R(2+1)D-34 (Tran 2018); published on 8 and 32 frames of 112x112. Shapes as in :func:`r2plus1d_18`."""
    network = resnet.VideoResNet(
        block=resnet.BasicBlock,
        conv_makers=[Conv2Plus1D] * 4,
        layers=[3, 4, 6, 3],
        stem=resnet.R2Plus1dStem,
        num_classes=classes,
    )
    for part in network.modules():
        if isinstance(part, nn.BatchNorm3d):
            part.eps = CAFFE2_EPSILON
    return ChannelsFirst(network)
