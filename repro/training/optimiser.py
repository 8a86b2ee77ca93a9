"""Optimiser and learning-rate schedule (paper, section 4.1 and Table 3; values the text omits are in the ledger)."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from repro.experiment.fields import Experiment


def parameter_groups(network: nn.Module, experiment: Experiment) -> list[dict[str, Any]]:
    """The network's parameters as SGD takes them, each once: ``params``, ``lr``, ``weight_decay``.

    ``one``: all alike. ``eco_pytorch``: what that code does (mzolfaghari/ECO-pytorch at b175e7c): weights as stated,
    biases of convolutions and linear layers at twice the rate and without decay, batch norms without decay.
    """
    rate, decay = experiment.learning_rate, experiment.weight_decay
    if experiment.parameter_groups == "one":
        return [{"params": list(network.parameters()), "lr": rate, "weight_decay": decay}]
    weights: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    norms: list[nn.Parameter] = []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            kind = norms if isinstance(module, _BatchNorm) else biases if name == "bias" else weights
            kind.append(parameter)
    groups = [
        {"params": weights, "lr": rate, "weight_decay": decay},
        {"params": biases, "lr": 2 * rate, "weight_decay": 0.0},
        {"params": norms, "lr": rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimiser(parameters: Iterable[nn.Parameter] | list[dict[str, Any]], experiment: Experiment) -> Optimizer:
    """SGD with momentum and weight decay, on parameters or on :func:`parameter_groups`."""
    return SGD(
        parameters,
        lr=experiment.learning_rate,
        momentum=experiment.momentum,
        weight_decay=experiment.weight_decay,
        nesterov=experiment.nesterov,
    )


def make_schedule(optimiser: Optimizer, experiment: Experiment) -> LRScheduler:
    """The schedule, stepped once an epoch; every group's rate changes by the same factor.

    ``plateau``: the rate is divided by 10 when validation top-1 has not been better for ``saturate`` epochs in a row.
    ``cosine``: half a cosine from the start rate to zero over ``epochs``.
    """
    if experiment.schedule == "plateau":
        # ReduceLROnPlateau acts in the epoch after `patience` bad ones; the text says after 5, hence 4.
        return ReduceLROnPlateau(
            optimiser, mode="max", factor=0.1, patience=experiment.saturate - 1, threshold=0, threshold_mode="abs"
        )
    return CosineAnnealingLR(optimiser, T_max=experiment.epochs)


def clip_gradient(network: nn.Module, experiment: Experiment) -> Tensor:
    """Clip the norm of the whole network's gradient; returns the norm as it was before."""
    # after the step, as ref. 12's code does it, clipping changes nothing and is left out
    limit = experiment.clip_gradient if experiment.clipping == "before_step" else math.inf
    return nn.utils.clip_grad_norm_(network.parameters(), limit).detach()


def freeze_statistics(network: nn.Module, which: str) -> None:
    """Keep batch statistics as they are, in a network that was just put into training mode.

    ``all`` trains every layer's statistics, ``first`` the first layer's only (partial BN, ref. 7), ``none`` none. The
    layers' weights are trained all the same (ref. 7's public code holds them too).
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for layer in {"all": [], "first": layers[1:], "none": layers}[which]:
        layer.eval()
