"""What a network's gates do with each channel: Equation 4's s, read or held still while the network runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from repro.models.blocks import Gate


def gates_of(network: nn.Module) -> dict[str, Gate]:
    """The network's gates by the name of their unit, in order; empty for one without."""
    return {name.removesuffix(".gate"): part for name, part in network.named_modules() if isinstance(part, Gate)}


@contextmanager
def gates_seen(network: nn.Module, frames: int) -> Iterator[dict[str, Tensor]]:
    """Filled while the network runs: s of every gate in its last pass, mean of each clip's frames, ``(B, channels)``
    by unit, 0 to 1. s = 0.5 is an untrained gate's; above it the channel is raised more than that."""
    found: dict[str, Tensor] = {}

    def note(name: str, gate: Gate, branch: Tensor) -> None:
        values = gate.weights(branch).flatten(1)  # (B * frames, channels)
        found[name] = values.unflatten(0, (-1, frames)).mean(1).float()

    hooks = [
        gate.register_forward_hook(lambda gate, inputs, _, name=name: note(name, gate, inputs[0]))
        for name, gate in gates_of(network).items()
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def gates_fixed(network: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Meanwhile every gate gives these values of s, ``(channels,)`` by unit, whatever its input."""
    gates = gates_of(network)
    try:
        for unit, gate in gates.items():
            gate.fixed = values[unit][None, :, None, None]
        yield
    finally:
        for gate in gates.values():
            gate.fixed = None
