"""What in each frame speaks for a class: Grad-CAM (Selvaraju et al., ICCV 2017, as captum computes it) on the trunk."""

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import Tensor

from repro.models.fused import FusedNet

STAGES = ("layer4", "layer3", "layer2", "layer1")
FEWEST_CELLS = 4  # a side of a map: a coarser one names no place


def stage_of(network: FusedNet, size: int) -> str:
    """The trunk's deepest stage whose map has `FEWEST_CELLS` a side or more for frames of ``size`` pixels.

    At 224 pixels the last one, 7x7; at 64 pixels the third, 4x4. Raises ValueError where no stage has.
    """
    strides = dict(zip(STAGES, (32, 16, 8, 4)))
    for stage in STAGES:
        if -(-size // strides[stage]) >= FEWEST_CELLS:
            return stage
    raise ValueError(f"size: {size} pixels leave every map of the trunk smaller than {FEWEST_CELLS}x{FEWEST_CELLS}")


def gradcam_maps(network: FusedNet, clip: Tensor, label: int) -> np.ndarray:
    """Grad-CAM of one class: where each frame speaks for it, float ``(N, h, w)``, 0 to 1.

    clip: ``(N, 3, H, W)`` float, normalised. label: the class whose logit is explained. 1 is the clip's largest value,
    so frames of one clip compare with one another and clips do not; a clip without any positive evidence is all 0. The
    network is put into evaluation mode. Raises ValueError for a label that it has no logit for.
    """
    network.eval()
    layer = getattr(network.trunk, stage_of(network, clip.shape[-1]))
    with torch.no_grad():
        classes = network(clip[None]).shape[1]
    if not 0 <= label < classes:
        raise ValueError(f"label: {label} is no class of this network, which has {classes}")
    maps = LayerGradCam(network, layer).attribute(clip[None], target=label, relu_attributions=True)
    maps = maps.detach()[:, 0].float().cpu().numpy()
    return maps / maps.max() if maps.max() > 0 else maps
