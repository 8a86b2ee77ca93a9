"""Decisions for people: the overlay on a copy, the frame rate, the video, the window."""

import sys
import types

import av
import numpy as np
import pytest

from repro.online.display import Rate, Video, Window, overlay
from repro.online.labels import Decision
from repro.online.sources import Frame


def decision(**changes):
    values = {"t_first": 0.0, "t_last": 0.6, "label": "drink", "top5": (("drink", 0.7), ("eat", 0.2))}
    return Decision(**values | {"latency_ms": 9.0, "frame_age_ms": 12.0, "dropped": 0, "reconnects": 0} | changes)


@pytest.mark.parametrize("shape", [(480, 640), (64, 48), (1080, 1920), (7, 5)])
def test_the_overlay_is_drawn_on_a_copy(shape):
    image = np.full((*shape, 3), 120, np.uint8)
    kept = image.copy()
    for shown in (overlay(image, decision(), 25.0), overlay(image, None), overlay(image[:, ::-1], decision())):
        assert shown.shape == image.shape and (shown != image).any()
    assert np.array_equal(image, kept)


def test_the_overlay_says_another_label_otherwise():
    image = np.zeros((480, 640, 3), np.uint8)
    seen = [overlay(image, each) for each in (None, decision(), decision(label="eat"), decision(label="unknown"))]
    assert len({each.tobytes() for each in seen}) == 4


def test_the_rate_is_that_of_the_last_thirty_frames():
    rate = Rate()
    assert rate.of(Frame(np.zeros((1, 1, 3)), 0.0, 0.0)) is None
    rates = [rate.of(Frame(np.zeros((1, 1, 3)), 0.0, k / 10)) for k in range(1, 6)]
    assert rates == pytest.approx([10] * 5)
    for k in range(60):
        last = rate.of(Frame(np.zeros((1, 1, 3)), 0.0, 10 + k / 50))
    assert last == pytest.approx(50)


def test_a_video_has_its_frames_at_their_times(tmp_path):
    """Of an odd size, one of another size among them, one that comes at the time of the frame before."""
    video = Video(tmp_path / "draft")
    for level, (height, width), seconds in (
        (40, (71, 97), 5.0),
        (80, (71, 97), 5.04),
        (120, (50, 30), 5.5),
        (160, (71, 97), 5.5),
    ):
        video.write(np.full((height, width, 3), level, np.uint8), seconds)
    video.close()
    with av.open(str(tmp_path / "draft")) as file:
        stream = file.streams.video[0]
        frames = [(frame.time, round(frame.to_ndarray(format="rgb24").mean())) for frame in file.decode(stream)]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 96, 70)
        assert stream.codec_context.pix_fmt == "yuv420p"  # what browsers play
    assert [time for time, _ in frames] == pytest.approx([0, 0.04, 0.5, 0.501], abs=1e-3)
    assert [level for _, level in frames] == pytest.approx([40, 80, 120, 160], abs=3)


def test_a_window_without_a_display_says_why(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(RuntimeError, match="no window: "):
        Window("title")


def test_a_window_shows_pictures_and_closes(monkeypatch):
    """With a made Tk: what it is given, and that q closes it."""
    given, bound = {}, {}

    class Root:
        def title(self, text):
            given["title"] = text

        def protocol(self, _name, function):
            bound["close"] = function

        def bind(self, key, function):
            bound[key] = function

        def update(self):
            given["updated"] = True

        def destroy(self):
            given["destroyed"] = True

    class Label:
        def __init__(self, root):
            assert isinstance(root, Root)

        def pack(self):
            pass

        def configure(self, image):
            given["image"] = image

    made = types.SimpleNamespace(Tk=Root, Label=Label, PhotoImage=lambda **options: options, TclError=OSError)
    monkeypatch.setitem(sys.modules, "tkinter", made)
    window = Window("0: a/b")
    window.show(np.arange(18, dtype=np.uint8).reshape(2, 3, 3))
    assert given["title"] == "0: a/b" and given["updated"]
    assert given["image"] == {"data": b"P6 3 2 255 " + bytes(range(18)), "format": "PPM"}
    assert not window.closed
    bound["q"](None)
    assert window.closed
    window.close()
    assert given["destroyed"]


def test_a_video_plays_in_a_browser(tmp_path, browser):
    video = Video(tmp_path / "seen.mp4")
    for k in range(50):
        video.write(np.full((72, 96, 3), 3 * k, np.uint8), k / 25)
    video.close()
    page = browser.new_page()
    (tmp_path / "page.html").write_text("<video src=seen.mp4 muted></video>", encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("document.querySelector('video').readyState >= 2")
    size = page.evaluate("(v => [v.videoWidth, v.videoHeight, v.duration])(document.querySelector('video'))")
    assert size[:2] == [96, 72] and size[2] == pytest.approx(2, abs=0.1)
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_function("document.querySelector('video').currentTime > 0.2")
    page.close()
