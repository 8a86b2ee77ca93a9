"""What in each frame speaks for a class: Grad-CAM (Selvaraju et al., ICCV 2017, as captum computes it) on the trunk."""

import numpy as np
from captum.attr import LayerGradCam
from torch import Tensor

from repro.models.fused import FusedNet

STRIDES = {"layer4": 32, "layer3": 16, "layer2": 8, "layer1": 4}  # of the trunk's stages
FEWEST_CELLS = 4  # a side of a map: a coarser one names no place


def stage_of(size: int) -> str:
    """The trunk's deepest stage whose map has `FEWEST_CELLS` a side or more for frames of ``size`` pixels.

    At 224 pixels the last one, 7x7; at 64 pixels, the fewest that the network takes, the third, 4x4.
    """
    return next(stage for stage, stride in STRIDES.items() if -(-size // stride) >= FEWEST_CELLS)


def gradcam_maps(network: FusedNet, clip: Tensor, label: int) -> np.ndarray:
    """Grad-CAM of one class: where each frame speaks for it, float ``(N, h, w)``, 0 to 1.

    clip: ``(N, 3, H, W)`` float, normalised. label: the class whose logit is explained. 1 is the clip's largest value,
    so frames of one clip compare with one another and clips do not; a clip without any positive evidence is all 0. The
    network is put into evaluation mode.
    """
    network.eval()
    layer = getattr(network.trunk, stage_of(clip.shape[-1]))
    maps = LayerGradCam(network, layer).attribute(clip[None], target=label, relu_attributions=True)
    maps = maps.detach()[:, 0].float().cpu().numpy()
    return maps / maps.max() if maps.max() > 0 else maps
