"""The audit: what it says of every clip, and that what is finished is kept however it ends."""

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

import repro.data.prepare.audit as module
from repro.data.clips import ClipFields, read_split
from repro.data.facts import COUNT_DIFFERS, DOES_NOT_DECODE, FIELDS, OK
from repro.data.prepare.audit import audit
from repro.data.prepare.inspect import inspect_clip
from repro.files import only_one


@pytest.fixture
def clips(tmp_path):
    return read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set"))).train


@pytest.fixture
def paths(clips):
    return {clip.name: clip.path for clip in clips}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "manifest.parquet"


@pytest.fixture
def inspected(monkeypatch):
    """Names of the files that an audit in this process really decoded."""
    names = []

    def inspect(path):
        names.append(path.name)
        return inspect_clip(path)

    monkeypatch.setattr(module, "inspect_clip", inspect)
    return names


def test_an_audit_says_what_every_clip_is(clips, paths, store):
    content = clips[0].path.read_bytes()
    clips[0].path.write_bytes(content[: len(content) * 7 // 10])
    clips[1].path.write_text("not a video")
    clips[2].path.unlink()
    table = audit(paths, store, workers=2)
    assert list(table.columns) == ["name", *FIELDS] and table["name"].tolist() == list(paths)
    assert table["verdict"].tolist() == [COUNT_DIFFERS, DOES_NOT_DECODE, DOES_NOT_DECODE, OK, OK, OK]
    assert table["reason"][2] == "no such clip; extract the dataset again"
    pd.testing.assert_frame_equal(pd.read_parquet(store), table)
    assert list(store.parent.glob("manifest*")) == [store]  # no journal, no draft


def test_an_audit_decodes_only_what_changed_or_was_unusable(clips, paths, store, inspected):
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


def test_a_journal_that_a_kill_cut_is_read_up_to_its_last_whole_line(clips, paths, store, inspected, monkeypatch):
    journal = store.with_suffix(".journal")

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pd.DataFrame, "to_parquet", tiny.raiser(KeyboardInterrupt()))
        audit(paths, store, workers=1)
    _, *lines = journal.read_text().split("\n")
    assert len(lines) == 6 and not store.exists()
    journal.write_text("\n".join([*lines[:3], lines[3][:40]]))
    inspected.clear()
    table = audit(paths, store, workers=1)
    assert inspected == [clip.path.name for clip in clips[3:]]
    assert table["frames"].tolist() == [8, 6, 7, 8, 6, 7] and not journal.exists()


def test_a_full_disk_keeps_the_finished_clips(paths, store, inspected, monkeypatch):
    append = module._append

    def full(lines, line):
        if len(inspected) == 4:
            lines.write(f"\n{line[:30]}")  # what still fits
            raise OSError(28, "No space left on device")
        append(lines, line)

    monkeypatch.setattr(module, "_append", full)
    message = r"manifest.parquet: the audit cannot be written \(No space left on device\); 3 finished clips are kept in"
    with pytest.raises(OSError, match=message):
        audit(paths, store, workers=1)
    assert not store.exists()
    inspected.clear()
    monkeypatch.setattr(module, "_append", append)
    assert audit(paths, store, workers=1)["frames"].tolist() == [8, 6, 7, 8, 6, 7]
    assert len(inspected) == 3


def test_places_where_no_audit_can_be_written(clips, paths, tmp_path):
    (tmp_path / "file").touch()
    message = r"file/manifest.parquet: the audit cannot be written \(.+make the folder writable"
    with pytest.raises(OSError, match=message):
        audit(paths, tmp_path / "file" / "manifest.parquet")
    with only_one(tmp_path / "manifest.lock"), pytest.raises(BlockingIOError, match="another process is at this"):
        audit(paths, tmp_path / "manifest.parquet")
    with pytest.raises(ValueError, match=r"'Foo/\\udce9.avi': a clip's name must be UTF-8"):
        audit({"Foo/\udce9.avi": clips[0].path}, tmp_path / "manifest.parquet")


KILLED = """
import os, sys, time
from pathlib import Path
from repro.data.prepare.inspect import inspect_clip

def inspect(path):
    with open(sys.argv[2], "a") as log:
        log.write(f"{os.getpid()} {path.name}\\n")
    time.sleep(float(sys.argv[3]))  # so that the test has time to kill it
    return inspect_clip(path)

if __name__ == "__main__":
    import repro.data.prepare.audit as module
    import repro.files as files
    root = Path(sys.argv[1])
    module.inspect_clip = inspect
    files.SECONDS_BETWEEN_LINES = 0.05
    table = module.audit({p.name: p for p in sorted(root.glob("*.avi"))}, root / "manifest.parquet", workers=2)
    print("frames", table["frames"].sum())
"""


def test_an_audit_that_is_killed_goes_on_without_redoing_finished_clips(tmp_path):
    root, clips, pause, frames = tmp_path / "set", 80, 0.02, 12
    one = tiny.write_video(tmp_path / "one.avi", frames=frames)
    root.mkdir()
    for number in range(clips):
        os.link(one, root / f"v_{number:04d}.avi")
    script = tmp_path / "audit_here.py"
    script.write_text(KILLED)
    journal = root / "manifest.journal"

    def start(log: Path, pause: float) -> subprocess.Popen:
        log.touch()
        return subprocess.Popen(
            [sys.executable, script, root, log, str(pause)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def workers() -> set[str]:
        return {line.split()[0] for line in (tmp_path / "first.log").read_text().splitlines()}

    def finished() -> set[str]:
        lines = journal.read_text().splitlines() if journal.is_file() else []
        return {json.loads(line)["name"] for line in lines if line.endswith("}")}

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
