"""The two networks of the paper, one with temporal attention and the frame-averaging control: trunk, heads, factories.

The trunk is ResNet-34 up to layer 4, run on every sampled frame (paper, sections "ResNet34 network", Table 1).
"""

import copy

import torch
from torch import Tensor, nn

from repro.models.blocks import BasicBlock, TemporalGate, check_clips, initialise, make_gate

Stride = tuple[int, int, int]  # in time, height, width

SMALLEST_INPUT = 64  # pixels: below this the trunk's last map is a single cell
TRUNK_BLOCKS = (3, 4, 6, 3)  # 16 units
TRUNK_CHANNELS = (64, 128, 256, 512)
HEAD_CHANNELS = (128, 256, 512)


def scaled(channels: int, width: float) -> int:
    """Channels at a width factor, at least 4. Width 1 is the paper's network."""
    return max(4, round(channels * width))


class ResNet34Trunk(nn.Module):
    """ResNet-34 without pooling and classifier; every unit may carry a gate.

    Shape: ``(frames, 3, H, W)`` float, RGB, ImageNet-normalised, to ``(frames, 512 * width, ceil(H/32), ceil(W/32))``.
    """

    def __init__(self, *, width: float = 1.0, gate: str = "none", reduction: int = 16, gate_bias: float = 0.0) -> None:
        super().__init__()
        widths = [scaled(channels, width) for channels in TRUNK_CHANNELS]
        self.channels = widths[-1]
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels_in = widths[0]
        stages = []
        for stage, (blocks, channels) in enumerate(zip(TRUNK_BLOCKS, widths)):
            units = []
            for unit in range(blocks):
                stride = 2 if stage > 0 and unit == 0 else 1
                branch_gate = make_gate(gate, channels, reduction=reduction, bias=gate_bias)
                units.append(BasicBlock(channels_in, channels, stride=stride, gate=branch_gate))
                channels_in = channels
            stages.append(nn.Sequential(*units))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, frames: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(frames))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class ResNet18Head3d(nn.Module):
    """Three stages of two 3x3x3 BasicBlocks, global average pool, dropout, classifier (paper, Table 1).

    The text states kernels, channels, pooling and dropout, not the strides: this is reading A of the ledger of
    assumptions, 128 (stride 1), 256 and 512 (each ``stride`` in time, height, width), 1x1x1 projection shortcuts.
    ``temporal_reduction`` puts a `TemporalGate` of that ratio into each of the six units: not the paper's.

    Shape: ``(B, channels_in, N, h, w)`` to logits ``(B, classes)``.
    """

    def __init__(
        self,
        channels_in: int,
        classes: int,
        *,
        width: float = 1.0,
        stride: tuple[int, int, int] = (2, 2, 2),
        dropout: float = 0.5,
        temporal_reduction: int | None = None,
    ) -> None:
        super().__init__()

        def unit(channels_in: int, channels: int, stride: int | tuple[int, ...] = 1) -> BasicBlock:
            gate = TemporalGate(channels, reduction=temporal_reduction) if temporal_reduction else None
            return BasicBlock(channels_in, channels, stride=stride, dims=3, gate=gate)

        stages = []
        for stage, channels in enumerate(scaled(c, width) for c in HEAD_CHANNELS):
            first = unit(channels_in, channels, tuple(stride) if stage else 1)
            stages.append(nn.Sequential(first, unit(channels, channels)))
            channels_in = channels
        self.stage1, self.stage2, self.stage3 = stages
        # The published ECO code pools a fixed (N/4, 7, 7) window, which cannot run on the 4x2x2 map left here.
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels_in, classes)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(maps)))
        return self.fc(self.dropout(self.pool(x).flatten(1)))


class FrameAverageHead(nn.Module):
    """Average over space and time, dropout, classifier: blind to the order of frames. The control for the 3D head.

    Shape: ``(B, channels_in, N, h, w)`` to logits ``(B, classes)``.
    """

    def __init__(self, channels_in: int, classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels_in, classes)

    def forward(self, maps: Tensor) -> Tensor:
        return self.fc(self.dropout(maps.mean((2, 3, 4))))


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
