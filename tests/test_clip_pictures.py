"""Pictures of clips: which clips, which frames, and that a clip that does not decode is passed over."""

import numpy as np
import pandas as pd
import pytest
import tiny

from repro.data.clips import ClipFields, read_split
from repro.report.audit import Audit
from repro.report.clip_pictures import (
    contact_sheet,
    first_clip,
    sampled,
    sampled_pictures,
    short_clip_table,
    training_views,
)


@pytest.fixture
def found(tmp_path):
    """Clips of which the first of training and the first tested Foo do not decode."""
    split = read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set")))
    bad = {"Bar/v_Bar_g08_c01.avi", "Foo/v_Foo_g01_c01.avi"}
    rows = [(c.name, 0 if c.name in bad else 6) for c in (*split.train, *split.test)]
    return Audit(split, pd.DataFrame(rows, columns=["name", "frames"]), True, "")


def test_pictures_are_of_usable_clips(found):
    sheet = contact_sheet(found, 3, 32)
    assert [name for name, _ in sheet] == ["Bar", "Foo"] and {strip.shape for _, strip in sheet} == {(3, 32, 32, 3)}
    clip, length = first_clip(found)
    assert (clip.name, length) == ("Bar/v_Bar_g09_c01.avi", 6)
    taken = sampled(length, 4)
    assert [len(indices) for indices in taken.values()] == [4] * 6
    assert [strip.shape for _, strip in sampled_pictures(clip, taken)] == [(4, 96, 96, 3)] * 6
    views = training_views(clip, length, 2, 48)
    assert [name for name, _ in views] == [f"epoch {k}" for k in range(4)]
    assert len({view.tobytes() for _, view in views}) == 4 and np.shape(views[0][1]) == (2, 48, 48, 3)


def test_a_clip_of_fewer_frames_than_segments():
    table = short_clip_table(3, 6).set_index("policy")["frames taken, counted from 0"]
    assert table["paper_text, test"] == "0 0 1 1 2 2" and table["eco_pytorch, test"] == "0 0 0 0 0 0"
