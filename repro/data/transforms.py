"""Augmentation and normalisation, on uint8 RGB frames ``(N, H, W, 3)``; every frame of a clip gets the same crop.

Source: the "fixed-corner cropping and scale jittering" of the paper's section 4.1, as published in refs. 7 and 12.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

SCALES = (1.0, 0.875, 0.75, 0.66)
LARGEST_DISTORTION = 1  # width and height scales are at most one step apart
MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, for values in 0..1
STD = (0.229, 0.224, 0.225)


def crop_sizes(height: int, width: int, scales: Sequence[float] = SCALES) -> list[tuple[int, int]]:
    """The (height, width) pairs that multi-scale cropping draws from, in pixels; the short side is the base."""
    sides = [int(min(height, width) * scale) for scale in scales]
    return [
        (sides[row], sides[column])
        for row in range(len(sides))
        for column in range(len(sides))
        if abs(row - column) <= LARGEST_DISTORTION
    ]


def crop_offsets(height: int, width: int, crop_height: int, crop_width: int) -> list[tuple[int, int]]:
    """The 13 fixed (top, left) offsets: 4 corners, centre, 4 edge middles, 4 quarter points."""
    down, right = (height - crop_height) // 4, (width - crop_width) // 4
    steps = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3)]
    return [(row * down, column * right) for row, column in steps]


def train_crop(
    height: int, width: int, rng: np.random.Generator, scales: Sequence[float] = SCALES
) -> tuple[int, int, int, int]:
    """Draw one multi-scale fixed-corner crop: (top, left, height, width) in pixels."""
    sizes = crop_sizes(height, width, scales)
    crop_height, crop_width = sizes[rng.integers(len(sizes))]
    offsets = crop_offsets(height, width, crop_height, crop_width)
    top, left = offsets[rng.integers(len(offsets))]
    return top, left, crop_height, crop_width


def train_view(
    frames: np.ndarray, size: int, rng: np.random.Generator, *, flip: bool = True, scales: Sequence[float] = SCALES
) -> np.ndarray:
    """Multi-scale fixed-corner crop resized to ``size``, then a mirror image with probability 0.5.

    ``flip`` must be off where left and right are labels (Something-Something). Returns uint8 ``(N, size, size, 3)``.
    """
    top, left, height, width = train_crop(*frames.shape[1:3], rng, scales)
    view = _resized(frames[:, top : top + height, left : left + width], size, size)
    if flip and rng.random() < 0.5:
        view = view[:, :, ::-1]
    return np.ascontiguousarray(view)


def test_view(frames: np.ndarray, size: int) -> np.ndarray:
    """Short side to size * 256 / 224, then the centre crop: uint8 ``(N, size, size, 3)``."""
    height, width = frames.shape[1:3]
    short = round(size * 256 / 224)
    scale = short / min(height, width)
    frames = _resized(frames, max(size, round(height * scale)), max(size, round(width * scale)))
    top, left = (frames.shape[1] - size) // 2, (frames.shape[2] - size) // 2
    return np.ascontiguousarray(frames[:, top : top + size, left : left + size])


test_view.__test__ = False  # a name of the field, not a test for pytest to collect


def _resized(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in frames])


def normalise(clips: Tensor) -> Tensor:
    """uint8 RGB ``(..., 3, H, W)`` to float with ImageNet's mean and deviation, on the clips' own device.

    The published code would feed BGR values of 0-255 less 0.485 to such a trunk: see the ledger of assumptions.
    """
    mean = torch.tensor(MEAN, device=clips.device).view(3, 1, 1) * 255
    std = torch.tensor(STD, device=clips.device).view(3, 1, 1) * 255
    return (clips.float() - mean) / std
