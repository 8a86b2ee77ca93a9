"""Frames of a source whatever happens to it: made captures that fail as cameras and files do, and real files."""

import threading

import cv2
import numpy as np
import pytest
import tiny

from repro.data.images import DecodeError
from repro.online.sources import Source, SourceError, as_rgb, is_live, opened

CAMERA, FILE = "0", "clip.mp4"


class Capture:
    """OpenCV's capture, made: what is in ``frames`` one after the other; a function among them is called first."""

    def __init__(self, frames, *, rate=25.0, times=None, announced=None):
        self.frames, self.rate, self.released = list(frames), rate, False
        self.times = [1000 * k / rate for k in range(len(self.frames))] if times is None else [1000 * t for t in times]
        self.announced = len(self.frames) if announced is None else announced

    def read(self):
        while self.frames and callable(self.frames[0]):
            self.frames.pop(0)()
        if not self.frames:
            return False, None
        self.now = self.times.pop(0)
        return True, self.frames.pop(0)

    def get(self, what):
        return {
            cv2.CAP_PROP_FRAME_COUNT: self.announced,
            cv2.CAP_PROP_FPS: self.rate,
            cv2.CAP_PROP_POS_MSEC: getattr(self, "now", 0.0),
        }[what]

    def release(self):
        self.released = True


def grey(level, shape=(8, 12)):
    return np.full((*shape, 3), level, np.uint8)


def source(name, *captures, **options):
    """A source that opens one capture after the other (an error among them is raised); what it says and its pauses."""
    said, pauses, left = [], [], list(captures)

    def open_next():
        capture = left.pop(0)
        if isinstance(capture, Exception):
            raise capture
        return capture

    def pause(seconds):
        pauses.append(seconds)

    return Source(name, **{"say": said.append, "open": open_next, "pause": pause} | options), said, pauses


def levels(frames):
    return [int(frame.image[0, 0, 0]) for frame in frames]


def test_what_is_live():
    for name in ("0", "12", "/dev/video0", "rtsp://camera/stream", "http://camera/mjpeg"):
        assert is_live(name), name
    for name in ("clip.mp4", "/data/0", "file:///data/clip.mp4", "0.mp4"):
        assert not is_live(name), name


def test_a_file_has_its_own_times_and_ends():
    capture = Capture([grey(k) for k in range(4)], times=[0, 0.04, 0.2, 0.24])
    found, said, pauses = source(FILE, capture)
    frames = list(found)
    assert levels(frames) == [0, 1, 2, 3] and [frame.seconds for frame in frames] == [0, 0.04, 0.2, 0.24]
    assert not said and not pauses and capture.released and not any(frame.begins for frame in frames)


def test_a_file_without_times_has_those_of_its_rate():
    frames = list(source(FILE, Capture([grey(0)] * 3, rate=5.0, times=[0, 0, 0]))[0])
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.2, 0.4])
    with pytest.raises(SourceError, match=r"clip\.mp4 has neither times nor a frame rate; make it anew"):
        list(source(FILE, Capture([grey(0)] * 3, rate=0.0, times=[0, 0, 0]))[0])


@pytest.mark.parametrize("rate", [5, 25, 60])
def test_realtime_waits_for_each_frame(rate):
    now = [100.0]

    def pause(seconds):
        now[0] += seconds

    capture = Capture([grey(k) for k in range(6)], rate=rate)
    found = list(source(FILE, capture, realtime=True, pause=pause, clock=lambda: now[0])[0])
    assert [frame.came - 100 for frame in found] == pytest.approx([k / rate for k in range(6)])


def test_a_killed_camera_comes_back_after_growing_pauses():
    """Three times it cannot be opened; frames of the new opening begin anew, and the pauses begin anew, too."""
    gone = SourceError("source: 0 cannot be opened")
    found, said, pauses = source(
        CAMERA, Capture([grey(1), grey(2)]), gone, gone, gone, Capture([grey(3), grey(4)]), Capture([grey(5)])
    )
    frames = []
    for frame in found:
        frames.append(frame)
        if len(frames) == 5:
            found.stop()
    assert levels(frames) == [1, 2, 3, 4, 5] and found.reconnects == 2 and pauses == [1, 2, 4, 8, 1]
    begun = [frame.begins for frame in frames]
    assert begun[2] == begun[4] == "it came back" and not begun[0] and not begun[1] and not begun[3]
    assert said[0] == "source: 0 ended; opened again in 1 s"
    assert said[4] == "source: 0: it came back; what was seen before is forgotten"


def test_an_unplugged_camera_is_given_up():
    now = [0.0]

    def pause(seconds):
        now[0] += seconds

    options = {"pause": pause, "clock": lambda: now[0], "retry_for": 30}
    found, _, _ = source(CAMERA, Capture([grey(1)]), *[SourceError("source: 0 cannot be opened")] * 9, **options)
    frames = []
    with pytest.raises(SourceError, match="source: 0 cannot be opened; given up after 45 s without a frame"):
        frames.extend(found)
    assert now[0] == 1 + 2 + 4 + 8 + 15 + 15


def test_a_source_that_was_never_there_is_an_error_at_once():
    with pytest.raises(SourceError, match="cannot be opened"):
        list(source(CAMERA, SourceError("source: 0 cannot be opened"))[0])
    with pytest.raises(SourceError, match="source: 0 was opened and gave no frame"):
        list(source(CAMERA, Capture([]))[0])


def test_a_hanging_read_is_left_behind():
    """A file ends with a message after the frames before; a camera is opened again."""
    free = threading.Event()
    hangs = [grey(1), free.wait, grey(9)]
    frames = []
    with pytest.raises(SourceError, match=r"source: clip.mp4 could not be read within 0.2 s"):
        frames.extend(source(FILE, Capture(hangs, times=[0, 1]), wait=0.2)[0])
    found, said, _ = source(CAMERA, Capture(hangs, times=[0, 1]), Capture([grey(2)]), wait=0.2)
    for frame in found:
        frames.append(frame)
        if frame.begins:
            found.stop()
    assert levels(frames) == [1, 1, 2] and "could not be read within 0.2 s; opened again in 1 s" in said[0]
    assert len(found.readers) == 2
    free.set()  # the frame that comes at last is nobody's
    for reader in found.readers:
        reader.join(5)
        assert not reader.is_alive()


def test_a_hanging_opening_is_left_behind_and_no_more_than_three_hang():
    free = threading.Event()
    found, said, _ = source(CAMERA, Capture([grey(1)]), wait=0.15)
    first = found.open

    def once_then_hang():
        found.open = lambda: free.wait(20) and Capture([])
        return first()

    found.open = once_then_hang
    seen = []
    with pytest.raises(SourceError, match="given up after"):
        found.retry_for = 0.7
        seen.extend(found)
    assert "could not be opened within 0.15 s" in " ".join(said)
    assert len([reader for reader in found.readers if reader.is_alive()]) <= 3
    free.set()


def test_a_stop_does_not_wait_for_a_hanging_read():
    free = threading.Event()
    found, _, _ = source(CAMERA, Capture([grey(1), free.wait]), wait=60.0)
    threading.Timer(0.3, found.stop).start()
    assert len(list(found)) == 1  # returns, long before the minute is over
    free.set()


def test_a_pause_and_another_size_begin_a_new_stream():
    capture = Capture([grey(0), grey(1), grey(2, (16, 12)), grey(3, (16, 12))], times=[0, 2.5, 2.6, 2.7])
    found, said, _ = source(FILE, capture)
    begun = [frame.begins for frame in found]
    assert begun == ["", "no frame came for 2.5 s", "frames of 12x16 pixels follow such of 12x8", ""]
    assert said == [f"source: clip.mp4: {why}; what was seen before is forgotten" for why in begun[1:3]]


def test_grey_frames_and_those_with_a_fourth_channel():
    blue = np.zeros((4, 6, 4), np.uint8)
    blue[..., 0] = 200
    assert as_rgb(blue)[0, 0].tolist() == as_rgb(blue[..., :3])[0, 0].tolist() == [0, 0, 200]
    for image in (np.full((4, 6), 7, np.uint8), np.full((4, 6, 1), 7, np.uint8)):
        assert as_rgb(image).shape == (4, 6, 3) and (as_rgb(image) == 7).all()
    with pytest.raises(SourceError, match="frames of 1 channels of uint16; 1, 3 or 4 of uint8 can be read"):
        as_rgb(np.zeros((4, 6), np.uint16))


# ---- real files


def test_a_file_of_one_frame_and_one_of_none(tmp_path):
    assert len(list(Source(str(tiny.write_video(tmp_path / "one.avi", frames=1))))) == 1
    (tmp_path / "none.mp4").write_bytes(b"")
    with pytest.raises(DecodeError, match=r"none.mp4: empty; put the video there"):
        list(Source(str(tmp_path / "none.mp4")))
    with pytest.raises(DecodeError, match=r"nowhere.mp4: no such clip"):
        list(Source("nowhere.mp4"))


def test_a_truncated_file_gives_what_it_holds_and_says_so(tmp_path):
    path = tiny.write_video(tmp_path / "whole.avi", frames=60)
    whole = list(Source(str(path), say=pytest.fail))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said = []
    part = list(Source(str(path), say=said.append))
    assert len(whole) == 60 and 20 < len(part) < 40
    assert said == [f"source: {path} ends after {len(part)} frames where it announces 60; is it whole?"]
    assert [frame.seconds for frame in whole] == pytest.approx([k / 12 for k in range(60)], abs=1e-3)


def test_rotation_metadata_is_honoured():
    path = tiny.shared_data() / "odd-files" / "rotated-90.mp4"
    height, width, _ = next(iter(Source(str(path)))).image.shape
    plain = cv2.VideoCapture(str(path))
    plain.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    stored = plain.read()[1].shape
    assert (height, width) == (stored[1], stored[0]) and height != width


def test_no_camera_and_no_server():
    with pytest.raises(SourceError, match=r"source: 97 cannot be opened; is it plugged in, free, and may you read it"):
        opened("97", 1.0)
    with pytest.raises(SourceError, match=r"source: rtsp://127.0.0.1:9/x cannot be opened; is it running"):
        opened("rtsp://127.0.0.1:9/x", 1.0)
