"""Sparse sampling: N frames a clip, one from each of N segments of equal length (paper, section 4.1; refs. 7 and 12).

Two policies by name, each for training and for testing; indices count from 0:

- ``paper_text``, the default: the segments cover the whole clip, and a clip of fewer than N frames repeats frames
  evenly. The paper's text says equal segments and no more.
- ``eco_pytorch``: what the released code of ref. 12 does (mzolfaghari/ECO-pytorch at b175e7c), defects included, for
  the study of the protocol. Up to N - 1 frames at the clip's end are never seen in training.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def train_frames(frames: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """One random frame from each segment [i F/N, (i+1) F/N): int ``(segments,)``, non-decreasing, from 0."""
    _check(frames, segments)
    edges = np.arange(segments + 1) * frames // segments
    lengths = np.maximum(np.diff(edges), 1)  # F < N: a segment shorter than a frame gives that frame
    return edges[:-1] + rng.integers(lengths)


def test_frames(frames: int, segments: int) -> np.ndarray:
    """The middle frame of each segment, int(F/N/2 + i F/N), as in ECO's test script: int ``(segments,)``, from 0."""
    _check(frames, segments)
    return (np.arange(segments) * 2 + 1) * frames // (2 * segments)


def eco_train_frames(frames: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """ECO-pytorch's training indices: i (F // N) + a draw below F // N; the first frame N times where F < N."""
    _check(frames, segments)
    length = frames // segments
    if length == 0:
        return np.zeros(segments, dtype=int)
    return np.arange(segments) * length + rng.integers(length, size=segments)


def eco_test_frames(frames: int, segments: int) -> np.ndarray:
    """ECO-pytorch's test indices: int(F/N/2 + F/N i) in floating point; the first frame N times where F <= N."""
    _check(frames, segments)
    if frames <= segments:
        return np.zeros(segments, dtype=int)
    step = frames / segments
    return np.array([int(step / 2 + step * i) for i in range(segments)])


class Policy(NamedTuple):
    """Which frames a clip of F frames gives: ``train(F, N, rng)`` and ``test(F, N)``."""

    train: Callable[[int, int, np.random.Generator], np.ndarray]
    test: Callable[[int, int], np.ndarray]


POLICIES = {
    "paper_text": Policy(train_frames, test_frames),
    "eco_pytorch": Policy(eco_train_frames, eco_test_frames),
}


def _check(frames: int, segments: int) -> None:
    if frames < 1 or segments < 1:
        raise ValueError(f"cannot take {segments} frames from a clip of {frames}: both must be 1 or more")


test_frames.__test__ = False  # type: ignore[attr-defined]  # a name of the field, not a test for pytest to collect
