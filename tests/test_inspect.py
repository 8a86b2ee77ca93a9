"""What the inspection says of clips whose properties are known, whole and damaged, and how near their prints are."""

import hashlib
import math

import cv2
import numpy as np
import pytest
import tiny

from repro.data.facts import COUNT_DIFFERS, DOES_NOT_DECODE, FIELDS, OK
from repro.data.prepare.frame_cache import cache_frames
from repro.data.prepare.inspect import inspect_clip

NOTHING_DECODED = {"frames": 0, "width": 0, "height": 0, "verdict": DOES_NOT_DECODE, "prints": ""}


def said(facts: dict, **expected) -> bool:
    """Whether the facts are these; the message of a failing assert shows both."""
    found = {name: facts[name] for name in expected}
    assert found == expected
    return True


def write_scene(path, *, seed=0, frames=12, size=(160, 120), noise=0, step=2):
    """A moving piece of a smooth random picture as MJPG; ``noise`` in grey levels, size (width, height)."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    scene = []
    for at in range(0, frames * step, step):
        frame = cv2.resize(picture[at : at + 180, at : at + 240], size)
        noisy = frame.astype(int) + rng.integers(-noise, noise + 1, frame.shape)
        scene.append(noisy.clip(0, 255).astype(np.uint8))
    return tiny.save(path, scene)


def bits_apart(one: dict, other: dict) -> int:
    """The largest of the four Hamming distances between two clips' prints."""
    a, b = (np.unpackbits(np.frombuffer(bytes.fromhex(f["prints"]), np.uint8)).reshape(4, 64) for f in (one, other))
    return int((a != b).sum(axis=1).max())


def test_a_whole_clip_of_odd_size(tmp_path):
    path = tmp_path / "clip.avi"  # OpenCV's own avi writer, since the one through FFmpeg makes sizes even
    video = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter_fourcc(*"MJPG"), 12, (97, 73))
    for index in range(30):
        video.write(np.full((73, 97, 3), 8 * index, np.uint8))
    video.release()
    facts = inspect_clip(path)
    assert list(facts) == list(FIELDS)
    said(facts, frames=30, announced=30, width=97, height=73, fps=12.0, seconds=2.5, codec="MJPG", verdict=OK)
    said(facts, reason="", bytes=path.stat().st_size, modified=path.stat().st_mtime_ns)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and len(facts["prints"]) == 64


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_clips_are_usable(tmp_path, frames):
    facts = inspect_clip(tiny.write_video(tmp_path / "clip.avi", frames=frames))
    assert said(facts, frames=frames, verdict=OK) and len(facts["prints"]) == 64


@pytest.mark.parametrize("content, reason", [
    (b"", "empty; put the video there or take it out"),
    (b"<html>404 Not found</html>\n", "no video (text?); put the video there or take it out"),
    ("é".encode() * 400, "no video (text?); put the video there or take it out"),
    (bytes(range(128, 256)) * 40, "OpenCV cannot open this clip (5120 bytes); fetch it again"),
])  # fmt: skip
def test_files_that_are_no_videos(tmp_path, content, reason):
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    assert said(inspect_clip(path), bytes=len(content), reason=reason, **NOTHING_DECODED)


def test_a_missing_clip_is_said_not_raised(tmp_path):
    assert said(inspect_clip(tmp_path / "a.avi"), reason="no such clip; extract the dataset again", **NOTHING_DECODED)


def test_a_clip_that_was_cut_short(tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi", frames=40)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    facts = inspect_clip(path)
    assert 10 < facts["frames"] < 30 and said(facts, announced=40, verdict=COUNT_DIFFERS, width=96, height=72)
    assert facts["reason"] == f"frames decoded: {facts['frames']}, announced: 40; cut short, or announced wrongly"
    path.write_bytes(whole[:3000])  # inside the header
    assert said(inspect_clip(path), announced=0, **NOTHING_DECODED)


def test_a_container_that_announces_a_wrong_count(tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi", frames=20)
    content = bytearray(path.read_bytes())
    length = content.find(b"strh") + 8 + 32  # the stream's length in frames
    assert content[length : length + 4] == (20).to_bytes(4, "little")
    content[length : length + 4] = (12).to_bytes(4, "little")
    path.write_bytes(content)
    facts = inspect_clip(path)
    assert said(facts, frames=20, announced=12, verdict=COUNT_DIFFERS, reason="frames decoded: 20, announced: 12")
    assert facts["prints"] == inspect_clip(tiny.write_video(tmp_path / "right.avi", frames=20))["prints"]


def test_a_container_without_one_good_frame(tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi", frames=10)
    content = bytearray(path.read_bytes())
    start = content.find(b"00dc")
    while 0 <= start < content.find(b"idx1"):
        length = int.from_bytes(content[start + 4 : start + 8], "little")
        content[start + 8 : start + 8 + length] = bytes(length)
        start = content.find(b"00dc", start + 8 + length)
    path.write_bytes(content)
    reason = "opens, but not one of 10 frames decodes; fetch it again"
    assert said(inspect_clip(path), announced=10, codec="MJPG", reason=reason, **NOTHING_DECODED)


def test_frames_in_a_folder_and_in_a_zip_are_one_content(tmp_path):
    folder = tiny.write_frames(tmp_path / "7", frames=9, height=73, width=97)
    cache_frames({"7": folder}, tmp_path / "out", workers=1)
    one, other = inspect_clip(folder), inspect_clip(tmp_path / "out" / "7.zip")
    for facts in (one, other):
        assert said(facts, frames=9, announced=9, width=97, height=73, codec="jpg", verdict=OK, reason="")
        assert math.isnan(facts["fps"]) and math.isnan(facts["seconds"])
    assert one["sha256"] == other["sha256"] and one["prints"] == other["prints"]
    said(one, bytes=sum(f.stat().st_size for f in folder.iterdir()), modified=folder.stat().st_mtime_ns)


def test_faults_of_frame_folders(tmp_path):
    folder = tiny.write_frames(tmp_path / "7", frames=9)
    (folder / "00009.jpg").write_bytes((folder / "00009.jpg").read_bytes()[:400])
    facts = inspect_clip(folder)
    assert said(facts, frames=8, announced=9, verdict=COUNT_DIFFERS)
    assert facts["reason"].startswith("8 of 9 images can be used: 00009.jpg: not a whole JPEG picture (400 bytes)")
    tiny.write_frames(folder, frames=1, height=40)  # now the first differs in size
    assert inspect_clip(folder)["reason"].endswith("00002.jpg is of another size than the frames before it")
    tiny.write_frames(folder, frames=9)
    (folder / "00005.jpg").unlink()
    reason = "4 of 8 images can be used: 00005.jpg is missing"
    assert said(inspect_clip(folder), frames=4, announced=8, verdict=COUNT_DIFFERS, reason=reason)
    (folder / "00001.jpg").rename(folder / "00000.jpg")
    reason = "frames must be numbered from 00001.jpg, but the first of 8 is 00000.jpg; extract it again"
    assert said(inspect_clip(folder), reason=reason, **NOTHING_DECODED)
    (tmp_path / "empty").mkdir()
    assert "but it holds no JPEG file" in inspect_clip(tmp_path / "empty")["reason"]


def test_prints_are_near_for_a_copy_and_far_for_another_clip(tmp_path):
    clip = inspect_clip(write_scene(tmp_path / "clip.avi"))
    copy = inspect_clip(write_scene(tmp_path / "copy.avi", size=(320, 240), noise=4))  # larger and noisy
    other = inspect_clip(write_scene(tmp_path / "other.avi", seed=1))
    assert copy["sha256"] != clip["sha256"] and bits_apart(clip, copy) <= 6
    assert bits_apart(clip, other) > 20
    long = inspect_clip(write_scene(tmp_path / "long.avi", frames=24, step=1))  # the same path at half the speed
    assert bits_apart(clip, long) <= 10  # so the middle frames of four segments show nearly the same


def test_real_clips_as_distributed_and_encoded_again(shared_data):
    golf = "Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi"
    facts = inspect_clip(shared_data / "as-distributed" / golf)
    assert said(facts, frames=89, announced=90, fps=30.0, width=320, height=240, codec="FMP4", verdict=COUNT_DIFFERS)
    for name in ("BabyCrawling/v_BabyCrawling_g03_c02.avi", "Punch/v_Punch_g01_c01.avi"):
        original = inspect_clip(shared_data / "as-distributed" / name.partition("/")[2])
        again = inspect_clip(shared_data / "ucf101-3" / "videos" / name)
        assert original["frames"] == again["frames"] and bits_apart(original, again) <= 3
