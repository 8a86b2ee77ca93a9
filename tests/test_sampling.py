"""Segment sampling by hand, for each policy."""

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest

from repro.data.sampling import POLICIES, train_frames
from repro.data.sampling import test_frames as middle_frames

ECO = POLICIES["eco_pytorch"]


# --- the paper's text ---


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


def test_test_frames_are_the_exact_segment_centres():
    for frames in range(1, 120):
        for segments in (1, 2, 3, 7, 8, 16):
            centre = [
                math.floor(Fraction(frames, 2 * segments) + Fraction(frames, segments) * i) for i in range(segments)
            ]
            assert middle_frames(frames, segments).tolist() == centre, (frames, segments)


@pytest.mark.parametrize(
    "seed, epoch, name, frames, expected",
    [
        (4, 0, "Foo/v_Foo_g08_c01.avi", 40, [1, 7, 12, 19, 20, 28, 34, 37]),
        (0, 7, "Bar/v_Bar_g10_c02.avi", 186, [4, 43, 68, 87, 94, 133, 147, 184]),
        (2, 3, "y", 29, [0, 6, 9, 10, 17, 19, 22, 27]),
        (0, 1, "x", 5, [0, 0, 1, 1, 2, 3, 3, 4]),
    ],
)
def test_recorded_runs_would_draw_the_same_frames_today(seed, epoch, name, frames, expected):
    # drawn at commit c2f1985, before there were other policies; the generator is ClipDataset's
    rng = np.random.default_rng([seed, epoch, zlib.crc32(name.encode())])
    assert train_frames(frames, 8, rng).tolist() == expected


# --- ECO-pytorch, with its defects ---


def test_eco_training_segments_are_whole_frames_and_never_reach_the_clip_s_end():
    rng = np.random.default_rng(0)
    drawn = np.stack([ECO.train(11, 4, rng) for _ in range(400)])
    # 11 // 4 = 2 frames a segment: 0-1, 2-3, 4-5, 6-7; frames 8, 9 and 10 are never drawn
    assert [sorted(set(column)) for column in drawn.T.tolist()] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert ECO.train(19, 16, rng).tolist() == list(range(16))  # 19 // 16 = 1: the first 16 frames, always
    assert ECO.train(16, 16, rng).tolist() == list(range(16))


def test_eco_short_clips_are_their_first_frame_in_training_below_n_and_in_testing_up_to_n():
    rng = np.random.default_rng(0)
    for frames in (1, 7, 15):
        assert ECO.train(frames, 16, rng).tolist() == ECO.test(frames, 16).tolist() == [0] * 16
    assert ECO.test(16, 16).tolist() == [0] * 16
    # 17 / 16 = 1.0625: 0.53, 1.59, 2.66 ... 7.97, 9.03 ... 16.47
    assert ECO.test(17, 16).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16]


def test_eco_test_frames_by_hand():
    # 40 / 16 = 2.5: 1.25, 3.75, 6.25 ...
    assert ECO.test(40, 16).tolist() == [1, 3, 6, 8, 11, 13, 16, 18, 21, 23, 26, 28, 31, 33, 36, 38]
    for segments in (4, 8, 16, 32):
        for frames in range(segments + 1, 300):  # where N is a power of two the divisions are exact
            assert ECO.test(frames, segments).tolist() == middle_frames(frames, segments).tolist()
    # 16 / 12 in floating point: the centres 10 and 14 come out just below
    assert middle_frames(16, 12).tolist() == [0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15]
    assert ECO.test(16, 12).tolist() == [0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 15]


# --- both ---


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("frames, segments", [(0, 4), (4, 0), (-1, 2)])
def test_nothing_to_sample_is_refused(policy, frames, segments):
    with pytest.raises(ValueError, match="1 or more"):
        POLICIES[policy].test(frames, segments)
    with pytest.raises(ValueError, match="1 or more"):
        POLICIES[policy].train(frames, segments, np.random.default_rng(0))


@pytest.mark.parametrize("policy", POLICIES)
def test_every_index_is_in_the_clip_and_none_goes_back(policy):
    rng = np.random.default_rng(0)
    for frames in (1, 2, 5, 15, 16, 17, 31, 33, 500):
        for indices in (POLICIES[policy].train(frames, 16, rng), POLICIES[policy].test(frames, 16)):
            assert len(indices) == 16 and indices[0] >= 0 and indices[-1] < frames and (np.diff(indices) >= 0).all()
