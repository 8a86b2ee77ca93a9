"""Segment sampling by hand, for each policy."""

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest

from repro.data.sampling import POLICIES, train_frames
from repro.data.sampling import test_frames as middle_frames
from repro.data.sampling import test_views as temporal_views
from repro.experiment.fields import choices

ECO = POLICIES["eco_pytorch"]


def test_the_policies_are_those_that_an_experiment_may_name():
    assert tuple(POLICIES) == choices("sampling")
    assert POLICIES["paper_text"] == (train_frames, middle_frames)


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


# --- several temporal views ---


def test_temporal_views_by_hand():
    # segments of 10 frames; thirds of one begin at 0, 3.33, 6.67, their middles are 1.67, 5, 8.33
    assert temporal_views(40, 4, 3).tolist() == [[1, 11, 21, 31], [5, 15, 25, 35], [8, 18, 28, 38]]
    # segments of 2.5 frames; at a quarter 0.625, 3.125, 5.625, 8.125; at three 1.875, 4.375, 6.875, 9.375
    assert temporal_views(10, 4, 2).tolist() == [[0, 3, 5, 8], [1, 4, 6, 9]]
    # fewer frames than views: half a frame a segment, so frame 0 for two segments, frame 1 for two
    assert temporal_views(2, 4, 3).tolist() == [[0, 0, 1, 1]] * 3
    assert temporal_views(1, 2, 5).tolist() == [[0, 0]] * 5


def test_temporal_views_are_the_exact_fractions_and_inside_the_clip():
    for frames in (1, 2, 3, 7, 15, 16, 17, 40, 119, 186):
        for segments, clips in ((1, 1), (1, 4), (3, 2), (8, 3), (16, 10)):
            views = temporal_views(frames, segments, clips)
            at = [Fraction(2 * clip + 1, 2 * clips) for clip in range(clips)]
            expected = [[math.floor((i + f) * Fraction(frames, segments)) for i in range(segments)] for f in at]
            assert views.tolist() == expected
            assert views.min() >= 0 and views.max() < frames and (np.diff(views) >= 0).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_one_temporal_view_is_the_policy_s_own(policy):
    for frames in (1, 7, 16, 17, 40, 186):
        views = temporal_views(frames, 16, 1, policy=policy)
        assert views.tolist() == [POLICIES[policy].test(frames, 16).tolist()]


def test_temporal_views_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="sampling eco_pytorch: its code tests with 1 clip, not 3"):
        temporal_views(40, 16, 3, policy="eco_pytorch")
    with pytest.raises(ValueError, match="1 or more temporal views, not 0"):
        temporal_views(40, 16, 0)
    with pytest.raises(ValueError, match="cannot take 16 frames from a clip of 0"):
        temporal_views(0, 16, 2)


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
