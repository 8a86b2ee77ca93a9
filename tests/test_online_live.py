"""A source recognised while it runs: what waits and what is dropped, labels, threads, how it ends."""

import json
import threading
import time

import numpy as np
import pytest
import torch
from test_online import Seeing
from test_online_sources import CAMERA, FILE, Capture, grey, source

from repro.data.images import DecodeError
from repro.models import build
from repro.online.labels import Decision, Labelling, top5
from repro.online.live import MOST, PATIENCE, Live, Waiting
from repro.online.recogniser import OnlineRecogniser
from repro.online.sources import Frame, SourceError
from repro.online.ways import PUBLISHED, Way


def frame(number, came=0.0, begins=""):
    return Frame(np.full((2, 2, 3), number, np.uint8), float(number), came, begins)


def numbers(waiting, count):
    return [int(waiting.take().seconds) for _ in range(count)]


# ---- frames that wait


def test_a_burst_of_work_drops_nothing():
    now = [0.0]
    waiting = Waiting(drop=True, clock=lambda: now[0])
    for k in range(5):
        waiting.put(frame(k, came=0.04 * k))
    now[0] = PATIENCE - 0.01
    assert numbers(waiting, 5) == [0, 1, 2, 3, 4] and waiting.dropped == 0


def test_a_network_that_falls_behind_takes_the_newest_until_it_has_caught_up():
    """Frames each 0.04 s, a network that takes 0.12 s: never more than 0.25 s old, and from then on always the newest,
    so one of three; then a fast one: none is dropped any more."""
    now, came, taken = [0.0], 0, []
    waiting = Waiting(drop=True, clock=lambda: now[0])

    def camera():
        nonlocal came
        while came * 0.04 <= now[0] + 1e-9:
            waiting.put(frame(came, came * 0.04))
            came += 1

    for _ in range(40):
        camera()
        found = waiting.take()
        taken.append(int(found.seconds))
        assert now[0] - found.came <= PATIENCE
        now[0] += 0.12
    steady = taken[10:]
    assert set(np.diff(steady)) == {3} and waiting.dropped == came - len(taken) - len(waiting.frames)
    for _ in range(50):
        camera()
        while waiting.frames:
            taken.append(int(waiting.take().seconds))
        now[0] += 0.04
    assert set(np.diff(taken[42:])) == {1}


def test_what_waits_is_bounded_and_a_beginning_is_not_lost():
    waiting = Waiting(drop=True, clock=lambda: 0.0)
    for k in range(3 * MOST):
        waiting.put(frame(k, begins="a pause" if k == 7 else ""))
    assert len(waiting.frames) == MOST and waiting.dropped == 2 * MOST
    assert waiting.frames[0].begins == "a pause" and not any(each.begins for each in list(waiting.frames)[1:])


def test_a_file_waits_instead_of_dropping():
    waiting = Waiting(drop=False)
    writer = threading.Thread(target=lambda: [waiting.put(frame(k)) for k in range(50)] and waiting.close())
    writer.start()
    time.sleep(0.05)
    assert len(waiting.frames) == MOST
    assert numbers(waiting, 50) == list(range(50)) and waiting.take() is None and waiting.dropped == 0
    writer.join()


# ---- labels


def test_unknown_below_a_threshold():
    labelling = Labelling("ab", unknown_below=0.6)
    assert [labelling.label(np.array([p, 1 - p])) for p in (0.59, 0.6, 0.4)] == ["unknown", "a", "b"]


def test_hysteresis_keeps_a_label_until_another_leads():
    labelling = Labelling("ab", hysteresis=0.2)
    shown = [labelling.label(np.array([p, 1 - p])) for p in (0.55, 0.45, 0.41, 0.39, 0.55, 0.61)]
    assert shown == ["a", "a", "a", "b", "b", "a"]
    assert labelling.label(np.array([0.45, 0.55]), stream=1) == "b"  # a new stream owes nothing to the last one
    with pytest.raises(ValueError, match=r"hysteresis: 1\.5 is no probability; use 0 to 1"):
        Labelling("ab", hysteresis=1.5)


def test_the_five_most_probable():
    p = np.array([0.1, 0.3, 0.1, 0.05, 0.25, 0.2])
    assert top5(p, "abcdef") == (("b", 0.3), ("e", 0.25), ("f", 0.2), ("a", 0.1), ("c", 0.1))
    assert top5(np.array([0.25, 0.75]), "ab") == (("b", 0.75), ("a", 0.25))


# ---- the whole


class Slow(Seeing):
    """Takes so many seconds for a map, and for a decision."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def trunk(self, frames):
        time.sleep(self.seconds)
        return super().trunk(frames)


def live(found, network=None, *, way=PUBLISHED, **options):
    online = OnlineRecogniser(network or Seeing(), "ab", frames=4, size=8, way=way)
    return Live(online, found, Labelling("ab"), **options)


def test_a_file_gives_the_decisions_of_the_recogniser_bit_for_bit():
    """Of a real network, run by run, with and without frames to show, in threads and without any."""
    torch.manual_seed(0)
    network = build("res34_se_im_net", classes=2, width=0.125)
    images = list(np.random.default_rng(0).integers(0, 256, (21, 72, 96, 3), np.uint8))
    alone = OnlineRecogniser(network, "ab", frames=4, size=64)
    expected = [p for k, image in enumerate(images) if (p := alone.push(image[..., ::-1], k / 25)) is not None]
    for show in (False, True, False):
        online = OnlineRecogniser(network, "ab", frames=4, size=64)
        run = Live(online, source(FILE, Capture(images))[0], Labelling("ab"), frames=show)
        found = [each for each in run if isinstance(each, Decision)]
        assert [each.top5 for each in found] == [top5(p, "ab") for p in expected] and len(found) == 5
        assert [each.t_last for each in found] == [0.12, 0.28, 0.44, 0.6, 0.76] and found[1].t_first == 0.04
        assert run.came == 21 and run.dropped == 0


def test_a_decision_is_a_line_of_json():
    (first, *_) = live(source(FILE, Capture([grey(k) for k in range(4)]))[0])
    line = json.loads(first.line())
    fields = ["t_first", "t_last", "label", "top5", "latency_ms", "frame_age_ms", "dropped", "reconnects"]
    assert list(line) == fields
    assert line["label"] == "a" and line["top5"] == [["a", 0.5], ["b", 0.5]] and line["t_last"] == 0.12
    assert 0 <= line["latency_ms"] <= line["frame_age_ms"]


def test_frames_come_before_the_decision_that_they_make_due():
    run = live(source(FILE, Capture([grey(k) for k in range(9)]))[0], frames=True)
    kinds = ["decision" if isinstance(each, Decision) else int(each.image[0, 0, 0]) for each in run]
    assert kinds == [0, 1, 2, 3, "decision", 4, 5, 6, 7, "decision", 8]


def test_a_slow_network_drops_frames_and_does_not_lag():
    """50 frames a second, 0.06 s a frame: two of three are dropped, whatever the file's length."""
    images, run = [grey(k) for k in range(120)], None
    found, _, _ = source(FILE, Capture(images, rate=50.0), realtime=True)
    found.pause = found.stopped.wait
    run = live(found, Slow(0.06), way=Way("time", seconds=0.16, fresh=1))
    decisions = list(run)
    assert run.dropped > 60 and run.came + run.dropped == 120 and len(decisions) > 10
    assert decisions[-1].dropped > decisions[0].dropped
    assert max(each.frame_age_ms for each in decisions) < 1000 * (PATIENCE + 4 * 0.06) + 200  # and a busy machine's lag
    assert decisions[-1].t_last > 2.0


def test_the_state_is_cleared_where_the_source_comes_back():
    network, free = Seeing(), threading.Event()
    back = Capture([*(grey(k) for k in range(50, 54)), free.wait])
    found, _, _ = source(CAMERA, Capture([grey(k) for k in range(6)]), back)
    run = live(found, network, clock=lambda: 0.0)  # nothing waits for long, however busy the machine is
    decisions = []
    for each in run:
        decisions.append(each)
        if len(decisions) == 2:
            run.stop()
    free.set()
    assert network.seen == [[0, 1, 2, 3], [50, 51, 52, 53]]  # 4 and 5 are forgotten
    assert decisions[1].reconnects == 1


@pytest.mark.parametrize("rate", [5.0, 25.0, 60.0])
def test_by_time_a_decision_spans_the_same_seconds_at_every_rate(rate):
    capture = Capture([grey(k % 200) for k in range(int(6 * rate))], rate=rate)
    found = list(live(source(FILE, capture)[0], way=Way("time", seconds=2.0, fresh=1)))
    spans = {round(each.t_last - each.t_first, 2) for each in found}
    assert len(found) >= 8 and all(1.4 <= span <= 2.0 for span in spans)


def test_what_came_before_a_failure_is_decided_and_the_failure_said():
    free = threading.Event()
    images = [grey(0), grey(1), grey(2), grey(3), free.wait]
    decisions = []
    with pytest.raises(SourceError, match=r"could not be read within 0.2 s"):
        decisions.extend(live(source(FILE, Capture(images, times=[0, 1, 2, 3]), wait=0.2)[0]))
    free.set()
    assert len(decisions) == 1
    with pytest.raises(DecodeError, match="not one frame decodes"):
        list(live(source(FILE, Capture([]))[0]))


@pytest.mark.parametrize("part", ["trunk", "head"])
def test_a_fault_in_a_thread_is_raised_where_the_decisions_are_read(part):
    network = Seeing()

    def fault(_):
        raise ArithmeticError("made")

    setattr(network, part, fault)
    before = threading.active_count()
    with pytest.raises(ArithmeticError, match="made"):
        list(live(source(FILE, Capture([grey(k) for k in range(200)]))[0], network))
    assert threading.active_count() <= before + 1  # the reader sees in a moment that nobody asks any more


def test_leaving_in_the_middle_ends_all_threads():
    before = threading.active_count()
    run = live(source(FILE, Capture([grey(k % 200) for k in range(4000)]))[0], frames=True)
    for _, each in zip(range(9), run):
        assert each is not None
    del each
    run.stop()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before
