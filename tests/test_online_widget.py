"""Online recognition in a notebook: what the widget shows, and that it ends."""

import threading

import cv2
import numpy as np
from test_online import Seeing
from test_online_sources import FILE, Capture, grey, source

from repro.online.labels import Labelling
from repro.online.live import Live
from repro.online.recogniser import OnlineRecogniser
from repro.online.widget import SIDE, Watch, enlarged


def live(*frames):
    online = OnlineRecogniser(Seeing(), ("a", "<b>"), frames=4, size=8)
    return Live(online, source(FILE, Capture(frames), wait=0.3)[0], Labelling(("a", "<b>")), frames=True)


def test_it_shows_the_picture_and_the_last_decisions():
    shown = Watch(live(*(grey(k % 200, (24, 36)) for k in range(40))))
    shown.thread.join(20)
    picture = cv2.imdecode(np.frombuffer(shown.picture.value, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (SIDE, SIDE * 36 // 24, 3)
    assert shown.text.value.count("t_last") == 5 and "ended: 40 frames seen, 0 dropped" in shown.text.value
    assert "&lt;b&gt;" in shown.text.value and shown.end.disabled


def test_the_button_ends_it():
    shown = Watch(live(*(grey(k % 200) for k in range(100_000))))
    shown.end.click()
    shown.thread.join(20)
    assert not shown.thread.is_alive() and shown.live.came < 100_000


def test_a_failure_is_said():
    free = threading.Event()
    shown = Watch(live(grey(0), free.wait))
    shown.thread.join(20)
    free.set()
    assert "could not be read within 0.3 s" in shown.text.value


def test_large_frames_stay_as_they_are():
    image = np.zeros((480, 640, 3), np.uint8)
    assert enlarged(image) is image and enlarged(image[:80, :100]).shape == (320, 400, 3)
