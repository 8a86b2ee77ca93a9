"""What a network of Table 6 costs, counted on the meta device: no weights are made and nothing is timed."""

from collections.abc import Sequence
from typing import Any

import torch

from repro.bench.cases import DTYPES
from repro.metrics.complexity import complexity, multiply_adds, parameters
from repro.metrics.memory import inference_memory
from repro.models.peers.rows import rows


def counts_of(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Counts of every row at its own input on the meta device; memory in bytes by precision."""
    found = {}
    for name in names:
        row = rows()[name]
        with torch.device("meta"):
            network, inputs = row.build(), row.inputs()
        counted = complexity(network, inputs)
        memory = {}
        for precision, dtype in DTYPES.items():
            memory[precision] = inference_memory(network.to(dtype), tuple(value.to(dtype) for value in inputs))
        found[name] = {
            "frames": row.frames, "size": row.size, "classes": row.classes, "flow": row.flow,
            "parameters": counted.parameters,
            "multiply_adds": counted.multiply_adds,
            "multiply_adds_by_hooks": counted.multiply_adds_by_hooks,
            "depth": counted.depth,
            "activations": counted.activations,
            "memory": memory,
        }  # fmt: skip
    return found


def counts_at_published() -> dict[str, tuple[float, float]]:
    """(M parameters, GMACs) of the networks whose published counts are of another input or number of classes than the
    row's, counted at that one."""
    found = {}
    for name, row in rows().items():
        source = row.published
        if source.frames or source.size or source.classes:
            with torch.device("meta"):
                network = row.build(classes=source.classes)
                inputs = row.inputs(frames=source.frames, size=source.size)
            found[name] = (parameters(network) / 1e6, multiply_adds(network, inputs) / 1e9)
    return found
