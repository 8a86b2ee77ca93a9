"""Train one network on one split and file the record: Lightning's Trainer, SGD, the paper's schedule, resume.

``train`` goes on by itself from the last finished epoch when a run was interrupted, and returns the record at once
when a fresh one is already there.
"""

import contextlib
import dataclasses
import logging
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from repro.data.clips import Clip, Split, carve_validation
from repro.data.loaders import ClipDataset, test_loader, train_loader
from repro.data.selection import select_clips
from repro.data.transforms import swap_sides
from repro.experiment.fields import Experiment
from repro.files import only_one
from repro.metrics.peak import Peak, measure_peak
from repro.models import build, check_trainable, options_of
from repro.models.start import start
from repro.records.freshness import todays_digest, used_by
from repro.records.record import RESULTS, Record, make_provenance, read_record, write_record
from repro.training.evaluation import predict
from repro.training.plan import Plan, make_plan
from repro.training.processes import (
    after_first,
    agreed,
    end_with_starter,
    environment,
    explained,
    join,
    machine_of,
    needs_own_process,
    run_in_own_process,
    stopped_by_sigterm,
    trainer_options,
)
from repro.training.recogniser import Recogniser, interactive
from repro.training.run_folder import (
    BEST,
    LAST,
    WEIGHTS,
    WORK,
    deciding_fields,
    prepare_folder,
    read_checkpoint,
    save_whole,
)

# With fewer, torch 2.15 on a CPU corrupts memory in the backward of 1x1 stride-2 convolutions in that layout
CHANNELS_FOR_CHANNELS_LAST = 8
SECONDS_FOR_PEAK = 2.0


def train(experiment: Experiment, *, results: Path = RESULTS, work: Path = WORK) -> Record:
    """Train, evaluate on the test split, file the record.

    A fresh record with the same fields is returned as it is; one of another experiment in the same folder is replaced,
    and a line says so first. An interrupted run goes on from its last epoch.

    Raises:
        FileNotFoundError, ValueError, OSError: data, configuration, weights, a checkpoint or a clip is unusable (before
            the first step), an unfinished run of other settings is there, the loss is not finite, the disk is full.
        TrainingStopped: out of memory, a loader process died, SIGTERM. Finished epochs and records stay as they are.
    """
    results, work = Path(results), Path(work)
    machine = trainer_options(experiment)
    if needs_own_process(experiment):
        run_in_own_process(experiment, results=results, work=work)
        return read_record(results / experiment.study / experiment.run)
    end_with_starter()
    rank = join(experiment)
    folder = work / experiment.study / experiment.run
    with contextlib.ExitStack() as stack:
        if rank == 0:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(only_one(folder.with_name(f".{folder.name}.lock")))
            stack.callback(folder.with_name(f".{folder.name}.lock").unlink, missing_ok=True)
        else:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        machine["callbacks"] = [stack.enter_context(stopped_by_sigterm(experiment))]
        return _train(experiment, results, folder, machine, rank)


def _train(experiment: Experiment, results: Path, folder: Path, machine: dict[str, Any], rank: int) -> Record:
    # The first counts frames, computes the digest and prepares the folder; the others then read what it found
    decided = agreed(None) if rank else None
    if decided and decided["fresh"]:
        return read_record(results / experiment.study / experiment.run)
    sections = used_by(experiment, todays_digest())
    split, lengths, data = select_clips(experiment)
    # Results must not depend on the machine's core count where a profile fixes it
    threads = experiment.threads or max(1, os.cpu_count() // experiment.devices)
    torch.set_num_threads(threads)
    if experiment.devices > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # without it Lightning sets a number of its own
    torch.manual_seed(experiment.seed)
    scratch = not (experiment.trunk_weights or experiment.head_weights or experiment.start_from)
    found = _fresh_record(experiment, results, data, sections) if rank == 0 and scratch else None
    if not found:
        network, started = make_network(experiment, len(split.classes), folder.parents[1])
        data = data | ({"start": started} if started else {})
        if rank == 0 and not scratch:
            found = _fresh_record(experiment, results, data, sections)
    if found:
        agreed({"fresh": True})
        return found
    clock, provenance = time.monotonic(), make_provenance()  # of the code as it is now, not when the run ends
    parts = parts_of(split, experiment)
    check_shapes(experiment, network, len(parts["train"]))
    if rank == 0:
        checkpoint = prepare_folder(folder, experiment, sections, data, started)
        agreed({"fresh": False})
    else:
        checkpoint = folder / LAST if (folder / LAST).is_file() else None

    device = machine_of(machine)
    datasets = {part: make_dataset(experiment, clips, lengths, split.classes, part) for part, clips in parts.items()}
    clips = {part: len(listed) for part, listed in parts.items()}
    plan = make_plan(experiment, network, clips=clips, device=device, dataset=None if rank else datasets["train"])
    print("\n".join(plan.lines()), flush=True)
    peak = measure_peak(device, experiment.precision, seconds=SECONDS_FOR_PEAK) if rank == 0 else None
    if experiment.compile:
        network.trunk.compile()
        network.head.compile()

    share = {"batch_size": experiment.batch_size, "workers": experiment.workers, "prefetch": experiment.prefetch}
    share |= {"rank": rank, "processes": experiment.devices * experiment.nodes}
    module = Recogniser(network, experiment, multiply_adds=plan.size.multiply_adds, peak=peak)
    done = 0
    if checkpoint:
        done = len(read_checkpoint(checkpoint, network)["history"])
        if parts["watched"]:
            read_checkpoint(folder / BEST, network)  # a damaged one is known before more epochs are trained
    with _quiet(), _clear_messages(experiment, plan):
        trainer = make_trainer(experiment, folder, machine, watches=bool(parts["watched"]))
        training = train_loader(datasets["train"], last_batch=experiment.last_batch, **share)
        watching = None
        if parts["watched"]:
            watching = test_loader(datasets["watched"], last_batch=experiment.last_batch, **share)
        # Lightning starts the loader's workers before it tells the sampler which epoch a resumed run is in
        training.batch_sampler.sampler.set_epoch(done)
        trainer.fit(module, training, watching, ckpt_path=checkpoint)
        if parts["watched"]:  # the weights that were best on the watched clips
            module.load_state_dict(read_checkpoint(folder / BEST, network)["state_dict"])
        views = datasets["test"].views
        share["batch_size"] = share["processes"] * max(1, experiment.batch_size // share["processes"] // views)
        predictions = predict(trainer, module, test_loader(datasets["test"], **share))
        if not trainer.is_global_zero:
            after_first()
            return read_record(results / experiment.study / experiment.run)
        predictions.columns = ["clip", "label", "group", *(f"logit_{name}" for name in split.classes)]
        save_whole(network.state_dict(), folder / WEIGHTS)
        record = write_record(
            experiment=experiment,
            classes=split.classes,
            data=data,
            provenance=provenance | _where(clock, plan, peak),
            digest=sections,
            history=pd.DataFrame(module.history),
            predictions=predictions,
            results=results,
        )
        after_first()
        return record


def make_network(experiment: Experiment, classes: int, work: Path = WORK) -> tuple[torch.nn.Module, list[dict]]:
    """The network of an experiment and what it starts from, in the layout that is fastest for it.

    Raises ValueError, OSError as :func:`repro.models.start.start`.
    """
    network = build(experiment.model, classes=classes, **experiment.model_options(options_of(experiment.model)))
    sources = {name: getattr(experiment, name) for name in ("trunk_weights", "head_weights")}
    started = start(network, **sources, start_from=_own_weights(experiment, work))
    if network.trunk.conv1.out_channels >= CHANNELS_FOR_CHANNELS_LAST:
        # The trunk's convolutions run up to a quarter faster on this layout (CPU and GPU)
        network.trunk.to(memory_format=torch.channels_last)
    return network, started


def _own_weights(experiment: Experiment, work: Path) -> str | None:
    """``start_from`` as a file: study/run of a run that was finished here is its weights."""
    source = experiment.start_from
    if not source or Path(source).is_file():
        return source
    weights = work / source / WEIGHTS
    if weights.is_file():
        return str(weights)
    if weights.parent.is_dir():
        raise FileNotFoundError(f"start_from: run {source} is not finished ({weights} is not there); finish it first")
    raise FileNotFoundError(
        f"start_from: {source!r} is neither a weights file nor a run that was finished in {work}; weights are no part "
        "of a record: train that run here first (delete its record where there is one), or name a file"
    )


def parts_of(split: Split, experiment: Experiment) -> dict[str, tuple[Clip, ...]]:
    """The clips by part: ``train``, ``watched`` (steer schedule and checkpoint, may be none) and ``test``."""
    if experiment.watch == "test":
        return {"train": split.train, "watched": split.test, "test": split.test}
    train, watched = carve_validation(split.train, experiment.validation_fraction, seed=experiment.seed)
    return {"train": train, "watched": watched, "test": split.test}


def make_dataset(experiment: Experiment, clips, lengths: pd.Series, classes, part: str) -> ClipDataset:
    """The clips of a part as the experiment samples them."""
    names = ("frames", "size", "seed", "flip", "sampling", "decoder")
    options = {name: getattr(experiment, name) for name in names} | {"scales": experiment.crop_scales}
    options["mirror_labels"] = swap_sides(classes) if experiment.swap_labels else None
    return ClipDataset(clips, lengths.loc[[clip.name for clip in clips]], **options)


def check_shapes(experiment: Experiment, network: torch.nn.Module, clips: int) -> None:
    """Refuse batches that leave a batch norm one value a channel; see :func:`repro.models.check_trainable`."""
    if experiment.batch_norm == "none":
        return
    sizes = {min(experiment.batch_size, clips)}
    if experiment.last_batch == "keep":
        sizes |= {clips % experiment.batch_size} - {0}
    for batch in sizes:
        check_trainable(network, batch=batch, frames=experiment.frames, size=experiment.size)


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there; reading executes nothing."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        save_whole(checkpoint, Path(path))

    def load_checkpoint(self, path, map_location=None, weights_only=True) -> dict[str, Any]:
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)


class OneFile(ModelCheckpoint):
    """One checkpoint, always of the same name; the best one of a run is known after its folder was moved, too."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"dirpath": self.dirpath})


def make_trainer(experiment: Experiment, folder: Path, machine: dict[str, Any], *, watches: bool) -> L.Trainer:
    """Lightning's Trainer with what this study needs: whole checkpoints each epoch, no padding of the last batch.

    ``machine``: arguments for the Trainer (:func:`repro.training.processes.trainer_options`), callbacks among them.
    """
    options = dict(machine)
    others = options.pop("callbacks", [])
    each_epoch = {"save_top_k": 1, "save_on_train_epoch_end": True, "enable_version_counter": False}
    last = OneFile(folder, filename=Path(LAST).stem, **each_epoch)
    best = OneFile(folder, filename=Path(BEST).stem, monitor=f"{experiment.watch}_top1", mode="max", **each_epoch)
    bars = [TQDMProgressBar()] if interactive() else []
    return L.Trainer(
        max_epochs=experiment.epochs,
        **options,
        precision=experiment.precision,
        accumulate_grad_batches=experiment.accumulate,
        deterministic="warn" if torch.cuda.is_available() else True,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # it repeats clips until every process has as many
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        enable_model_summary=False,
        # Best before last, so that the last checkpoint knows which was best
        callbacks=[*([best] if watches else []), last, *bars, *others],
        enable_progress_bar=bool(bars),
        plugins=[AtomicCheckpoints(), environment()],
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lightning advises more loader workers and the like; a run's log is for what concerns its result."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what it finds on this machine is in the record
    ignored = (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
        ".*have no `val_dataloader`.*",
        ".*checkpoint directory.*exists and is not empty.*",
        ".*recommended to use `.*sync_dist=True.*",
        ".*No audio backend.*",
        ".*`trainer.test\\(\\)`.*",
        ".*smaller than the logging interval.*",
        ".*The `srun` command is available.*",
        ".*Grad strides do not match bucket view strides.*",
    )
    with warnings.catch_warnings():
        for pattern in ignored:
            warnings.filterwarnings("ignore", pattern)
        yield


@contextlib.contextmanager
def _clear_messages(experiment: Experiment, plan: Plan) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        clear = explained(error, experiment, advice=plan.advice())
        if clear is error:
            raise
        raise clear from None


def _fresh_record(experiment: Experiment, results: Path, data, sections) -> Record | None:
    """The record that is there, if it is this experiment's and today's code would make it again."""
    folder = results / experiment.study / experiment.run
    if not (folder / "record.json").is_file():
        return None
    found = read_record(folder)
    if differing := _differing(found, experiment, data):
        what = " and ".join(differing[:2])
        print(
            f"{found.folder}: holds the record of another experiment, which differs in {what}; it will be replaced "
            "when this run ends (set run: to keep both)",
            flush=True,
        )
        return None
    if found.stale(sections):
        return None
    print(f"{found.name}: a fresh record is there, nothing to train", flush=True)
    if found.experiment == experiment:
        return found
    parts = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "folder"}
    return write_record(**parts | {"experiment": experiment}, results=results)  # filed under new words


def _differing(record: Record, experiment: Experiment, data) -> list[str]:
    """The fields in which the record is of another result than this experiment's; empty where it is of the same."""
    old, new = deciding_fields(record.experiment), deciding_fields(experiment)
    fields = [name for name in new if old[name] != new[name]]
    if record.data["hash"] != data["hash"]:
        places = ("dataset", "videos", "annotations")
        fields += [name for name in places if getattr(record.experiment, name) != getattr(experiment, name)]
        fields.append("the clips themselves")
    if _digests(record.data) != _digests(data):
        fields.append("the weights it starts from")
    return fields


def _digests(data) -> list[str]:
    return [each["digest"] for each in data.get("start", [])]


def _where(clock: float, plan: Plan, peak: Peak) -> dict[str, Any]:
    """What the provenance says once a run is over."""
    experiment = plan.experiment
    processes = experiment.devices * experiment.nodes
    if torch.cuda.is_available() and experiment.accelerator != "cpu":
        device, used = torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    else:
        device, used = f"CPU, {torch.get_num_threads()} thread(s)", None
    return {
        "seconds": round(time.monotonic() - clock, 1),
        "device": f"{processes} x {device}" if processes > 1 else device,
        "peak_flops": peak.flops,
        "peak_case": peak.case,
        "memory_expected": plan.memory,
        "memory_used": used,
    }
