"""Augmentation and normalisation, on uint8 RGB frames ``(N, H, W, 3)``; every frame of a clip gets the same crop.

Source: the "fixed-corner cropping and scale jittering" of the paper's section 4.1, as published in refs. 7 and 12. One
step of that code is left out: it takes a crop side within 2 pixels of the input size for the input size. No side of
these datasets' 240-pixel frames (240, 210, 180, 158) is that near to 224.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor  # importing torch takes seconds, and the pages that show clips need none of it

SCALES = (1.0, 0.875, 0.75, 0.66)
LARGEST_DISTORTION = 1  # width and height scales are at most one step apart
TEST_CROPS = (1, 3, 10)
MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, for values in 0..1
STD = (0.229, 0.224, 0.225)
OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
SIDE = re.compile(r"(?<![A-Za-z])(?:left|right)(?![A-Za-z])|(?:Left|Right)(?![a-z])")  # as words, or as in TurnLeft


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


def draw_view(
    height: int, width: int, rng: np.random.Generator, *, flip: bool = True, scales: Sequence[float] = SCALES
) -> tuple[tuple[int, int, int, int], bool]:
    """Draw what :func:`augment` does to frames of this size: the crop of :func:`train_crop`, and whether mirrored."""
    return train_crop(height, width, rng, scales), flip and bool(rng.random() < 0.5)


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

    Returns uint8 ``(N, size, size, 3)`` and whether it is a mirror image: where left and right are labels
    (Something-Something) ``flip`` must be off, or the label must change with it (:func:`swap_sides`). ``frames`` that
    come one by one (:func:`repro.data.decode.iter_frames`) need their ``count``.
    """
    view = np.empty((len(frames) if count is None else count, size, size, 3), np.uint8)
    crop, mirrored = None, False
    for frame, out in zip(frames, view, strict=True):
        if crop is None:
            (top, left, height, width), mirrored = draw_view(*frame.shape[:2], rng, flip=flip, scales=scales)
            crop = slice(top, top + height), slice(left, left + width)
        cv2.resize(frame[crop], (size, size), dst=out, interpolation=cv2.INTER_LINEAR)
        if mirrored:
            cv2.flip(out, 1, dst=out)  # 35 times as fast as NumPy's copy in reverse, for 16 frames of 224x224
    return view, mirrored


def train_view(
    frames: np.ndarray, size: int, rng: np.random.Generator, *, flip: bool = True, scales: Sequence[float] = SCALES
) -> np.ndarray:
    """The pixels of :func:`augment` alone."""
    return augment(frames, size, rng, flip=flip, scales=scales)[0]


def check_crops(crops: int) -> None:
    """Raises ValueError for a number of test crops that is not among TEST_CROPS."""
    if crops not in TEST_CROPS:
        raise ValueError(f"test_crops: {crops} is not one of {', '.join(map(str, TEST_CROPS))}")


def test_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width, in pixels, that a frame is resized to before test crops: short side round(size * 256 / 224)."""
    scale = round(size * 256 / 224) / min(height, width)
    return max(size, round(height * scale)), max(size, round(width * scale))


def test_places(height: int, width: int, size: int, crops: int = 1) -> list[tuple[int, int]]:
    """(top, left), in pixels, of each test crop of side ``size`` in a resized frame (:func:`test_size`).

    - 1: the centre.
    - 3: start, centre and end of the longer side (left, centre, right of a square), in the middle of the other.
    - 10: the upper left, upper right, lower left and lower right corner, the centre; the same five, to be mirrored.
      The places are those of TSN's oversampling (yjxiong/tsn-pytorch, GroupOverSample), which are whole multiples of a
      quarter of the free room: up to 3 pixels short of the far corners, and up to 1 of the centre of 1 and 3.

    Raises ValueError for another number.
    """
    check_crops(crops)
    down, right = height - size, width - size
    if crops == 10:
        return crop_offsets(height, width, size, size)[:5] * 2
    if crops == 1:
        return [(down // 2, right // 2)]
    if height > width:
        return [(top, right // 2) for top in (0, down // 2, down)]
    return [(down // 2, left) for left in (0, right // 2, right)]


def test_crops(frames: Iterable[np.ndarray], size: int, crops: int, *, count: int | None = None) -> np.ndarray:
    """Short side to size * 256 / 224, then the crops of :func:`test_places`, in its order.

    Returns uint8 ``(crops, N, size, size, 3)``; the last five of ten are mirror images. Each frame is resized once.
    ``count`` as for :func:`augment`. Raises ValueError for a number of crops other than 1, 3 and 10.
    """
    check_crops(crops)
    views = np.empty((crops, len(frames) if count is None else count, size, size, 3), np.uint8)
    whole = None
    for number, frame in zip(range(views.shape[1]), frames, strict=True):
        if whole is None:
            height, width = test_size(*frame.shape[:2], size)
            places = test_places(height, width, size, crops)
            whole = np.empty((height, width, 3), np.uint8)
        cv2.resize(frame, (width, height), dst=whole, interpolation=cv2.INTER_LINEAR)
        for place, (top, left) in enumerate(places):
            crop = whole[top : top + size, left : left + size]
            if place < 5:
                views[place, number] = crop
            else:  # of ten
                cv2.flip(crop, 1, dst=views[place, number])
    return views


def test_view(frames: Iterable[np.ndarray], size: int, *, count: int | None = None) -> np.ndarray:
    """The centre crop of :func:`test_crops` alone: uint8 ``(N, size, size, 3)``."""
    return test_crops(frames, size, 1, count=count)[0]


# names of the field, not tests for pytest to collect
test_size.__test__ = test_places.__test__ = test_crops.__test__ = test_view.__test__ = False


def planes(view: np.ndarray) -> np.ndarray:
    """uint8 ``(N, H, W, 3)`` as ``(N, 3, H, W)``, the order that networks take."""
    split = np.empty((len(view), 3, *view.shape[1:3]), np.uint8)
    for frame, channels in zip(view, split):
        cv2.split(frame, list(channels))  # 5 times as fast as a transposed copy
    return split


def swap_sides(classes: Sequence[str]) -> list[int | None]:
    """The label of each class's mirror image: the class whose name has left for right and right for left.

    A class that names no side is its own. One that does, but has no partner among ``classes``, gets None: its clips are
    never mirrored. Of Something-Something v1's 174 labels six pair up (turning the camera left / right while filming;
    pushing, and pulling, something from left to right / from right to left) and one has no partner: "Plugging something
    into something but pulling it right out as you remove your hand", where right is no side. "Upright" is no side.
    """
    labels = {name: label for label, name in enumerate(classes)}
    return [labels.get(SIDE.sub(lambda side: OTHER_SIDE[side[0]], name)) for name in classes]


class Values(NamedTuple):
    """What becomes of RGB values v of 0 to 255: ``(v - mean * scale) / (deviation * scale)``, channel by channel."""

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
