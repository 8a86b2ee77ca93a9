"""Residual units of the 2D trunk and the 3D head, and the channel gate of Res34-SE-IM-Net.

Sources: BasicBlock, He et al. 2016 (ref. 14); squeeze and excitation, Hu et al. 2018 (ref. 16); SE-IM-BasicBlock,
Equation 4 and Fig. 4c of the paper. Parameter names follow torchvision's ResNet so that its weights load by name.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

GATES = ("none", "se_im", "se", "se_im_vector", "times_0.5", "times_1", "times_1.25", "times_1.5", "times_2")
"""What is done to the residual branch f before it is added to the shortcut x.

- ``none``          x + f            the plain BasicBlock (ResNet34-3DRes18)
- ``se_im``         x + (f + s * f)  Equation 4 with f_SE(f) = s * f (Res34-SE-IM-Net); the branch is scaled by 1 + s
- ``se``            x + s * f        plain squeeze and excitation
- ``se_im_vector``  x + (f + s)      Equation 4's other reading: f_SE(f) is the gate vector itself
- ``times_c``       x + c * f        the controls without a gate; c = 1.5 is 1 + s at an untrained gate (s = 0.5)
"""


def hidden_units(channels: int, reduction: int) -> int:
    """Hidden units of a gate: channels / r, in narrow networks at least 4."""
    return max(4, channels // reduction)


class Gate(nn.Module):
    """Squeeze and excitation on a residual branch.

    Args:
        mode: one of ``se_im``, ``se``, ``se_im_vector`` (see :data:`GATES`).
        reduction: ratio r between the channels and the hidden units.
        bias: start value of the last layer's bias. 0 gives s near 0.5; a negative one starts the gate closed, which
            leaves pre-trained weights undisturbed under ``se_im``.

    Shape: ``(B, channels, H, W)`` to the same.
    """

    def __init__(self, channels: int, *, mode: str, reduction: int = 16, bias: float = 0.0) -> None:
        super().__init__()
        hidden = hidden_units(channels, reduction)
        self.mode = mode
        self.fixed: Tensor | None = None  # s for every input, (1, channels, 1, 1): see repro.metrics.gates.gates_fixed
        self.fc1 = nn.Linear(channels, hidden)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels)
        nn.init.constant_(self.fc2.bias, bias)

    def weights(self, branch: Tensor) -> Tensor:
        """The gate's s, in (0, 1), shape ``(B, channels, 1, 1)``."""
        squeezed = branch.mean((2, 3))
        return self.fc2(self.relu(self.fc1(squeezed))).sigmoid()[:, :, None, None]

    def forward(self, branch: Tensor) -> Tensor:
        s = self.weights(branch) if self.fixed is None else self.fixed.to(branch)
        if self.mode == "se_im":
            return branch * (1 + s)  # f + s * f with one pass over the large tensor
        if self.mode == "se":
            return branch * s
        return branch + s


class TemporalGate(nn.Module):
    """Temporal attention on a residual branch of the 3D head: a squeeze over space, a gate over time and channel.

    Not the paper's: its closing section leaves it to future work ("designing some temporal attention modules and adding
    them to the model to increase the model's discrimination of different frames in a video"), and this is the study's
    reading of it. As in Equation 4 the branch is multiplied by 1 + s, so that nothing is ever shut off; the first layer
    sees a step and its two neighbours, so that s can tell a beginning from an end. An untrained gate thus scales every
    branch of the head by about 1.5, as Equation 4's does in the trunk. ``reduction``: as of :class:`Gate`.

    Shape: ``(B, channels, T, H, W)`` to the same, any T.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = hidden_units(channels, reduction)
        self.conv1 = nn.Conv1d(channels, hidden, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv1d(hidden, channels, 1)

    def weights(self, branch: Tensor) -> Tensor:
        """The gate's s, in (0, 1), shape ``(B, channels, T, 1, 1)``."""
        squeezed = branch.mean((3, 4))
        return self.conv2(self.relu(self.conv1(squeezed))).sigmoid()[..., None, None]

    def forward(self, branch: Tensor) -> Tensor:
        return branch * (1 + self.weights(branch))


class Constant(nn.Module):
    """The branch times a constant: the control that has no gate. 1.5 is what Equation 4 does with an untrained one."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, branch: Tensor) -> Tensor:
        return branch * self.factor


def make_gate(mode: str, channels: int, *, reduction: int = 16, bias: float = 0.0) -> nn.Module | None:
    """The module for one of :data:`GATES`; None for ``none``."""
    if mode not in GATES:
        raise ValueError(f"gate: {mode!r} is not one of {', '.join(GATES)}")
    if mode == "none":
        return None
    if mode.startswith("times_"):
        return Constant(float(mode.removeprefix("times_")))
    return Gate(channels, mode=mode, reduction=reduction, bias=bias)


class Conv3d(nn.Conv3d):
    """``nn.Conv3d`` that leaves out what only meets padding, for maps of one cell: the same result, sooner.

    Along an axis of length 1 a kernel of 3 with a padding of 1 reaches the map with its middle alone. The head's last
    maps are 1x1 at 112 pixels; leaving out the rest there halves the head's training time on a CPU. On the meta device,
    where networks are counted, it is the whole kernel, as published counts have it.
    """

    def forward(self, x: Tensor) -> Tensor:
        middle = [
            length == 1 and kernel == 3 and padding == 1
            for length, kernel, padding in zip(x.shape[-3:], self.kernel_size, self.padding)
        ]
        if not any(middle) or x.is_meta:
            return super().forward(x)
        weight = self.weight[(..., *(slice(1, 2) if each else slice(None) for each in middle))]
        padding: Any = tuple(0 if each else self.padding[axis] for axis, each in enumerate(middle))
        return functional.conv3d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)


class BasicBlock(nn.Module):
    """Two 3x3 (or 3x3x3) convolutions and a shortcut; ReLU after the sum.

    Where the shape changes the shortcut is a 1x1 convolution with batch norm, as in torchvision. The gate acts on the
    branch alone, before the sum (the paper's text leaves this open; see the ledger of assumptions). ``dims``: 2 for
    images, 3 for stacks of maps; ``stride``: of the first convolution, one number or one per dimension.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int | tuple[int, ...] = 1,
        dims: int = 2,
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        conv: Any = nn.Conv2d if dims == 2 else Conv3d
        norm = nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d
        self.conv1 = conv(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2: nn.BatchNorm2d | nn.BatchNorm3d = norm(channels_out)
        self.gate = gate
        self.downsample = None
        keeps_size = stride == 1 or stride == (1,) * dims
        if channels_in != channels_out or not keeps_size:
            self.downsample = nn.Sequential(
                conv(channels_in, channels_out, 1, stride=stride, bias=False), norm(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        if self.gate is not None:
            branch = self.gate(branch)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(branch + shortcut)


def check_clips(clips: Tensor) -> None:
    """Raise ValueError unless clips are ``(B, N, 3, H, W)``."""
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError(f"clips must be (batch, frames, 3, height, width), not {tuple(clips.shape)}")


def initialise(module: nn.Module) -> None:
    """Fan-out Kaiming for convolutions, zero for the last batch norm of each residual branch.

    At PyTorch's default initialisation the whole network's gradient norm is near 1,200 at the first step and nothing
    is learned from scratch in minutes; with this it trains at once. Pre-trained weights replace these values.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, BasicBlock):
            nn.init.zeros_(part.bn2.weight)
