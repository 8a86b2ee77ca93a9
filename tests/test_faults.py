"""What goes wrong in the middle of a run, through the command line: one clear line, nothing lost, and it goes on.

Most tests start with a run of three epochs of which the first is done. Processes that are killed: test_processes.py.
"""

import errno
import os
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny
import torch
import yaml

from repro import cli
from repro.training import loop as training
from repro.training import network_and_clips
from repro.training.faults import explained
from repro.training.loop import train

FIELDS = {"epochs": 3, "schedule": "plateau", "validation_fraction": 0.34, "batch_size": 2, "run": "run"}
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        tiny.quick(patch)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with ``set``, a finished run in ``whole`` and one in ``begun`` that was cut off after an epoch."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        experiment = tiny.experiment(tiny.write_ucf101(folder / "set"), **FIELDS)
        train(experiment, results=folder / "results", work=folder / "whole")
        tiny.fails_in(patch, "train_epoch", 1, tiny.raiser(AssertionError("power cut")))
        with pytest.raises(AssertionError, match="power cut"):
            train(experiment, results=folder / "none", work=folder / "begun")
    return folder, experiment


@pytest.fixture(autouse=True)
def _handlers():
    """Of a process in the foreground: one that a shell starts in the background ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def begun(runs, tmp_path, monkeypatch, capsys):
    """The run's folder, and a function that goes on with it: exit status and the one line of standard error.

    The folder of the records holds the run's earlier record, of other code: it is stale.
    """
    folder, experiment = runs
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "begun", tmp_path / "work")
    shutil.copytree(folder / "results", tmp_path / "results")
    path = tmp_path / "results/tiny/run/record.json"
    path.write_text(path.read_text().replace('"sampling": [\n   1.0', '"sampling": [\n   0.5'))
    record = path.read_bytes()
    place = tmp_path / "work" / "tiny" / "run"

    def go_on(**fields):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(experiment.to_dict() | fields))
        arguments = ["repro", "train", "params.yaml", "--results", "results", "--work", "work"]
        monkeypatch.setattr(sys, "argv", arguments)
        status = cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert not [path for path in tmp_path.rglob("*.*") if path.suffix in (".draft", ".lock") and path.is_file()]
        if status:
            assert err.startswith("repro: ") and err.count("\n") == 1, err
            assert path.read_bytes() == record  # the earlier record is as it was
        return status, err

    return place, go_on


def epochs_done(place: Path) -> int:
    return len(torch.load(place / "last.ckpt", weights_only=True)["history"])


def ends_as_it_would_have(runs, place, go_on) -> bool:
    """Going on, without the fault, the run ends with the weights of the one that was never cut off."""
    assert go_on() == (0, "")
    files = (runs[0] / "whole/tiny/run/weights.pt", place / "weights.pt")
    first, second = (torch.load(file, weights_only=True) for file in files)
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def sender(number):
    return lambda *_arguments: os.kill(os.getpid(), number)


GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total capacity of 80 GiB")
CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to")


@pytest.mark.parametrize("function, fail, status, said", [
    ("clip_gradient", tiny.raiser(GPU), 1, "run: out of memory with batch_size 2: about 0.0 GB were expected"),
    ("validate", tiny.raiser(CPU), 1, "batch_size: 1 with accumulate: 2 keeps the effective batch"),
    ("validate", tiny.raiser(MemoryError()), 1, "run: out of memory with batch_size 2: "),
    ("clip_gradient", tiny.raiser(FULL), 1, "run: the disk is full (No space left on device): free some space"),
    ("clip_gradient", sender(signal.SIGTERM), 1, "run: stopped by SIGTERM; the last finished epoch is kept"),
    ("validate", sender(signal.SIGTERM), 1, "run: stopped by SIGTERM; the last finished epoch is kept"),
    ("clip_gradient", sender(signal.SIGINT), 130, "interrupted; the same command goes on from the last finished epoch"),
])  # fmt: skip
def test_a_fault_in_the_third_epoch(runs, begun, monkeypatch, function, fail, status, said):
    place, go_on = begun
    with monkeypatch.context() as patch:
        tiny.fails_in(patch, function, 2, fail)
        found, err = go_on()
    assert found == status and said in err
    assert epochs_done(place) == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == (signal.SIG_DFL if status == 130 else signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert ends_as_it_would_have(runs, place, go_on)


def test_interrupted_in_the_first_epoch(runs, begun, monkeypatch):
    place, go_on = begun
    shutil.rmtree(place)
    with monkeypatch.context() as patch:
        tiny.fails_in(patch, "clip_gradient", 0, sender(signal.SIGINT))
        status, err = go_on()
    assert status == 130 and not (place / "last.ckpt").exists()
    assert "no epoch was finished, the same command begins anew: repro train params.yaml --results results" in err
    assert ends_as_it_would_have(runs, place, go_on)


def test_stopped_while_the_test_clips_are_scored(runs, begun, monkeypatch):
    place, go_on = begun
    with monkeypatch.context() as patch:
        tiny.fails_in(patch, "evaluate", 2, sender(signal.SIGTERM))
        status, err = go_on()
    assert status == 1 and "stopped by SIGTERM" in err and epochs_done(place) == 3
    monkeypatch.setattr(training, "train_epoch", tiny.raiser(AssertionError("trained again")))
    assert ends_as_it_would_have(runs, place, go_on)


def test_a_full_disk_when_a_checkpoint_is_written(runs, begun, monkeypatch):
    place, go_on = begun
    with monkeypatch.context() as patch:
        draft = place / f".last.ckpt.{os.getpid()}.draft"
        tiny.fails_in(patch, "validate", 1, lambda: draft.symlink_to("/dev/full"))
        status, err = go_on()
    assert status == 1 and epochs_done(place) == 1
    assert "run: the disk is full (work/tiny/run/last.ckpt): free some space; the last finished epoch is kept" in err
    assert ends_as_it_would_have(runs, place, go_on)


def test_a_full_disk_when_the_record_is_written(runs, begun, monkeypatch):
    place, go_on = begun
    with monkeypatch.context() as patch:
        write = pd.DataFrame.to_parquet
        patch.setattr(
            pd.DataFrame,
            "to_parquet",
            lambda self, path, **how: tiny.raiser(FULL)() if "results" in str(path) else write(self, path, **how),
        )
        status, err = go_on()
    assert status == 1 and "run: the disk is full" in err
    assert (place / "weights.pt").is_file()
    assert ends_as_it_would_have(runs, place, go_on)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # among the weights: the file stays readable
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, emptied, flipped])
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_damaged_checkpoint_is_refused_before_the_first_step(begun, name, damage):
    place, go_on = begun
    whole = {path.name: path.read_bytes() for path in place.glob("*.ckpt")}
    damage(place / name)
    status, err = go_on()
    assert status == 1
    assert f"work/tiny/run/{name}: this checkpoint cannot be read (" in err
    assert "; put a copy of it back, or delete the folder work/tiny/run to train again from the first epoch" in err
    (place / name).write_bytes(whole[name])
    assert {path.name: path.read_bytes() for path in place.glob("*.ckpt")} == whole


def test_changed_settings_name_the_field(runs, begun):
    place, go_on = begun
    status, err = go_on(learning_rate=0.5)
    assert (
        status == 1 and "an unfinished run is there" in err and "learning_rate is 0.5 here, 0.02 there. Set run:" in err
    )
    assert ends_as_it_would_have(runs, place, go_on)


class DyingDataset(network_and_clips.ClipDataset):
    """The process that reads a test view dies, as in a decoder's fault."""

    def __getitem__(self, key):
        if not isinstance(key, tuple) and torch.multiprocessing.current_process().name != "MainProcess":
            os._exit(7)
        return super().__getitem__(key)


@pytest.mark.slow
def test_a_loader_process_that_dies(runs, begun, monkeypatch):
    place, go_on = begun
    with monkeypatch.context() as patch:
        patch.setattr(network_and_clips, "ClipDataset", DyingDataset)
        status, err = go_on(workers=1)
    assert (
        status == 1 and "run: a loader process died (DataLoader worker (pid" in err and "repro prepare --audit" in err
    )
    assert epochs_done(place) == 1
    assert ends_as_it_would_have(runs, place, go_on)


# --- what an error becomes


def test_a_loaders_error_is_said_without_its_traceback():
    text = (
        "Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        '  File "x.py", line 5, in f\n    raise OSError(path)\nOSError: a/b.avi: frame 3 does not decode: cut short\n'
    )
    found = explained(OSError(text), tiny.experiment({}), advice="")
    assert type(found) is OSError and str(found) == "a/b.avi: frame 3 does not decode: cut short"


def test_another_process_that_ended_is_named():
    error = RuntimeError("[.../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711")
    assert "another of its processes ended" in str(explained(error, tiny.experiment({}), advice=""))


def test_other_errors_stay_as_they_are():
    for error in (RuntimeError("something else"), KeyError("Caught KeyError in Data"), OSError("x")):
        assert explained(error, tiny.experiment({}), advice="") is error
