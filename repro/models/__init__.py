"""The networks of the study and of its peers, their blocks, start from weights."""

import inspect
from typing import Any

from repro.models.fused import (
    FusedNet,
    res34_se_im_net,
    res34_se_im_ta_net,
    resnet34_3dres18,
    resnet34_frame_average,
)

FACTORIES = (resnet34_3dres18, res34_se_im_net, resnet34_frame_average, res34_se_im_ta_net)
MODELS = {factory.__name__: factory for factory in FACTORIES}


def options_of(name: str) -> tuple[str, ...]:
    """The keyword options that a network takes, ``classes`` included."""
    return tuple(inspect.signature(MODELS[name]).parameters)


def build(name: str, **options: Any) -> FusedNet:
    """Build a network by name."""
    return MODELS[name](**options)
