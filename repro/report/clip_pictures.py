"""Pictures of clips as the networks see them: one of each class, the frames that are sampled, the crops."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from repro.data.clips import Clip
from repro.data.decode import read_frames
from repro.data.sampling import POLICIES, test_frames, train_frames
from repro.data.transforms import test_view, train_view
from repro.report.audit import Audit

CLASSES = 24  # at most on a contact sheet
SIDE = 96  # pixels of a sampled frame's picture
Strip = tuple[str, np.ndarray]  # a row's title, and its frames: uint8 (N, side, side, 3)


def contact_sheet(found: Audit, frames: int, size: int) -> list[Strip]:
    """The first usable test clip of each class, at most :data:`CLASSES`, as the networks see it in testing."""
    lengths = _lengths(found)
    firsts: dict[int, Clip] = {}
    for clip in found.split.test:
        if clip.name in lengths:
            firsts.setdefault(clip.label, clip)
    return [
        (
            found.split.classes[label],
            test_view(read_frames(clip.path, test_frames(lengths[clip.name], frames)), size),
        )
        for label, clip in sorted(firsts.items())[:CLASSES]
    ]


def first_clip(found: Audit) -> tuple[Clip, int]:
    """The first usable training clip and its decoded frames."""
    lengths = _lengths(found)
    clip = next(clip for clip in found.split.train if clip.name in lengths)
    return clip, lengths[clip.name]


def _lengths(found: Audit) -> dict[str, int]:
    """The decoded frames of the usable clips by name."""
    usable = found.table[found.table["frames"] > 0]
    return dict(zip(usable["name"], usable["frames"], strict=True))


def sampled(length: int, segments: int) -> dict[str, np.ndarray]:
    """The frames that each policy takes of a clip of ``length`` frames, in two epochs of training and in testing."""
    taken = {}
    for name, policy in POLICIES.items():
        for epoch in range(2):
            rng = np.random.default_rng([0, epoch])
            taken[f"{name},\ntraining, epoch {epoch}"] = policy.train(length, segments, rng)
        taken[f"{name},\ntest"] = policy.test(length, segments)
    return taken


def sampled_pictures(clip: Clip, taken: Mapping[str, np.ndarray]) -> list[Strip]:
    """The frames of :func:`sampled` themselves, small."""
    return [(name, test_view(read_frames(clip.path, indices), SIDE)) for name, indices in taken.items()]


def short_clip_table(length: int, segments: int) -> pd.DataFrame:
    """The frames that each policy takes of a clip that is shorter than its segments are many."""
    rows = []
    for name, policy in POLICIES.items():
        trained = policy.train(length, segments, np.random.default_rng(0))
        for part, indices in (("training", trained), ("test", policy.test(length, segments))):
            rows.append((f"{name}, {part}", " ".join(map(str, indices))))
    return pd.DataFrame(rows, columns=["policy", "frames taken, counted from 0"])


def training_views(clip: Clip, length: int, frames: int, size: int, epochs: int = 4) -> list[Strip]:
    """One clip in several epochs of training: other frames, crops and mirror images each time."""
    rngs = [np.random.default_rng([1, epoch]) for epoch in range(epochs)]
    views = [train_view(read_frames(clip.path, train_frames(length, frames, rng)), size, rng) for rng in rngs]
    return [(f"epoch {epoch}", view) for epoch, view in enumerate(views)]
