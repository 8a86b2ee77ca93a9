"""Writing the frame cache: its pictures, what is kept and what made anew, its space, and every way it can stop."""

import errno
import os
import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import tiny

import repro.data.prepare.frame_cache as module
from repro.data.clips import ClipFields, read_split, unlisted
from repro.data.decode import read_frames
from repro.data.images import FrameZip, count_images
from repro.data.prepare.frame_cache import Cached, cache_frames, expected_bytes
from repro.files import only_one


@pytest.fixture
def paths(tmp_path):
    """Three clips of 6, 7 and 8 frames by name, in two classes."""
    names = ("Bar/v_a.b_g01_c01.avi", "Bar/v_a.b_g01_c02.avi", "Foo/v_Foo_g02_c01.avi")
    return {name: tiny.write_video(tmp_path / "videos" / name, frames=6 + i) for i, name in enumerate(names)}


def zips(out) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


WHOLE = ["Bar/v_a.b_g01_c01.zip", "Bar/v_a.b_g01_c02.zip", "Foo/v_Foo_g02_c01.zip"]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_frame_of_every_clip_is_there(paths, tmp_path, workers):
    out = tmp_path / "frames"
    done = cache_frames(paths, out, workers=workers)
    assert zips(out) == WHOLE
    assert done == Cached(written=3, kept=0, bytes=sum((out / name).stat().st_size for name in WHOLE), left_out=())
    for (name, path), count in zip(paths.items(), (6, 7, 8), strict=True):
        zipped = out / name.replace(".avi", ".zip")
        assert count_images(zipped) == count
        difference = read_frames(zipped, range(count)).astype(int) - read_frames(path, range(count))
        assert np.abs(difference).mean() < 2 and np.abs(difference[:, :, 40:]).mean() < 3
    with zipfile.ZipFile(zipped) as archive:  # any program can read it
        assert archive.testzip() is None
        assert [i.filename for i in archive.infolist()] == [f"{i:05d}.jpg" for i in range(1, 9)]
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    "size, expected",
    [((72, 96), (72, 96)), ((256, 340), (256, 340)), ((288, 384), (256, 341)), ((384, 288), (341, 256))],
)
def test_frames_are_made_smaller_never_larger(tmp_path, size, expected):
    path = tiny.write_video(tmp_path / "clip.avi", height=size[0], width=size[1])
    folder = tiny.write_frames(tmp_path / "7", height=size[0], width=size[1])
    cache_frames({"clip.avi": path, "7": folder}, tmp_path / "out", workers=1)
    for name in ("clip", "7"):
        assert read_frames(tmp_path / "out" / f"{name}.zip", [0, 5]).shape == (2, *expected, 3)


def test_a_dot_in_a_name_is_no_suffix(tmp_path):
    path = tiny.write_video(tmp_path / "clip.avi")
    cache_frames({"a/take 1.3": path, "a/take 1.4": path, "a/take 2.avi": path}, tmp_path / "out", workers=1)
    assert zips(tmp_path / "out") == ["a/take 1.3.zip", "a/take 1.4.zip", "a/take 2.zip"]


def test_jpeg_frames_that_are_small_enough_are_taken_as_they_are(tmp_path):
    folder = tiny.write_frames(tmp_path / "7", frames=4)
    cache_frames({"7": folder}, tmp_path / "out", workers=1)
    with FrameZip(tmp_path / "out" / "7.zip") as images:
        stored = [images.encoded(i).tobytes() for i in range(len(images))]
    assert stored == [(folder / f"{i:05d}.jpg").read_bytes() for i in range(1, 5)]


def test_only_changed_or_missing_clips_are_made_again(paths, tmp_path, monkeypatch):
    out = tmp_path / "frames"
    cache_frames(paths, out, workers=1)
    before = {name: (out / name).stat().st_ino for name in WHOLE}
    assert cache_frames(paths, out, workers=1).kept == 3
    tiny.write_video(paths["Foo/v_Foo_g02_c01.avi"], frames=4)
    (out / WHOLE[1]).write_bytes((out / WHOLE[1]).read_bytes()[:-50])  # cut by hand
    (out / "Bar" / ".v_x.zip.7.draft").touch()  # what a kill leaves
    done = cache_frames(paths, out, workers=1)
    assert (done.written, done.kept) == (2, 1) and zips(out) == WHOLE
    assert (out / WHOLE[0]).stat().st_ino == before[WHOLE[0]]
    assert count_images(out / WHOLE[2]) == 4 and count_images(out / WHOLE[1]) == 7
    monkeypatch.setattr(module, "QUALITY", 80)
    assert cache_frames(paths, out, workers=1).written == 3


def test_clips_that_do_not_decode_are_left_out_with_the_reason(paths, tmp_path):
    names = list(paths)
    content = tiny.write_video(paths[names[0]], frames=40).read_bytes()
    paths[names[0]].write_bytes(content[: len(content) * 6 // 10])
    paths[names[1]].write_text("no video")
    folder = tiny.write_frames(tmp_path / "7", frames=5)
    (folder / "00004.jpg").write_bytes(b"")
    paths |= {"gone.avi": tmp_path / "gone.avi", "7": folder}
    done = cache_frames(paths, tmp_path / "out", workers=1)
    assert done.written == 3 and [name for name, _ in done.left_out] == [names[1], "gone.avi"]
    assert done.left_out[0][1] == "no video (text?); put the video there or take it out"
    assert done.left_out[1][1] == "its video cannot be read (No such file or directory)"
    assert zips(tmp_path / "out") == ["7.zip", WHOLE[0], WHOLE[2]]
    assert 10 < count_images(tmp_path / "out" / WHOLE[0]) < 30 and count_images(tmp_path / "out" / "7.zip") == 3


def test_the_frames_of_a_clip_that_is_gone_or_broken_are_moved_aside_and_named(paths, tmp_path):
    out, (gone, broken, kept) = tmp_path / "frames", paths
    cache_frames(paths, out, workers=1)
    content = {name: (out / name).read_bytes() for name in WHOLE}
    paths[gone].unlink()
    paths[broken].write_text("no video")
    stray = out / "Foo" / "v_stray.zip"  # its clip is not among the paths
    stray.write_bytes(b"stray")
    done = cache_frames(paths, out, workers=1)
    aside = out / ".without_source"
    assert zips(out) == [*(f".without_source/{name}" for name in (*WHOLE[:2], "Foo/v_stray.zip")), WHOLE[2]]
    assert (aside / WHOLE[0]).read_bytes() == content[WHOLE[0]] and not (out / "Bar").exists()
    assert (out / WHOLE[2]).read_bytes() == content[WHOLE[2]] and (done.written, done.kept) == (0, 1)
    where = f"the cached frames were moved to {aside}"
    assert done.left_out == (
        (gone, f"its video cannot be read (No such file or directory); {where}/{WHOLE[0]}"),
        (broken, f"no video (text?); put the video there or take it out; {where}/{WHOLE[1]}"),
        ("Foo/v_stray.zip", f"its video is gone; {where}/Foo/v_stray.zip"),
    )
    # what was moved stays, a second one of that name lies beside it, and a run with nothing to move names nothing
    stray.write_bytes(b"another")
    again = cache_frames({kept: paths[kept]}, out, workers=1)
    assert again.left_out == (("Foo/v_stray.zip", f"its video is gone; {where}/Foo/v_stray (2).zip"),)
    assert (aside / "Foo" / "v_stray.zip").read_bytes() == b"stray"
    assert cache_frames({kept: paths[kept]}, out, workers=1).left_out == ()


def test_a_clip_that_is_a_zip_in_the_same_folder_is_no_stray(tmp_path):
    folder = tiny.write_frames(tmp_path / "7", frames=4)
    cache_frames({"7": folder}, tmp_path / "in", workers=1)
    source = tmp_path / "in" / "7.zip"
    assert cache_frames({"eight": source}, tmp_path / "in", workers=1).left_out == () and source.is_file()


@pytest.mark.parametrize("write", [tiny.write_ucf101, tiny.write_folder, tiny.write_something_v1])
def test_no_layout_reads_what_was_moved_aside(tmp_path, write):
    data = write(tmp_path / "set")
    split = read_split(ClipFields(**data))
    clips = {clip.name: clip.path for clip in (*split.train, *split.test)}
    cache = tmp_path / "set" / "frames"
    cache_frames(clips, cache, workers=1)
    data["videos"] = str(cache)
    first = split.train[0].name
    cache_frames({name: path for name, path in clips.items() if name != first}, cache, workers=1)
    assert unlisted(ClipFields(**data)) == []
    if data["layout"] != "folder":
        with pytest.raises(FileNotFoundError, match=r"1 of .* listed clips are not under"):
            read_split(ClipFields(**data))


def test_a_clip_of_too_many_frames_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 50)  # 65,535, which takes seconds to fill
    monkeypatch.setattr(module, "jpegs", lambda *_: (b"" for _ in range(51)))
    path = tiny.write_video(tmp_path / "long.avi")
    done = cache_frames({"long.avi": path}, tmp_path / "out", workers=1)
    assert done.left_out == (("long.avi", "more than 65,535 frames or 2 GB of them; decode this clip from the video"),)
    assert zips(tmp_path / "out") == []


def test_a_full_disk_keeps_what_is_finished_and_leaves_no_draft(paths, tmp_path, monkeypatch):
    out = tmp_path / "out"
    jpegs = module.jpegs

    def full(path, *options):
        for index, data in enumerate(jpegs(path, *options)):
            if len(zips(out)) > 1 and index == 3 and path == paths["Bar/v_a.b_g01_c02.avi"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield data

    monkeypatch.setattr(module, "jpegs", full)
    message = f"{out}: the frame cache cannot be written: "
    with pytest.raises(OSError, match=re.escape(message)):
        cache_frames(paths, out, workers=1)
    assert [name for name in zips(out) if name != "cache.lock"] == WHOLE[:1]
    monkeypatch.undo()
    done = cache_frames(paths, out, workers=1)
    assert (done.written, done.kept) == (2, 1) and zips(out) == WHOLE


def test_a_cache_that_would_not_fit_is_not_begun(paths, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
    with pytest.raises(OSError, match=r"it would take about \d+\.\d kB, 999 bytes are free; make room"):
        cache_frames(paths, tmp_path / "out", workers=1)
    assert re.search(r"frame cache: about .* for 3 clips, 999 bytes are free", capsys.readouterr().out)
    assert list((tmp_path / "out").rglob("*.zip")) == []


def test_the_estimate_is_near_what_is_written(paths, tmp_path):
    written = cache_frames(paths, tmp_path / "out", workers=1).bytes
    assert expected_bytes(list(paths.values())) == pytest.approx(written, rel=0.1)
    (tmp_path / "bad.avi").touch()
    assert expected_bytes([tmp_path / "bad.avi"]) == 0


def test_real_clips_keep_their_pictures(shared_data, tmp_path):
    name = "v_Punch_g01_c01.avi"
    path = shared_data / "as-distributed" / name
    cache_frames({name: path}, tmp_path, workers=1)
    error = read_frames(tmp_path / "v_Punch_g01_c01.zip", [0, 60, 120]) - read_frames(path, [0, 60, 120]).astype(float)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 42  # dB


def test_faults_of_the_request(paths, tmp_path):
    two = {"Foo/a.avi": tmp_path / "a.avi", "Foo/a.mp4": tmp_path / "a.mp4"}
    with pytest.raises(ValueError, match=r"Foo/a.mp4 and Foo/a.avi would both be .* .*a.zip; rename one of them"):
        cache_frames(two, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/frames: the frame cache cannot be written: Not a directory"):
        cache_frames(paths, tmp_path / "file" / "frames")
    (tmp_path / "out").mkdir()
    with only_one(tmp_path / "out" / "cache.lock"), pytest.raises(BlockingIOError, match="another process is at this"):
        cache_frames(paths, tmp_path / "out")
