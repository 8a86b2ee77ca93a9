"""What a frame cache takes on disk: expected before a dataset is there, estimated from its clips when it is."""

import shutil
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from repro.data.decoders import DecodeError, open_opencv
from repro.data.images import count_images, holds_images
from repro.data.prepare.jpegs import QUALITY, SHORT_SIDE, jpegs
from repro.data.progress import size_text

# By JPEG quality: the mean of 8 clips as UCF101 and HMDB51 distribute them
BYTES_A_PIXEL = {75: 0.143, 85: 0.184, 90: 0.224, 95: 0.307}
OVERHEAD = 94  # bytes of zip a frame
SAMPLED_CLIPS, SAMPLED_FRAMES = 48, 8  # for the estimate: a second of work; clips differ more than the frames of one


@dataclass(frozen=True)
class Space:
    """What a frame cache takes, in bytes, beside what is free on its disk."""

    clips: int
    frames: int
    bytes_a_frame: float
    free: int

    @property
    def bytes(self) -> int:
        return round(self.frames * self.bytes_a_frame)

    def __str__(self) -> str:
        return (
            f"about {size_text(self.bytes)} for {self.clips:,} clips ({self.frames:,} frames of "
            f"{size_text(self.bytes_a_frame)}), {size_text(self.free)} are free"
        )


def expected_bytes(
    frames: int, width: int, height: int, *, short_side: int = SHORT_SIDE, quality: int = QUALITY
) -> int:
    """Bytes that a cache of ``frames`` frames of this size (pixels) takes, by the means of :data:`BYTES_A_PIXEL`.

    For tables before a dataset is there: single clips differ by up to a half. :func:`estimate_space` measures. For a
    quality below 75 or above 95 the nearest of these is taken.
    """
    scale = min(1.0, short_side / min(width, height))
    a_pixel = np.interp(quality, list(BYTES_A_PIXEL), list(BYTES_A_PIXEL.values()))
    return round(frames * (width * height * scale**2 * a_pixel + OVERHEAD))


def estimate_space(
    paths: Mapping[str, Path],
    out: Path,
    *,
    short_side: int = SHORT_SIDE,
    quality: int = QUALITY,
    frames: Mapping[str, int] | None = None,
) -> Space:
    """What a cache of these clips would take: bytes a frame from a sample of them, times their frames.

    ``frames`` is counts by name (the audit's); clips without one are taken to announce what the sample announces.
    """
    known = {name: frames[name] for name in paths if name in frames} if frames else {}
    sizes, announced = [], []
    names = list(paths)
    for name in names[:: max(1, len(names) // SAMPLED_CLIPS)][:SAMPLED_CLIPS]:
        try:
            sizes += [len(data) for data in islice(jpegs(paths[name], short_side, quality), SAMPLED_FRAMES)]
            announced.append(_announced(paths[name]))
        except DecodeError:
            continue  # the cache leaves it out, and says so
    typical = statistics.mean(announced) if announced else 0
    count = sum(known.values()) + round((len(paths) - len(known)) * typical)
    bytes_a_frame = statistics.mean(sizes) + OVERHEAD if sizes else 0.0
    return Space(len(paths), count, bytes_a_frame, shutil.disk_usage(out).free)


def _announced(path: Path) -> int:
    if holds_images(path):
        return count_images(path)
    return max(0, int(open_opencv(path).get(cv2.CAP_PROP_FRAME_COUNT)))
