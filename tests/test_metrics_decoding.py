"""Reading clips, measured: wrong frames are counted, missing libraries shown, the derived numbers known by hand.

No test says how fast anything is.
"""

import copy
import json
import os

import cv2
import numpy as np
import pytest
import tiny
from matplotlib import pyplot

from repro.bench import decoding
from repro.bench.decoding import measure, measure_source
from repro.bench.exactness import exactness
from repro.bench.readers import CACHE, CEILING, WAYS, Way
from repro.data.decode import OPENCV_OPTIONS, read_frames
from repro.report import decoding as report


def late(path, wanted):
    """One frame late, but right at the start."""
    return read_frames(path, [max(0, index - 1) for index in wanted])


def blurred(path, wanted):
    return np.stack([cv2.GaussianBlur(frame, (5, 5), 0) for frame in read_frames(path, wanted)])


def refusing(path, wanted):
    raise RuntimeError(f"{path}: cannot\nmore")


def way(read, **options):
    return Way("made", read, **{"offered": True, **options})


@pytest.fixture
def clips(tmp_path):
    names = ("Foo/a.avi", "Bar/b (HQ)+!.avi")
    return {name: tiny.write_video(tmp_path / name, frames=11, brightness=7 * k) for k, name in enumerate(names)}


# ---------------------------------------- exactness


def test_wrong_frames_are_counted(clips):
    ways = {"right": way(read_frames), "late": way(late), "blurred": way(blurred), "refusing": way(refusing)}
    lengths, found = exactness(ways, {path: path for path in clips.values()}, segments=3)
    assert list(lengths.values()) == [11, 11]
    asked = {"asked": 10, "furthest": 0, "refused": 0, "reason": None}  # frames 0, 1, 5, 9, 10 of two clips
    assert found["right"] == asked | {"same": 10, "wrong": 0}
    assert found["blurred"] == asked | {"same": 0, "wrong": 0}
    assert found["late"] == asked | {"same": 2, "wrong": 8, "furthest": 1}
    assert found["refusing"]["refused"] == 2 and found["refusing"]["asked"] == 0
    assert found["refusing"]["reason"] == "b (HQ)+!.avi: cannot"


def test_a_frame_like_another_is_not_called_wrong(tmp_path):
    """A still picture: no frame can be told from the next, so none is wrong."""
    path = tmp_path / "still.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (96, 72))
    for _ in range(5):
        video.write(np.full((72, 96, 3), 90, np.uint8))
    video.release()
    assert exactness({"late": way(late)}, {path: path}, segments=2)[1]["late"]["wrong"] == 0


def test_the_ways_for_training_are_exact_on_real_clips(shared_data, tmp_path):
    """And OpenCV's seek is not, on a clip whose file lacks a frame: the count finds what it is there to find."""
    path = shared_data / "ucf101-3" / "videos" / "BabyCrawling" / "v_BabyCrawling_g09_c02.avi"
    clip = {"BabyCrawling/clip.avi": path}
    names = ("opencv", "pyav", CACHE, "opencv seek")
    content = measure_source(clip, tmp_path, frames=(2,), repeats=1, size=32, ways={name: WAYS[name] for name in names})
    wrong = {name: facts["exact"] and facts["exact"]["wrong"] for name, facts in content["ways"].items()}
    assert wrong["opencv"] == wrong[CACHE] == 0 and wrong["pyav"] in (0, None)
    assert wrong["opencv seek"] > 10


# ---------------------------------------- the measurement


@pytest.fixture
def content(clips, tmp_path):
    ways = {name: WAYS[name] for name in ("opencv", CACHE, CEILING)} | {
        "refusing": way(refusing, offered=False),
        "late": way(late, offered=False),
        "absent": way(read_frames, library="decord"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(OPENCV_OPTIONS, raising=False)
        patch.setattr(decoding, "why_not", lambda name: "decoder: no decord" if name == "decord" else None)
        threads = cv2.getNumThreads()
        measured = measure_source(clips, tmp_path / "frames", frames=(2, 3), repeats=3, size=32, ways=ways)
        assert cv2.getNumThreads() == threads and OPENCV_OPTIONS not in os.environ  # as it was before
    sources = {"made clips": measured}
    return {"sources": sources, "frames": [2, 3], "repeats": 3, "size": 32, "libraries": {}}


def test_what_is_measured(content, clips, tmp_path):
    assert json.loads(json.dumps(content)) == content
    source = content["sources"]["made clips"]
    zips = [tmp_path / "frames" / name for name in ("Foo/a.zip", "Bar/b (HQ)+!.zip")]
    assert source["clips"] == 2 and source["mean_frames"] == 11
    assert source["bytes"]["video"] == np.mean([path.stat().st_size for path in clips.values()])
    assert source["bytes"]["cache"] == np.mean([path.stat().st_size for path in zips])
    assert source["bytes"]["cached_frame"] == pytest.approx(source["bytes"]["cache"] / 11)
    ways = source["ways"]
    assert ways["absent"]["missing"] == "decoder: no decord"
    assert ways["absent"]["exact"] is None and ways["absent"]["speed"] == {}
    assert ways["refusing"]["exact"]["refused"] == 2 and ways["refusing"]["speed"] == {}
    for name in ("opencv", CACHE, CEILING, "late"):
        assert list(ways[name]["speed"]) == ["2", "3"]
        for speed in ways[name]["speed"].values():
            assert sum(speed["shares"].values()) == pytest.approx(1)
            assert 0 < speed["cpu"]["q25"] <= speed["cpu"]["median"] <= speed["cpu"]["q75"]
            assert speed["wall"]["median"] > 0
            assert (speed["of_ceiling"] is None) == (name == CEILING)
            assert (speed["cache_gain"] is None) == (name == CACHE)
    assert ways[CEILING]["speed"]["2"]["shares"] == {"decode": 1, "resize": 0, "crop": 0}
    assert ways["opencv"]["speed"]["2"]["shares"]["resize"] > 0


def test_clips_are_taken_evenly_by_pattern(clips, monkeypatch, tmp_path):
    for k in range(7):
        (tmp_path / f"{k}.avi").touch()
    taken = []
    monkeypatch.setattr(decoding, "measure_source", lambda clips, caches, **options: taken.append(clips) or {})
    measured = measure({"some": str(tmp_path / "*.avi"), "all": str(tmp_path / "Foo" / "*")}, clips=3)
    assert [list(named) for named in taken] == [[f"{tmp_path.name}/{k}.avi" for k in (0, 3, 6)], ["Foo/a.avi"]]
    assert measured["frames"] == [8, 16, 32] and any("opencv" in name for name in measured["libraries"])


def test_clips_that_are_not_there_are_named(tmp_path, clips):
    with pytest.raises(FileNotFoundError, match=r"sources: 40 of 0 clips match '.*none.*' \(gone\); name video files"):
        measure({"gone": str(tmp_path / "none" / "*.avi")})
    clips["Foo/a.avi"].write_bytes(b"")
    with pytest.raises(ValueError, match=r"Foo/a.avi: .*; measure clips that decode"):
        measure_source(clips, tmp_path / "frames", repeats=1)


# ---------------------------------------- tables, figure, sentences


@pytest.fixture
def made(content):
    """The measurement with round numbers: OpenCV 40, the cache 100 and the ceiling 50 clips a second."""
    content = copy.deepcopy(content)
    source = content["sources"]["made clips"]
    source["bytes"] = {"video": 300_000.0, "cache": 4_000_000.0, "cached_frame": 20_000.0}
    for name, rate in (("opencv", 40), (CACHE, 100), (CEILING, 50), ("late", 60)):
        speed = source["ways"][name]["speed"]["2"]
        speed["cpu"] = speed["wall"] = {"median": rate, "q25": rate - 1, "q75": rate + 1}
        speed["shares"] = {"decode": 0.8, "resize": 0.19, "crop": 0.01}
        speed["of_ceiling"] = None if name == CEILING else {"median": rate / 50, "low": 0.1, "high": 3.0}
        speed["cache_gain"] = None if name == CACHE else {"median": 100 / rate, "low": 0.1, "high": 3.0}
    return content


def test_the_speed_table_shows_every_way(made):
    table = report.speed_table(made["sources"]["made clips"], 2)
    wrong = dict(zip(made["sources"]["made clips"]["ways"], table["frames wrong"], strict=True))
    assert wrong == {
        "opencv": "0 of 22",
        CACHE: "0 of 22",
        CEILING: "gives none",
        "refusing": "refuses 2 clips",
        "late": "20 of 22, by up to 1",
        "absent": "not installed, not measured: no decord",
    }
    assert table["clips/s of CPU"].tolist()[:3] == [40, 100, 50] and table["clips/s of CPU"].isna().tolist()[-1]
    assert table["% of grab only"].tolist()[0] == 80
    assert table["decoding alone, % of grab only"].tolist()[0] == pytest.approx(100)
    assert set(report.FORMATS) <= set(table.columns)


def test_rates_and_space(made):
    rates = report.rates_table(made)
    assert rates["N = 2"].tolist() == [40, 100] and "N = 3" in rates  # the ways for training alone
    assert report.space_table(made).iloc[0]["times the video"] == pytest.approx(4000 / 300)
    assert report.fastest_video(made["sources"]["made clips"], 2) == "opencv"  # not the late one, which is faster
    assert report.in_words(made, 2) == ["made clips: opencv 40, frame cache 100, opencv grab only 50, late 60"]


def test_what_disks_deliver_by_hand(made):
    disks = {
        "slow": {"megabytes_a_second": 100, "reads_a_second": 100},
        "fast": {"megabytes_a_second": 1000, "reads_a_second": 1e5},
    }
    table = report.storage_table(made, 2, disks=disks, cores=4).set_index("disk")
    # slow: video 0.3 MB + one read = 3 + 10 ms; cache 2 frames = 0.4 ms + 3 reads = 30.4 ms, whole = 40 + 10 ms
    assert table.loc["slow", "disk delivers, video"] == pytest.approx(1000 / 13)
    assert table.loc["slow", "disk delivers, cache"] == pytest.approx(1000 / 30.4)
    assert table.loc["slow", "cores decode, video"] == 160 and table.loc["slow", "cores decode, cache"] == 400
    assert table["default"].to_dict() == {"slow": "video file", "fast": "frame cache"}
    # so many frames at unconnected places that reading the whole file is sooner
    made["sources"]["made clips"]["ways"]["opencv"]["speed"]["50"] = {"cpu": {"median": 1}}
    made["sources"]["made clips"]["ways"][CACHE]["speed"]["50"] = {"cpu": {"median": 1}}
    many = report.storage_table(made, 50, disks=disks, cores=4).set_index("disk")
    assert many.loc["slow", "disk delivers, cache"] == pytest.approx(1000 / 50)


def test_findings(made):
    (text,) = report.findings(made, 2)
    assert text == (
        "**made clips.** OpenCV gives 40.0 clips a second and core. That is 80.0 % (goal 95 %: not reached) of what "
        "it gives when it only grabs every frame; decoding alone, without crop and resize, runs at 100.0 % (goal 95 %: "
        "reached) of that. Fastest from the video files is opencv, with 40.0. The frame cache gives 2.50 times (goal "
        "1.5 times: reached) as many as that. Frames other than those asked for came from: late. Not timed, since "
        "clips are refused: refusing."
    )


def test_the_figure_shows_every_way_and_why_one_is_empty(made):
    figure = report.rate_plot(made, 2)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == list(made["sources"]["made clips"]["ways"])
    assert [bar.get_width() for bar in axis.patches] == [40, 100, 50, 60]
    assert [bar.get_hatch() for bar in axis.patches] == [None, None, None, "//"]
    assert [text.get_text().strip() for text in axis.texts] == ["refuses clips", "not installed"]
    pyplot.close(figure)
