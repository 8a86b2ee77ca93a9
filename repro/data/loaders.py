"""Clips as batches: a dataset of (clip, label, index) and the loaders that training and evaluation draw from.

Randomness depends on (seed, epoch, clip) alone, so the number of loader workers never changes a result.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from repro.data.batches import Batches, Order
from repro.data.clips import Clip
from repro.data.decode import DecodeError, iter_frames, quick_opening
from repro.data.parallel import quiet_decoders
from repro.data.sampling import POLICIES
from repro.data.transforms import SCALES, augment, planes, test_view


class ClipDataset(Dataset):
    """Sampled clips: an item is ``(clip, label, index)``, clip uint8 ``(N, 3, size, size)``, RGB, of N = ``frames``.

    The key is an index (test view) or ``(epoch, index)`` (training view: random frames, crop and flip drawn from (seed,
    epoch, clip name)).

    Args:
        lengths: frames that each clip really has.
        flip: mirror half of the training views.
        scales: of the training crops.
        mirror_labels: :func:`repro.data.transforms.swap_sides`; left out, every class is its own mirror image.
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
        self.clips, self.lengths = list(clips), [int(n) for n in lengths]
        self.frames, self.size, self.seed, self.flip, self.scales = frames, size, seed, flip, tuple(scales)
        self.sampling, self.policy, self.decoder = sampling, POLICIES[sampling], decoder
        self.mirror_labels = None if mirror_labels is None else list(mirror_labels)
        self.kept: dict[int, np.ndarray | None] = {}  # whole clips by index; None where one cannot be kept
        self.room = 0  # bytes that more of them may take

    def keep_decoded(self, room: int) -> None:
        """Keep clips decoded for training, up to ``room`` bytes in this process; those kept before are let go."""
        self.kept, self.room = {}, room

    def _frames(self, index: int, indices: list[int]) -> Iterable[np.ndarray]:
        """The clip's frames at these indices: of the copy in memory, which is made now where there is room."""
        if index not in self.kept and self.room:
            self.kept[index] = self._whole(index)
        kept = self.kept.get(index)
        return iter_frames(self.clips[index].path, indices, decoder=self.decoder) if kept is None else kept[indices]

    def _whole(self, index: int) -> np.ndarray | None:
        """All frames of a clip; None where they do not fit any more, or where one that is not needed cannot be read."""
        length = self.lengths[index]
        try:
            frames = iter_frames(self.clips[index].path, range(length), decoder=self.decoder)
            first = next(iter(frames))
            if first.nbytes * length > self.room:
                self.room = 0
                return None
            whole = np.stack([first, *frames])
        except DecodeError:
            return None
        self.room -= whole.nbytes
        return whole

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int, int]:
        if isinstance(key, tuple):
            return self._training_item(*key)
        clip = self.clips[key]
        indices = self.policy.test(self.lengths[key], self.frames).tolist()
        frames = iter_frames(clip.path, indices, decoder=self.decoder)
        return torch.from_numpy(planes(test_view(frames, self.size, count=self.frames))), clip.label, key

    def _training_item(self, epoch: int, index: int) -> tuple[Tensor, int, int]:
        clip = self.clips[index]
        rng = np.random.default_rng([self.seed, epoch, zlib.crc32(clip.name.encode())])
        indices = self.policy.train(self.lengths[index], self.frames, rng).tolist()
        other_side = clip.label if self.mirror_labels is None else self.mirror_labels[clip.label]
        frames = self._frames(index, indices)
        flip = self.flip and other_side is not None
        pixels, mirrored = augment(frames, self.size, rng, count=self.frames, flip=flip, scales=self.scales)
        label = other_side if mirrored and other_side is not None else clip.label
        return torch.from_numpy(planes(pixels)), label, index


def _prepare_worker(_worker: int) -> None:
    cv2.setNumThreads(1)  # workers run side by side; threads inside each would fight over the cores
    quiet_decoders()
    quick_opening()  # the frames alone matter here


def _loader(dataset: ClipDataset, batches: Batches, workers: int, prefetch: int) -> DataLoader:
    """Workers are spawned: one forked from a process whose OpenMP or OpenCV threads have run can hang."""
    options: dict[str, Any] = {"pin_memory": torch.cuda.is_available()}
    if workers:
        options |= {"num_workers": workers, "worker_init_fn": _prepare_worker, "prefetch_factor": prefetch}
        # a spawned worker takes seconds to start: validation's must not start anew each epoch
        options |= {"multiprocessing_context": "spawn", "persistent_workers": True}
    return DataLoader(dataset, batch_sampler=batches, **options)


def train_loader(dataset: ClipDataset, *, workers: int = 0, prefetch: int = 2, **batches: Any) -> DataLoader:
    """Every clip once an epoch in a seeded order, in the training view; ``batches`` as for :class:`Batches`."""
    order = Order(len(dataset), seed=dataset.seed)
    return _loader(dataset, Batches(order, even=True, **batches), workers, prefetch)


def test_loader(dataset: ClipDataset, *, workers: int = 0, prefetch: int = 2, **batches: Any) -> DataLoader:
    """Every clip once, in order, in the test view; ``batches`` as for :class:`Batches`."""
    return _loader(dataset, Batches(Order(len(dataset)), **batches), workers, prefetch)


test_loader.__test__ = False  # type: ignore[attr-defined]  # a name of the field, not a test for pytest to collect
