"""What turns the frames' maps into class scores: the 3D ResNet-18 head, and the control that only averages frames."""

from torch import Tensor, nn

from repro.models.blocks import BasicBlock, TemporalGate
from repro.models.trunk import scaled

HEAD_CHANNELS = (128, 256, 512)


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
