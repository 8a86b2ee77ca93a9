"""Train one network on one split and file its record: data, loss, step, schedule, checkpoint, history.

In the manner of torchvision's references/video_classification. A run that was interrupted goes on by itself from its
last finished epoch; where a fresh record is there already, it is returned at once.
"""

import contextlib
import dataclasses
import functools
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from repro.data.batches import Batches, window_clips
from repro.data.images import holds_images
from repro.data.loaders import ClipDataset, test_loader, train_loader
from repro.data.parallel import can_spawn
from repro.data.selection import select_clips
from repro.experiment.fields import Experiment
from repro.files import only_one
from repro.metrics.memory import available_memory
from repro.metrics.peak import measure_peak
from repro.records.freshness import used_by
from repro.records.provenance import make_provenance
from repro.records.record import RESULTS, Record, read_record, write_record
from repro.training.behaviour import todays_digest
from repro.training.checkpoint import read_checkpoint, save_whole
from repro.training.evaluation import evaluate, gates_at_start, loading, on_device
from repro.training.faults import clear_messages, stopped_by_sigterm
from repro.training.history import Log, Pace, Tally, check_finite, gradient_columns
from repro.training.network_and_clips import check_shapes, make_dataset, make_network, parts_of
from repro.training.optimiser import clip_gradient, freeze_statistics, make_optimiser, make_schedule, parameter_groups
from repro.training.plan import Plan, make_plan, threads_of
from repro.training.processes import Place, first_alone, gathered, join, leave, run_by_torchrun, wait_for_all
from repro.training.recogniser import Recogniser
from repro.training.run_folder import BEST, LAST, WEIGHTS, WORK, fresh_record, prepare_folder

SECONDS_FOR_PEAK = 2.0
MOST_FOR_CLIPS = 4 * 10**9  # bytes


def train(experiment: Experiment, *, results: Path = RESULTS, work: Path = WORK) -> Record:
    """Train, evaluate on the test split, file the record; a fresh one with the same fields is returned as it is.

    Each process of a run of several devices calls this; torchrun or srun has started them.

    Raises:
        FileNotFoundError, ValueError, OSError: data, configuration, weights, a checkpoint or a clip is unusable (before
            the first step), an unfinished run of other settings is there, the run's processes were not started, the
            loss is not finite.
        TrainingStopped: out of memory, a full disk, a loader process died, SIGTERM. What is finished stays.
    """
    results, folder = Path(results), Path(work) / experiment.study / experiment.run
    place = join(experiment)
    with contextlib.ExitStack() as stack:
        if place.first:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f".{folder.name}.lock")
            stack.enter_context(only_one(lock))
            stack.callback(lock.unlink, missing_ok=True)
        else:  # one of them speaks
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(stopped_by_sigterm(experiment))
        record = _train(experiment, results, folder, place)
    leave()
    return record


def train_on_all_devices(experiment: Experiment, *, results: Path = RESULTS, work: Path = WORK) -> Record:
    """:func:`train`, for a notebook: torchrun starts the processes where the run has several devices of this machine.

    Raises TrainingStopped where they fail, and as :func:`train`.
    """
    if experiment.devices == 1 or experiment.nodes > 1:
        return train(experiment, results=results, work=work)
    run_by_torchrun(experiment, results=Path(results), work=Path(work))
    return read_record(Path(results) / experiment.study / experiment.run)


def _train(experiment: Experiment, results: Path, folder: Path, place: Place) -> Record:
    # Results must not depend on the machine's core count where a profile fixes it
    torch.set_num_threads(threads_of(experiment))
    with first_alone(place):
        sections = used_by(experiment, todays_digest())
        split, lengths, data = select_clips(experiment)
        torch.manual_seed(experiment.seed)
        network, started = make_network(experiment, len(split.classes), folder.parents[1])
        data |= {"start": started} if started else {}
        if found := fresh_record(experiment, results, data, sections):
            return found
        clock, provenance = time.monotonic(), make_provenance()  # of the code as it is now, not when the run ends
        parts = parts_of(split, experiment)
        check_shapes(experiment, network, len(parts["train"]))
        if place.first:
            prepare_folder(folder, experiment, sections, data)

    datasets = {part: make_dataset(experiment, clips, lengths, split.classes) for part, clips in parts.items()}
    datasets["train"].keep_decoded(room_for_clips(experiment.devices))
    counts = {part: len(clips) for part, clips in parts.items()}
    probe = datasets["train"] if place.first else None
    plan = make_plan(experiment, network, clips=counts, device=place.device, dataset=probe)
    workers = plan.workers if experiment.workers is not None or can_spawn() else 0
    experiment = dataclasses.replace(experiment, workers=gathered(workers)[0])  # the first has measured
    plan = dataclasses.replace(plan, experiment=experiment)
    print("\n".join(plan.lines()), flush=True)
    if experiment.workers:  # they keep clips, and would be sent what this process has
        datasets["train"].keep_decoded(room_for_clips(experiment.devices * experiment.workers))
    peak = measure_peak(place.device, experiment.precision, seconds=SECONDS_FOR_PEAK) if place.first else None
    pace = Pace(plan.size.multiply_adds, peak, place.processes)

    with clear_messages(experiment, advice=plan.advice()):
        recogniser = Recogniser(network, experiment).to(place.device)
        tested = datasets["test"], split.classes, experiment, place
        start = gates_at_start(recogniser, *tested)
        cached = holds_images(parts["train"][0].path)
        advise = functools.partial(plan.slow_reading, cached=cached)
        with contextlib.closing(Log(experiment, folder, place, advise)) as log:
            history = fit(recogniser, datasets, experiment, folder, place, pace, log)
        scored = evaluate(recogniser, *tested)
        if place.first:
            save_whole(network.state_dict(), folder / WEIGHTS)
            write_record(
                experiment=experiment,
                classes=split.classes,
                data=data,
                provenance=provenance | _how_it_went(clock, plan, pace, place),
                digest=sections,
                history=pd.DataFrame(history),
                predictions=scored.predictions,
                altered=scored.altered,
                gates={"start": start, "end": scored.gates} if start else {},
                results=results,
            )
        wait_for_all()
    return read_record(results / experiment.study / experiment.run)


# ---- the loop


def fit(
    recogniser: Recogniser,
    datasets: Mapping[str, ClipDataset],
    experiment: Experiment,
    folder: Path,
    place: Place,
    pace: Pace,
    log: Log,
) -> list[dict[str, float]]:
    """Train for the experiment's epochs, on from the checkpoint in ``folder`` where there is one: the history's rows.

    The recogniser ends with the weights that were best on the validation clips, or the last ones where there are none.
    """
    use_deterministic_algorithms(place.device)
    steered = len(datasets["validation"]) > 0
    loader = train_loader(datasets["train"], last_batch=experiment.last_batch, **loading(experiment, place))
    if steered:
        watch = test_loader(datasets["validation"], last_batch=experiment.last_batch, **loading(experiment, place))

    model = in_parallel(recogniser, experiment, place)
    optimiser = make_optimiser(parameter_groups(recogniser.network, experiment), experiment)
    schedule: Any = make_schedule(optimiser, experiment)  # the two kinds are stepped in different ways
    scaler = torch.amp.GradScaler(place.device.type, enabled=experiment.precision == "16-mixed")
    kept: dict[str, Any] = {"state_dict": recogniser, "optimiser": optimiser, "schedule": schedule, "scaler": scaler}
    history: list[dict[str, float]] = []
    if (folder / LAST).is_file():
        checkpoint = read_checkpoint(folder / LAST, recogniser)
        if steered:
            read_checkpoint(folder / BEST, recogniser)  # a damaged one is known before more epochs are trained
        history = checkpoint["history"]
        for name, part in kept.items():
            part.load_state_dict(checkpoint[name])
        log.resumed(history)

    for epoch in range(len(history), experiment.epochs):
        row = train_epoch(model, loader, optimiser, scaler, experiment, place, pace, log, epoch=epoch)
        if steered:
            row |= validate(recogniser, watch, experiment, place)
        steering = f"{experiment.watch}_top1"
        schedule.step(*([row[steering]] if experiment.schedule == "plateau" else []))
        improved = steered and row[steering] > max((earlier[steering] for earlier in history), default=-1.0)
        history.append(row)
        if place.first:
            state = {name: part.state_dict() for name, part in kept.items()} | {"history": history}
            for name in (BEST, LAST) if improved else (LAST,):
                save_whole(state, folder / name)
        log.epoch(row)
    wait_for_all()
    if steered:
        recogniser.load_state_dict(read_checkpoint(folder / BEST, recogniser)["state_dict"])
    return history


def train_epoch(
    model: Recogniser | DistributedDataParallel,
    loader: DataLoader,
    optimiser: Optimizer,
    scaler: torch.amp.GradScaler,
    experiment: Experiment,
    place: Place,
    pace: Pace,
    log: Log,
    *,
    epoch: int,
) -> dict[str, float]:
    """One epoch of steps; returns its row of the history.

    The arithmetic of a step does not depend on how the work is cut up: its gradient is the mean over all of its clips,
    whatever the accumulation, the number of processes and the size of the last batch.

    Raises ValueError that names the clips of a batch whose loss or gradient is not finite.
    """
    model.train()
    freeze_statistics(model, experiment.batch_norm)
    batches, dataset = cast(Batches, loader.batch_sampler), cast(ClipDataset, loader.dataset)
    batches.sampler.set_epoch(epoch)
    step_clips = window_clips(batches.sizes(), experiment.accumulate)
    tally, norms, rate = Tally(), [], optimiser.param_groups[0]["lr"]

    def look(number: int, loss: Tensor, norm: Tensor | None, indices: Tensor) -> None:
        value, size = float(loss), None if norm is None else float(norm)
        log.step(number, value, size)
        try:
            check_finite(value, size, experiment)
        except ValueError as error:
            names = ", ".join(dataset.clips[int(index)].name for index in indices)
            raise ValueError(f"epoch {epoch}: {error}; clips in the batch: {names}") from None

    unseen = None  # the batch before is looked at when the next one is under way: a GPU is then not waited for
    waiting, began = 0.0, time.monotonic()
    mark = began
    title = f"{experiment.run}: epoch {epoch + 1}/{experiment.epochs}"
    for index, (clips, labels, indices) in enumerate(on_device(loader, title, place)):
        waiting += time.monotonic() - mark
        # Dropout draws from torch's generator, and so do loaders when they start: at another time in a resumed run or
        # with persistent workers. Seeding by batch makes all of these the same run.
        number = epoch * len(step_clips) + index
        torch.manual_seed(experiment.seed * 1_000_003 + number * place.processes + place.rank)
        ends_step = (index + 1) % experiment.accumulate == 0 or index + 1 == len(step_clips)
        with contextlib.nullcontext() if ends_step or isinstance(model, Recogniser) else model.no_sync():
            logits = model(clips)
            loss = F.cross_entropy(logits, labels)
            # DistributedDataParallel averages over processes: all passes together give the mean over the step's clips
            share = len(labels) * experiment.accumulate * place.processes / step_clips[index]  # 1 where all are alike
            scaler.scale(loss * share / experiment.accumulate).backward()
        if ends_step:
            scaler.unscale_(optimiser)
            norms.append(clip_gradient(model, experiment))
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()
        tally.add(loss, logits, labels)
        if unseen is not None:
            look(*unseen)
        unseen = number, loss.detach(), norms[-1] if ends_step else None, indices
        mark = time.monotonic()
    if unseen is not None:
        look(*unseen)
    if place.device.type == "cuda":
        torch.cuda.synchronize()
    row = {"epoch": epoch, **tally.means("train", place), "learning_rate": rate}
    row |= gradient_columns(norms, experiment.precision)
    return row | pace.columns(seconds=time.monotonic() - began, waiting=waiting, clips=batches.clips)


@torch.inference_mode()
def validate(recogniser: Recogniser, loader: DataLoader, experiment: Experiment, place: Place) -> dict[str, float]:
    """Loss and accuracies on the clips that steer the run, each process its share: columns of the history."""
    recogniser.eval()
    tally = Tally()
    for clips, labels, _ in on_device(loader, f"{experiment.run}: {experiment.watch}", place):
        logits = recogniser(clips)
        tally.add(F.cross_entropy(logits, labels), logits, labels)
    return tally.means(experiment.watch, place)


# ---- the machine


def use_deterministic_algorithms(device: torch.device) -> None:
    """The same numbers each time; where a GPU has no such algorithm (3D pooling's backward) torch warns."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")


def room_for_clips(readers: int) -> int:
    """Bytes of decoded clips that each process that reads them may keep: an eighth of the free memory between them."""
    return min(MOST_FOR_CLIPS, available_memory("cpu") // 8) // readers


def in_parallel(recogniser: Recogniser, experiment: Experiment, place: Place) -> Recogniser | DistributedDataParallel:
    """The module to train: compiled where asked for; over several processes with averaged gradients and, on GPUs,
    batch statistics of all of them."""
    if place.processes > 1 and place.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(recogniser)
    if experiment.compile:
        recogniser.network.trunk.compile()
        recogniser.network.head.compile()
    if place.processes == 1:
        return recogniser
    warnings.filterwarnings("ignore", ".*Grad strides do not match bucket view strides.*")  # of channels-last weights
    return DistributedDataParallel(recogniser, gradient_as_bucket_view=True)


def _how_it_went(clock: float, plan: Plan, pace: Pace, place: Place) -> dict[str, Any]:
    """What the provenance says once a run is over."""
    if place.device.type == "cuda":
        device, used = torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    else:
        device, used = f"CPU, {torch.get_num_threads()} thread(s)", None
    return {
        "seconds": round(time.monotonic() - clock, 1),
        "device": f"{place.processes} x {device}" if place.processes > 1 else device,
        "peak_flops": pace.peak.flops if pace.peak else None,
        "peak_case": pace.peak.case if pace.peak else None,
        "memory_expected": plan.memory,
        "memory_used": used,
    }
