"""Decoded frame counts, where they come from, the audit, and the hash over what the clips are."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

import repro.data.manifest as manifest
from repro.data.clips import Clip, ClipFields, read_split
from repro.data.decode import DecodeError, count_frames
from repro.data.inspect import COUNT_DIFFERS, DOES_NOT_DECODE, FIELDS, OK, inspect_clip
from repro.data.manifest import audit, build_manifest, manifest_hash, usable
from repro.data.parallel import only_one
from repro.data.prepare.frames import cache_frames


@pytest.fixture
def clips(tmp_path):
    return read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set"))).train


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that were really decoded."""
    names = []

    def count(path):
        names.append(str(path).rsplit("/", 1)[1])
        return count_frames(path)

    monkeypatch.setattr(manifest, "count_frames", count)
    return names


def test_counts_and_the_cache(clips, counted, tmp_path):
    cache = tmp_path / "build" / "manifest.parquet"
    table = build_manifest(clips, cache=cache)
    assert table["frames"].tolist() == [6 + group % 3 for _ in range(2) for group in (8, 9, 10)]
    assert table["name"].tolist() == [clip.name for clip in clips] and len(counted) == 6
    pd.testing.assert_frame_equal(build_manifest(clips, cache=cache), table)
    assert len(counted) == 6
    tiny.write_video(clips[2].path, frames=4)
    assert build_manifest(clips, cache=cache)["frames"].tolist() == [8, 6, 4, 8, 6, 7]
    assert counted[6:] == [clips[2].path.name]


@pytest.mark.parametrize("place", ["videos/a", "videos/train/a", "videos"])
def test_an_audit_speaks_for_its_clips_wherever_they_lie_below_it(tmp_path, counted, place):
    path = tiny.write_video(tmp_path / "set" / place / "x.avi")
    audit({"a/x": path}, tmp_path / "set" / manifest.STORE, workers=1)
    assert build_manifest([Clip("a/x", path, 0, "g")], cache=None)["frames"].tolist() == [6]
    assert counted == []
    tiny.write_video(path, frames=4)  # changed since: counted anew
    assert build_manifest([Clip("a/x", path, 0, "g")], cache=None)["frames"].tolist() == [4]
    assert counted == ["x.avi"]


def test_bad_clips_are_counted_and_the_others_kept(clips, counted, tmp_path):
    cache = tmp_path / "manifest.parquet"
    clips[4].path.write_bytes(b"")
    clips[1].path.write_text("not a video")
    with pytest.raises(DecodeError, match=rf"2 of 6 clips do not decode; first: .*{clips[1].path.name}") as caught:
        build_manifest(clips, cache=cache)
    assert str(caught.value).endswith(". Mend them, name a subset with classes, or set unusable: leave_out")
    for index in (1, 4):
        tiny.write_video(clips[index].path, frames=3)
    counted.clear()
    assert build_manifest(clips, cache=cache)["frames"].tolist()[1::3] == [3, 3]
    assert sorted(counted) == sorted(clips[i].path.name for i in (1, 4))


def test_a_missing_clip_is_named(clips, tmp_path):
    clips[3].path.unlink()
    with pytest.raises(DecodeError, match=rf"1 of 6 clips do not decode; first: .*{clips[3].path.name}: No such file"):
        build_manifest(clips, cache=tmp_path / "manifest.parquet")


def test_clips_that_can_be_used_and_why_the_others_cannot(clips, tmp_path):
    clips[1].path.write_text("not a video")
    clips[3].path.unlink()
    kept, left_out = usable(clips, cache=tmp_path / "manifest.parquet")
    assert kept == tuple(clips[i] for i in (0, 2, 4, 5))
    assert [name for name, _ in left_out] == [clips[1].name, clips[3].name]
    assert left_out[0][1].startswith("OpenCV cannot open this clip") and left_out[1][1] == "No such file or directory"
    assert build_manifest(kept, cache=None)["frames"].tolist() == [8, 7, 6, 7]


def test_frame_folders_and_frame_caches_are_counted(tmp_path):
    folder = tiny.write_frames(tmp_path / "videos" / "7", frames=9)
    cache_frames({"7": folder}, tmp_path / "frames", workers=1)
    clips = [Clip("7", folder, 0, "7"), Clip("7z", tmp_path / "frames" / "7.zip", 0, "7")]
    table = build_manifest(clips, cache=tmp_path / "counts.parquet")
    assert table["frames"].tolist() == [9, 9]
    assert table["bytes"].tolist() == [sum(f.stat().st_size for f in folder.iterdir()), clips[1].path.stat().st_size]
    tiny.write_frames(folder, frames=11)
    assert build_manifest(clips, cache=tmp_path / "counts.parquet")["frames"].tolist() == [11, 9]


def test_counts_come_from_the_audit_while_clips_are_unchanged(clips, counted, tmp_path):
    paths = {clip.name: clip.path for clip in clips}
    clips[5].path.write_bytes(b"")
    table = audit(paths, tmp_path / "set" / "manifest.parquet", workers=1)
    assert table["frames"].tolist() == [8, 6, 7, 8, 6, 0]
    assert build_manifest(clips[:5], cache=None)["frames"].tolist() == [8, 6, 7, 8, 6] and counted == []
    assert usable(clips, cache=None)[1] == ((clips[5].name, "empty file (0 bytes); extract or fetch it again"),)
    tiny.write_video(clips[1].path, frames=12)
    assert build_manifest(clips[:5], cache=None)["frames"].tolist() == [8, 12, 7, 8, 6]
    assert counted == [clips[1].path.name]


@pytest.fixture
def inspected(monkeypatch):
    """Names of the files that an audit in this process really decoded."""
    names = []

    def inspect(path):
        names.append(path.name)
        return inspect_clip(path)

    monkeypatch.setattr(manifest, "inspect_clip", inspect)
    return names


def test_an_audit_says_what_every_clip_is(clips, tmp_path):
    paths = {clip.name: clip.path for clip in clips}
    content = clips[0].path.read_bytes()
    clips[0].path.write_bytes(content[: len(content) * 7 // 10])
    clips[1].path.write_text("not a video")
    clips[2].path.unlink()
    store = tmp_path / "manifest.parquet"
    table = audit(paths, store, workers=2)
    assert list(table.columns) == ["name", *FIELDS] and table["name"].tolist() == list(paths)
    assert table["verdict"].tolist() == [COUNT_DIFFERS, DOES_NOT_DECODE, DOES_NOT_DECODE, OK, OK, OK]
    assert table["reason"][2] == "no such clip; extract the dataset again"
    pd.testing.assert_frame_equal(pd.read_parquet(store), table)
    assert list(tmp_path.glob("manifest*")) == [store]  # no journal, no draft


def test_an_audit_decodes_only_what_changed_or_was_unusable(clips, inspected, tmp_path):
    paths = {clip.name: clip.path for clip in clips}
    store = tmp_path / "manifest.parquet"
    clips[4].path.write_bytes(b"")
    first = audit(paths, store, workers=1)
    assert len(inspected) == 6
    inspected.clear()
    tiny.write_video(clips[2].path, frames=3)
    second = audit(paths, store, workers=1)
    assert inspected == [clips[2].path.name, clips[4].path.name]
    others = [0, 1, 3, 5]
    pd.testing.assert_frame_equal(second.iloc[others], first.iloc[others])
    assert second["frames"][2] == 3


def test_a_journal_that_a_kill_cut_is_read_up_to_its_last_whole_line(clips, inspected, tmp_path, monkeypatch):
    paths = {clip.name: clip.path for clip in clips}
    store, journal = tmp_path / "manifest.parquet", tmp_path / "manifest.journal"

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "_write_whole", die)
    with pytest.raises(KeyboardInterrupt):
        audit(paths, store, workers=1)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6 and not store.exists()
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    monkeypatch.undo()
    inspected.clear()
    monkeypatch.setattr(manifest, "inspect_clip", lambda path: inspected.append(path.name) or inspect_clip(path))
    table = audit(paths, store, workers=1)
    assert inspected == [clip.path.name for clip in clips[3:]]
    assert table["frames"].tolist() == [8, 6, 7, 8, 6, 7] and not journal.exists()


def test_a_full_disk_keeps_the_finished_clips(clips, inspected, tmp_path, monkeypatch):
    paths = {clip.name: clip.path for clip in clips}
    store = tmp_path / "manifest.parquet"
    append = manifest._append

    def full(lines, line):
        if len(inspected) == 4:
            lines.write(line[:30].encode())  # what still fits
            raise OSError(28, "No space left on device")
        append(lines, line)

    monkeypatch.setattr(manifest, "_append", full)
    message = r"manifest.parquet: the audit cannot be written \(No space left on device\); 3 finished clips are kept in"
    with pytest.raises(OSError, match=message):
        audit(paths, store, workers=1)
    assert not store.exists()
    inspected.clear()
    monkeypatch.setattr(manifest, "_append", append)
    assert audit(paths, store, workers=1)["frames"].tolist() == [8, 6, 7, 8, 6, 7]
    assert len(inspected) == 3


def test_places_where_no_audit_can_be_written(clips, tmp_path):
    paths = {clip.name: clip.path for clip in clips}
    (tmp_path / "file").touch()
    with pytest.raises(
        OSError, match=r"file/manifest.parquet: the audit cannot be written \(.+make the folder writable"
    ):
        audit(paths, tmp_path / "file" / "manifest.parquet")
    with only_one(tmp_path / "manifest.journal"), pytest.raises(BlockingIOError, match="another process is at this"):
        audit(paths, tmp_path / "manifest.parquet")
    with pytest.raises(ValueError, match=r"'Foo/\\udce9.avi': a clip's name must be printable UTF-8"):
        audit({"Foo/\udce9.avi": clips[0].path}, tmp_path / "manifest.parquet")


KILLED = """
import os, sys, time
from pathlib import Path
from repro.data.inspect import inspect_clip

def inspect(path):
    with open(sys.argv[2], "a") as log:
        log.write(f"{os.getpid()} {path.name}\\n")
    time.sleep(float(sys.argv[3]))  # so that the test has time to kill it
    return inspect_clip(path)

if __name__ == "__main__":
    import repro.data.manifest as manifest
    import repro.data.parallel as parallel
    root = Path(sys.argv[1])
    manifest.inspect_clip = inspect
    parallel.SECONDS_BETWEEN_LINES = 0.05
    table = manifest.audit({p.name: p for p in sorted(root.glob("*.avi"))}, root / "manifest.parquet", workers=2)
    print("frames", table["frames"].sum())
"""


@pytest.mark.parametrize("clips, pause", [(200, 0.01), pytest.param(5000, 0.001, marks=pytest.mark.slow)])
def test_an_audit_that_is_killed_goes_on_without_redoing_finished_clips(tmp_path, clips, pause):
    root, frames = tmp_path / "set", 12
    one = tiny.write_video(tmp_path / "one.avi", frames=frames)
    root.mkdir()
    for number in range(clips):
        os.link(one, root / f"v_{number:04d}.avi")
    script = tmp_path / "audit_here.py"
    script.write_text(KILLED)
    journal = root / "manifest.journal"

    def start(log: Path, pause: float) -> subprocess.Popen:
        log.touch()
        return subprocess.Popen([sys.executable, script, root, log, str(pause)], stdout=subprocess.PIPE, text=True)

    def workers() -> set[str]:
        return {line.split()[0] for line in (tmp_path / "first.log").read_text().splitlines()}

    def finished() -> set[str]:
        lines = journal.read_text().splitlines(keepends=True) if journal.is_file() else []
        return {json.loads(line)["name"] for line in lines if line.endswith("\n")}

    process = start(tmp_path / "first.log", pause)
    until = time.monotonic() + 60
    while len(finished()) < clips // 4 or len(workers()) < 2:
        assert process.poll() is None and time.monotonic() < until, "the audit did not get far enough to be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    shown = process.communicate(timeout=30)[0]  # ends when the workers have ended too: they share the pipe
    assert f"audit: {clips:,} clips to decode, 0 are as they were" in shown
    assert f" of {clips:,} clips, " in shown and "minutes to go" in shown  # progress while it worked
    while any(_runs(worker) for worker in workers()):
        assert time.monotonic() < until, "workers outlived the process that was killed"
        time.sleep(0.02)
    done = finished()
    assert clips // 4 <= len(done) < clips and not (root / "manifest.parquet").exists()

    process = start(tmp_path / "second.log", 0)
    shown = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and f"frames {clips * frames}" in shown
    again = [line.split()[1] for line in (tmp_path / "second.log").read_text().splitlines()]
    assert sorted(again) == sorted({path.name for path in root.glob("*.avi")} - done)
    assert len(pd.read_parquet(root / "manifest.parquet")) == clips and not journal.exists()


def _runs(process: str) -> bool:
    """Whether a process runs; one that ended and that nobody waited for has no command line any more."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_the_hash_is_of_what_the_clips_are_not_of_their_order():
    train = pd.DataFrame({"name": ["a", "b"], "label": [0, 1], "bytes": [10, 20], "frames": [5, 6]})
    test = pd.DataFrame({"name": ["c"], "label": [0], "bytes": [30], "frames": [7]})
    known = manifest_hash(train, test)
    assert len(known) == 16 and manifest_hash(train.iloc[::-1], test) == known
    for column in ("label", "bytes", "frames"):
        changed = train.copy()
        changed.loc[1, column] += 1
        assert manifest_hash(changed, test) != known, column
    assert manifest_hash(train.iloc[:1], pd.concat([test, train.iloc[1:]])) != known  # moved to the other part


def test_the_hash_does_not_depend_on_the_place(tmp_path):
    hashes = []
    for place in ("one", "two"):
        split = read_split(ClipFields(**tiny.write_ucf101(tmp_path / place)))
        hashes.append(manifest_hash(build_manifest(split.train, cache=None), build_manifest(split.test, cache=None)))
    assert hashes[0] == hashes[1]
