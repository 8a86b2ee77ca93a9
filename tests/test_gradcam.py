"""Grad-CAM on networks whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from repro.metrics.gradcam import STRIDES, gradcam_maps, stage_of
from repro.models import build
from repro.models.fused import FusedNet


class Brightness(nn.Module):
    """A trunk whose maps are the frame's own channels, a sixteenth a side."""

    def __init__(self):
        super().__init__()
        self.layer4 = nn.AvgPool2d(16)

    def forward(self, frames):
        return self.layer4(frames)


class Sum(nn.Module):
    """Logits: the sum of channel 0, and its negative."""

    def forward(self, maps):
        total = maps[:, 0].sum((1, 2, 3))
        return torch.stack([total, -total], 1)


def bright_spot() -> torch.Tensor:
    clip = torch.zeros(2, 3, 128, 128)
    clip[1, 0, 96:112, 16:32] = 1.0
    return clip


def test_the_map_is_where_the_evidence_is():
    maps = gradcam_maps(FusedNet(Brightness(), Sum()), bright_spot(), 0)
    assert maps.shape == (2, 8, 8) and maps.max() == 1
    assert np.argwhere(maps == 1).tolist() == [[1, 6, 1]] and maps.sum() == 1


def test_without_evidence_for_a_class_the_map_is_empty():
    assert not gradcam_maps(FusedNet(Brightness(), Sum()), bright_spot(), 1).any()


@pytest.mark.parametrize("size, stage", [(224, "layer4"), (112, "layer4"), (96, "layer3"), (64, "layer3")])
def test_stage(size, stage):
    assert stage_of(size) == stage
    network = build("res34_se_im_net", classes=2, width=0.0625)
    maps = gradcam_maps(network, torch.rand(2, 3, size, size), 1)
    cells = -(-size // STRIDES[stage])
    assert maps.shape == (2, cells, cells) and maps.min() >= 0


def test_explaining_leaves_no_gradient_behind():
    network = build("resnet34_3dres18", classes=2, width=0.0625)
    gradcam_maps(network, torch.rand(2, 3, 64, 64), 0)
    assert all(parameter.grad is None for parameter in network.parameters())
