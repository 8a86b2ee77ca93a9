"""Reading chosen frames from a folder and from a frame cache: exactly the stored pictures, and what faults say."""

import zipfile

import cv2
import numpy as np
import pytest
import tiny

from repro.data.decode import DecodeError, read_frames
from repro.data.images import FrameZip, count_images, frame_name, holds_images, open_images
from repro.data.prepare.frame_cache import cache_frames
from repro.data.prepare.inspect import inspect_clip


@pytest.fixture
def folder(tmp_path):
    return tiny.write_frames(tmp_path / "7", frames=20)


@pytest.fixture
def cached(folder, tmp_path):
    cache_frames({"7": folder}, tmp_path / "out", workers=1)
    return tmp_path / "out" / "7.zip"


def test_both_give_the_stored_pictures(folder, cached):
    every = [cv2.imread(str(folder / f"{i:05d}.jpg"))[:, :, ::-1] for i in range(1, 21)]
    wanted = [0, 3, 3, 4, 19]
    for path in (folder, cached):
        assert holds_images(path) and count_images(path) == 20
        frames = read_frames(path, wanted)
        assert frames.dtype == np.uint8 and frames.shape == (5, 72, 96, 3)
        np.testing.assert_array_equal(frames, [every[i] for i in wanted])
    assert not holds_images(folder / "00001.jpg")


@pytest.mark.parametrize("frames", [290, 320, 700])
def test_directories_longer_than_the_first_read(tmp_path, frames):
    """A directory of 290 frames just fits into the bytes read first; longer ones are read a second time."""
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(frames):
            archive.writestr(zipfile.ZipInfo(frame_name(index)), b"%d" % index)
    with FrameZip(path) as images:
        assert len(images) == frames
        assert [images.encoded(i).tobytes() for i in range(frames)] == [b"%d" % i for i in range(frames)]


def test_a_frame_that_is_not_there(folder, cached):
    for path in (folder, cached):
        with pytest.raises(DecodeError, match=rf"{path.name}: ends at frame 20, frame 20 was asked for"):
            read_frames(path, [1, 20])
    (folder / "00011.jpg").unlink()
    assert count_images(folder) == 10  # what comes before the gap
    with pytest.raises(DecodeError, match="7: ends at frame 10, frame 12 was asked for"):
        read_frames(folder, [12])


def test_pictures_that_are_cut_or_of_another_size(folder):
    whole = (folder / "00003.jpg").read_bytes()
    (folder / "00003.jpg").write_bytes(whole[:500])
    with pytest.raises(DecodeError, match=r"7: 00003.jpg: not a whole JPEG picture \(500 bytes\); fetch it again"):
        read_frames(folder, [0, 2])
    (folder / "00003.jpg").write_bytes(b"")
    with pytest.raises(DecodeError, match=r"00003.jpg: not a whole JPEG picture \(0 bytes\)"):
        read_frames(folder, [0, 2])
    cv2.imwrite(str(folder / "00003.jpg"), np.zeros((60, 96, 3), np.uint8))
    with pytest.raises(DecodeError, match="frame 2 is 96x60 pixels, frame 0 is 96x72"):
        read_frames(folder, [0, 2])


def test_places_that_hold_no_frames(tmp_path, cached):
    with pytest.raises(DecodeError, match=r"gone.zip: No such file or directory"):
        open_images(tmp_path / "gone.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DecodeError, match=r"frames must be numbered from 00001.jpg, but it holds no JPEG file"):
        count_images(tmp_path / "empty")
    cached.write_bytes(cached.read_bytes()[:-10])
    with pytest.raises(DecodeError, match=r"7.zip: not a whole zip \(\d+ bytes\); delete it and make the frame cache"):
        count_images(cached)
    with zipfile.ZipFile(cached, "w") as archive:
        archive.writestr("frame1.jpg", b"x")
    with pytest.raises(DecodeError, match=r"7.zip: not a frame cache, whose entries are 00001.jpg"):
        count_images(cached)
    with zipfile.ZipFile(cached, "w"):
        pass
    with pytest.raises(DecodeError, match="holds no frame; delete it and make the frame cache again"):
        count_images(cached)


def test_files_of_macos_beside_the_frames_are_no_frames(tmp_path):
    folder = tiny.write_frames(tmp_path / "7", frames=3)
    for index in range(1, 4):
        (folder / f"._{index:05d}.jpg").write_bytes(b"\0\5\x16\7")
    (folder / "link").symlink_to("gone")
    facts = inspect_clip(folder)
    assert (facts["verdict"], facts["frames"]) == ("ok", 3)
