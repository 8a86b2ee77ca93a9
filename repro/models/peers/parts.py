"""What several families are made of: a turn of the input's axes, a convolution with its batch norm, a residual unit."""

from typing import Any

from torch import Tensor, nn

from repro.models.blocks import check_clips

Extent = int | tuple[int, int, int]


def channels_first(clips: Tensor) -> Tensor:
    """``(B, N, 3, H, W)`` to ``(B, 3, N, H, W)``, a view. Raises ValueError for another shape."""
    check_clips(clips)
    return clips.transpose(1, 2)


def check_size(clips: Tensor, *, frames: int, size: int, because: str) -> None:
    """Raise ValueError unless clips are ``(B, frames, 3, size, size)``; ``because`` ends the message."""
    if tuple(clips.shape[1:]) != (frames, 3, size, size):
        raise ValueError(f"clips must be (batch, {frames}, 3, {size}, {size}), not {tuple(clips.shape)}: {because}")


class ChannelsFirst(nn.Module):
    """A network of clips ``(B, 3, N, H, W)`` behind this project's input order.

    ``fixed``: (frames, size, reason) of a network that runs at one input alone.
    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """

    def __init__(self, network: nn.Module, *, fixed: tuple[int, int, str] | None = None) -> None:
        super().__init__()
        self.network = network
        self.fixed = fixed

    def forward(self, clips: Tensor) -> Tensor:
        if self.fixed is not None:
            frames, size, because = self.fixed
            check_size(clips, frames=frames, size=size, because=because)
        return self.network(channels_first(clips))


def conv_norm(
    channels_in: int,
    channels: int,
    kernel: Extent,
    *,
    stride: Extent = 1,
    groups: int = 1,
    relu: bool = True,
    dims: int = 3,
) -> nn.Sequential:
    """Convolution without bias, padded to keep the size at stride 1, batch norm and, unless told otherwise, ReLU.

    Unpacked within a longer Sequential it takes less memory: a nested one's input lives until its last layer is done.
    """
    conv: Any = nn.Conv2d if dims == 2 else nn.Conv3d
    norm = nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d
    padding = kernel // 2 if isinstance(kernel, int) else tuple(length // 2 for length in kernel)
    layers = [
        conv(channels_in, channels, kernel, stride=stride, padding=padding, groups=groups, bias=False),
        norm(channels),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Residual(nn.Module):
    """ReLU of a branch plus a shortcut, which is a 1x1x1 projection with batch norm where the shape changes.

    Shape: that of the branch.
    """

    def __init__(
        self, branch: nn.Module, channels_in: int, channels_out: int, *, stride: Extent = 1, dims: int = 3
    ) -> None:
        super().__init__()
        self.branch = branch
        self.downsample = None
        if channels_in != channels_out or stride not in (1, (1,) * dims):
            self.downsample = conv_norm(channels_in, channels_out, 1, stride=stride, relu=False, dims=dims)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + (x if self.downsample is None else self.downsample(x)))
