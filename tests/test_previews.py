"""Previews move, loop, are small and stand still on request; look-alikes stand side by side."""

import io

import numpy as np
import pytest
import tiny
from PIL import Image

from repro.data.clips import ClipFields, read_split
from repro.report.previews import look_alikes_previews, preview
from repro.report.show import table_html


def noise(count, height=240, width=320):
    """Frames that compress as badly as any."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def opened(webp: bytes) -> Image.Image:
    return Image.open(io.BytesIO(webp))


def test_a_preview_moves_loops_and_is_small():
    found = preview(noise(16), "Noise.")
    moving, still = opened(found.animation), opened(found.still)
    assert len(found.animation) < 100_000 and moving.format == "WEBP"
    assert (moving.n_frames, moving.info["loop"]) == (16, 0) and getattr(still, "n_frames", 1) == 1
    assert moving.size == still.size == (found.width, found.height) == (160, 120)


def test_a_preview_stands_still_for_whoever_asks_for_less_motion():
    html = preview(noise(8, 60, 80), 'A "clip" of <b>.')._repr_html_()
    source, image = html.index('media="(prefers-reduced-motion: reduce)"'), html.index("<img ")
    assert source < image and html.count("data:image/webp;base64,") == 2
    assert 'width="80" height="60" alt="A &#34;clip&#34; of &lt;b&gt;."' in html


@pytest.mark.parametrize("frames, alt", [(noise(1), "One frame."), (noise(2, 8, 8), " ")])
def test_a_preview_wants_frames_and_words(frames, alt):
    with pytest.raises(ValueError, match="two frames or more and an alt text"):
        preview(frames, alt)


def test_look_alikes_stand_side_by_side(tmp_path):
    names = ("Drink", "Eat", "Other")
    split = read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set", classes=names)))
    table = look_alikes_previews(split.test, split.classes)
    assert list(table["actions"]) == ["Drink and Eat"]
    assert table_html(table, "Look-alikes").count("<picture>") == 2
    assert look_alikes_previews(split.test, ("A", "B", "C")).empty
