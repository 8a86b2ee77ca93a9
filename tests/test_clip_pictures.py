"""Pictures of clips: which clips, which frames, how they move; a clip that does not decode is passed over."""

import io

import numpy as np
import pandas as pd
import pytest
import tiny
from PIL import Image

from repro.data.clips import ClipFields, read_split
from repro.data.sampling import POLICIES
from repro.report.clip_pictures import contact_sheet, crop_figures, histograms, sampling_figure, short_clip_table
from repro.report.datasets import Audit, ClipSet
from repro.report.previews import look_alikes_previews, preview
from repro.report.show import table_html


@pytest.fixture
def found(tmp_path):
    """Clips of which the first of training and the first tested Foo do not decode."""
    run = tiny.experiment(tiny.write_ucf101(tmp_path / "set"), dataset="made clips", frames=3, size=64)
    split = read_split(run)
    bad = {"Bar/v_Bar_g08_c01.avi", "Foo/v_Foo_g01_c01.avi"}
    clips = (*split.train, *split.test)
    table = pd.DataFrame({"name": [c.name for c in clips], "frames": [0 if c.name in bad else 6 for c in clips]})
    table["seconds"] = table["fps"] = (table["frames"] / 6).replace(0, np.nan)
    table["width"], table["height"] = range(320, 330), 240
    return ClipSet(run, "", Audit(split, table, True))


def drawn(fig):
    fig.canvas.draw()
    return fig.axes


def test_a_contact_sheet_is_of_usable_clips(found):
    fig, alt = contact_sheet(found)
    assert alt.endswith("one test clip a class, 3 frames each: Bar, Foo.")
    assert [axis.images[0].get_array().shape for axis in drawn(fig)] == [(64, 64, 3)] * 2 * 3


def test_sampled_frames_stand_in_a_row_a_policy_and_epoch(found):
    fig, alt = sampling_figure(found, 4)
    (axis,) = drawn(fig)
    assert alt.startswith("Frames taken from Bar/v_Bar_g09_c01.avi, 6 frames, 4 segments")
    rows = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert [line.get_marker() for line in rows] == ["o", "o", "s"] * len(POLICIES)
    tested = [policy.test(6, 4).tolist() for policy in POLICIES.values()]
    assert [line.get_xdata().tolist() for line in rows[2::3]] == tested and len(axis.get_yticklabels()) == len(rows)


def test_crops_stand_at_their_places_and_each_epoch_sees_other_frames(found):
    (places, words), (views, _) = crop_figures(found)
    boxes = [axis.patches[0] for axis in drawn(places) if axis.patches]
    assert len({(box.get_y(), box.get_x()) for box in boxes}) == 13 and "on a frame of Bar/v_Bar_g09_c01.avi" in words
    assert {f"{box.get_width():.0f} by {box.get_height():.0f} pixels" in words for box in boxes} == {True}
    axes = drawn(views)
    assert [axis.get_ylabel() for axis in axes[::3]] == [f"epoch {k}" for k in range(4)]
    assert len({b"".join(axis.images[0].get_array().tobytes() for axis in axes[k : k + 3]) for k in (0, 3, 6, 9)}) == 4


def test_histograms(found):
    fig, alt = histograms(found)
    frames, seconds, _, sizes = axes = drawn(fig)
    assert [axis.get_xlabel() for axis in axes] == ["decoded frames", "duration (s)", "frames a second", "clips"]
    # clips that do not decode have frames, none, and no duration
    assert [sum(bar.get_height() for bar in axis.patches) for axis in (frames, seconds)] == [10, 8]
    names = [label.get_text() for label in sizes.get_yticklabels()]
    assert len(names) == 7 and names[0] == "320 × 240" and names[-1] == "4 others"
    assert sizes.patches[-1].get_width() == 4 and "of the 10 clips of made clips: 48 frames, 0 minutes" in alt


def test_a_set_without_clips_has_no_pictures(found):
    with pytest.raises(ValueError, match="made clips: these clips are not at hand"):
        contact_sheet(ClipSet(found.run, "", None))


def test_a_clip_of_fewer_frames_than_segments():
    table = short_clip_table(3, 6).set_index("policy")["frames taken, counted from 0"]
    assert table["paper_text, test"] == "0 0 1 1 2 2" and table["eco_pytorch, test"] == "0 0 0 0 0 0"


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
    assert moving.size == still.size == (found.width, found.height) == (128, 96)


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
