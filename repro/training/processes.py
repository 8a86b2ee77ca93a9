"""One run in several processes: over GPUs and nodes by Lightning's launcher, by srun or by torchrun.

A run of several devices is started in a process of its own (``python -m repro.cli train``), in which Lightning starts
one more for each further device. So it makes no difference whether a notebook, papermill, Snakemake or the command line
asks for it. On several nodes srun or torchrun start the processes.
"""

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy

from repro.experiment.fields import Experiment
from repro.metrics.memory import is_out_of_memory

OWN = "REPRO_LAUNCHED_BY"  # set in a process that was started for one run: the process that started it
KEPT = "the last finished epoch is kept, and the same command goes on from it"
PREPARATION = timedelta(days=1)  # the others wait while the first counts the frames of a large dataset
SPOKEN = "repro: "  # before the command line's own messages


class TrainingStopped(RuntimeError):
    """A run that cannot go on; what is finished is kept. The message says why and what to do."""


def environment() -> ClusterEnvironment:
    """Who numbers the processes: torchrun, srun with several tasks, or Lightning itself.

    A Slurm job of one task is a plain process: Lightning would otherwise look for its siblings.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def _from_outside() -> bool:
    """Whether srun or torchrun started the processes; Lightning's own answer is yes in those that it started, too."""
    return not isinstance(environment(), LightningEnvironment)


def needs_own_process(experiment: Experiment) -> bool:
    """Whether the run has several processes that nobody has started yet. Raises ValueError where nobody here can."""
    if experiment.devices * experiment.nodes == 1 or OWN in os.environ:
        return False
    if _from_outside():
        return False
    if experiment.nodes > 1:
        raise ValueError(
            f"nodes: {experiment.nodes} nodes are started by srun or torchrun, one process a device: "
            f"srun --nodes {experiment.nodes} --ntasks-per-node {experiment.devices} repro train params.yaml"
        )
    return True


def run_in_own_process(experiment: Experiment, *, results: Path, work: Path) -> None:
    """Train in a process of its own and pass on what it prints.

    It ends when this one does, however. Raises TrainingStopped with the first message of its processes: what one fails
    of, makes the others fail.
    """
    parameters = work / experiment.study / f".{experiment.run}.params.yaml"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    parameters.write_text(yaml.safe_dump(experiment.to_dict()), encoding="utf-8")
    command = [sys.executable, "-m", "repro.cli", "train", parameters, "--results", results, "--work", work]
    child = subprocess.Popen(
        list(map(str, command)),
        env=os.environ | {OWN: str(os.getpid())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said, last, handlers = "", "", {}
    if threading.current_thread() is threading.main_thread():
        handlers[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        for line in child.stdout:
            if line.startswith(SPOKEN):
                said = said or line.removeprefix(SPOKEN).strip()
                continue
            print(line, end="", flush=True)
            last = line.strip() or last
    finally:
        if child.poll() is None:
            child.terminate()
        code = child.wait()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        parameters.unlink(missing_ok=True)
    if code < 0 and not said:
        said = f"{experiment.run}: its process was ended by {signal.Signals(-code).name}; {KEPT}"
    if code:
        raise TrainingStopped(said or last or f"{experiment.run}: its process ended with status {code}")


def end_with_starter() -> None:
    """In a process started for one run: end when the process that started it is gone, killed perhaps."""
    if OWN not in os.environ:
        return
    starter = int(os.environ[OWN])
    os.environ[OWN] = str(os.getpid())  # for those that Lightning starts from here

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def stopped_by_sigterm(experiment: Experiment) -> Iterator[L.Callback]:
    """SIGTERM raises TrainingStopped wherever the main thread is: files are whole at every moment.

    Lightning's own handler waits for the end of a batch, and in several processes for one another in the middle of
    another exchange, which can hang. The callback puts this one back in its place.
    """

    def stop(*_):
        raise TrainingStopped(f"{experiment.run}: stopped by SIGTERM; {KEPT}")

    class Ours(L.Callback):
        def on_train_start(self, *_) -> None:
            signal.signal(signal.SIGTERM, stop)

        on_test_start = on_train_start

    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield L.Callback()
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield Ours()
    finally:
        signal.signal(signal.SIGTERM, before)


def trainer_options(experiment: Experiment) -> dict[str, Any]:
    """Lightning's Trainer arguments for the devices of this run.

    Raises ValueError where this machine has not got them.
    """
    uses_gpu = experiment.accelerator != "cpu" and torch.cuda.is_available()
    if experiment.accelerator == "cuda" and not uses_gpu:
        raise ValueError("accelerator: torch sees no GPU here; set accelerator: cpu, or see repro doctor")
    if uses_gpu and experiment.devices > torch.cuda.device_count():
        raise ValueError(f"devices: {experiment.devices} GPUs are asked for, {torch.cuda.device_count()} are here")
    if experiment.precision == "16-mixed" and not uses_gpu:
        raise ValueError("precision: 16-mixed needs a GPU; use bf16-mixed or 32-true")  # Lightning would take bf16
    kind = "gpu" if uses_gpu else "cpu"
    options = {"accelerator": kind, "devices": experiment.devices, "num_nodes": experiment.nodes}
    if experiment.devices * experiment.nodes == 1:
        return options
    if not uses_gpu and experiment.batch_norm != "none":
        raise ValueError(
            "devices: batch statistics cannot be synchronised between CPU processes, so the result would depend on "
            "their number; use devices: 1 with more threads, or batch_norm: none"
        )
    backend = "nccl" if uses_gpu else "gloo"
    strategy = DDPStrategy(process_group_backend=backend, gradient_as_bucket_view=True)
    return options | {"strategy": strategy, "sync_batchnorm": uses_gpu}


def join(experiment: Experiment) -> int:
    """This process's number among those of the run, from 0.

    Processes that torchrun or srun started are connected here already, so that the first can prepare the run's folder
    before the others look at it (:func:`agreed`). Lightning starts its own when that is done.

    Raises ValueError where there are more or fewer of them than devices x nodes.
    """
    cluster, wanted = environment(), experiment.devices * experiment.nodes
    # A plain process in a Slurm job of several tasks may train alone
    if isinstance(cluster, TorchElasticEnvironment) or (_from_outside() and wanted > 1):
        started = cluster.world_size()
        if started != wanted:
            raise ValueError(
                f"devices: the run has {wanted} (devices x nodes), and srun or torchrun started {started} processes"
            )
    if wanted == 1:
        return 0
    if not _from_outside():
        return int(os.environ.get("LOCAL_RANK", 0))
    if not torch.distributed.is_initialized():
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = cluster.main_address, str(cluster.main_port)
        uses_gpu = experiment.accelerator != "cpu" and torch.cuda.is_available()
        if uses_gpu:
            torch.cuda.set_device(cluster.local_rank())
        torch.distributed.init_process_group(
            "nccl" if uses_gpu else "gloo",
            rank=cluster.global_rank(),
            world_size=cluster.world_size(),
            timeout=PREPARATION,
        )
    return cluster.global_rank()


def after_first() -> None:
    """Wait until every process has come here; nothing where there is one, or where the others are not started yet."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def agreed(value: Any) -> Any:
    """The first process's value, on every process that is connected already; waits for it. Else the value itself.

    Raises TrainingStopped where the first one ended before it was there.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    values = [value]
    try:
        torch.distributed.broadcast_object_list(values, src=0)
    except RuntimeError:
        raise TrainingStopped("the first process of this run ended; its message says why") from None
    return values[0]


def gathered(value: Any) -> list[Any]:
    """The value of every process, in their order, on every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    found = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return found


def explained(error: BaseException, experiment: Experiment, *, advice: str) -> BaseException:
    """The error as one clear message where its cause is known; otherwise as it is.

    Known are memory that runs out (``advice`` says what would fit), a full disk, a loader process or another process of
    the run that died, and what a loader process raised.
    """
    text = str(error)
    if is_out_of_memory(error):
        what = f"out of memory with batch_size {experiment.batch_size}"
        return TrainingStopped(f"{experiment.run}: {what}: {advice}; {KEPT}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainingStopped(f"{experiment.run}: the disk is full ({text}): free some space; {KEPT}")
    if text.startswith("Caught ") and "in DataLoader worker" in text:  # its traceback, the error itself comes last
        _kind, _, message = text.strip().splitlines()[-1].partition(": ")
        return type(error)(message) if isinstance(error, OSError | ValueError) else error
    if "DataLoader worker" in text:
        first = text.splitlines()[0]
        return TrainingStopped(
            f"{experiment.run}: a loader process died ({first}); if the system killed it for memory, use fewer workers "
            f"or prefetch: 1; if a clip crashes its decoder, repro prepare --audit finds it; {KEPT}"
        )
    if isinstance(error, RuntimeError) and re.search("[Cc]onnection (closed|reset) by peer", text):
        return TrainingStopped(f"{experiment.run}: another of its processes ended (killed for memory?); {KEPT}")
    if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes it an exit
        return KeyboardInterrupt()
    return error


def machine_of(options: Mapping[str, Any]) -> torch.device:
    return torch.device("cuda" if options["accelerator"] == "gpu" else "cpu")
