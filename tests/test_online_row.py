"""Test clips in a row, recognised by every way at once; the pace and the memory of it."""

import json

import numpy as np
import pytest
import tiny
import torch

from repro.bench import online_memory as memory
from repro.bench import online_pace as pace
from repro.bench import online_row as row
from repro.bench import online_timeline as timeline
from repro.bench.online_row import Shared, compared, in_a_row, rate_of
from repro.bench.online_timeline import read_rows
from repro.data.clips import Clip
from repro.data.decode import count_frames, read_frames
from repro.inference.trained import trained
from repro.online.recogniser import OnlineRecogniser
from repro.online.ways import PUBLISHED, RELEASED


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    return tiny.trained(folder), folder


@pytest.fixture(scope="module")
def measured(run):
    record, folder = run
    found = row.measure(record, results=folder / "results", work=folder / "runs")
    return found, read_rows(folder / "results")[0]


def test_the_ways_compared():
    found = compared(16, 2.0)
    assert found[timeline.PUBLISHED] == PUBLISHED and found[timeline.RELEASED] == RELEASED
    assert set(timeline.SLIPS.values()) < set(found) and len(found) == 12
    assert len(set(found.values())) == 12, "no two are the same"
    left_out = {timeline.RELEASED, timeline.SLIPS["sampling"]}
    assert set(found) - set(compared(12, 2.0)) == left_out  # slots need a power of two


def test_the_order_is_drawn_once():
    clips = [Clip(str(k), None, k // 5, "g") for k in range(20)]
    found = in_a_row(clips)
    assert found == in_a_row(clips) and sorted(found, key=lambda clip: int(clip.name)) == clips != found


def test_every_way_decides_as_it_would_alone(run, measured):
    """Though maps are shared: each way's decisions are those of its own recogniser on the same stream."""
    record, folder = run
    found, filed = measured
    assert found.device == "CPU, 1 thread(s)" or torch.cuda.is_available()  # as many as the run had
    clips = filed.published.clips
    assert clips["frames"].tolist() == [14 + int(g[-2:]) % 3 for g in clips["group"]] and len(clips) == 4
    network = trained(record.experiment, 2, work=folder / "runs")
    paths = [folder / "set" / "videos" / name for name in clips["name"]]
    frames = [frame for path in paths for frame in read_frames(path, range(count_frames(path)))]
    for name, way in compared(4, found.content["seconds"]).items():
        online = OnlineRecogniser(network, record.classes, frames=4, size=64, way=way)
        alone = [(k, int(p.argmax())) for k, f in enumerate(frames) if (p := online.push(f, k / 12)) is not None]
        table = found.table[found.table["way"] == name]
        assert list(zip(table["frame"], table["label"])) == alone and alone, name
    assert set(filed.ways) > set(compared(4, 1.0))


def test_dropped_frames_are_not_seen(measured):
    found, _ = measured
    total = sum(clip["frames"] for clip in found.content["clips"])
    count = found.table["way"].value_counts()
    assert count[timeline.PUBLISHED] == total // 4
    for share in timeline.DROPS:
        assert count[timeline.dropping(timeline.PUBLISHED, share)] == int(total * (1 - share) + 1e-9) // 4


def test_habits_are_of_the_same_decisions(measured):
    found, filed = measured
    for name in (*map(timeline.holding, timeline.HYSTERESES), *map(timeline.knowing, timeline.THRESHOLDS)):
        assert len(found.table[found.table["way"] == name]) == len(
            found.table[found.table["way"] == timeline.PUBLISHED]
        )
    strict = filed.ways[timeline.knowing(0.7)].shown
    assert set(strict) <= {timeline.NONE, timeline.UNKNOWN, 0, 1}
    assert filed.ways[timeline.holding(0.5)].changes_a_minute <= filed.published.changes_a_minute


def test_frames_without_a_rate(tmp_path):
    folder = tiny.write_frames(tmp_path / "1")
    with pytest.raises(ValueError, match="says no frame rate, so a stream of it has no times; take a video file"):
        rate_of(Clip("1", folder, 0, "g"))
    assert rate_of(Clip("2", tiny.write_video(tmp_path / "2.avi"), 0, "g")) == 12


def test_a_run_on_frames_files_that_they_have_no_times(run, tmp_path, monkeypatch):
    """So that the page's own file is there, and says nothing."""
    record, folder = run
    monkeypatch.setattr(row, "holds_images", lambda _path: True)
    found = row.measure(record, results=tmp_path, work=folder / "runs")
    assert found.content["not_run"] == "its clips are frames without times"
    assert (tmp_path / "s" / "timeline.parquet").is_file() and read_rows(tmp_path) == []


def test_equal_frames_are_mapped_once():
    class Counting(torch.nn.Module):
        head, calls = None, 0

        def trunk(self, frames):
            self.calls += 1
            return frames + 1

    network = Counting()
    shared = Shared(network)
    for _ in range(3):
        assert shared.trunk(torch.ones(1, 3)).tolist() == [[2, 2, 2]]
    shared.trunk(torch.zeros(1, 3))
    assert network.calls == 2
    shared.forget()
    shared.trunk(torch.ones(1, 3))
    assert network.calls == 3


# ---- pace and memory


SMALL = {"width": 0.125, "size": 64, "frames": 4}


def test_pace_is_measured(tmp_path):
    """With a network of an eighth of the width on a second of video: the fields that the page reads, and that a
    network which needs three frames' time for a map drops frames."""
    content = pace.measure(network=SMALL, seconds=1.2, rounds=3, results=tmp_path).content
    assert list(content["paces"]) == ["as it is", "3 times slower", "3 frames' time for each map"]
    for found in content["paces"].values():
        assert found["frames"] == 30 and found["decisions"] >= 1
        assert found["latency_ms_median"] <= found["frame_age_ms_largest"]
    assert content["paces"]["3 frames' time for each map"]["dropped"] > 3
    assert set(content["saving"]) == {"as published", "by time, 3 new frames"}
    assert all(each["low"] <= each["times"] <= each["high"] for each in content["saving"].values())
    assert json.loads((tmp_path / "online" / "pace.json").read_text())["paces"] == content["paces"]


def test_memory_is_measured(tmp_path):
    content = memory.measure(network=SMALL, seconds=61.0, results=tmp_path).content
    assert content["streamed"] == 61 * 25 and content["decisions"] == 61 * 25 // 4
    assert len(content["mb"]) == 3 and min(content["mb"]) > 50
    assert json.loads((tmp_path / "online" / "memory.json").read_text())["mb"] == content["mb"]


def test_a_slowed_network_is_slow():
    class Instant:
        def trunk(self, frames):
            return frames

    begin = pace.time.monotonic()
    assert pace.Slowed(Instant(), seconds=0.05).trunk(torch.ones(1)).item() == 1
    assert pace.time.monotonic() - begin >= 0.05
    frames = pace.moving(3)
    assert np.shape(frames) == (3, 240, 320, 3) and not np.array_equal(frames[0], frames[2])
