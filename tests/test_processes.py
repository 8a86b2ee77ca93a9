"""One run in several processes (gloo on the CPU): the same arithmetic as one alone, and every clip scored once.

And runs that are killed, stopped or interrupted in the middle, in processes of their own.
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
from repro.training.faults import TrainingStopped
from repro.training.loop import train, train_on_all_devices
from repro.training.processes import _numbers, join

# Batch statistics frozen; 16 training clips in batches of 6, 6 and 4
ALIKE = {"batch_norm": "none", "dropout": 0.0, "accelerator": "cpu", "batch_size": 6, "accumulate": 2, "epochs": 4}
STEERED = {"schedule": "plateau", "validation_fraction": 0.34, "saturate": 2}
LEARNT = ("train_loss", "train_top1", "validation_loss", "validation_top1", "learning_rate", "gradient_norm")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "repro.cli")


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


def wait_for(true, process=None, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        if process is not None and process.poll() is not None:
            pytest.fail(f"ended early: {process.communicate()}")
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def at_work(text: str) -> dict[int, str]:
    """Command lines of this machine's processes that hold the text."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return {number: command for number, command in found.items() if text in command}


# --- several processes


@pytest.mark.slow
def test_processes_that_share_a_run_give_the_run_of_one(folder, capfd):
    """Three of them, called as a notebook calls it. 12 training clips in batches of 9 and 3, 4 validation clips, 7 test
    clips: these cannot be dealt out evenly, and padding would score 6 and 9."""
    data = tiny.write_ucf101(folder / "seven", train_groups=range(8, 16), test_groups=(1, 2, 3, 4))
    listed = Path(data["annotations"]) / "testlist01.txt"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:7]))
    fields = ALIKE | STEERED | {"batch_size": 9, "validation_fraction": 0.25}
    one = run(folder, tiny.experiment(data, run="one", **fields))
    three = train_on_all_devices(
        tiny.experiment(data, run="three", devices=3, **fields), results=folder / "results", work=folder / "work"
    )
    assert one.data["clips"] == {"train": 16, "test": 7} == three.data["clips"]
    assert three.predictions["clip"].tolist() == one.predictions["clip"].tolist()
    np.testing.assert_allclose(one.history[list(LEARNT)], three.history[list(LEARNT)], rtol=0, atol=1e-5)
    assert one.history["train_loss"].iloc[-1] < one.history["train_loss"].iloc[0] - 0.01  # something is learnt
    np.testing.assert_allclose(one.scores, three.scores, rtol=0, atol=1e-4)
    first, second = weights_of(folder, one.experiment), weights_of(folder, three.experiment)
    assert all(torch.allclose(first[name], second[name], rtol=0, atol=1e-5) for name in first)
    assert three.provenance["device"].startswith("3 x CPU")
    said = capfd.readouterr().out
    assert said.count(f"three: epoch {ALIKE['epochs']}/{ALIKE['epochs']}") == 1  # the first process speaks
    assert not list((folder / "work" / "tiny").glob(".three*"))  # its parameters, its lock


@pytest.mark.slow
def test_a_run_of_two_of_which_one_is_killed_goes_on(folder, data):
    experiment = tiny.experiment(data, run="two", devices=2, **ALIKE | {"epochs": 12})
    process, checkpoint = begin(folder, experiment, TORCHRUN), folder / "work" / "tiny" / "two" / "last.ckpt"
    wait_for(checkpoint.is_file, process)
    own = at_work(str(folder / "two.yaml"))
    workers = [number for number, command in own.items() if "torch.distributed.run" not in command]
    assert len(workers) == 2
    os.kill(max(workers), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode and "Traceback" not in err.split("torch/distributed")[0]
    assert not at_work(str(folder / "two.yaml"))
    reached = epochs_in(checkpoint)
    assert 0 < reached < 12
    with pytest.raises(ValueError, match=r"made by 2 processes: start them by .* --nproc-per-node 2 -m repro"):
        run(folder, experiment)
    resumed = train_on_all_devices(experiment, results=folder / "results", work=folder / "work")
    assert resumed.history["epoch"].tolist() == list(range(12)) and len(resumed.predictions) == 4
    whole = run(folder, dataclasses.replace(experiment, run="whole-of-two", devices=1))
    np.testing.assert_allclose(whole.history["train_loss"], resumed.history["train_loss"], rtol=0, atol=1e-5)


def test_what_several_processes_cannot_do_is_refused(folder, data, monkeypatch):
    with pytest.raises(ValueError, match=r"batch_size: 3 clips cannot be shared evenly by 2 devices"):
        tiny.experiment(data, devices=2)
    with pytest.raises(ValueError, match=r"batch statistics cannot be synchronised between CPU processes.*none"):
        run(folder, tiny.experiment(data, run="bn", devices=2, batch_size=4, accelerator="cpu"))
    with pytest.raises(ValueError, match=r"is made by 2 processes: .*torch.distributed.run --standalone --nproc-per-n"):
        run(folder, tiny.experiment(data, run="alone", devices=2, **ALIKE))
    with pytest.raises(ValueError, match=r"is made by 6 processes: start them by srun --nodes 2 --ntasks-per-node 3"):
        run(folder, tiny.experiment(data, run="nodes", nodes=2, devices=3, **ALIKE))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="accelerator: torch sees no GPU here"):
            join(tiny.experiment(data, accelerator="cuda"))
        with pytest.raises(ValueError, match="precision: 16-mixed needs a GPU"):
            join(tiny.experiment(data, precision="16-mixed"))
    # As in one of two that torchrun started
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"devices: the run has 1 \(devices x nodes\), and .* started 2 processes"):
        run(folder, tiny.experiment(data, run="alone"))


def test_a_run_that_torchrun_ends_badly_says_so(data, tmp_path, monkeypatch):
    ended = subprocess.CompletedProcess([], 7)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    experiment = tiny.experiment(data, run="tiny", devices=2, batch_size=4)
    with pytest.raises(TrainingStopped, match=r"^tiny: torchrun ended with status 7; what it said is above$"):
        train_on_all_devices(experiment, results=tmp_path, work=tmp_path)
    assert not list(tmp_path.rglob("*.yaml"))


@pytest.mark.parametrize("tasks, nodes, first", [
    ("1", "gpu7", None), ("", "gpu7", None), ("2", "gpu7", "gpu7"),
    ("2", "gpu[003-005,7],other", "gpu003"), ("2", "a,b", "a"),
])  # fmt: skip
def test_processes_that_srun_started(monkeypatch, tasks, nodes, first):
    """A Slurm job of one task is a plain process, and so is what inherited an empty number of tasks."""
    slurm = {"NTASKS": tasks, "PROCID": "1", "JOB_ID": "1234567", "LOCALID": "0", "NODELIST": nodes}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("RANK", "WORLD_SIZE", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    found = _numbers()
    if first is None:
        assert found is None
        return
    assert (found["RANK"], found["LOCAL_RANK"], found["WORLD_SIZE"], found["MASTER_ADDR"]) == ("1", "0", tasks, first)
    assert found["MASTER_PORT"] == "19567"
    assert join(tiny.experiment({})).processes == 1  # a plain process in a job of several tasks may train alone


# --- killed, stopped, interrupted

CUT = {"epochs": 16, "batch_size": 4, "frames": 4, **STEERED}


@pytest.mark.slow
def test_cut_off_three_times_a_run_ends_with_the_same_weights(folder, data):
    """SIGKILL at two random moments, SIGTERM between; dropout, plateau and validation clips included."""
    whole = run(folder, tiny.experiment(data, run="whole", **CUT))
    cut = dataclasses.replace(whole.experiment, run="cut")
    rng, place = np.random.default_rng(7), folder / "work" / "tiny" / "cut"
    reached = [0]
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        process = begin(folder, cut)
        wait_for(lambda: epochs_in(place / "last.ckpt") > reached[-1], process)
        time.sleep(rng.uniform(0, 0.3))  # an epoch takes about as long
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        reached.append(epochs_in(place / "last.ckpt"))
        assert "Traceback" not in out + err
        if number == signal.SIGKILL:
            assert process.returncode == -9 and err == ""
            continue
        assert process.returncode == 1
        assert err.startswith("repro: ") and err.count("\n") == 1 and "the same command goes on from" in err
        assert not list(place.glob(".*.draft")) and not place.with_name(".cut.lock").exists()
    assert reached == sorted(reached) and 0 < reached[-1] < CUT["epochs"]
    assert not (folder / "results" / "tiny" / "cut").exists()
    resumed = run(folder, cut)
    first, second = weights_of(folder, whole.experiment), weights_of(folder, cut)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    np.testing.assert_array_equal(whole.scores, resumed.scores)
    assert whole.history[list(LEARNT)].equals(resumed.history[list(LEARNT)])
    assert read_record(folder / "results" / "tiny" / "cut").experiment == cut
