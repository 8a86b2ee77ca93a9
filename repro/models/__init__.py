"""The networks of the study and of its peers, their blocks, start from weights."""

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
    """The keyword options that a network takes, ``classes`` included."""
    return tuple(inspect.signature(MODELS[name]).parameters)


def build(name: str, **options: Any) -> FusedNet:
    """Build a network by name."""
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
