"""Which clips make up each batch of an epoch, on which process, and which are left out at its end."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


def scored_clips(clips: int, batch: int, last_batch: str) -> int:
    """Clips that count when batches of ``batch`` are taken from ``clips`` and the last is treated so: ``keep``;
    ``drop_partial``, dropped if it is not full; ``drop``, dropped in any case. Raises ValueError for another word or
    numbers below 1.
    """
    if clips < 1 or batch < 1:
        raise ValueError(f"{clips} clips in batches of {batch}: both must be 1 or more")
    partial = clips % batch
    dropped = {"keep": 0, "drop_partial": partial, "drop": partial or batch}
    if last_batch not in dropped:
        raise ValueError(f"last_batch: {last_batch!r} is not one of {', '.join(dropped)}")
    return clips - dropped[last_batch]


class Order(Sampler):
    """An epoch's clips: 0, 1, ... without a seed; with one, ``(epoch, index)`` in that epoch's seeded order."""

    def __init__(self, size: int, *, seed: int | None = None) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator:
        if self.seed is None:
            return iter(range(self.size))
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        return ((self.epoch, int(index)) for index in order)


class Batches(Sampler):
    """An epoch's batches, of which this process takes its share.

    A batch is cut from the order of the whole epoch and then dealt out, clip k to process k modulo ``processes``: so
    all processes together see what one alone would, each clip once but for those that ``last_batch`` drops
    (:func:`scored_clips`).

    Args:
        batch_size: clips of all processes together, a multiple of ``processes``.
        rank, processes: which share is this process's.
        even: every process needs a clip of every batch (training: gradients are averaged over all). Raises ValueError
            where the last batch has fewer clips than there are processes.
    """

    def __init__(
        self,
        sampler: Order,
        *,
        batch_size: int,
        last_batch: str = "keep",
        rank: int = 0,
        processes: int = 1,
        even: bool = False,
    ) -> None:
        if batch_size % processes:
            raise ValueError(f"batch_size: {batch_size} clips cannot be shared evenly by {processes} processes")
        self.sampler, self.batch_size, self.rank, self.processes = sampler, batch_size, rank, processes
        self.clips = scored_clips(len(sampler), batch_size, last_batch)
        rest = self.clips % batch_size
        if self.clips == 0:
            raise ValueError(
                f"last_batch: {last_batch!r} leaves none of {len(sampler)} clips in batches of {batch_size}; use a "
                "smaller batch_size or last_batch: keep"
            )
        if even and 0 < rest < processes:
            raise ValueError(
                f"batch_size: the last batch of an epoch has {rest} clip(s) for {processes} processes; use another "
                "batch_size or last_batch: drop_partial"
            )

    def __len__(self) -> int:
        return len(self.sizes())

    def sizes(self) -> list[int]:
        """Clips of each batch of an epoch, over all processes."""
        full, rest = divmod(self.clips, self.batch_size)
        return [self.batch_size] * full + [rest] * (rest > 0)

    def __iter__(self) -> Iterator[list]:
        order = list(self.sampler)[: self.clips]
        for start in range(0, self.clips, self.batch_size):
            share = order[start : start + self.batch_size][self.rank :: self.processes]
            if share:
                yield share


def window_clips(sizes: list[int], accumulate: int) -> list[int]:
    """For each batch, the clips of all batches that its optimiser step is made of: ``accumulate`` in a row, the last
    step of an epoch of what is left."""
    windows = [sum(sizes[start : start + accumulate]) for start in range(0, len(sizes), accumulate)]
    return [windows[index // accumulate] for index in range(len(sizes))]
