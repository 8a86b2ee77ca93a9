"""What the epochs of a run add up to: loss and accuracies, gradients, pace; rows of a history, lines of a log."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from repro.experiment.fields import Experiment
from repro.files import SECONDS_BETWEEN_LINES, watched
from repro.metrics.peak import Peak, training_flops
from repro.metrics.text import time_text
from repro.training.processes import Place, sum_over_all

TIMINGS = ("seconds", "clips_per_second", "waiting_share", "flops", "peak_share")
"""Columns of a history that say how fast a run was, and differ from run to run."""

MUCH_WAITING, SECONDS_WAITED = 0.2, 60.0
"""Share of an epoch, and seconds of a run, that waiting for clips takes before the run says so."""


class Tally:
    """Loss and accuracy of a part of the clips, added up batch by batch on the device."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []  # a batch each: loss, right among the best 1 and 5, clips, clips x classes

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """A batch: its mean loss, logits ``(B, classes)`` and labels ``(B,)``."""
        clips, classes = logits.shape
        best = logits.detach().topk(min(5, classes), dim=1).indices == labels[:, None]
        counts = [loss.detach() * clips, best[:, 0].sum(), best.any(1).sum()]
        counts += [loss.new_tensor(clips), loss.new_tensor(clips * classes)]
        self.sums.append(torch.stack([count.detach().double() for count in counts]))

    def means(self, part: str, place: Place) -> dict[str, float]:
        """``<part>_loss``, ``_top1`` and, of 6 classes or more, ``_top5`` over the clips of all processes."""
        # Where there are fewer clips than processes, this one may have had none
        own = torch.stack(self.sums).sum(0) if self.sums else torch.zeros(5, dtype=torch.float64, device=place.device)
        total = sum_over_all(own)
        loss, top1, top5 = (total[:3] / total[3]).tolist()
        means = {f"{part}_loss": loss, f"{part}_top1": top1}
        return means | ({f"{part}_top5": top5} if total[4] > 5 * total[3] else {})


def gradient_columns(norms: Sequence[Tensor], precision: str) -> dict[str, float]:
    """Mean and largest norm of an epoch's gradients, a step each, before clipping.

    16-mixed leaves out steps whose gradient is too large for its scale; they are counted.
    """
    all_norms = torch.stack(list(norms)).double()
    finite = all_norms[all_norms.isfinite()]
    row: dict[str, float] = {}
    if len(finite):
        row |= {"gradient_norm": finite.mean().item(), "gradient_norm_largest": finite.max().item()}
    if precision == "16-mixed":
        row["steps_left_out"] = len(norms) - len(finite)
    return row


@dataclass(frozen=True)
class Pace:
    """What an epoch's speed is told by."""

    multiply_adds: int  # of one clip's forward pass
    peak: Peak | None  # measured in this run, by the first process
    processes: int

    def columns(self, *, seconds: float, waiting: float, clips: int) -> dict[str, float]:
        """How fast an epoch of training was, validation left out.

        ``waiting_share`` is the share of time in which this process had no batch; a GPU may still have been at work.
        ``flops`` counts a forward and a backward pass, by this device: 2 x 3 x multiply-adds a clip.
        """
        row = {"seconds": seconds, "clips_per_second": clips / seconds, "waiting_share": waiting / seconds}
        row["flops"] = training_flops(self.multiply_adds) * row["clips_per_second"] / self.processes
        return row | ({"peak_share": row["flops"] / self.peak.flops} if self.peak else {})


def check_finite(loss: float, norm: float | None, experiment: Experiment) -> None:
    """Raise ValueError at a loss or gradient norm that is not finite. norm: None where the batch ended no step."""
    what = ""
    if not math.isfinite(loss):
        what = f"the loss is {loss}"
    elif norm is not None and not math.isfinite(norm) and experiment.precision != "16-mixed":  # which counts them
        what = f"the gradient's norm is {norm}"
    if what:
        also = "" if experiment.precision == "32-true" else ", or use precision: 32-true"
        raise ValueError(f"{what}: lower the learning rate{also}")


class Log:
    """Lines for a person and curves for TensorBoard, of the first process; the others say nothing.

    slow_reading: what would help, said once, an epoch of these seconds, this share of them waiting for clips.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        place: Place,
        slow_reading: Callable[[float, float], str] | None = None,
    ) -> None:
        self.experiment, self.slow_reading, self.said, self.board = experiment, slow_reading, time.monotonic(), None
        if place.first:
            from torch.utils.tensorboard import SummaryWriter  # its import takes a second

            self.board = SummaryWriter(str(folder / "tensorboard"))

    def resumed(self, history: Sequence[Mapping[str, float]]) -> None:
        """That a run goes on after these finished epochs, and how long the rest takes if it is as fast as they were."""
        if self.board is not None and history:
            left = (self.experiment.epochs - len(history)) * statistics.median(row["seconds"] for row in history)
            print(
                f"{self.experiment.run}: going on after {len(history)} of {self.experiment.epochs} epochs; the rest "
                f"takes about {time_text(left)}",
                flush=True,
            )

    def step(self, number: int, loss: float, norm: float | None) -> None:
        """A batch: its number since the run began, its loss, the gradient's norm where it ended a step."""
        if self.board is not None:
            self.board.add_scalar("step/train_loss", loss, number)
            if norm is not None:
                self.board.add_scalar("step/gradient_norm", norm, number)

    def epoch(self, row: dict[str, float]) -> None:
        """A finished epoch; a line now and then in a batch log, which hundreds of short epochs would flood."""
        if self.board is None:
            return
        for name, value in row.items():
            self.board.add_scalar(f"epoch/{name}", value, int(row["epoch"]))
        self.board.flush()
        epoch, epochs = int(row["epoch"]) + 1, self.experiment.epochs
        seconds, waiting = row["seconds"], row["waiting_share"]
        # of the first, loader processes that start are a part, and clips that are kept in memory from then on
        if epoch > 1 and waiting > MUCH_WAITING and waiting * seconds * epochs > SECONDS_WAITED and self.slow_reading:
            print(f"{self.experiment.run}: {self.slow_reading(seconds, waiting)}", flush=True)
            self.slow_reading = None
        if epoch < epochs and not watched() and time.monotonic() - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = time.monotonic()
        part = self.experiment.watch
        tail = f", {part} top-1 {row[f'{part}_top1']:.1%}" if f"{part}_top1" in row else ""
        shown = f"loss {row['train_loss']:.3f}, training top-1 {row['train_top1']:.1%}{tail}"
        rate = f"{row['clips_per_second']:.1f} clips/s, {row['waiting_share']:.0%} of the time waiting for clips"
        print(f"{self.experiment.run}: epoch {epoch}/{epochs}: {shown}; {rate}", flush=True)

    def close(self) -> None:
        if self.board is not None:
            self.board.close()
