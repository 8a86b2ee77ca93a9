"""A network with its loss, optimiser, schedule and the history of its epochs, as Lightning trains it.

The arithmetic of a step does not depend on how the work is cut up: a step's gradient is the mean over all of its clips,
whatever the accumulation, the number of processes and the size of the last batch.
"""

import math
import os
import sys
import time

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F

from repro.data.batches import mean_over_views, window_clips
from repro.data.device_view import RawBatch, to_views
from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.metrics.peak import Peak, training_flops
from repro.training.optimiser import freeze_statistics, make_optimiser, make_schedule, parameter_groups

SECONDS_BETWEEN_LINES = 20  # of finished epochs in a log
SECONDS_WITHIN_EPOCHS = 120  # between lines inside a long epoch
TIMINGS = ("seconds", "clips_per_second", "waiting_share", "flops", "peak_share")
"""Columns of a history that say how fast a run was, and differ from run to run."""


class Recogniser(L.LightningModule):
    """Batches are uint8 clips ``(B, N, 3, H, W)``, ``(B, V, N, 3, H, W)`` with several views, or frames as decoded.

    Args:
        network: takes normalised clips ``(B, N, 3, H, W)``.
        experiment: its settings.
        multiply_adds: of one forward pass of one clip; 0 leaves the rates of arithmetic out of the history.
        peak: what the device reaches at best, measured in this run.
    """

    def __init__(
        self, network: torch.nn.Module, experiment: Experiment, *, multiply_adds: int = 0, peak: Peak | None = None
    ) -> None:
        super().__init__()
        self.network, self.experiment = network, experiment
        self.multiply_adds, self.peak = multiply_adds, peak
        self.watched = experiment.watch  # validation or test: the part that steers schedule and checkpoint
        self.sums: dict[str, list[Tensor]] = {}
        self.norms: list[Tensor] = []  # of the gradient, a step each
        self.history: list[dict[str, float]] = []  # one row a finished epoch
        self.scored: list[tuple[Tensor, Tensor]] = []  # (indices, logits) of test batches
        self.unchecked: tuple[Tensor, Tensor] | None = None  # loss and clip indices of the batch before
        self.said = time.monotonic()

    # ---- forward

    def forward(self, clips: Tensor | RawBatch) -> Tensor:
        """Logits ``(B, classes)``; of several views the logarithm of their mean probability."""
        if isinstance(clips, RawBatch):
            clips = to_views(clips, self.experiment.size)
        if clips.ndim == 6:
            return mean_over_views(torch.stack([self(clips[:, view]).float() for view in range(clips.shape[1])]))
        clips = normalise(clips, self.experiment.values)
        if clips.device.type == "cpu" and self.experiment.precision != "32-true":
            # Weight gradients of 3x3x3 convolutions over maps a few cells wide are wrong in bf16 on CPUs (torch 2.15's
            # oneDNN takes in uninitialised memory: tests/test_recogniser.py); the head has such maps, the trunk not
            maps = self.network.stack(clips).float()
            with torch.autocast("cpu", enabled=False):
                return self.network.head(maps)
        return self.network(clips)

    def training_step(self, batch, index: int) -> Tensor:
        clips, labels, indices = batch
        loss = self._score("train", self(clips), labels)
        self.unchecked = loss.detach(), indices
        # Lightning divides by the accumulation and averages over processes; this makes it the mean of the step's clips
        share = len(labels) * self.experiment.accumulate * self.trainer.world_size / self.windows[index]
        return loss if share == 1 else loss * share

    def validation_step(self, batch, _index) -> None:
        clips, labels, _indices = batch
        self._score(self.watched, self(clips), labels)

    def test_step(self, batch, _index) -> None:
        clips, _labels, indices = batch
        self.scored.append((indices.cpu(), self(clips).float().cpu()))

    # ---- what an epoch adds up to

    def _score(self, part: str, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, labels)
        best = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
        counts = [loss.detach() * len(labels), best[:, 0].sum(), best.any(1).sum(), loss.new_tensor(len(labels))]
        self.sums.setdefault(part, []).append(torch.stack([count.double() for count in counts]))
        self.classes = logits.shape[1]
        return loss

    def _means(self, part: str) -> dict[str, float]:
        """Mean loss and accuracies of a part, over all processes; top-5 says something with 6 classes or more."""
        sums = self.sums.pop(part, [])
        total = torch.stack(sums).sum(0) if sums else torch.zeros(4, dtype=torch.float64, device=self.device)
        total = self.trainer.strategy.reduce(total, reduce_op="sum")
        loss, top1, top5 = (total[:3] / total[3]).tolist()
        means = {f"{part}_loss": loss, f"{part}_top1": top1}
        return means | ({f"{part}_top5": top5} if self.classes > 5 else {})

    @property
    def monitored(self) -> str:
        """The name of the accuracy that steers this run."""
        return f"{self.watched}_top1"

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self._means(self.watched), prog_bar=True)

    def on_train_epoch_start(self) -> None:
        freeze_statistics(self.network, self.experiment.batch_norm)
        batches = self.trainer.train_dataloader.batch_sampler
        self.windows, self.epoch_clips = window_clips(batches.sizes(), self.experiment.accumulate), batches.clips
        self.learning_rate = self.optimizers().param_groups[0]["lr"]
        self.waiting, self.done = 0.0, 0
        self.began = self.mark = time.monotonic()

    def on_train_batch_start(self, _batch, index: int) -> None:
        self.waiting += time.monotonic() - self.mark
        self._check_finite()
        # Dropout draws from torch's generator, and so do loaders when they start: at another time in a resumed run or
        # with persistent workers. Seeding by batch makes all of these the same run.
        number = self.current_epoch * len(self.windows) + index
        torch.manual_seed(self.experiment.seed * 1_000_003 + number * self.trainer.world_size + self.global_rank)

    def on_train_batch_end(self, _outputs, _batch, index: int) -> None:
        self.done = index + 1
        if self.done == len(self.windows) and self.device.type == "cuda":
            torch.cuda.synchronize()
        self.mark = time.monotonic()
        if self._tells and self.mark - self.said > SECONDS_WITHIN_EPOCHS:
            self.said = self.mark
            rate, left = self.done / (self.mark - self.began), len(self.windows) - self.done
            print(
                f"{self.experiment.run}: epoch {self.current_epoch + 1}/{self.trainer.max_epochs}: batch {self.done} "
                f"of {len(self.windows)}, {rate * self.epoch_clips / len(self.windows):.1f} clips/s, about "
                f"{left / rate / 60:.0f} minutes to go in this epoch",
                flush=True,
            )

    def _check_finite(self) -> None:
        """Stop at a loss or gradient that is not finite.

        Of the batch before: a GPU is then not waited for, and no checkpoint is written in between.
        """
        if self.unchecked is None:
            return
        (loss, indices), self.unchecked = self.unchecked, None
        value, norm = float(loss), float(self.norms[-1]) if self.norms else 0.0
        if self.logger:
            self.logger.log_metrics({"step/train_loss": value, "step/gradient_norm": norm}, step=self.global_step)
        # 16-mixed leaves steps out whose gradient is too large for its scale, and the history counts them
        if math.isfinite(value) and (math.isfinite(norm) or self.experiment.precision == "16-mixed"):
            return
        what = f"the loss is {value}" if not math.isfinite(value) else f"the gradient's norm is {norm}"
        names = [self.trainer.train_dataloader.dataset.clips[int(i)].name for i in indices]
        mend = "lower the learning rate"
        mend += "" if self.experiment.precision == "32-true" else ", or use precision: 32-true"
        raise ValueError(f"{what} in epoch {self.current_epoch}: {mend}; clips in the batch: {', '.join(names)}")

    def on_train_epoch_end(self) -> None:
        self._check_finite()
        row = {"epoch": self.current_epoch, **self._means("train"), "learning_rate": self.learning_rate}
        norms = torch.stack(self.norms).double()
        self.norms.clear()
        finite = norms[norms.isfinite()]
        if len(finite):
            row |= {"gradient_norm": finite.mean().item(), "gradient_norm_largest": finite.max().item()}
        if self.experiment.precision == "16-mixed":
            row["steps_left_out"] = len(norms) - len(finite)
        logged = self.trainer.callback_metrics.items()
        row |= {name: float(value) for name, value in logged if name.startswith(f"{self.watched}_")}
        row |= self._rates()
        self.history.append(row)
        watched = (row[self.monitored],) if self.experiment.schedule == "plateau" else ()
        self.lr_schedulers().step(*watched)
        if self.logger:
            self.logger.log_metrics({f"epoch/{name}": value for name, value in row.items()}, step=self.global_step)
        if self._tells:
            self._say(row)

    def _rates(self) -> dict[str, float]:
        """How fast the epoch was, validation left out.

        ``waiting_share`` is the share of time in which this process had no batch; a GPU may still have been at work.
        ``flops`` counts a forward and a backward pass, by this device: 2 x 3 x multiply-adds a clip.
        """
        seconds = self.mark - self.began
        row = {"seconds": seconds, "clips_per_second": self.epoch_clips / seconds}
        row["waiting_share"] = self.waiting / seconds
        if self.multiply_adds:
            row["flops"] = training_flops(self.multiply_adds) * row["clips_per_second"] / self.trainer.world_size
            row |= {"peak_share": row["flops"] / self.peak.flops} if self.peak else {}
        return row

    @property
    def _tells(self) -> bool:
        return self.global_rank == 0 and not interactive()

    def _say(self, row: dict[str, float]) -> None:
        """A line now and then for batch logs, where a moving bar would flood the file."""
        epoch, epochs = row["epoch"] + 1, self.trainer.max_epochs
        if epoch < epochs and time.monotonic() - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = time.monotonic()
        tail = f", {self.watched} top-1 {row[self.monitored]:.1%}" if self.monitored in row else ""
        shown = f"loss {row['train_loss']:.3f}, training top-1 {row['train_top1']:.1%}{tail}"
        rate = f"{row['clips_per_second']:.1f} clips/s, {row['waiting_share']:.0%} of the time waiting for clips"
        print(f"{self.experiment.run}: epoch {epoch}/{epochs}: {shown}; {rate}", flush=True)

    # ---- optimisation

    def configure_optimizers(self):
        optimiser = make_optimiser(parameter_groups(self.network, self.experiment), self.experiment)
        schedule = {"scheduler": make_schedule(optimiser, self.experiment), "interval": "epoch"}
        if self.experiment.schedule == "plateau":
            schedule["monitor"] = self.monitored
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    def configure_gradient_clipping(self, _optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip the whole network's gradient norm, before the step; note the norm as it was."""
        before = self.experiment.clipping == "before_step"  # after the step, clipping changes nothing and is left out
        limit = self.experiment.clip_gradient if before else math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self.norms.append(norm.detach())

    def lr_scheduler_step(self, scheduler, metric) -> None:
        """Left out: Lightning steps plateau schedules after the checkpoint, so a resumed run would miss that step.

        :meth:`on_train_epoch_end` steps both schedules before the checkpoint is written.
        """

    # ---- checkpoints

    def on_save_checkpoint(self, checkpoint) -> None:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        checkpoint |= {"history": self.history, "random_state": {"cpu": torch.get_rng_state(), "cuda": cuda}}

    def on_load_checkpoint(self, checkpoint) -> None:
        self.history = checkpoint["history"]
        state = checkpoint.get("random_state")  # checkpoints of before had none, and need none: batches are seeded
        if state:
            torch.set_rng_state(state["cpu"].cpu())
            if len(state["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])


def interactive() -> bool:
    """A person is watching: a terminal, or a kernel that a Jupyter server started (papermill's has no session)."""
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ
