"""From uint8 clips to logits: normalisation, the network, and the precision that it computes in."""

from typing import Any

import torch
from torch import Tensor, nn

from repro.data.transforms import normalise
from repro.experiment.fields import Experiment

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Recogniser(nn.Module):
    """Takes uint8 RGB clips ``(B, N, 3, H, W)``; gives float32 logits ``(B, classes)``.

    Args:
        network: takes normalised clips ``(B, N, 3, H, W)``.
        experiment: its ``values`` and ``precision`` count.
    """

    def __init__(self, network: nn.Module, experiment: Experiment) -> None:
        super().__init__()
        self.network: Any = network
        self.values = experiment.values
        self.cast = AUTOCAST.get(experiment.precision)

    def forward(self, clips: Tensor) -> Tensor:
        clips = normalise(clips, self.values)
        device = clips.device.type
        with torch.autocast(device, dtype=self.cast, enabled=self.cast is not None):
            if device != "cpu" or self.cast is None:
                return self.network(clips).float()
            maps = self.network.stack(clips)
        # Weight gradients of 3x3x3 convolutions over maps a few cells wide are wrong in bf16 on CPUs (torch 2.15's
        # oneDNN takes in uninitialised memory: tests/test_recogniser.py); the head has such maps, the trunk has not
        return self.network.head(maps.float())
