"""Clips as batches: a dataset of (clip, label, index) and the loaders that training and evaluation draw from.

Randomness depends on (seed, epoch, clip) alone, so the number of loader workers never changes a result.
"""

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from repro.data.batches import Batches, Order
from repro.data.clips import Clip
from repro.data.decode import iter_frames, quick_opening, read_frames
from repro.data.device_view import RawBatch, RawClip
from repro.data.sampling import POLICIES, test_views
from repro.data.transforms import SCALES, augment, check_crops, draw_view, planes, test_crops, test_view


class ClipDataset(Dataset):
    """Sampled clips.

    An item is ``(clip, label, index)`` with clip uint8 ``(N, 3, size, size)``, RGB. The key is an index (test view) or
    ``(epoch, index)`` (training view: random frames, crop and flip drawn from (seed, epoch, clip name)). Where a test
    item has V = test_clips * test_crops > 1 views, clip is ``(V, N, 3, size, size)``: view c * test_crops + k is crop k
    of temporal view c. With ``crop_on="device"`` clip is a :class:`repro.data.device_view.RawClip`.

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
        test_crops: of each frame in testing: 1, 3 or 10 (:func:`repro.data.transforms.test_places`).
        test_clips: temporal views in testing (:func:`repro.data.sampling.test_views`).
        crop_on: "cpu", or "device": items are frames as decoded, for :func:`collate_raw` and, on the device,
            :func:`repro.data.device_view.to_views`. The draws and the pixels are the same.

    Raises:
        ValueError: as many frame counts as clips are not given; ``test_crops`` is another number; ``test_clips`` is
            below 1, or above 1 under ``eco_pytorch``; ``crop_on`` is another word, or "device" with V > 1.
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
        test_crops: int = 1,
        test_clips: int = 1,
        crop_on: str = "cpu",
    ) -> None:
        if len(clips) != len(lengths):
            raise ValueError(f"{len(clips)} clips but {len(lengths)} frame counts")
        self.clips, self.lengths = list(clips), [int(n) for n in lengths]
        self.frames, self.size, self.seed, self.flip, self.scales = frames, size, seed, flip, tuple(scales)
        self.sampling, self.policy, self.decoder = sampling, POLICIES[sampling], decoder
        self.test_crops, self.test_clips, self.crop_on = test_crops, test_clips, crop_on
        check_crops(test_crops)
        test_views(1, frames, test_clips, policy=sampling)  # refuses here what it would refuse for the first item
        if crop_on not in ("cpu", "device"):
            raise ValueError(f"crop_on: {crop_on!r} is neither cpu nor device")
        if crop_on == "device" and self.views > 1:
            raise ValueError(
                f"crop_on device makes one test view, not {test_clips} clips x {test_crops} crops: take crop_on cpu"
            )
        self.mirror_labels = None if mirror_labels is None else list(mirror_labels)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def views(self) -> int:
        """V, views of a test item."""
        return self.test_clips * self.test_crops

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor | RawClip, int, int]:
        if isinstance(key, tuple):
            return self._training_item(*key)
        return self._test_view(self.clips[key], self.lengths[key]), self.clips[key].label, key

    def _training_item(self, epoch: int, index: int) -> tuple[Tensor | RawClip, int, int]:
        clip = self.clips[index]
        rng = np.random.default_rng([self.seed, epoch, zlib.crc32(clip.name.encode())])
        indices = self.policy.train(self.lengths[index], self.frames, rng)
        other_side = clip.label if self.mirror_labels is None else self.mirror_labels[clip.label]
        options = {"flip": self.flip and other_side is not None, "scales": self.scales}
        if self.crop_on == "device":
            frames = read_frames(clip.path, indices, decoder=self.decoder)
            box, mirrored = draw_view(*frames.shape[1:3], rng, **options)
            view = RawClip(torch.from_numpy(frames), box, mirrored)
        else:
            frames = iter_frames(clip.path, indices, decoder=self.decoder)
            pixels, mirrored = augment(frames, self.size, rng, count=self.frames, **options)
            view = torch.from_numpy(planes(pixels))
        return view, other_side if mirrored else clip.label, index

    def _test_view(self, clip: Clip, length: int) -> Tensor | RawClip:
        if self.views > 1:
            return self._several_views(clip, length)
        indices = self.policy.test(length, self.frames)
        if self.crop_on == "device":
            return RawClip(torch.from_numpy(read_frames(clip.path, indices, decoder=self.decoder)), None, False)
        frames = iter_frames(clip.path, indices, decoder=self.decoder)
        return torch.from_numpy(planes(test_view(frames, self.size, count=self.frames)))

    def _several_views(self, clip: Clip, length: int) -> Tensor:
        """Every frame that a view needs is decoded and resized once, in the clip's order."""
        indices = test_views(length, self.frames, self.test_clips, policy=self.sampling)
        needed = np.unique(indices)
        frames = iter_frames(clip.path, needed, decoder=self.decoder)
        crops = test_crops(frames, self.size, self.test_crops, count=len(needed))
        places = np.searchsorted(needed, indices)
        views = np.empty((self.test_clips, self.test_crops, self.frames, 3, self.size, self.size), np.uint8)
        for number, crop in enumerate(crops):
            views[:, number] = planes(crop)[places]
        return torch.from_numpy(views.reshape(self.views, *views.shape[2:]))


def collate_raw(items: Sequence[tuple[RawClip, int, int]]) -> tuple[RawBatch, Tensor, Tensor]:
    """Items of ``crop_on="device"`` as a batch ``(clips, labels, indices)``, for a loader's ``collate_fn``.

    A training clip's frames are cut to its box: what workers hand over costs them about as much as a crop. All become
    one tensor, for a tensor each would take a file descriptor each between worker and trainer.
    """
    clips, labels, indices = zip(*items)
    parts = []
    for frames, box, _ in clips:
        top, left, height, width = box or (0, 0, *frames.shape[1:3])
        parts.append(frames[:, top : top + height, left : left + width])
    pixels = torch.empty(sum(part.numel() for part in parts), dtype=torch.uint8)
    if get_worker_info() is not None:
        pixels.share_memory_()  # filled where the trainer reads it, as default_collate does
    shapes = [tuple(part.shape) for part in parts]
    batch = RawBatch(pixels, shapes, [clip.box is None for clip in clips], [clip.mirrored for clip in clips])
    for out, part in zip(batch.frames, parts):
        out.copy_(part)
    return batch, torch.tensor(labels), torch.tensor(indices)


def _prepare_worker(_worker: int) -> None:
    cv2.setNumThreads(1)  # workers run side by side; threads inside each would fight over the cores
    quick_opening()  # the frames alone matter here


def _options(dataset: ClipDataset, workers: int, prefetch: int) -> dict:
    """What all loaders share.

    Workers are spawned: one forked from a process whose OpenMP or OpenCV threads have run can hang.
    """
    collate = collate_raw if dataset.crop_on == "device" else None
    options = {"collate_fn": collate, "pin_memory": torch.cuda.is_available()}
    if workers:
        options |= {"num_workers": workers, "worker_init_fn": _prepare_worker, "prefetch_factor": prefetch}
        # a spawned worker takes seconds to start: validation's must not start anew each epoch
        options |= {"multiprocessing_context": "spawn", "persistent_workers": True}
    return options


def train_loader(
    dataset: ClipDataset,
    *,
    batch_size: int,
    workers: int = 0,
    prefetch: int = 2,
    last_batch: str = "keep",
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """Every clip once an epoch in a seeded order, in the training view; see :class:`repro.data.batches.Batches`."""
    batches = Batches(
        Order(len(dataset), seed=dataset.seed),
        batch_size=batch_size,
        last_batch=last_batch,
        rank=rank,
        processes=processes,
        even=True,
    )
    return DataLoader(dataset, batch_sampler=batches, **_options(dataset, workers, prefetch))


def test_loader(
    dataset: ClipDataset,
    *,
    batch_size: int,
    workers: int = 0,
    prefetch: int = 2,
    last_batch: str = "keep",
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """Every clip once, in order, in the test view; see :class:`repro.data.batches.Batches`."""
    batches = Batches(Order(len(dataset)), batch_size=batch_size, last_batch=last_batch, rank=rank, processes=processes)
    return DataLoader(dataset, batch_sampler=batches, **_options(dataset, workers, prefetch))


test_loader.__test__ = False  # a name of the field, not a test for pytest to collect
