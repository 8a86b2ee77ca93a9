"""A real RTSP server on this machine's own address, cut and brought back: the recogniser goes on."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_online import Seeing

from repro.online.display import Video
from repro.online.labels import Labelling
from repro.online.live import Live
from repro.online.recogniser import OnlineRecogniser
from repro.online.sources import Source


@pytest.fixture
def server(tmp_path):
    """Starts a server of a clip of ten seconds, over and over: what it starts, and the clip's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    video = Video(tmp_path / "clip.mp4")
    for k in range(250):
        video.write(np.full((72, 96, 3), 60 + k % 100, np.uint8), k / 25)
    video.close()
    program = Path(sys.executable).with_name("rtsp-server")
    command = [program, "--dir", tmp_path, "--host", "127.0.0.1", "--port", str(port)]
    started = []

    def start():
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return started[-1]
            time.sleep(0.1)
        raise TimeoutError(f"{program} does not answer")

    yield start, f"rtsp://127.0.0.1:{port}/clip.mp4?play_count=0"
    for process in started:
        process.kill()
        process.wait()


def test_a_stream_that_is_cut_and_comes_back(server):
    start, address = server
    first, said = start(), []
    source = Source(address, say=said.append)
    source.pause = lambda _seconds: source.stopped.wait(0.2)
    online = OnlineRecogniser(Seeing(), "ab", frames=4, size=8)
    decisions = []
    for decision in Live(online, source, Labelling("ab")):
        decisions.append(decision)
        if len(decisions) == 3:
            first.kill()
            first.wait()
            start()
        if sum(each.reconnects > 0 for each in decisions) == 4:
            break
    again = [each for each in decisions if each.reconnects]
    assert len(decisions) - len(again) >= 3
    assert any("opened again in 1 s" in line for line in said)
    assert f"source: {address}: it came back; what was seen before is forgotten" in said
    cut = len(decisions) - len(again)
    assert decisions[cut].t_first > decisions[cut - 1].t_last, "no decision has frames of both sides of the cut"
    assert all(np.diff([each.t_last for each in decisions]) > 0)
