"""What a network of Table 6 costs, counted on the meta device: no weights are made and nothing is timed."""

from collections.abc import Sequence
from typing import Any

import torch

from repro.bench.cases import DTYPES
from repro.metrics.complexity import activations, depth, multiply_adds, multiply_adds_by_hooks, parameters
from repro.metrics.memory import inference_memory
from repro.models.peers.rows import COMMON, rows


def counts_of(names: Sequence[str], *, full: bool = False) -> dict[str, dict[str, Any]]:
    """What the verdicts compare, of every row at its own input: parameters, multiply-adds of a clip, layers on the
    longest path (depth) and in all.

    ``common``: parameters and multiply-adds at the common input, None where the network cannot take it.
    full: also what is shown or estimated besides: the second counter, activations, memory in bytes by precision.
    """
    found = {}
    for name in names:
        row = rows()[name]
        with torch.device("meta"):
            network, inputs = row.build(), row.inputs()
        longest, layers = depth(network, inputs)
        counts: dict[str, Any] = {
            "frames": row.frames, "size": row.size, "classes": row.classes, "flow": row.flow,
            "parameters": parameters(network),
            "multiply_adds": multiply_adds(network, inputs),
            "depth": longest,
            "layers": layers,
            "common": None if row.fixed else _at(name, **COMMON),
        }  # fmt: skip
        if full:
            counts["multiply_adds_by_hooks"] = multiply_adds_by_hooks(network, inputs)
            counts["activations"] = activations(network, inputs)
            counts["memory"] = {
                precision: inference_memory(network.to(dtype), tuple(value.to(dtype) for value in inputs))
                for precision, dtype in DTYPES.items()
            }
        found[name] = counts
    return found


def _at(name: str, frames: int, size: int, classes: int | None = None) -> dict[str, int]:
    """Parameters and multiply-adds of a row at another input."""
    row = rows()[name]
    with torch.device("meta"):
        network, inputs = row.build(classes=classes, frames=frames), row.inputs(frames=frames, size=size)
    return {"parameters": parameters(network), "multiply_adds": multiply_adds(network, inputs)}


def counts_at_published() -> dict[str, tuple[float, float]]:
    """(M parameters, GMACs) of the networks whose published counts are of another input or number of classes than the
    row's, counted at that one."""
    found = {}
    for name, row in rows().items():
        source = row.published
        if source.frames or source.size or source.classes:
            counts = _at(name, source.frames or row.frames, source.size or row.size, source.classes)
            found[name] = (counts["parameters"] / 1e6, counts["multiply_adds"] / 1e9)
    return found
