"""Train one network on one split and file the record: Lightning's Trainer, SGD, the paper's schedule, resume.

``train`` goes on by itself from the last finished epoch when a run was interrupted, and returns the record at once
when a fresh one is already there.
"""

import dataclasses
import json
import logging
import os
import shutil
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from torch import Tensor
from torch.nn import functional as F

from repro.config import FILING_FIELDS, MACHINE_FIELDS, Experiment
from repro.data.clips import carve_validation
from repro.data.loaders import ClipDataset, test_loader, train_loader
from repro.data.selection import select_clips
from repro.data.transforms import normalise, swap_sides
from repro.evaluation import predict
from repro.freshness import as_text, todays_digest, used_by
from repro.models import build, check_trainable, load_trunk, options_of, read_weights
from repro.optim import make_optimiser, make_schedule
from repro.records import RESULTS, Record, make_provenance, read_record, write_record

WORK = Path("build/runs")
VALIDATION_TOP1 = "validation_top1"
SECONDS_BETWEEN_LINES = 20
# With fewer, torch 2.15 on a CPU corrupts memory in the backward of 1x1 stride-2 convolutions in that layout
CHANNELS_FOR_CHANNELS_LAST = 8


class Recogniser(L.LightningModule):
    """A network with its loss, optimiser and schedule. Batches are uint8 clips; normalisation is done on the device."""

    def __init__(self, network: torch.nn.Module, experiment: Experiment) -> None:
        super().__init__()
        self.network, self.experiment = network, experiment
        self.sums: dict[str, list[Tensor]] = {}
        self.history: list[dict[str, float]] = []  # one row a finished epoch
        self.said = time.monotonic()

    def forward(self, clips: Tensor) -> Tensor:
        return self.network(normalise(clips))

    def training_step(self, batch, _index) -> Tensor:
        loss = self._scored("train", batch)
        if not loss.isfinite():
            names = [self.trainer.train_dataloader.dataset.clips[int(i)].name for i in batch[2]]
            raise ValueError(
                f"the loss is {loss.item()} in epoch {self.current_epoch}: lower the learning rate; "
                f"clips in the batch: {', '.join(names)}"
            )
        return loss

    def validation_step(self, batch, _index) -> None:
        self._scored("validation", batch)

    def predict_step(self, batch, _index) -> tuple[Tensor, Tensor]:
        clips, _labels, indices = batch
        return indices.cpu(), self(clips).cpu()

    def _scored(self, part: str, batch) -> Tensor:
        clips, labels, _indices = batch
        logits = self(clips)
        loss = F.cross_entropy(logits, labels)
        right = (logits.detach().argmax(1) == labels).sum()
        counts = torch.stack([loss.detach() * len(labels), right, torch.tensor(len(labels), device=loss.device)])
        self.sums.setdefault(part, []).append(counts)
        return loss

    def _means(self, part: str) -> tuple[float, float]:
        loss, right, count = torch.stack(self.sums.pop(part)).double().sum(0).tolist()
        return loss / count, right / count

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            self.sums.clear()
            return
        loss, top1 = self._means("validation")
        self.log_dict({"validation_loss": loss, VALIDATION_TOP1: top1}, prog_bar=True)

    def on_train_batch_start(self, _batch, _index) -> None:
        # Dropout draws from torch's generator, and so do loaders when they start: at another time in a resumed run or
        # with persistent workers. Seeding by step makes all of these the same run.
        torch.manual_seed(self.experiment.seed * 1_000_003 + self.global_step)

    def on_train_epoch_start(self) -> None:
        self.learning_rate = self.optimizers().param_groups[0]["lr"]

    def on_train_epoch_end(self) -> None:
        loss, top1 = self._means("train")
        row = {"epoch": self.current_epoch, "train_loss": loss, "train_top1": top1, "learning_rate": self.learning_rate}
        row |= {k: float(v) for k, v in self.trainer.callback_metrics.items() if k.startswith("validation_")}
        self.history.append(row)
        watched = (row[VALIDATION_TOP1],) if self.experiment.schedule == "plateau" else ()
        self.lr_schedulers().step(*watched)
        if not _interactive():
            self._say(row)

    def _say(self, row: dict[str, float]) -> None:
        """A line now and then for batch logs, where a moving bar would flood the file."""
        epoch, epochs = row["epoch"] + 1, self.trainer.max_epochs
        if epoch < epochs and time.monotonic() - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = time.monotonic()
        tail = f", validation top-1 {row[VALIDATION_TOP1]:.1%}" if VALIDATION_TOP1 in row else ""
        shown = f"loss {row['train_loss']:.3f}, training top-1 {row['train_top1']:.1%}{tail}"
        print(f"{self.experiment.run}: epoch {epoch}/{epochs}: {shown}", flush=True)

    def configure_optimizers(self):
        optimiser = make_optimiser(self.network.parameters(), self.experiment)
        schedule = {"scheduler": make_schedule(optimiser, self.experiment), "interval": "epoch"}
        if self.experiment.schedule == "plateau":
            schedule["monitor"] = VALIDATION_TOP1
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    def lr_scheduler_step(self, scheduler, metric) -> None:
        """Left out: Lightning steps plateau schedules after the checkpoint, so a resumed run would miss that step.

        :meth:`on_train_epoch_end` steps both schedules before the checkpoint is written.
        """

    def on_save_checkpoint(self, checkpoint) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint) -> None:
        self.history = checkpoint["history"]


def train(experiment: Experiment, *, results: Path = RESULTS, work: Path = WORK) -> Record:
    """Train, evaluate on the test split, file the record.

    A fresh record with the same fields is returned as it is; one of another experiment in the same folder is replaced,
    and a line says so first. An interrupted run goes on from its last epoch.

    Raises:
        FileNotFoundError, ValueError, OSError: data, configuration or a clip is unusable (before the first step), the
            loss is not finite, or a checkpoint belongs to other settings. Finished records stay as they are.
    """
    sections = used_by(experiment, todays_digest())
    split, lengths, data = select_clips(experiment)
    found = _record_there(experiment, results)
    differing = _differing(found, experiment, data) if found else []
    if differing:
        what = " and ".join(differing[:2])
        print(
            f"{found.folder}: holds the record of another experiment, which differs in {what}; it will be replaced "
            "when this run ends (set run: to keep both)",
            flush=True,
        )
    elif found and not found.stale(sections):
        print(f"{found.name}: a fresh record is there, nothing to train", flush=True)
        if found.experiment == experiment:
            return found
        parts = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "folder"}
        return write_record(**parts | {"experiment": experiment}, results=results)  # filed under new words

    clock, provenance = time.monotonic(), make_provenance()  # of the code as it is now, not when the run ends
    # Results must not depend on the machine's core count where a profile fixes it
    torch.set_num_threads(experiment.threads or os.cpu_count())
    torch.manual_seed(experiment.seed)
    network = build(
        experiment.model, classes=len(split.classes), **experiment.model_options(options_of(experiment.model))
    )
    if experiment.trunk_weights:
        report = load_trunk(network.trunk, read_weights(experiment.trunk_weights))
        data = data | {"trunk_weights": str(report)}
        print(f"{experiment.trunk_weights}: {report}", flush=True)
    if network.trunk.conv1.out_channels >= CHANNELS_FOR_CHANNELS_LAST:
        # The trunk's convolutions run up to a quarter faster on this layout (CPU and GPU)
        network.trunk.to(memory_format=torch.channels_last)

    train_clips, validation_clips = carve_validation(split.train, experiment.validation_fraction, seed=experiment.seed)
    for batch in {min(experiment.batch_size, len(train_clips)), len(train_clips) % experiment.batch_size} - {0}:
        check_trainable(network, batch=batch, frames=experiment.frames, size=experiment.size)

    def loader(clips, make):
        names = ("frames", "size", "seed", "flip", "sampling", "decoder")
        options = {name: getattr(experiment, name) for name in names} | {"scales": experiment.crop_scales}
        options["mirror_labels"] = swap_sides(split.classes) if experiment.swap_labels else None
        dataset = ClipDataset(clips, lengths.loc[[clip.name for clip in clips]], **options)
        return make(dataset, batch_size=experiment.batch_size, workers=experiment.workers)

    folder = Path(work) / experiment.study / experiment.run
    checkpoint = _prepare_folder(folder, experiment, sections, data)
    module = Recogniser(network, experiment)
    validation = loader(validation_clips, test_loader) if validation_clips else None
    each_epoch = {"save_top_k": 1, "save_on_train_epoch_end": True, "enable_version_counter": False}
    last = ModelCheckpoint(folder, filename="last", **each_epoch)
    best = ModelCheckpoint(folder, filename="best", monitor=VALIDATION_TOP1, mode="max", **each_epoch)
    # Best before last, so that the last checkpoint knows which was best
    keep = [best, last] if validation else [last]
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # what it finds on this machine is in the record
    with warnings.catch_warnings():
        # Lightning advises more loader workers and the like; a run's log is for what concerns its result
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*`isinstance\\(treespec, LeafSpec\\)`.*")
        warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
        warnings.filterwarnings("ignore", ".*checkpoint directory.*exists and is not empty.*")
        trainer = L.Trainer(
            max_epochs=experiment.epochs,
            accelerator="auto",
            devices=1,
            precision=experiment.precision,
            gradient_clip_val=experiment.clip_gradient,
            deterministic="warn" if torch.cuda.is_available() else True,
            num_sanity_val_steps=0,
            logger=False,
            enable_model_summary=False,
            callbacks=[*keep, *([TQDMProgressBar()] if _interactive() else [])],
            enable_progress_bar=_interactive(),
        )
        training = loader(train_clips, train_loader)
        if checkpoint:
            # Lightning starts the loader's workers before it tells the sampler which epoch a resumed run is in
            training.sampler.set_epoch(len(torch.load(checkpoint, weights_only=True)["history"]))
        trainer.fit(module, training, validation, ckpt_path=checkpoint)
        if validation:  # the weights that were best on validation clips; with cosine, the last
            module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
        predictions = predict(trainer, module, loader(split.test, test_loader))
    predictions.columns = ["clip", "label", "group", *(f"logit_{name}" for name in split.classes)]
    torch.save(network.state_dict(), folder / "weights.draft")
    (folder / "weights.draft").replace(folder / "weights.pt")
    return write_record(
        experiment=experiment,
        classes=split.classes,
        data=data,
        provenance=provenance | {"seconds": round(time.monotonic() - clock, 1), "device": _device()},
        digest=sections,
        history=pd.DataFrame(module.history),
        predictions=predictions,
        results=results,
    )


def _record_there(experiment: Experiment, results: Path) -> Record | None:
    folder = Path(results) / experiment.study / experiment.run
    return read_record(folder) if (folder / "record.json").is_file() else None


def _differing(record: Record, experiment: Experiment, data) -> list[str]:
    """The fields in which the record is of another result than this experiment's; empty where it is of the same."""
    old, new = _deciding(record.experiment), _deciding(experiment)
    fields = [name for name in new if old[name] != new[name]]
    if record.data["hash"] != data["hash"]:
        places = ("dataset", "videos", "annotations")
        fields += [name for name in places if getattr(record.experiment, name) != getattr(experiment, name)]
        fields.append("the clips themselves")
    return fields


def _deciding(experiment: Experiment) -> dict:
    """The fields that decide a result; where a run is filed and what it is called do not."""
    return {k: v for k, v in experiment.to_dict().items() if k not in (*FILING_FIELDS, *MACHINE_FIELDS)}


def _prepare_folder(folder: Path, experiment: Experiment, sections, data) -> Path | None:
    """The checkpoint to go on from, or None for a new start.

    Checkpoints of other settings, other data or other code are set aside, never mixed in and never deleted.
    """
    identity = {"fields": _deciding(experiment), "data": data["hash"], "digest": as_text(sections)}
    path = folder / "identity.json"
    last = folder / "last.ckpt"
    if path.is_file():
        found = json.loads(path.read_text())
        found["fields"] = _deciding(Experiment()) | found["fields"]  # a field added since: its default is what was done
        if found == json.loads(json.dumps(identity)):
            if last.is_file():
                print(f"{folder}: going on from the last finished epoch", flush=True)
                return last
            return None
        aside = folder.with_name(f"{folder.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        folder.rename(aside)
        print(f"{folder}: its checkpoints are of other settings, data or code; moved to {aside}", flush=True)
    elif folder.exists():
        shutil.rmtree(folder)  # killed before the identity was written: nothing of worth is there
    folder.mkdir(parents=True)
    draft = folder / "identity.draft"
    draft.write_text(json.dumps(identity))
    draft.replace(path)
    return None


def _interactive() -> bool:
    """A person is watching: a terminal, or a kernel that a Jupyter server started (papermill's has no session)."""
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread(s)"
