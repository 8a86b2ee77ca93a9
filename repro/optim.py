"""Optimiser and learning-rate schedule (paper, section 4.1 and Table 3; values the text omits are in the ledger)."""

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from repro.config import Experiment


def make_optimiser(parameters: Iterable[nn.Parameter], experiment: Experiment) -> Optimizer:
    """SGD with momentum and weight decay on every parameter."""
    return SGD(
        parameters,
        lr=experiment.learning_rate,
        momentum=experiment.momentum,
        weight_decay=experiment.weight_decay,
        nesterov=experiment.nesterov,
    )


def make_schedule(optimiser: Optimizer, experiment: Experiment) -> LRScheduler:
    """The schedule, stepped once an epoch.

    ``plateau``: the rate is divided by 10 when validation top-1 has not been better for ``saturate`` epochs in a row.
    ``cosine``: half a cosine from the start rate to zero over ``epochs``.
    """
    if experiment.schedule == "plateau":
        # ReduceLROnPlateau acts in the epoch after `patience` bad ones; the text says after 5, hence 4.
        return ReduceLROnPlateau(
            optimiser, mode="max", factor=0.1, patience=experiment.saturate - 1, threshold=0, threshold_mode="abs"
        )
    return CosineAnnealingLR(optimiser, T_max=experiment.epochs)
