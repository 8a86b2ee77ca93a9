"""Work spread over processes: every result once, crashes set apart, faults passed on, progress said."""

import os
import signal
import subprocess
import sys
import time

import pytest

from repro import files
from repro.data.parallel import cores, run_all


def double(number: int) -> tuple[int, int]:
    time.sleep(0.02)
    return 2 * number, os.getpid()


def crash_at_three(number: int) -> int:
    if number == 3:
        os.abort()
    return number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise OSError(28, "No space left on device")
    return number


TASKS = {f"clip {i}": (i,) for i in range(12)}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_once_on_the_processes_asked_for(workers):
    results = dict(run_all(double, TASKS, title="doubling", workers=workers))
    assert {name: result[0] for name, result in results.items()} == {f"clip {i}": 2 * i for i in range(12)}
    processes = {result[1] for result in results.values()}
    assert len(processes) == workers and (os.getpid() in processes) == (workers == 1)


def test_a_task_that_kills_its_process_is_none_and_the_others_are_done():
    results = list(run_all(crash_at_three, TASKS, title="crashing", workers=2))
    assert sorted(name for name, _ in results) == sorted(TASKS)
    assert {name: result for name, result in results} == {f"clip {i}": i if i != 3 else None for i in range(12)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_ends_the_work_and_is_raised(workers):
    done = []
    with pytest.raises(OSError, match="No space left on device"):
        done += (name for name, _ in run_all(fail_at_three, TASKS, title="failing", workers=workers))


def test_ctrl_c_while_the_processes_start_is_one_line(tmp_path):
    """They take a second or more to import; Ctrl-C reaches all of them."""
    run = subprocess.Popen(
        [sys.executable, "-m", "repro.cli", "render-demo", "--root", tmp_path / "demo", "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list(tmp_path.glob("demo/*.json")):
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=100)
    assert (
        run.returncode == 130
        and err.startswith("repro: interrupted; what is finished is kept")
        and err.count("\n") == 1
    )


def test_nothing_to_do():
    assert list(run_all(double, {}, title="nothing")) == [] and cores() >= 1


def test_progress_in_a_log_is_lines_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(files, "SECONDS_BETWEEN_LINES", 0)
    list(run_all(double, TASKS, title="doubling", unit="file", workers=1))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12 and lines[2].startswith("doubling: 3 of 12 files, ")
    assert lines[2].endswith("a second, about 0 minutes to go")
    monkeypatch.setattr(files, "SECONDS_BETWEEN_LINES", 60)
    list(run_all(double, TASKS, title="doubling", workers=1))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("guard, expected", [("", "False"), ('if __name__ == "__main__":\n    ', "True")])
def test_a_script_that_would_run_again_in_each_process_starts_none(tmp_path, guard, expected):
    script = tmp_path / "script.py"
    script.write_text(f"from repro.data.parallel import can_spawn\n{guard}print(can_spawn())\n")
    for command in ([script], ["-c", "from repro.data.parallel import can_spawn; print(can_spawn())"]):
        done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == (expected if command == [script] else "True")
