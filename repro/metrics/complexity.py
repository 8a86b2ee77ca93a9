"""Size of a network: parameters, multiply-adds (MACs), depth and activations, for one given input.

Counts are multiply-adds: what this field's papers print as "FLOPs" (a rate in FLOP/s is 2 x MAC/s). They are of the
input as given: pass a batch of one clip to count for a clip. Everything runs without gradients in evaluation mode,
and leaves the module as it was. Module and input on the meta device (`with torch.device("meta"): ...`) have shapes
but no data, so that a count at full size takes no memory and no time.
"""

import contextlib
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from repro.models.blocks import Gate, TemporalGate
from repro.models.peers.x3d import SqueezeExcite

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
LAYER_FUNCTIONS = {F.conv1d, F.conv2d, F.conv3d, F.linear}
GATES = (Gate, TemporalGate, SqueezeExcite)

Input = Tensor | tuple[Tensor, ...]


def parameters(module: nn.Module) -> int:
    """Number of parameters, each shared one once; BN's running statistics are buffers and do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, input: Input) -> int:
    """Multiply-adds of one forward pass, by torch's dispatch-level counter.

    input: a tensor, or a tuple of tensors for a module of several inputs, on the module's device.
    Counted are all convolutions and matrix products, also functional ones (attention); not counted are biases, BN,
    activations, pooling and element-wise products - the convention of published tables.
    """
    with FlopCounterMode(display=False) as counter:  # counts a multiply-add as two operations
        _forward(module, input)
    return counter.get_total_flops() // 2


def multiply_adds_by_hooks(module: nn.Module, input: Input) -> int:
    """The same count made independently, from the shapes that forward hooks see on Conv1d/2d/3d and Linear layers, so
    without products outside such layers (attention's)."""
    return sum(elements * each for elements, each in _layer_outputs(module, input))


def activations(module: nn.Module, input: Input) -> int:
    """Elements of the outputs of all convolution and linear layers, a proxy for memory traffic (after Radosavovic et
    al., CVPR 2020, who count convolutions only)."""
    return sum(elements for elements, _ in _layer_outputs(module, input))


def depth(module: nn.Module, input: Input) -> tuple[int, int]:
    """Layers by the paper's rule, convolutions and linear layers without BN and without the layers of gates, in both
    of its readings: on the longest path, and all.

    On any path from input to output parallel branches (Inception, two pathways) count once and a projection shortcut
    never does: 34 for ResNet-34, which has 37 in all. A layer counts as often as it is called; the convolutions of a
    (2+1)D pair are two. Functional layers count too; attention's products do not.
    """
    with contextlib.ExitStack() as hooks:
        walk = hooks.enter_context(_Depth())
        for part in module.modules():
            if isinstance(part, GATES):
                hooks.callback(part.register_forward_pre_hook(walk.enter_gate).remove)
                hooks.callback(part.register_forward_hook(walk.leave_gate).remove)
        return walk.of(_forward(module, input)), walk.called


class _Depth(TorchFunctionMode):
    """Notes on every tensor how many layers lie before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = 0  # entered and not left
        self.called = 0  # layers so far, whatever path they lie on

    def enter_gate(self, *_: object) -> None:
        self.gates += 1

    def leave_gate(self, *_: object) -> None:
        self.gates -= 1

    @staticmethod
    def of(values: Any) -> int:
        return max((getattr(v, "_layers", 0) for v in tree_leaves(values) if isinstance(v, Tensor)), default=0)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = self.of((args, kwargs or {}))
        result = function(*args, **(kwargs or {}))
        counts = function in LAYER_FUNCTIONS and self.gates == 0
        after = before + counts
        self.called += counts
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and after:
                value._layers = after  # type: ignore[attr-defined]
        return result


class _WithoutBatchNorm(TorchFunctionMode):
    """Leaves batch normalisation out, which no count counts: two fifths of the time that all of Table 6 took."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if function is F.batch_norm else function(*args, **(kwargs or {}))


def _layer_outputs(module: nn.Module, input: Input) -> list[tuple[int, int]]:
    """Of each call of each convolution and linear layer: elements of its output, and multiply-adds for one of them."""
    found: list[tuple[int, int]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        found.append((output.numel(), cast(Tensor, layer.weight)[0].numel()))  # in_channels / groups x kernel

    with contextlib.ExitStack() as hooks:
        for layer in module.modules():
            if isinstance(layer, LAYERS):
                hooks.callback(layer.register_forward_hook(note).remove)
        _forward(module, input)
    return found


def _forward(module: nn.Module, input: Input) -> Tensor:
    inputs = input if isinstance(input, tuple) else (input,)
    # each module's own flag: a frozen BN may be in evaluation mode within a network in training mode
    training = {part: part.training for part in module.modules()}
    # the fused attention kernel is one opaque operation, which the counter would take for nothing
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    try:
        module.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), _WithoutBatchNorm():
            return module(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
        for part, flag in training.items():
            part.training = flag
