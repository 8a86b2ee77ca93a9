"""Crops made on the device: what loader workers hand over when they only decode, and the views made of it there.

The pixels are those of :mod:`repro.data.transforms`: OpenCV's bilinear resizing of uint8 (INTER_LINEAR, of its
modules/imgproc/src/resize.cpp) is integer arithmetic with weights of 11 bits, repeated here. So they are the same on
every device, run for run, and equal OpenCV 5.0's on x86-64 bit for bit. An OpenCV build that hands resizing to another
library may differ from both by a grey level. ``torch.nn.functional.interpolate`` has the same geometry but rounds a
tenth of all pixels the other way.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.data.transforms import test_places, test_size

ONE = 2048  # the weight 1 in OpenCV's fixed point


class RawClip(NamedTuple):
    """A clip's frames as decoded, and what is to be made of them."""

    frames: Tensor  # uint8 (N, H, W, 3), RGB
    box: tuple[int, int, int, int] | None  # training crop (top, left, height, width) in pixels; None: the test view
    mirrored: bool


class RawBatch(NamedTuple):
    """Clips of different sizes in one tensor, which is pinned and moved to a device at once."""

    pixels: (
        Tensor  # uint8, one dimension: one clip after another, of its frames what its box holds, all for a test view
    )
    shapes: Sequence[Sequence[int]]  # (N, height, width, 3) of that part of each clip; N is the same for all
    testing: Sequence[bool]  # whether a clip is to have the test view
    mirrored: Sequence[bool]

    @property
    def frames(self) -> list[Tensor]:
        """Each clip's part, uint8 ``(N, height, width, 3)``, RGB: views of ``pixels``, not copies."""
        parts = self.pixels.split([math.prod(shape) for shape in self.shapes])
        return [part.view(*shape) for part, shape in zip(parts, self.shapes)]


def to_views(batch: RawBatch, size: int) -> Tensor:
    """The clips' views, uint8 ``(B, N, 3, size, size)``, on the device of ``batch.pixels``.

    The pixels are those of :func:`repro.data.transforms.augment` and ``test_view``. The result is the same every time,
    whether or not PyTorch's deterministic algorithms are asked for.
    """
    plans = [
        _plan(shape[1], shape[2], testing, mirrored, size)
        for shape, testing, mirrored in zip(batch.shapes, batch.testing, batch.mirrored)
    ]
    taps = torch.from_numpy(np.stack([taps for _, taps in plans])).to(batch.pixels.device)  # one copy for the batch
    views = batch.pixels.new_empty((len(plans), batch.shapes[0][0], 3, size, size))
    for view, frames, (part, _), (rows, columns) in zip(views, batch.frames, plans, taps):
        view.copy_(_resize(frames[:, part[0], part[1]], rows, columns))
    return views


def _plan(height: int, width: int, testing: bool, mirrored: bool, size: int) -> tuple[list[slice], np.ndarray]:
    """The rows and columns of a frame that its view needs, and the taps of both within them: int32 (2, 4, size)."""
    target = test_size(height, width, size) if testing else (size, size)
    [start] = test_places(*target, size)  # (0, 0) where the whole frame is the view
    part, axes = [], []
    for length, resized, first in zip((height, width), target, start):
        taps = _taps(length, resized)[:, first : first + size]
        low, high = int(taps[0].min()), int(taps[1].max()) + 1
        taps[:2] -= low
        part.append(slice(low, high))
        axes.append(taps)
    if mirrored:
        axes[1] = axes[1][:, ::-1]
    return part, np.stack(axes)


def _taps(length: int, resized: int) -> np.ndarray:
    """For each pixel of an axis resized: the two pixels that it lies between and their weights, int32 (4, resized)."""
    place = ((np.arange(resized) + 0.5) * (1 / (resized / length)) - 0.5).astype(np.float32)  # rounded as in OpenCV
    first = np.floor(place)
    share = place - first
    neighbours = [np.clip(each, 0, length - 1) for each in (first, first + 1)]
    return np.stack([*neighbours, np.rint((1 - share) * ONE), np.rint(share * ONE)]).astype(np.int32)


def _resize(frames: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to uint8 (N, 3, size, size). OpenCV's steps: along the rows, then between two rows, each of
    which loses its lower bits before the sum. Picking along the first axis copies whole stretches of memory."""
    across = _weighted(frames.permute(2, 0, 3, 1).to(torch.int32, memory_format=torch.contiguous_format), columns, 0)
    down = _weighted(across.bitwise_right_shift_(4).permute(3, 1, 2, 0).contiguous(), rows, 16)
    return down.add_(2).bitwise_right_shift_(2).permute(1, 2, 0, 3)  # at most 255: the cast to uint8 is exact


def _weighted(values: Tensor, taps: Tensor, lost: int) -> Tensor:
    """The weighted sum of two entries of the first axis at each tap; each product loses its ``lost`` lower bits."""
    one, two = (
        values.index_select(0, place).mul_(weight.view(-1, 1, 1, 1)).bitwise_right_shift_(lost)
        for place, weight in zip(taps[:2], taps[2:])
    )
    return one.add_(two)
