"""Multi-scale TRN: frame features, and a small MLP for each ordered set of 2, 3, ... N frames, their scores added.

Paper: B. Zhou, A. Andonian, A. Oliva, A. Torralba, "Temporal Relational Reasoning in Videos", ECCV 2018,
arXiv:1711.08496.
Code read: zhoubolei/TRN-pytorch@5c5ecf8 (TRNmodule.py: RelationModuleMultiScale), @00c5fdd (models.py).
Departures: the reference draws up to 3 relations a scale at random in every forward pass, in evaluation too, so its
scores change from run to run. Here the 3 at the centres of 3 equal parts of the sorted list of combinations are taken.
"""

import itertools

import torch
from torch import Tensor, nn

from repro.models.peers.bn_inception import BNInception
from repro.models.peers.tsn import classifier, frames_as_batch

FEATURES = 256  # of a frame
BOTTLENECK = 256  # of the MLP of a scale
RELATIONS = 3  # at most, of a scale

Relations = tuple[tuple[int, ...], ...]


class MultiScaleRelations(nn.Module):
    """Scores of all scales from N frames down to 2, added. Shape: ``(B, frames, features)`` to ``(B, classes)``."""

    def __init__(self, frames: int, features: int, classes: int) -> None:
        super().__init__()
        self.scales = tuple(range(frames, 1, -1))
        self.relations = [spread(tuple(itertools.combinations(range(frames), scale))) for scale in self.scales]
        self.fusions = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Linear(scale * features, BOTTLENECK),
                nn.ReLU(),
                nn.Linear(BOTTLENECK, classes),
            )
            for scale in self.scales
        )

    def forward(self, features: Tensor) -> Tensor:
        scores = []
        for relations, fusion in zip(self.relations, self.fusions, strict=True):
            joined = [torch.cat([features[:, frame] for frame in relation], 1) for relation in relations]
            scores.append(fusion(torch.stack(joined, 1)).sum(1))
        return torch.stack(scores).sum(0)


class TRN(nn.Module):
    """BN-Inception, 256 features a frame, multi-scale relations.

    Shape: ``(B, frames, 3, H, W)`` float, H and W of 32 or more, to logits ``(B, classes)``.
    Raises ValueError for another shape or another number of frames.
    """

    def __init__(self, *, classes: int, frames: int = 8) -> None:
        super().__init__()
        self.frames = frames
        self.trunk = BNInception()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.8)
        self.feature = classifier(BNInception.channels, FEATURES)
        self.relations = MultiScaleRelations(frames, FEATURES, classes)

    def forward(self, clips: Tensor) -> Tensor:
        images = frames_as_batch(clips)
        if clips.shape[1] != self.frames:
            raise ValueError(f"this TRN is built for {self.frames} frames, not {clips.shape[1]}")
        maps = self.pool(self.trunk(images)).flatten(1)
        features = self.feature(self.dropout(maps))
        return self.relations(features.unflatten(0, clips.shape[:2]))


def spread(relations: Relations) -> Relations:
    """Up to 3 of the relations, at the centres of as many equal parts of the list."""
    kept = min(RELATIONS, len(relations))
    return tuple(relations[int((part + 0.5) * len(relations) / kept)] for part in range(kept))
