"""One run in several processes, a device each, which torchrun or srun started: who is who, and what they exchange.

Nothing is started here but torchrun itself (:func:`run_by_torchrun`), for a notebook and so for Snakemake.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml

from repro.experiment.fields import Experiment
from repro.files import command
from repro.training.faults import TrainingStopped

PATIENCE = timedelta(days=1)  # the others wait while the first counts the frames of a large dataset


@dataclass(frozen=True)
class Place:
    """Which of a run's processes this is, from 0, of how many, and the device that it computes on."""

    rank: int
    processes: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0


def join(experiment: Experiment) -> Place:
    """This process's place in the run; where there are several, they are connected (nccl on GPUs, gloo on CPUs).

    Raises ValueError where this machine has not got the devices, and where the processes that were started are not
    devices x nodes; the message has the command that starts them.
    """
    uses_gpu = _check_devices(experiment)
    wanted, found = experiment.devices * experiment.nodes, _numbers()
    if wanted == 1 and not _by_torchrun():  # a plain process in a Slurm job of several tasks may train alone
        return Place(0, 1, torch.device("cuda" if uses_gpu else "cpu"))
    if found is None:
        raise ValueError(f"devices: this run is made by {wanted} processes: start them by {start_command(experiment)}")
    if int(found["WORLD_SIZE"]) != wanted:
        raise ValueError(
            f"devices: the run has {wanted} (devices x nodes), and srun or torchrun started {found['WORLD_SIZE']} "
            f"processes: start them by {start_command(experiment)}"
        )
    os.environ.update(found)
    device = torch.device("cuda", int(found["LOCAL_RANK"])) if uses_gpu else torch.device("cpu")
    if uses_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if uses_gpu else "gloo", timeout=PATIENCE)
    return Place(dist.get_rank(), wanted, device)


def _check_devices(experiment: Experiment) -> bool:
    """Whether the run uses GPUs."""
    uses_gpu = experiment.accelerator != "cpu" and torch.cuda.is_available()
    if experiment.accelerator == "cuda" and not uses_gpu:
        raise ValueError(f"accelerator: torch sees no GPU here; set accelerator: cpu, or see {command('doctor')}")
    if uses_gpu and experiment.devices > torch.cuda.device_count():
        raise ValueError(
            f"devices: {experiment.devices} GPUs are asked for, {torch.cuda.device_count()} are here; set as many"
        )
    if experiment.precision == "16-mixed" and not uses_gpu:
        raise ValueError("precision: 16-mixed needs a GPU; use bf16-mixed or 32-true")
    if experiment.devices * experiment.nodes > 1 and not uses_gpu and experiment.batch_norm != "none":
        raise ValueError(
            "devices: batch statistics cannot be synchronised between CPU processes, so the result would depend on "
            "their number; use devices: 1 with more threads, or batch_norm: none"
        )
    return uses_gpu


def _by_torchrun() -> bool:
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def _numbers() -> dict[str, str] | None:
    """What torch.distributed reads of the environment, set by torchrun or made of srun's; None without both."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if _by_torchrun():
        return {name: os.environ[name] for name in names if name in os.environ}
    slurm = {name.removeprefix("SLURM_"): value for name, value in os.environ.items() if name.startswith("SLURM_")}
    if slurm.get("NTASKS", "") in ("", "1") or "PROCID" not in slurm:
        return None
    nodes = slurm.get("STEP_NODELIST") or slurm["NODELIST"]
    first_node = re.sub(r"\[(\d+).*|,.*", r"\1", nodes)  # gpu[003-005,7],other begins with gpu003
    port = 15000 + int(slurm["JOB_ID"][-4:])  # the same in every process, another one in each job
    return dict(zip(names, (slurm["PROCID"], slurm["LOCALID"], slurm["NTASKS"], first_node, str(port)), strict=True))


def start_command(experiment: Experiment) -> str:
    """The shell command that starts a run of several processes, a device each."""
    if experiment.nodes > 1:
        tasks = f"--nodes {experiment.nodes} --ntasks-per-node {experiment.devices}"
        return f"srun {tasks} {sys.executable} -m repro.cli train params.yaml"
    return f"{sys.executable} {_torchrun(experiment)} params.yaml"


def _torchrun(experiment: Experiment) -> str:
    # --standalone takes a free port, so that two runs of one machine do not meet
    return f"-m torch.distributed.run --standalone --nproc-per-node {experiment.devices} -m repro.cli train"


def run_by_torchrun(experiment: Experiment, *, results: Path, work: Path) -> None:
    """Let torchrun start ``repro train`` for each device of this machine; TrainingStopped where it fails."""
    parameters = work / experiment.study / f".{experiment.run}.params.yaml"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    parameters.write_text(yaml.safe_dump(experiment.to_dict()), encoding="utf-8")
    options = [parameters, "--results", results, "--work", work]
    done = subprocess.run([sys.executable, *_torchrun(experiment).split(), *map(str, options)], check=False)
    parameters.unlink()
    if done.returncode:
        raise TrainingStopped(f"{experiment.run}: torchrun ended with status {done.returncode}; what it said is above")


@contextlib.contextmanager
def first_alone(place: Place) -> Iterator[None]:
    """The first process goes through the block before the others: they find what it has counted, made and filed."""
    if not place.first:
        wait_for_all()
    yield
    if place.first:
        wait_for_all()


def wait_for_all() -> None:
    """Until every process of the run has come here."""
    if dist.is_initialized():
        dist.barrier()


def leave() -> None:
    """Disconnect the processes, once all are done."""
    wait_for_all()
    if dist.is_initialized():
        dist.destroy_process_group()


def sum_over_all(values: torch.Tensor) -> torch.Tensor:
    """The sum over the run's processes, on each of them, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def gathered(value: Any) -> list[Any]:
    """The value of every process, in their order, on every process."""
    if not dist.is_initialized():
        return [value]
    found = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
