"""The two networks of the paper, one with temporal attention and the frame-averaging control: one module, factories."""

import copy

import torch
from torch import Tensor, nn

from repro.models.blocks import check_clips, initialise
from repro.models.head import FrameAverageHead, ResNet18Head3d
from repro.models.trunk import ResNet34Trunk

Stride = tuple[int, int, int]  # in time, height, width

SMALLEST_INPUT = 64  # pixels: below this the trunk's last map is a single cell


class FusedNet(nn.Module):
    """A 2D trunk on every frame, the maps stacked in time (Equations 1 and 2), a head on the stack (Equation 3).

    Shape: ``(B, N, 3, H, W)`` float, RGB, ImageNet-normalised, N >= 1, H and W >= 64, to logits ``(B, classes)``;
    Equation 3's softmax is left to the loss and to whoever wants probabilities.
    Raises ValueError for another shape.
    """

    def __init__(self, trunk: ResNet34Trunk, head: ResNet18Head3d | FrameAverageHead) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        initialise(self)

    def stack(self, clips: Tensor) -> Tensor:
        """The temporal feature map TFM of Equation 2: ``(B, 512 * width, N, H/32, W/32)``."""
        check_clips(clips)
        if clips.shape[1] < 1 or min(clips.shape[3:]) < SMALLEST_INPUT:
            raise ValueError(
                f"clips need 1 frame or more of {SMALLEST_INPUT} pixels or more a side, not {tuple(clips.shape)}"
            )
        maps = self.trunk(clips.flatten(0, 1))
        return maps.unflatten(0, clips.shape[:2]).transpose(1, 2)

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(self.stack(clips))


def resnet34_3dres18(
    *, classes: int, width: float = 1.0, dropout: float = 0.5, head_stride: Stride = (2, 2, 2)
) -> FusedNet:
    """The paper's baseline ResNet34-3DRes18. ``width`` 1 is the paper's; smaller ones are for laptops."""
    return res34_se_im_net(classes=classes, width=width, dropout=dropout, head_stride=head_stride, gate="none")


def res34_se_im_net(
    *,
    classes: int,
    width: float = 1.0,
    dropout: float = 0.5,
    head_stride: Stride = (2, 2, 2),
    gate: str = "se_im",
    reduction: int = 16,
    gate_bias: float = 0.0,
) -> FusedNet:
    """The paper's Res34-SE-IM-Net: the same network with a gate in each of the trunk's 16 units (Equation 4).

    ``gate`` chooses other readings and controls, see :data:`repro.models.blocks.GATES`.
    """
    trunk = ResNet34Trunk(width=width, gate=gate, reduction=reduction, gate_bias=gate_bias)
    return FusedNet(trunk, ResNet18Head3d(trunk.channels, classes, width=width, stride=head_stride, dropout=dropout))


def res34_se_im_ta_net(
    *,
    classes: int,
    width: float = 1.0,
    dropout: float = 0.5,
    head_stride: Stride = (2, 2, 2),
    gate: str = "se_im",
    reduction: int = 16,
    gate_bias: float = 0.0,
) -> FusedNet:
    """Res34-SE-IM-Net with temporal attention in the head: the paper's future work as this study reads it.

    See :class:`repro.models.blocks.TemporalGate`; ``reduction`` is the ratio of both kinds of gate, ``gate``
    and ``gate_bias`` are the trunk's alone.
    """
    trunk = ResNet34Trunk(width=width, gate=gate, reduction=reduction, gate_bias=gate_bias)
    head = ResNet18Head3d(
        trunk.channels, classes, width=width, stride=head_stride, dropout=dropout, temporal_reduction=reduction
    )
    return FusedNet(trunk, head)


def resnet34_frame_average(*, classes: int, width: float = 1.0, dropout: float = 0.5) -> FusedNet:
    """The control: the same trunk, features averaged over frames. It cannot see the order of frames."""
    trunk = ResNet34Trunk(width=width)
    return FusedNet(trunk, FrameAverageHead(trunk.channels, classes, dropout=dropout))


def check_trainable(network: nn.Module, *, batch: int, frames: int, size: int) -> None:
    """Refuse, before the first step, a training shape that leaves a batch norm one value per channel.

    Costs no arithmetic: a copy of the network runs on the meta device.
    Raises ValueError that names the layer and the mend.
    """
    probe = copy.deepcopy(network).to("meta").eval()

    def look(name: str, maps: Tensor) -> None:
        if maps.numel() // maps.shape[1] < 2:
            raise ValueError(
                f"a batch of {batch} clip(s) with {frames} frame(s) of {size} pixels leaves batch norm {name} one "
                "value per channel, so training cannot normalise; use 2 or more clips a batch (the last, partial batch "
                "counts too), more frames or a larger size"
            )

    for name, module in probe.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda _module, inputs, name=name: look(name, inputs[0]))
    probe(torch.empty(batch, frames, 3, size, size, device="meta"))
