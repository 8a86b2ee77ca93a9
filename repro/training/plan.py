"""What a run will do and what it will cost, said before it starts: clips, steps, size, memory, disk and time."""

import copy
import os
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from repro.data.batches import scored_clips
from repro.data.loaders import ClipDataset
from repro.data.parallel import cores
from repro.experiment.fields import Experiment
from repro.metrics.complexity import multiply_adds, parameters
from repro.metrics.memory import TrainingMemory, available_memory, is_out_of_memory, training_memory
from repro.metrics.peak import training_flops
from repro.metrics.text import time_text
from repro.training.recogniser import Recogniser

MARGIN = 0.9  # of the memory that is free: libraries' workspaces are not in the estimate
PROBE_CLIPS = 4
LONG_STEP = 10.0  # seconds: of the probe's, which is not repeated then
CPU = "the CPU"
SHARE_WORTH, SECONDS_WORTH = 0.2, 30.0
"""Loader processes are started where they save this share of a run and so many seconds: each takes some to start."""


@dataclass(frozen=True)
class Size:
    """A network's size on one clip: parameters, multiply-adds of a forward pass, bytes that training needs."""

    parameters: int
    multiply_adds: int
    memory: TrainingMemory


def size_of(network: nn.Module, experiment: Experiment) -> Size:
    """Counted on the meta device: no arithmetic, no memory."""
    with torch.device("meta"):
        clip = torch.empty(1, experiment.frames, 3, experiment.size, experiment.size)
    memory = training_memory(network, frames=experiment.frames, size=experiment.size, precision=experiment.precision)
    return Size(parameters(network), multiply_adds(copy.deepcopy(network).to("meta"), clip), memory)


@dataclass(frozen=True)
class Plan:
    """One run before it starts."""

    experiment: Experiment
    clips: dict[str, int]  # train, validation (may be none), test
    size: Size
    device: str
    available: int  # bytes of memory free on it
    step_seconds: float | None  # of a clip in training on one device, where it was measured
    load_seconds: float | None  # of reading a clip in one process
    cores: int  # that each of the run's processes may use

    @property
    def processes(self) -> int:
        return self.experiment.devices * self.experiment.nodes

    @property
    def batches(self) -> int:
        """Forward passes of an epoch."""
        used = scored_clips(self.clips["train"], self.experiment.batch_size, self.experiment.last_batch)
        return -(-used // self.experiment.batch_size)

    @property
    def steps(self) -> int:
        """Of the optimiser in an epoch."""
        return -(-self.batches // self.experiment.accumulate)

    @property
    def memory(self) -> int:
        """Bytes that training needs on each device."""
        return self.size.memory.total(max(1, self.experiment.batch_size // self.processes))

    @property
    def batch_that_fits(self) -> int:
        """The most clips a device."""
        return self.size.memory.largest_batch(int(MARGIN * self.available))

    @property
    def disk(self) -> int:
        """Bytes: checkpoints of weights and momentum, the last one and the best one, one being written; weights."""
        kept = 1 + (self.clips["validation"] > 0)
        return 4 * self.size.parameters * (2 * (kept + 1) + 1)

    @property
    def epoch_seconds(self) -> float | None:
        """Of training and of scoring the validation clips (a third of a training step each), reading included."""
        return self.seconds_with(self.workers)

    def seconds_with(self, workers: int) -> float | None:
        """An epoch's seconds with so many loader processes a device, which read beside the arithmetic.

        Each takes a core from the arithmetic of a CPU.
        """
        if self.step_seconds is None or self.load_seconds is None:
            return None
        arithmetic = (self.clips["train"] + self.clips["validation"] / 3) * self.step_seconds / self.processes
        reading = (self.clips["train"] + self.clips["validation"]) * self.load_seconds / self.processes
        if not workers:
            return arithmetic + reading
        left = max(self.cores - workers, 0.5) / self.cores if self.device == CPU else 1.0
        return max(arithmetic / left, reading / workers)

    @property
    def workers(self) -> int:
        """Loader processes a device: the experiment's, or as few as bring most, none where they bring little."""
        if self.experiment.workers is not None:
            return self.experiment.workers
        seconds = [self.seconds_with(workers) for workers in range(self.cores + 1)]
        known = [each for each in seconds if each is not None]
        if not known:
            return 0
        saved = known[0] - min(known)
        worth = saved > max(SHARE_WORTH * known[0], SECONDS_WORTH / self.experiment.epochs)
        return known.index(min(known)) if worth else 0

    def lines(self) -> list[str]:
        """A few lines for a person."""
        e, clips = self.experiment, self.clips
        validation = f", {clips['validation']} validation clips" if clips["validation"] and e.watch != "test" else ""
        steer = " (they steer the run, too)" if e.watch == "test" else ""
        effective = f" x {e.accumulate} = {e.effective_batch}" if e.accumulate > 1 else ""
        total = training_flops(self.size.multiply_adds) * clips["train"] * e.epochs
        found = [
            f"{e.run}: {clips['train']} training clips{validation}, {clips['test']} test clips{steer}; "
            f"{e.epochs} epochs of {self.steps} steps, batch {e.batch_size}{effective}",
            f"  network: {self.size.parameters / 1e6:.2f} M parameters, {self.size.multiply_adds / 1e9:.2f} GMACs a "
            f"clip; training is {_flop(total)}",
            f"  memory: about {self.memory / 1e9:.2f} GB on {self.device} ({self.available / 1e9:.1f} GB free; up to "
            f"{self.batch_that_fits} clips a device fit); disk: up to {self.disk / 1e9:.2f} GB",
        ]
        if clips["train"] % e.batch_size == 1 and e.last_batch == "keep":
            found.append(
                "  last batch of an epoch: 1 clip, and its batch norms see that clip alone; last_batch: drop_partial "
                "leaves it out"
            )
        if self.epoch_seconds is not None and self.step_seconds is not None and self.load_seconds is not None:
            whole = time_text(self.epoch_seconds * e.epochs)
            found.append(
                f"  time: about {time_text(self.epoch_seconds)} an epoch, {whole} in all "
                f"(probe: {1e3 * self.step_seconds:.0f} ms of arithmetic and {1e3 * self.load_seconds:.0f} ms of "
                f"reading a clip; loader processes: {self.workers or 'none'})"
            )
        return found

    def slow_reading(self, seconds: float, waiting: float, *, cached: bool) -> str:
        """What would help a run of which an epoch took so many seconds, this share of them waiting for clips."""
        mends = []
        if self.workers < self.cores:
            mends.append(f"more loader processes (workers: {self.cores}, one a core; now {self.workers})")
        if not cached:
            mends.append("frame caches, which are read sooner (repro prepare --frames)")
        said = f"{waiting:.0%} of the time went by waiting for clips: without it an epoch takes "
        said += f"{time_text((1 - waiting) * seconds)}, not {time_text(seconds)}"
        text = " or ".join(mends) or "more cores"
        return f"{said}. {text[0].upper()}{text[1:]} would help"

    def advice(self) -> str:
        """What would fit, for a run that ran out of memory."""
        batch = self.experiment.batch_size // self.processes
        fits = min(self.batch_that_fits, batch // 2)
        estimate = f"about {self.memory / 1e9:.1f} GB were expected, {self.available / 1e9:.1f} GB were free at first"
        if fits < 1:
            return f"{estimate}; not even one clip fits: use a smaller size or fewer frames"
        parts = -(-batch // fits)
        return (
            f"{estimate}; batch_size: {self.experiment.batch_size // parts} with accumulate: "
            f"{self.experiment.accumulate * parts} keeps the effective batch (batch norms then see fewer clips); "
            "precision: bf16-mixed nearly halves it"
        )


def _flop(count: float) -> str:
    for unit, scale in (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.1f} GFLOP"


def make_plan(
    experiment: Experiment,
    network: nn.Module,
    *,
    clips: dict[str, int],
    device: torch.device,
    dataset: ClipDataset | None = None,
) -> Plan:
    """The plan of a run; with a ``dataset`` a short probe on ``device`` measures the time of a clip.

    Where memory runs out in the probe, nothing is measured: the run itself will say what would fit.
    """
    step = load = None
    if dataset is not None:
        load = reading_seconds(dataset)
        try:
            step = step_seconds(experiment, network, device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else CPU
    own = max(1, cores() // experiment.devices)
    return Plan(experiment, clips, size_of(network, experiment), name, available_memory(device), step, load, own)


def reading_seconds(dataset: ClipDataset) -> float:
    """Seconds that reading a clip takes in one process once those that fit into memory are kept there."""
    count, room = min(PROBE_CLIPS, len(dataset)), dataset.room

    def read() -> float:
        start = time.perf_counter()
        for index in range(count):
            dataset[0, index]
        return (time.perf_counter() - start) / count

    dataset.keep_decoded(0)
    from_file = read()
    dataset.keep_decoded(room)
    read()
    needed = (room - dataset.room) / count * len(dataset)
    if needed == 0 or any(whole is None for whole in dataset.kept.values()):
        return from_file
    share = min(1.0, room / needed)
    return share * read() + (1 - share) * from_file


def threads_of(experiment: Experiment) -> int:
    """Threads of each process of a run."""
    return experiment.threads or max(1, (os.cpu_count() or 1) // experiment.devices)


def step_seconds(experiment: Experiment, network: nn.Module, device: torch.device) -> float:
    """Seconds that a clip of a training step takes on ``device``, on a copy of the network, in the run's precision."""
    recogniser = Recogniser(copy.deepcopy(network), experiment).to(device).train()
    count = max(2, min(experiment.batch_size, 16 if device.type == "cuda" else PROBE_CLIPS))
    shape = (count, experiment.frames, 3, experiment.size, experiment.size)
    clips = torch.zeros(shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(count, dtype=torch.long, device=device)

    def step() -> float:
        start = time.perf_counter()
        F.cross_entropy(recogniser(clips), labels).backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    torch.set_num_threads(threads_of(experiment))
    first = step()  # chooses kernels and asks for memory: up to thirty times as long as the next
    return (first if first > LONG_STEP else min(step() for _ in range(3))) / count
