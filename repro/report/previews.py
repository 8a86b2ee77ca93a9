"""Clips as short looping previews, and the paper's Figure 1: actions that look alike, side by side."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from repro.data.clips import Clip
from repro.data.decode import count_frames, read_frames
from repro.data.sampling import test_frames
from repro.data.transforms import test_view
from repro.paper.look_alikes import named_pairs

PREVIEW = 128  # pixels of a preview's longer side, at most
LARGEST = 100_000  # bytes of a preview's animation, at most
FRAMES = 12  # of a preview of Figure 1


@dataclass(frozen=True)
class Preview:
    """A clip as a short loop in a page, or still for whoever asks for less motion. IPython displays it.

    animation, still: WebP. alt: what it shows.
    """

    animation: bytes
    still: bytes
    width: int
    height: int
    alt: str

    def __html__(self) -> Markup:
        return Markup(
            '<picture><source media="(prefers-reduced-motion: reduce)" srcset="{}">'
            '<img src="{}" width="{}" height="{}" alt="{}"></picture>'
        ).format(_address(self.still), _address(self.animation), self.width, self.height, self.alt)

    def _repr_html_(self) -> str:
        return str(self.__html__())

    def __str__(self) -> str:
        return self.alt


def preview(frames: np.ndarray, alt: str, *, seconds: float = 1.5) -> Preview:
    """A looping preview of a clip's frames, uint8 RGB ``(N, H, W, 3)``, N >= 2, in under `LARGEST` bytes.

    seconds: of one turn. Raises ValueError for fewer frames, an empty alt, or frames that do not get small enough.
    """
    if len(frames) < 2 or not alt.strip():
        raise ValueError(f"a preview needs two frames or more and an alt text, not {len(frames)} and {alt!r}")
    pictures = [Image.fromarray(frame) for frame in frames]
    for picture in pictures:
        picture.thumbnail((PREVIEW, PREVIEW))  # keeps its shape, and small pictures as they are
    for quality in (70, 45, 20, 5):
        animation = _webp(pictures, quality, duration=round(1000 * seconds / len(frames)))
        if len(animation) < LARGEST:
            return Preview(animation, _webp(pictures[:1], quality), *pictures[0].size, alt)
    raise ValueError(f"{len(frames)} frames do not fit {LARGEST:,} bytes; take fewer")


def _webp(pictures: Sequence[Image.Image], quality: int, **options: int) -> bytes:
    buffer = io.BytesIO()
    several = {"save_all": True, "append_images": pictures[1:], "loop": 0} if len(pictures) > 1 else {}
    pictures[0].save(buffer, "webp", quality=quality, **several, **options)
    return buffer.getvalue()


def _address(picture: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}"


# ---- Figure 1: actions that look alike


def look_alikes_previews(clips: Iterable[Clip], classes: Sequence[str]) -> pd.DataFrame:
    """Look-alikes named beforehand, a row a pair: the first clip of either class as a preview; empty without any."""
    firsts: dict[int, Clip] = {}
    for clip in clips:
        firsts.setdefault(clip.label, clip)
    return pd.DataFrame(
        {
            "actions": f"{classes[i]} and {classes[j]}",
            "one": _moving(firsts[i], classes),
            "the other": _moving(firsts[j], classes),
        }
        for i, j in named_pairs(classes)
        if i in firsts and j in firsts
    )


def _moving(clip: Clip, classes: Sequence[str]) -> Preview:
    frames = read_frames(clip.path, test_frames(count_frames(clip.path), FRAMES))
    return preview(test_view(frames, PREVIEW), f"A clip of {classes[clip.label]}, {FRAMES} frames.")
