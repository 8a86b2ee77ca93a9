"""The networks' shapes and costs, stage by stage, and what an untrained gate does to its branch."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from repro.experiment.fields import TITLES
from repro.metrics.complexity import multiply_adds, parameters
from repro.models import FusedNet, build
from repro.models.blocks import Gate, TemporalGate
from repro.report.show import formatted

BIASES = {0.0: "#D55E00", -2.0: "#0072B2", -4.0: "#009E73"}  # of the gate's last layer, with the colour of each


def stages_table(model: str, *, classes: int, frames: int, size: int, width: float) -> pd.DataFrame:
    """One row a stage and one for all: shape of the output for one clip, parameters, multiply-adds, as in one pass.

    On torch's meta device, which computes shapes and no values.
    """
    network = build(model, classes=classes, width=width).eval().to("meta")
    rows = [
        {
            "stage": name,
            "output": _shape(part(entry)),
            "parameters": parameters(part),
            "GMACs": multiply_adds(part, entry) / 1e9,
        }
        for name, part, entry in stages(network, frames, size)
    ]
    table = pd.DataFrame(rows)
    whole = {"stage": "all", "output": "", "parameters": table["parameters"].sum(), "GMACs": table["GMACs"].sum()}
    if whole["parameters"] != parameters(network):
        raise AssertionError(f"{model}: the stages have {whole['parameters']} parameters, not all of the network's")
    return formatted(pd.DataFrame([*rows, whole]), {"parameters": ",", "GMACs": ".2f"})


def stacked_shape(model: str, *, frames: int, size: int, width: float) -> str:
    """The shape of the stack of maps that the 3D head reads: channels × time × height × width."""
    network = build(model, classes=2, width=width).to("meta")
    _, _, entry = next(stage for stage in stages(network, frames, size) if stage[0] == "3D stage 1")
    return _shape(entry[0])


def stages(network: FusedNet, frames: int, size: int) -> list[tuple[str, nn.Module, torch.Tensor]]:
    """Name, module and input of each stage, in the order in which a clip passes them."""
    trunk, head = network.trunk, network.head
    stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool)
    parts: list[tuple[str, nn.Module]] = [("2D stem: 7×7 / 2, pool / 2", stem)]
    parts += [(f"2D layer {k}", getattr(trunk, f"layer{k}")) for k in (1, 2, 3, 4)]
    parts += [(f"3D stage {k}", getattr(head, f"stage{k}")) for k in (1, 2, 3)]
    found, x = [], torch.empty(frames, 3, size, size, device="meta")
    with torch.no_grad():
        for name, part in parts:
            if name == "3D stage 1":
                x = x.unflatten(0, (1, frames)).transpose(1, 2)
            found.append((name, part, x))
            x = part(x)
    return [*found, ("classifier", head.fc, torch.empty(1, head.fc.in_features, device="meta"))]


def _shape(x: torch.Tensor) -> str:
    return " × ".join(map(str, x.shape))


def gates_costs(models: Sequence[str], *, classes: int, frames: int, size: int, width: float) -> pd.DataFrame:
    """One row a network: its gates, parameters and multiply-adds."""
    clip = torch.empty(1, frames, 3, size, size, device="meta")
    networks = {model: build(model, classes=classes, width=width).eval().to("meta") for model in models}
    table = pd.DataFrame(
        {
            "network": TITLES[model],
            "gates": sum(isinstance(part, Gate | TemporalGate) for part in network.modules()),
            "parameters": parameters(network),
            "GMACs": multiply_adds(network, clip) / 1e9,
        }
        for model, network in networks.items()
    )
    return formatted(table, {"parameters": ",", "GMACs": ".3f"})


def answer_text(costs: pd.DataFrame) -> str:
    """What is built, and what the gates add, in two sentences. costs: `gates_costs`, the baseline first."""
    plain, gated = costs.iloc[0], costs.iloc[1]
    more = {name: gated[name] - plain[name] for name in ("parameters", "GMACs")}
    return (
        "A 2D ResNet-34 runs on each of N sampled frames; its maps are stacked in time; a 3D head classifies the "
        f"stack. The {gated['gates']} gates of {gated['network']} add **{more['parameters']:,} parameters** "
        f"({100 * more['parameters'] / plain['parameters']:.2f} %) and {1000 * more['GMACs']:.1f} million "
        f"multiply-adds ({100 * more['GMACs'] / plain['GMACs']:.3f} %)."
    )


def untrained_gates_figure() -> tuple[Figure, str]:
    """The factor 1 + s that an untrained gate of 64 channels puts on a random branch, with its alternative text."""
    torch.manual_seed(0)
    branch = torch.randn(64, 64, 14, 14)
    fig, axis = plt.subplots(figsize=(8, 2.8))
    middles = []
    for bias, colour in BIASES.items():
        with torch.no_grad():
            factor = 1 + Gate(64, mode="se_im", bias=bias).weights(branch).flatten().numpy()
        axis.hist(factor, bins=60, range=(1, 2), color=colour, alpha=0.75, label=f"gate_bias = {bias:g}")
        middles.append(f"near {factor.mean():.1f} for bias {bias:g}")
    axis.set(xlabel="factor 1 + s on the residual branch", ylabel="channels × clips")
    axis.legend(frameon=False)
    return fig, f"Histogram of the factor 1 + s that an untrained gate puts on the branch: {', '.join(middles)}."
