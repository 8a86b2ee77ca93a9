"""Segment sampling by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from repro.data.sampling import test_frames as middle_frames
from repro.data.sampling import train_frames


def test_training_frames_lie_in_their_segments_and_reach_the_whole_clip():
    rng = np.random.default_rng(0)
    drawn = np.stack([train_frames(10, 4, rng) for _ in range(400)])
    # edges 0, 2, 5, 7, 10
    assert [sorted(set(column)) for column in drawn.T.tolist()] == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


def test_short_clips_repeat_frames_evenly():
    rng = np.random.default_rng(0)
    assert train_frames(3, 6, rng).tolist() == [0, 0, 1, 1, 2, 2]
    assert middle_frames(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert train_frames(1, 4, rng).tolist() == middle_frames(1, 4).tolist() == [0, 0, 0, 0]


def test_test_frames_by_hand():
    assert middle_frames(40, 8).tolist() == [2, 7, 12, 17, 22, 27, 32, 37]
    assert middle_frames(10, 4).tolist() == [1, 3, 6, 8]  # 1.25, 3.75, 6.25, 8.75


def test_test_frames_are_the_exact_segment_centres():
    for frames in range(1, 120):
        for segments in (1, 2, 3, 7, 8, 16):
            centre = [
                math.floor(Fraction(frames, 2 * segments) + Fraction(frames, segments) * i) for i in range(segments)
            ]
            assert middle_frames(frames, segments).tolist() == centre, (frames, segments)


@pytest.mark.parametrize("segments", [8, 16])
def test_a_clip_and_its_reversal_are_sampled_alike_up_to_one_frame(segments):
    indices = middle_frames(40, segments)
    mirrored = 39 - indices[::-1]
    assert np.abs(indices - mirrored).max() <= 1


@pytest.mark.parametrize("frames, segments", [(0, 4), (4, 0), (-1, 2)])
def test_nothing_to_sample_is_refused(frames, segments):
    with pytest.raises(ValueError, match="1 or more"):
        middle_frames(frames, segments)
    with pytest.raises(ValueError, match="1 or more"):
        train_frames(frames, segments, np.random.default_rng(0))
