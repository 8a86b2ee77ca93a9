"""The networks: ``build(name, classes=..., **options)`` or the factories themselves."""

import inspect
from typing import Any

from repro.models.fused import (
    FusedNet,
    check_trainable,
    res34_se_im_net,
    res34_se_im_ta_net,
    resnet34_3dres18,
    resnet34_frame_average,
)
from repro.models.start import LoadReport, load_head, load_network, load_trunk, read_weights, weights_digest

FACTORIES = (resnet34_3dres18, res34_se_im_net, resnet34_frame_average, res34_se_im_ta_net)
MODELS = {factory.__name__: factory for factory in FACTORIES}


def options_of(name: str) -> tuple[str, ...]:
    """The keyword options that a network takes, ``classes`` included. Raises ValueError for an unknown name."""
    if name not in MODELS:
        raise ValueError(f"model: {name!r} is not one of {', '.join(MODELS)}")
    return tuple(inspect.signature(MODELS[name]).parameters)


def build(name: str, **options: Any) -> FusedNet:
    """Build a network by name. Raises ValueError for an unknown name or an option the network does not take."""
    unknown = [option for option in options if option not in options_of(name)]
    if unknown:
        raise ValueError(f"model {name}: unknown option {unknown[0]!r}; it takes {', '.join(options_of(name))}")
    return MODELS[name](**options)


__all__ = [
    "MODELS",
    "FusedNet",
    "LoadReport",
    "build",
    "check_trainable",
    "load_head",
    "load_network",
    "load_trunk",
    "options_of",
    "read_weights",
    "res34_se_im_net",
    "res34_se_im_ta_net",
    "resnet34_3dres18",
    "resnet34_frame_average",
    "weights_digest",
]
