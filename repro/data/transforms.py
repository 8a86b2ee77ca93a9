"""Augmentation and normalisation, on uint8 RGB frames ``(N, H, W, 3)``; every frame of a clip gets the same crop.

Source: the "fixed-corner cropping and scale jittering" of the paper's section 4.1, as published in refs. 7 and 12, but
for one step: a crop side within 2 pixels of the input size is the input size. None of these datasets' is that near.
"""

import re
from collections.abc import Iterable, Sequence, Sized
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor  # importing torch takes seconds, and the pages that show clips need none of it

SCALES = (1.0, 0.875, 0.75, 0.66)
LARGEST_DISTORTION = 1  # width and height scales are at most one step apart
MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, for values in 0..1
STD = (0.229, 0.224, 0.225)
OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
SIDE = re.compile(r"(?<![A-Za-z])(?:left|right)(?![A-Za-z])|(?:Left|Right)(?![a-z])")  # as words, or as in TurnLeft


def crop_sizes(height: int, width: int, scales: Sequence[float] = SCALES) -> list[tuple[int, int]]:
    """The (height, width) pairs that multi-scale cropping draws from, in pixels; the short side is the base."""
    sides = [int(min(height, width) * scale) for scale in scales]
    return [(a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if abs(i - j) <= LARGEST_DISTORTION]


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


def augment(
    frames: Iterable[np.ndarray],
    size: int,
    rng: np.random.Generator,
    *,
    count: int | None = None,
    flip: bool = True,
    scales: Sequence[float] = SCALES,
) -> tuple[np.ndarray, bool]:
    """Multi-scale fixed-corner crop resized to ``size``, then a mirror image with probability 0.5.

    Returns uint8 ``(N, size, size, 3)`` and whether it is a mirror image: where left and right are labels ``flip`` must
    be off, or the label must change with it (:func:`swap_sides`). ``frames`` that come one by one need their ``count``.
    """
    view = np.empty((len(cast(Sized, frames)) if count is None else count, size, size, 3), np.uint8)
    crop, mirrored = None, False
    for frame, out in zip(frames, view, strict=True):
        if crop is None:
            top, left, height, width = train_crop(frame.shape[0], frame.shape[1], rng, scales)
            mirrored = flip and bool(rng.random() < 0.5)
            crop = slice(top, top + height), slice(left, left + width)
        cv2.resize(frame[crop], (size, size), dst=out, interpolation=cv2.INTER_LINEAR)
        if mirrored:
            cv2.flip(out, 1, dst=out)  # 35 times as fast as NumPy's copy in reverse, for 16 frames of 224x224
    return view, mirrored


def test_view(frames: Iterable[np.ndarray], size: int, *, count: int | None = None, right: int = 0) -> np.ndarray:
    """Short side to round(size * 256 / 224), then the centre crop: uint8 ``(N, size, size, 3)``.

    ``count`` as for :func:`augment`. right: pixels by which the crop lies right of the centre, as far as there are any.
    """
    view = np.empty((len(cast(Sized, frames)) if count is None else count, size, size, 3), np.uint8)
    whole = None
    for frame, out in zip(frames, view, strict=True):
        if whole is None:
            scale = round(size * 256 / 224) / min(frame.shape[:2])
            height, width = (max(size, round(side * scale)) for side in frame.shape[:2])
            whole = np.empty((height, width, 3), np.uint8)
            top, left = (height - size) // 2, min((width - size) // 2 + right, width - size)
        cv2.resize(frame, (width, height), dst=whole, interpolation=cv2.INTER_LINEAR)
        out[:] = whole[top : top + size, left : left + size]
    return view


test_view.__test__ = False  # type: ignore[attr-defined]  # a name of the field, not a test for pytest to collect


def planes(view: np.ndarray) -> np.ndarray:
    """uint8 ``(N, H, W, 3)`` as ``(N, 3, H, W)``, the order that networks take."""
    split = np.empty((len(view), 3, *view.shape[1:3]), np.uint8)
    for frame, channels in zip(view, split):
        cv2.split(frame, list(channels))  # 5 times as fast as a transposed copy
    return split


def swap_sides(classes: Sequence[str]) -> list[int | None]:
    """The label of each class's mirror image: the class whose name has left for right and right for left.

    A class that names no side is its own. One that does, but has no partner among ``classes``, gets None: its clips are
    never mirrored. Of Something-Something v1's 174 labels six pair up and one has no partner ("... pulling it right out
    as you remove your hand").
    """
    labels = {name: label for label, name in enumerate(classes)}
    return [labels.get(SIDE.sub(lambda side: OTHER_SIDE[side[0]], name)) for name in classes]


class Values(NamedTuple):
    """What becomes of RGB values v of 0 to 255: ``(v - mean * scale) / (deviation * scale)``."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    scale: float
    bgr: bool = False  # the channels change places first, blue before green before red


VALUES = {
    "imagenet": Values(MEAN, STD, 255),
    "eco_pytorch": Values((104.0, 117.0, 128.0), (1.0, 1.0, 1.0), 1, bgr=True),
    "eco_pytorch_resnet": Values(MEAN, (1.0, 1.0, 1.0), 1, bgr=True),
}
"""What networks are fed.

- ``imagenet``, the default: RGB, what torchvision's weights were trained on.
- ``eco_pytorch``: what ref. 12's code feeds its own networks: BGR minus 104, 117, 128 (its Caffe original: 123).
- ``eco_pytorch_resnet``: what that code would feed a ResNet trunk: BGR values of 0 to 255 minus ImageNet's mean for RGB
  values of 0 to 1, and no deviation. A likely silent fault of whoever builds on it; see the ledger of assumptions.
"""


def normalise(clips: "Tensor", values: str = "imagenet") -> "Tensor":
    """uint8 RGB ``(..., 3, H, W)`` to float as :data:`VALUES` says, on the clips' own device."""
    chosen = VALUES[values]
    result = (clips.flip(-3) if chosen.bgr else clips).float()
    mean, deviation = (result.new_tensor(each).view(3, 1, 1) * chosen.scale for each in chosen[:2])
    return (result - mean) / deviation
