"""One run in several processes (gloo on the CPU): the same arithmetic as one alone, and every clip scored once.

And runs that are killed, stopped or interrupted in the middle.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import yaml

from repro.records.record import read_record
from repro.training import loop as training
from repro.training.loop import train
from repro.training.processes import (
    OWN,
    TrainingStopped,
    explained,
    needs_own_process,
    run_in_own_process,
    trainer_options,
)

ALIKE = {"batch_norm": "none", "dropout": 0.0, "accelerator": "cpu"}  # batch statistics frozen
STEPS = 10
LEARNT = ("train_loss", "train_top1", "validation_loss", "validation_top1", "learning_rate", "gradient_norm")
torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29417", "-m", "repro.cli")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working directory of all runs here: the behaviour digest is computed once for all processes."""
    folder = tmp_path_factory.mktemp("processes")
    with contextlib.chdir(folder):
        yield folder


@pytest.fixture(scope="module")
def data(folder):
    return tiny.write_ucf101(folder / "set", train_groups=range(3, 11), test_groups=(1, 2))  # 16 training clips


def run(folder: Path, experiment):
    return train(experiment, results=folder / "results", work=folder / "work")


def begin(folder: Path, experiment, module=("-m", "repro.cli")) -> subprocess.Popen:
    """``repro train`` in a process of its own."""
    path = folder / f"{experiment.run}.yaml"
    path.write_text(yaml.safe_dump(experiment.to_dict()))
    command = [sys.executable, *module, "train", path, "--results", folder / "results", "--work", folder / "work"]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def weights_of(folder: Path, experiment) -> dict:
    return torch.load(folder / "work" / experiment.study / experiment.run / "weights.pt", weights_only=True)


def epochs_in(checkpoint: Path) -> int:
    return len(torch.load(checkpoint, weights_only=True)["history"]) if checkpoint.is_file() else 0


def wait_for(true, process=None, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        if process is not None and process.poll() is not None:
            pytest.fail(f"ended early: {process.communicate()}")
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def at_work(text: str) -> list[str]:
    """Command lines of this machine's processes that hold the text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if text in command]


# --- several processes


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(folder, data, capfd):
    """Half of each batch to each process, one step an epoch; called as a notebook would call it."""
    fields = {"epochs": STEPS, "batch_size": 16, **ALIKE}
    one = run(folder, tiny.experiment(data, run="one", **fields))
    two = run(folder, tiny.experiment(data, run="two", devices=2, **fields))
    losses = [record.history["train_loss"].to_numpy() for record in (one, two)]
    assert len(losses[0]) == len(losses[1]) == STEPS
    assert losses[0][-1] < losses[0][0] - 0.05  # something is learnt
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(one.scores, two.scores, rtol=0, atol=1e-4)
    first, second = weights_of(folder, one.experiment), weights_of(folder, two.experiment)
    assert all(torch.allclose(first[name], second[name], rtol=0, atol=1e-5) for name in first)
    assert two.provenance["device"].startswith("2 x CPU")
    said = capfd.readouterr().out
    assert said.count(f"two: epoch {STEPS}/{STEPS}") == 1  # the first process speaks, and is heard here
    assert not list((folder / "work" / "tiny").glob(".two*"))  # its parameters, its lock
    # From outside, with that record there, nobody waits for another
    again = begin(folder, two.experiment, module=torchrun)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0 and out.count("a fresh record is there") == 1, err[-3000:]


@pytest.mark.slow
def test_104_clips_on_three_processes_are_scored_once_each(folder):
    """104 = 34 x 3 + 2: a padded split would score 105 or more. The scores are those of one process."""
    data = tiny.write_ucf101(folder / "104", frames=2, train_groups=(60, 61, 62), test_groups=range(1, 53))
    three = run(folder, tiny.experiment(data, run="three", devices=3, epochs=1, batch_size=6, **ALIKE))
    assert len(three.predictions) == three.predictions["clip"].nunique() == three.data["clips"]["test"] == 104
    alone = dataclasses.replace(three.experiment, run="alone", devices=1)
    split, lengths, _ = training.select_clips(alone)
    assert three.predictions["clip"].tolist() == [clip.name for clip in split.test]
    network, _ = training.make_network(alone, len(split.classes))
    network.load_state_dict(weights_of(folder, three.experiment))
    module = training.Recogniser(network.eval(), alone)
    tested = training.make_dataset(alone, split.test, lengths, split.classes, "test")
    with torch.no_grad():
        scores = torch.cat([module(clips) for clips, *_ in training.test_loader(tested, batch_size=10)])
    np.testing.assert_allclose(three.scores, scores.numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_killed_starter_leaves_no_process_and_torchrun_goes_on(folder, data):
    experiment = tiny.experiment(data, run="orphans", devices=2, epochs=20, batch_size=16, **ALIKE)
    process, checkpoint = begin(folder, experiment), folder / "work" / "tiny" / "orphans" / "last.ckpt"
    wait_for(checkpoint.is_file, process)
    assert len(at_work("orphans.params.yaml")) == 2 and len(at_work("orphans")) == 3
    process.kill()
    process.communicate()
    wait_for(lambda: not at_work("orphans"), seconds=20)
    reached = epochs_in(checkpoint)
    assert 0 < reached < 20
    resumed = begin(folder, experiment, module=torchrun)
    out, err = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, err[-3000:]
    assert "going on from the last finished epoch" in out
    record = read_record(folder / "results" / "tiny" / "orphans")
    assert record.history["epoch"].tolist() == list(range(20)) and len(record.predictions) == 4


def test_what_several_processes_cannot_do_is_refused(folder, data, monkeypatch):
    with pytest.raises(ValueError, match=r"batch_size: 3 clips cannot be shared evenly by 2 devices"):
        tiny.experiment(data, devices=2)
    with pytest.raises(ValueError, match=r"batch statistics cannot be synchronised between CPU processes.*none"):
        run(folder, tiny.experiment(data, run="bn", devices=2, batch_size=4, accelerator="cpu"))
    with pytest.raises(ValueError, match=r"nodes: 2 nodes are started by srun or torchrun.*srun --nodes 2"):
        run(folder, tiny.experiment(data, run="nodes", nodes=2, batch_size=4, **ALIKE))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="accelerator: torch sees no GPU here"):
            trainer_options(tiny.experiment(data, accelerator="cuda"))
    # As in the process that was started for the run
    monkeypatch.setenv(OWN, str(os.getppid()))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    three = tiny.experiment(data, run="few", devices=3, batch_size=15, **ALIKE)  # 16 clips: 15 and 1
    assert not needs_own_process(three)
    with pytest.raises(ValueError, match=r"batch_size: the last batch of an epoch has 1 clip\(s\) for 3 processes"):
        run(folder, three)
    # As in one of two that torchrun started
    monkeypatch.delenv(OWN)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match=r"devices: the run has 1 \(devices x nodes\), and .* started 2 processes"):
        run(folder, tiny.experiment(data, run="alone"))


class Child:
    """In place of the run's own process: prints lines and ends with a status."""

    def __init__(self, lines, status):
        self.stdout, self.status = iter(f"{line}\n" for line in lines), status

    def poll(self):
        return self.status

    wait = poll


@pytest.mark.parametrize("lines, status, passed, message", [
    (["epoch 1", "repro: r: out of memory", "repro: r: another of its processes ended"], 1, "epoch 1\n",
     "^r: out of memory$"),
    (["epoch 1", "KeyError: 'x'"], 1, "epoch 1\nKeyError: 'x'\n", "^KeyError: 'x'$"),
    (["epoch 1"], -9, "epoch 1\n", "^tiny: its process was ended by SIGKILL; the last finished epoch is kept"),
    ([], 3, "", "^tiny: its process ended with status 3$"),
])  # fmt: skip
def test_what_the_own_process_says(data, tmp_path, monkeypatch, capsys, lines, status, passed, message):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Child(lines, status))
    experiment = tiny.experiment(data, run="tiny", devices=2, batch_size=4)
    with pytest.raises(TrainingStopped, match=message):
        run_in_own_process(experiment, results=tmp_path, work=tmp_path)
    assert capsys.readouterr().out == passed and not list(tmp_path.rglob("*.yaml"))


# --- killed, stopped, interrupted

CUT = {"epochs": 20, "schedule": "plateau", "validation_fraction": 0.34, "saturate": 2, "batch_size": 4, "frames": 4}


@pytest.mark.slow
def test_cut_off_five_times_a_run_ends_with_the_same_weights(folder, data):
    """SIGKILL at three random moments, SIGTERM and Ctrl-C between; dropout, plateau and validation clips included."""
    whole = run(folder, tiny.experiment(data, run="whole", **CUT))
    took = whole.history["seconds"].sum()  # validation and checkpoints come on top
    cut = dataclasses.replace(whole.experiment, run="cut")
    rng, place = np.random.default_rng(7), folder / "work" / "tiny" / "cut"
    reached = []
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        events = len(list(place.glob("tensorboard/events*")))
        process = begin(folder, cut)
        wait_for(lambda: len(list(place.glob("tensorboard/events*"))) > events, process)  # noqa: B023
        time.sleep(rng.uniform(0.05, 0.2) * took)
        assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        reached.append(epochs_in(place / "last.ckpt"))
        assert "Traceback" not in out + err
        if number == signal.SIGKILL:
            assert process.returncode == -9 and err == ""
            continue
        assert process.returncode == {signal.SIGTERM: 1, signal.SIGINT: 130}[number]
        assert err.startswith("repro: ") and err.count("\n") == 1 and "the same command goes on from" in err
        assert not list(place.glob("*.draft")) and not place.with_name(".cut.lock").exists()
    assert reached == sorted(reached) and 0 < reached[-1] < CUT["epochs"]
    assert not (folder / "results" / "tiny" / "cut").exists()
    resumed = run(folder, cut)
    first, second = weights_of(folder, whole.experiment), weights_of(folder, cut)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    np.testing.assert_array_equal(whole.scores, resumed.scores)
    assert whole.history[list(LEARNT)].equals(resumed.history[list(LEARNT)])


# --- what an error becomes


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
])  # fmt: skip
def test_out_of_memory_says_what_would_fit(data, error):
    found = explained(error, tiny.experiment(data, run="big", batch_size=64), advice="batch_size: 16 fits")
    assert isinstance(found, TrainingStopped)
    assert str(found).startswith("big: out of memory with batch_size 64: batch_size: 16 fits; the last finished epoch")


def test_a_loaders_error_is_said_without_its_traceback(data):
    text = (
        "Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        '  File "x.py", line 5, in f\n    raise OSError(path)\nOSError: a/b.avi: frame 3 does not decode: cut short\n'
    )
    found = explained(OSError(text), tiny.experiment(data), advice="")
    assert type(found) is OSError and str(found) == "a/b.avi: frame 3 does not decode: cut short"


def test_another_process_that_ended_is_named(data):
    error = RuntimeError("[.../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711")
    assert "another of its processes ended" in str(explained(error, tiny.experiment(data), advice=""))


def test_other_errors_stay_as_they_are(data):
    for error in (RuntimeError("something else"), KeyError("Caught KeyError in Data"), OSError("x"), SystemExit(3)):
        assert explained(error, tiny.experiment(data), advice="") is error
