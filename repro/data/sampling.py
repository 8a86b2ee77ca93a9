"""Sparse sampling: N frames a clip, one from each of N segments of equal length (paper, section 4.1; refs. 7 and 12).

Clips with fewer than N frames repeat frames evenly. The published ECO code feeds frame 1 N times there; that defect is
not copied. Its training segments are F // N frames long, which drops up to N - 1 frames at the clip's end; the paper's
text says equal segments, so these here cover the whole clip.
"""

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


def _check(frames: int, segments: int) -> None:
    if frames < 1 or segments < 1:
        raise ValueError(f"cannot take {segments} frames from a clip of {frames}: both must be 1 or more")


test_frames.__test__ = False  # a name of the field, not a test for pytest to collect
