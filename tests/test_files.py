"""repro.files: whole files or none, one process at a time, clear messages for what people write, progress in a log."""

import errno
import os
import subprocess
import sys

import pytest

from repro import files
from repro.files import Many, Written, check_names, checked, is_disk_full, only_one, progress, whole, write_whole


def test_an_interrupted_write_leaves_the_old_file_and_no_draft(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(KeyboardInterrupt), whole(path) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]
    write_whole(path, b"new")
    assert path.read_text() == "new"


def test_a_full_disk_names_the_file_and_the_mend(tmp_path) -> None:
    with pytest.raises(OSError, match="the disk is full") as raised, whole(tmp_path / "b") as draft:
        draft.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "b" in str(raised.value) and "Free some space" in str(raised.value)
    assert is_disk_full(raised.value)
    assert os.listdir(tmp_path) == []


def test_a_lock_is_given_up_by_a_killed_process(tmp_path) -> None:
    path = tmp_path / "lock"
    code = f"import pathlib, time\nfrom repro.files import only_one\nwith only_one(pathlib.Path({str(path)!r})):\n"
    code += "    print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match="another process is at this work"), only_one(path):
        pass
    holder.kill()
    holder.wait()
    with only_one(path), pytest.raises(BlockingIOError), only_one(path):
        pass


class Inner(Written):
    number: int
    name: str = ""


class Outer(Written):
    name: str
    inner: Many[Inner] = ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "innr": []}, "f.yaml: unknown name 'innr'; did you mean 'inner'?"),
        ({"name": 3}, "f.yaml: name: 3: input should be a valid string"),
        ({"name": "a", "inner": [{"number": "3"}]}, "f.yaml: inner.0.number: '3': input should be a valid integer"),
        ({"name": "a", "inner": [{"numbr": 3}]}, "f.yaml: inner.0: unknown name 'numbr'; did you mean 'number'?"),
        ({"name": "a", "inner": [{"name": "b"}]}, "f.yaml: inner.b.number: Field required"),
        ({}, "f.yaml: name: Field required"),
    ],
)
def test_a_fault_names_file_field_and_mend(values, message) -> None:
    with pytest.raises(ValueError) as raised:
        checked(Outer, values, "f.yaml")
    assert str(raised.value) == message


def test_unknown_names_without_a_near_one_list_the_known() -> None:
    with pytest.raises(ValueError, match="x: unknown name 'zzz'; known are one, two"):
        check_names(["zzz"], ["one", "two"], "x")


def test_progress_says_lines_in_a_log(capsys, monkeypatch) -> None:
    monkeypatch.setattr(files, "watched", lambda: False)
    monkeypatch.setattr(files, "SECONDS_BETWEEN_LINES", 0)
    with progress(3, "decoding", done=1) as advance:
        advance()
    with progress(None, "fetching", "B") as advance:
        advance(2_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("decoding: 2 of 3 clips, ") and lines[0].endswith("about 0 minutes to go")
    assert lines[1].startswith("fetching: 2.0 MB, ")


def test_a_command_works_as_it_is_printed(tmp_path, monkeypatch):
    program = tmp_path / "a b" / ".venv" / "bin" / "repro"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path / "a b")  # nothing is activated: another repro may be found, or none
    assert files.command("plan x") == ".venv/bin/repro plan x"
    monkeypatch.chdir(tmp_path)
    assert files.command("plan x") == "'a b/.venv/bin/repro' plan x"
    (tmp_path / "c").mkdir()
    monkeypatch.chdir(tmp_path / "c")
    assert files.command("plan x") == f"'{program}' plan x"
    monkeypatch.setenv("PATH", str(program.parent))
    assert files.command("plan x") == "repro plan x"
