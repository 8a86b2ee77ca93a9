"""Reading clips, measured: wrong frames are counted, what is filed, and what is said of it. No test says how fast."""

import copy
import json
import os

import cv2
import numpy as np
import pytest
import tiny

from repro.bench import decoding
from repro.bench.decoding import CACHE, CEILING, READERS, Reader, exactness, measure, measure_source
from repro.data.decode import OPENCV_OPTIONS, read_frames
from repro.report import datasets as report


def late(path, wanted):
    """One frame late, but right at the start."""
    return read_frames(path, [max(0, index - 1) for index in wanted])


def blurred(path, wanted):
    return np.stack([cv2.GaussianBlur(frame, (5, 5), 0) for frame in read_frames(path, wanted)])


@pytest.fixture
def clips(tmp_path):
    names = ("Foo/a.avi", "Bar/b (HQ)+!.avi")
    return {name: tiny.write_video(tmp_path / name, frames=11, brightness=7 * k) for k, name in enumerate(names)}


def test_wrong_frames_are_counted(clips):
    readers = {
        name: Reader(name, read) for name, read in (("right", read_frames), ("late", late), ("blurred", blurred))
    }
    lengths, found = exactness(readers, {path: path for path in clips.values()}, segments=3)
    assert list(lengths.values()) == [11, 11]
    asked = {"asked": 10, "furthest": 0}  # frames 0, 1, 5, 9, 10 of two clips
    assert found["right"] == asked | {"same": 10, "wrong": 0}
    assert found["blurred"] == asked | {"same": 0, "wrong": 0}
    assert found["late"] == asked | {"same": 2, "wrong": 8, "furthest": 1}


def test_a_frame_like_another_is_not_called_wrong(tmp_path):
    """A still picture: no frame can be told from the next, so none is wrong."""
    path = tiny.save(tmp_path / "still.avi", [np.full((72, 96, 3), 90, np.uint8)] * 5)
    assert exactness({"late": Reader("late", late)}, {path: path}, segments=2)[1]["late"]["wrong"] == 0


def measure_small(patch, clips, folder, *, frames, repeats=2):
    for name, value in {"FRAMES": frames, "REPEATS": repeats, "SIZE": 32}.items():
        patch.setattr(decoding, name, value)
    return measure_source(clips, folder)


def test_the_readers_are_exact_on_a_real_clip(shared_data, tmp_path):
    path = shared_data / "ucf101-3" / "videos" / "BabyCrawling" / "v_BabyCrawling_g09_c02.avi"  # its file lacks a frame
    with pytest.MonkeyPatch.context() as patch:
        content = measure_small(patch, {"a/b.avi": path}, tmp_path, frames=(2,))
    assert {facts["exact"]["wrong"] for facts in content["ways"].values()} == {0}


@pytest.fixture
def content(clips, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(OPENCV_OPTIONS, raising=False)
        threads = cv2.getNumThreads()
        patch.setattr(decoding, "READERS", {name: READERS[name] for name in ("opencv", CACHE, CEILING)})
        found = measure_small(patch, clips, tmp_path / "frames", frames=(2, 3), repeats=3)
        assert cv2.getNumThreads() == threads and OPENCV_OPTIONS not in os.environ  # as it was before
    return {"sources": {"made clips": found}, "frames": [2, 3], "repeats": 3, "size": 32, "libraries": {"av": "1"}}


def test_what_is_measured(content, clips, tmp_path):
    assert json.loads(json.dumps(content)) == content
    source = content["sources"]["made clips"]
    zips = [tmp_path / "frames" / name for name in ("Foo/a.zip", "Bar/b (HQ)+!.zip")]
    assert source["clips"] == 2 and source["mean_frames"] == 11
    assert source["bytes"]["video"] == np.mean([path.stat().st_size for path in clips.values()])
    assert source["bytes"]["cache"] == np.mean([path.stat().st_size for path in zips])
    assert source["bytes"]["cached_frame"] == pytest.approx(source["bytes"]["cache"] / 11)
    for name, facts in source["ways"].items():
        assert list(facts["speed"]) == ["2", "3"]
        for speed in facts["speed"].values():
            assert 0 < speed["cpu"]["q25"] <= speed["cpu"]["median"] <= speed["cpu"]["q75"]
            assert (speed["of_ceiling"] is None) == (name == CEILING)
            assert (speed["cache_gain"] is None) == (name == CACHE)


def test_the_command_takes_clips_evenly_and_files_what_it_found(tmp_path, monkeypatch, capsys):
    for k in range(7):
        (tmp_path / f"{k}.avi").touch()
    taken = []
    monkeypatch.setattr(decoding, "measure_source", lambda clips, caches, **options: taken.append(list(clips)) or {})
    monkeypatch.setattr(decoding, "CLIPS", 3)
    measured = measure({"some": str(tmp_path / "*.avi")})
    assert taken == [[f"{tmp_path.name}/{k}.avi" for k in (0, 3, 6)]]
    assert measured["frames"] == [8, 16, 32] and any("opencv" in name for name in measured["libraries"])
    monkeypatch.chdir(tmp_path)
    assert decoding.main(["made", f"a = b={tmp_path}/*.avi"]) == 1 and "no file matches" in capsys.readouterr().err
    assert decoding.main(["made", f"some={tmp_path}/*.avi"]) == 0
    assert json.loads((tmp_path / "results/made/decoding.json").read_text())["sources"] == {"some": {}}


def test_a_clip_that_does_not_decode_is_named(tmp_path, clips):
    clips["Foo/a.avi"].write_bytes(b"")
    with pytest.raises(ValueError, match=r"Foo/a.avi: .*; measure clips that decode"):
        measure_source(clips, tmp_path / "frames")


# ---- what the page says


@pytest.fixture
def made(content):
    """Round numbers: OpenCV 40, the cache 100 and the ceiling 50 clips a second, and a library of an earlier record."""
    content = copy.deepcopy(content)
    source = content["sources"]["made clips"]
    source["bytes"] = {"video": 300_000.0, "cache": 4_000_000.0, "cached_frame": 20_000.0}
    for name, rate in (("opencv", 40), (CACHE, 100), (CEILING, 50)):
        speed = source["ways"][name]["speed"]["3"]
        speed["cpu"] = {"median": rate, "q25": rate - 1, "q75": rate + 1}
        speed["of_ceiling"] = None if name == CEILING else {"median": rate / 50, "low": 0.1, "high": 3.0}
        speed["shares"] = {"decode": 0.9, "resize": 0.095, "crop": 0.005}
        speed["cache_gain"] = None if name == CACHE else {"median": 100 / rate, "low": 0.1, "high": 3.0}
    exact = {"asked": 20, "wrong": 3, "furthest": 2, "refused": 0}
    source["ways"]["decord"] = {
        "title": "decord, get_batch",
        "exact": exact,
        "speed": source["ways"]["opencv"]["speed"],
    }
    exact = exact | {"asked": 0, "wrong": 0, "refused": 2}
    source["ways"]["torchcodec"] = {"title": "torchcodec", "exact": exact, "speed": {}}
    return content


def test_the_table_has_a_row_for_each_reader_that_is_offered(made):
    table = report.rates_table(made).set_index("read by")
    assert list(table.index) == [READERS[name].title for name in ("opencv", CACHE, CEILING)]
    assert table["N = 3"].tolist() == ["40.0", "100.0", "50.0"]
    assert table["frames wrong"].tolist() == ["0 of 22", "0 of 22", "gives none"]
    assert table["% of the ceiling"].tolist()[:2] == [80, 200] and table["% of the ceiling"].isna().iloc[2]
    assert table["kB a clip"].tolist() == [300, 4000, 300]


def test_findings(made):
    assert report.findings(made) == [
        "**made clips.** OpenCV reads 40.0 clips of 3 frames a second and core, 80 % of the ceiling (cropping "
        "and resizing, which it has not, take 10 %); the frame cache 100.0, 2.5 times as many (0.1 to 3.0). It takes "
        "13 times the space of the videos.",
        "**Not offered**, because on these ordinary files other frames came than those asked for, or none: decord, "
        "get_batch: 3 of 20 frames (made clips); torchcodec: 2 clips refused (made clips).",
    ]


def test_the_recorded_measurement_is_shown():
    from repro.records.measure import read_measurements

    record = read_measurements("decoding")["ucf101-3"]
    assert len(report.rates_table(record)) == 12 and "on one core of" in report.conditions(record)
    assert "torchcodec, approximate seek: 187 of 720 frames" in report.findings(record)[-1]
