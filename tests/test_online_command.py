"""``repro online``: from a source and a run to JSON lines, a video and an exit status."""

import functools
import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import tiny
from test_cli import call

from repro.online import command
from repro.online.display import Window


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny trained run of 4 frames: the folder that has its results/ and build/runs/."""
    folder = tmp_path_factory.mktemp("project")
    tiny.trained(folder)
    (folder / "build").mkdir()
    (folder / "runs").rename(folder / "build" / "runs")
    return folder


@pytest.fixture
def recognise(run, monkeypatch, capsys):
    """Calls the command in the run's folder: exit status, decisions, and what it said."""

    def recognise(path, *options):
        monkeypatch.chdir(run)
        arguments = ("online", "--source", path, "--run", "s/r", "--no-window", *options)
        status, out, err = call(monkeypatch, capsys, *arguments)
        return status, [json.loads(line) for line in out.splitlines()], err

    return recognise


def test_a_file_is_decided_and_saved(recognise, tmp_path):
    """23 frames of 12 a second, none a cut: five decisions; drawing them changes none."""
    path = tiny.write_video(tmp_path / "clip.avi", frames=23, brightness=60)
    status, found, err = recognise(path)
    assert status == 0 and len(found) == 5 and f"{path}: 23 frames seen, 0 dropped, 5 decisions" in err
    assert [each["t_last"] for each in found] == pytest.approx([k / 12 for k in (3, 7, 11, 15, 19)], abs=1e-3)
    assert all(each["label"] in tiny.CLASSES and each["label"] == each["top5"][0][0] for each in found)
    status, drawn, _ = recognise(path, "--save", tmp_path / "seen.mp4")
    assert status == 0 and [each["top5"] for each in drawn] == [each["top5"] for each in found]
    with av.open(str(tmp_path / "seen.mp4")) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == 23 and frames[-1].time == pytest.approx(22 / 12, abs=2e-3)
    assert frames[0].to_ndarray(format="rgb24")[:20].max() > 150, "something is written at its top"


def test_another_backend_decides_the_same(recognise, tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi", frames=23, brightness=60)
    _, own, _ = recognise(path)
    status, found, _ = recognise(path, "--backend", "folded-channels-last-fp32")
    assert status == 0 and [each["label"] for each in found] == [each["label"] for each in own]
    scores = [[each["top5"][0][1] for each in decisions] for decisions in (own, found)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    status, found, err = recognise(path, "--backend", "openvino-int8")
    assert status == 1 and not found and "takes its ranges from clips, which a stream has not yet; use auto" in err


def test_by_time_unknown_and_hysteresis(recognise, tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi", frames=24, brightness=60)
    _, found, _ = recognise(path, "--seconds", "0.67", "--unknown-below", "1", "--hysteresis", "0.5")
    # four stretches of 0.1675 s, a decision each three; frames come each 0.083 s
    assert {each["label"] for each in found} == {"unknown"} and len(found) == 3
    assert all(0.49 < each["t_last"] - each["t_first"] < 0.67 for each in found)
    status, _, err = recognise(path, "--unknown-below", "2")
    assert status == 1 and "repro: unknown_below: 2.0 is no probability; use 0 to 1" in err


def test_too_short_a_source_says_what_is_needed(recognise, tmp_path):
    status, found, err = recognise(tiny.write_video(tmp_path / "one.avi", frames=1))
    assert status == 1 and not found and "1 frames seen, 0 dropped, 0 decisions" in err
    assert "nothing was decided; the first decision takes 4 frames" in err


def test_faults_are_one_message(recognise, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(command, "find_trained", None)  # a file that is not there needs no network
        status, _, err = recognise(tmp_path / "none.mp4", "--save", tmp_path / "seen.mp4")
        assert (
            status == 1
            and err.startswith(f"repro: {tmp_path}/none.mp4: no such clip; name a")
            and not list(tmp_path.iterdir())
        )
        assert recognise("/dev/none")[2].startswith("repro: /dev/none: no such device; name a camera's number, a file")
    path = tiny.write_video(tmp_path / "clip.avi")
    status, _, err = recognise(path, "--save", "seen.avi")
    assert status == 1 and "save: seen.avi must end in .mp4" in err
    status, _, err = recognise(path, "--run", "s/none")
    assert status == 1 and "results/s/none" in err and "Traceback" not in err


def test_an_interruption_keeps_the_video(recognise, tmp_path, monkeypatch):
    path = tiny.write_video(tmp_path / "clip.avi", frames=23, brightness=60)
    drawn = []

    def overlay(image, *_):
        drawn.append(1)
        if len(drawn) == 10:
            raise KeyboardInterrupt
        return np.ascontiguousarray(image)

    monkeypatch.setattr(command, "overlay", overlay)
    status, found, err = recognise(path, "--save", tmp_path / "seen.mp4")
    assert status == 0 and 1 <= len(found) <= 3 and "frames seen" in err and "Traceback" not in err
    with av.open(str(tmp_path / "seen.mp4")) as file:
        assert len(list(file.decode(video=0))) == 9


def test_ctrl_c_ends_the_process_cleanly(run, tmp_path):
    """A minute of video played at its own rate, ended after the first decision."""
    path = tiny.write_video(tmp_path / "clip.avi", frames=720)
    program = [Path(sys.executable).with_name("repro"), "online", "--source", path, "--run", "s/r"]
    program += ["--realtime", "--no-window", "--save", tmp_path / "seen.mp4"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # whoever starts the tests in the background hands down a SIGINT that is ignored
    heeded = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(program, cwd=run, preexec_fn=heeded, **pipes) as process:
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and first["label"] in tiny.CLASSES
    assert "frames seen" in err and "Traceback" not in err and "Fatal" not in err
    with av.open(str(tmp_path / "seen.mp4")) as file:
        assert 1 <= len(list(file.decode(video=0))) < 700


def test_a_window_is_shown_until_it_is_closed(run, monkeypatch, capsys, tmp_path):
    shown = []

    class Made:
        closed = False

        def __init__(self, title):
            self.title = title

        def show(self, image):
            shown.append(image.shape)
            self.closed = len(shown) == 6

        def close(self):
            shown.append(self.title)

    path = tiny.write_video(tmp_path / "clip.avi", frames=200)
    monkeypatch.chdir(run)
    monkeypatch.setattr(command, "Window", Made)
    status, _, err = call(monkeypatch, capsys, "online", "--source", path, "--run", "s/r")
    assert status == 0 and shown[:6] == [(72, 96, 3)] * 6 and shown[-1] == f"{path}: s/r" and len(shown) < 100
    monkeypatch.setattr(command, "Window", Window)
    monkeypatch.delenv("DISPLAY", raising=False)
    status, _, err = call(monkeypatch, capsys, "online", "--source", path, "--run", "s/r")
    assert status == 0 and "repro: no window: " in err and "200 frames seen" in err
