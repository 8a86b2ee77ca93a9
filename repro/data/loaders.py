"""Clips as batches: a dataset of (clip, label, index) and the loaders that training and evaluation draw from.

Randomness depends on (seed, epoch, clip) alone, so the number of loader workers never changes a result.
"""

import zlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from repro.data.clips import Clip
from repro.data.decode import iter_frames
from repro.data.decoders import quick_opening
from repro.data.sampling import POLICIES
from repro.data.transforms import SCALES, augment, planes, test_view


class ClipDataset(Dataset):
    """Sampled clips.

    An item is ``(clip, label, index)`` with clip uint8 ``(N, 3, size, size)``, RGB. The key is an index (test view) or
    ``(epoch, index)`` (training view: random frames, crop and flip drawn from (seed, epoch, clip name)).

    Args:
        clips: the clips, each a video file, a frame-cache file or a folder of frames.
        lengths: frames that each really has.
        frames: N, frames sampled.
        size: pixels a side.
        seed: of the training views.
        flip: mirror half of the training views.
        scales: of the training crops.
        sampling: one of :data:`repro.data.sampling.POLICIES`.
        mirror_labels: label of each class's mirror image (:func:`repro.data.transforms.swap_sides`), None for a class
            that must not be mirrored; left out, every class is its own.
        decoder: for video files, see :func:`repro.data.decode.read_frames`.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        lengths: Sequence[int],
        *,
        frames: int,
        size: int,
        seed: int = 0,
        flip: bool = True,
        scales: Sequence[float] = SCALES,
        sampling: str = "paper_text",
        mirror_labels: Sequence[int | None] | None = None,
        decoder: str = "opencv",
    ) -> None:
        if len(clips) != len(lengths):
            raise ValueError(f"{len(clips)} clips but {len(lengths)} frame counts")
        self.clips, self.lengths = list(clips), [int(n) for n in lengths]
        self.frames, self.size, self.seed, self.flip, self.scales = frames, size, seed, flip, tuple(scales)
        self.policy, self.decoder = POLICIES[sampling], decoder
        self.mirror_labels = None if mirror_labels is None else list(mirror_labels)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int, int]:
        training = isinstance(key, tuple)
        index = key[1] if training else key
        clip, length = self.clips[index], self.lengths[index]
        label = clip.label
        if training:
            rng = np.random.default_rng([self.seed, key[0], zlib.crc32(clip.name.encode())])
            frames = iter_frames(clip.path, self.policy.train(length, self.frames, rng), decoder=self.decoder)
            other_side = label if self.mirror_labels is None else self.mirror_labels[label]
            flip = self.flip and other_side is not None
            view, mirrored = augment(frames, self.size, rng, count=self.frames, flip=flip, scales=self.scales)
            label = other_side if mirrored else label
        else:
            frames = iter_frames(clip.path, self.policy.test(length, self.frames), decoder=self.decoder)
            view = test_view(frames, self.size, count=self.frames)
        return torch.from_numpy(planes(view)), label, index


class EpochSampler(Sampler):
    """A seeded permutation for each epoch, yielding (epoch, index); Lightning calls :meth:`set_epoch`."""

    def __init__(self, size: int, *, seed: int) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        return ((self.epoch, int(index)) for index in order)


def _prepare_worker(_worker: int) -> None:
    cv2.setNumThreads(1)  # workers run side by side; threads inside each would fight over the cores
    quick_opening()  # the frames alone matter here


def _worker_options(workers: int) -> dict:
    """Loader options for this many workers. They are spawned: one forked from a process whose OpenMP or OpenCV threads
    have run can hang."""
    if workers == 0:
        return {}
    return {"num_workers": workers, "worker_init_fn": _prepare_worker, "multiprocessing_context": "spawn"}


def train_loader(dataset: ClipDataset, *, batch_size: int, workers: int = 0) -> DataLoader:
    """Every clip once an epoch in a seeded order; the last batch may be smaller and is kept."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), seed=dataset.seed),
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        **_worker_options(workers),
    )


def test_loader(dataset: ClipDataset, *, batch_size: int, workers: int = 0) -> DataLoader:
    """Every clip once, in order, in the test view."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        pin_memory=torch.cuda.is_available(),
        **_worker_options(workers),
    )


test_loader.__test__ = False  # a name of the field, not a test for pytest to collect
