"""What a network's gates do with each channel: Equation 4's s, read while the network runs."""

import numpy as np
import torch
from torch import Tensor, nn

from repro.models.blocks import Gate
from repro.models.fused import FusedNet


def gates_of(network: nn.Module) -> dict[str, Gate]:
    """The network's gates by the name of their unit, in order; empty for one without."""
    return {name.removesuffix(".gate"): part for name, part in network.named_modules() if isinstance(part, Gate)}


def gate_values(network: FusedNet, clips: Tensor) -> dict[str, np.ndarray]:
    """s of every gate for every clip, mean of its frames: float ``(B, channels)`` by unit, 0 to 1.

    clips: ``(B, N, 3, H, W)`` float, normalised. s = 0.5 is an untrained gate's; above it the channel is raised more
    than that. The network is put into evaluation mode.
    """
    network.eval()
    found: dict[str, np.ndarray] = {}

    def note(name: str, gate: Gate, branch: Tensor) -> None:
        values = gate.weights(branch).flatten(1)  # (B * N, channels)
        found[name] = values.unflatten(0, clips.shape[:2]).mean(1).float().cpu().numpy()

    hooks = [
        gate.register_forward_hook(lambda gate, inputs, _, name=name: note(name, gate, inputs[0]))
        for name, gate in gates_of(network).items()
    ]
    try:
        with torch.no_grad():
            network.stack(clips)
    finally:
        for hook in hooks:
            hook.remove()
    return found
