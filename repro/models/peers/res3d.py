"""Res3D-18, and R3D-18 as torchvision has it: ResNet-18 with 3x3x3 convolutions and no pool after the stem.

Papers: D. Tran, J. Ray, Z. Shou, S.-F. Chang, M. Paluri, "ConvNet Architecture Search for Spatiotemporal Feature
Learning", 2017, arXiv:1708.05038 (Res3D); D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri, "A Closer Look
at Spatiotemporal Convolutions for Action Recognition", CVPR 2018, arXiv:1711.11248 (R3D).
Code read: facebookarchive/C3D@f313164 (C3D-v1.1/examples/c3d_ucf101_finetuning/train_resnet18_r2.prototxt: Res3D),
facebookresearch/VMZ@7a96918 (c2/lib/models/r3d_model.py: R3D), torchvision 0.29 (models/video/resnet.py).
The one difference between the two: Res3D's first block has a 1x1x1 projection shortcut with batch norm although its
shape does not change. All else is torchvision's VideoResNet, initial weights included (Kaiming by fan-out, classifier
0.01, as in the prototxt).
Departures: the average pool is global where Res3D has 1x7x7, the same at 8 frames of 112x112.
"""

from torch import nn
from torchvision.models.video import resnet

from repro.models.peers.parts import ChannelsFirst


def res3d_18(*, classes: int = 101) -> ChannelsFirst:
    """Res3D-18 (Tran 2017); published on 8 frames of 112x112, runs on any size.

    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """
    network = resnet.r3d_18(num_classes=classes)
    projection = nn.Conv3d(64, 64, 1, bias=False)
    nn.init.kaiming_normal_(projection.weight, mode="fan_out", nonlinearity="relu")
    network.layer1[0].downsample = nn.Sequential(projection, nn.BatchNorm3d(64))
    return ChannelsFirst(network)


def r3d_18(*, classes: int = 400) -> ChannelsFirst:
    """torchvision's R3D-18; published on 16 frames of 112x112, runs on any size. Shapes as in :func:`res3d_18`."""
    return ChannelsFirst(resnet.r3d_18(num_classes=classes))
