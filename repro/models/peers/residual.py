"""What several families are made of: a convolution with its batch norm, and a unit of a branch and a shortcut."""

from typing import Any

from torch import Tensor, nn

LAYERS: dict[int, tuple[Any, Any]] = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}

Extent = int | tuple[int, int, int]


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
    conv, norm = LAYERS[dims]
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
