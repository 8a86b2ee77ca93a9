"""Pictures of clips: which clips, which frames, and that a clip that does not decode is passed over."""

import numpy as np
import pandas as pd
import pytest
import tiny
from matplotlib import pyplot as plt

from repro.data.clips import ClipFields, read_split
from repro.report.audit import Audit, ClipSet
from repro.report.clip_pictures import (
    contact_sheet,
    crop_figures,
    sampled,
    sampling_figure,
    short_clip_table,
    training_views,
)


@pytest.fixture
def found(tmp_path):
    """Clips of which the first of training and the first tested Foo do not decode."""
    split = read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set")))
    bad = {"Bar/v_Bar_g08_c01.avi", "Foo/v_Foo_g01_c01.avi"}
    rows = [(c.name, 0 if c.name in bad else 6) for c in (*split.train, *split.test)]
    audit = Audit(split, pd.DataFrame(rows, columns=["name", "frames"]), True, "")
    return ClipSet("s", "made clips", "", audit, 3, 32, left_out=False)


def test_pictures_are_of_usable_clips(found):
    fig, alt = contact_sheet(found)
    assert alt.endswith("one test clip a class, 3 frames each: Bar, Foo.") and len(fig.axes) == 2 * 3
    assert {axis.images[0].get_array().shape for axis in fig.axes} == {(32, 32, 3)}
    _, alt = sampling_figure(found, 4)
    assert alt.startswith("Frames taken from Bar/v_Bar_g09_c01.avi, 6 frames, 4 segments")
    assert [len(indices) for indices in sampled(6, 4).values()] == [4] * 6
    (places, words), (views, _) = crop_figures(found)
    assert len(places.axes) == 14 and "on a frame of Bar/v_Bar_g09_c01.avi" in words and len(views.axes) == 4 * 3
    plt.close("all")


def test_each_epoch_sees_other_frames_and_crops(found):
    clip = found.audit.split.train[1]
    views = training_views(clip, 6, 2, 48)
    assert [name for name, _ in views] == [f"epoch {k}" for k in range(4)]
    assert len({view.tobytes() for _, view in views}) == 4 and np.shape(views[0][1]) == (2, 48, 48, 3)


def test_a_set_without_clips_has_no_pictures():
    with pytest.raises(ValueError, match="gone clips: these clips are not at hand"):
        contact_sheet(ClipSet("s", "gone clips", "", None, 3, 32, left_out=False))


def test_a_clip_of_fewer_frames_than_segments():
    table = short_clip_table(3, 6).set_index("policy")["frames taken, counted from 0"]
    assert table["paper_text, test"] == "0 0 1 1 2 2" and table["eco_pytorch, test"] == "0 0 0 0 0 0"
