"""Decoding: the same frames as a plain sequential read, and every broken file named."""

import re

import cv2
import numpy as np
import pytest
import tiny

from repro.data.decode import DecodeError, count_frames, read_frames


def plain(path) -> np.ndarray:
    video, frames = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        frames.append(got[1][:, :, ::-1])
    return np.stack(frames)


@pytest.fixture
def video(tmp_path):
    return tiny.write_video(tmp_path / "Foo" / "v (HQ)_300+_!!!&#.avi", frames=9)


def test_frames_by_index_are_those_of_a_plain_read(video):
    indices = [0, 3, 3, 4, 8, 8]
    frames = read_frames(video, indices)
    assert frames.shape == (6, 72, 96, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, plain(video)[indices])
    assert count_frames(video) == 9


def test_frames_are_rgb(video):
    red, _green, blue = read_frames(video, [2])[0, 36, 20]  # the bar of frame 2 covers x = 16 to 23: RGB 250, 120, 20
    assert red > 200 and blue < 60


@pytest.mark.parametrize("indices", [[3, 1], [], [-1, 2]])
def test_indices_that_are_not_a_rising_list_are_refused(video, indices):
    with pytest.raises(ValueError, match="non-decreasing"):
        read_frames(video, indices)


def test_a_frame_beyond_the_end_is_refused(video):
    with pytest.raises(DecodeError, match=r"ends at frame 9, frame 9 was asked for"):
        read_frames(video, [0, 9])


def test_a_truncated_clip_counts_what_decodes(video):
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 4 // 5])
    count = count_frames(video)
    assert 0 < count < 9
    np.testing.assert_array_equal(read_frames(video, range(count)), plain(video))
    with pytest.raises(DecodeError, match=re.escape(str(video))):
        read_frames(video, [8])


@pytest.mark.parametrize("content", [b"", b"this is not a video\n" * 40, None])
@pytest.mark.parametrize("read", [count_frames, lambda path: read_frames(path, [0])])
def test_a_file_that_is_no_video_is_named(tmp_path, content, read):
    path = tmp_path / "v_Foo_g01_c01.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecodeError, match=re.escape(str(path))):
        read(path)


def test_clips_as_distributed_decode():
    paths = sorted((tiny.shared_data() / "as-distributed").glob("*.avi"))
    assert len(paths) == 8
    for path in paths:
        count = count_frames(path)
        frames = read_frames(path, [0, count // 2, count - 1])
        assert frames.shape[0] == 3 and frames.std() > 5, path.name
