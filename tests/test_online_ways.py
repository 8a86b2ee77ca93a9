"""What the network sees of a frame as published and with each departure of the released script, and where shots end."""

import numpy as np
import pytest

from repro.data.transforms import test_view
from repro.online.recogniser import Cuts
from repro.online.samplings import ByTime, Halves, Slots
from repro.online.ways import PUBLISHED, RELEASED, SLIPS, Way


def columns(height, width):
    """A frame whose red is the column, its green the row (both below 256)."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(width)[None] % 256, np.arange(height)[:, None] % 256
    return frame


def test_each_slip_is_one_departure():
    assert set(SLIPS) == {"sampling", "average", "label_drawn", "off_centre", "squeezed"}
    for name, way in SLIPS.items():
        assert getattr(way, name) == getattr(RELEASED, name) != getattr(PUBLISHED, name)
    assert isinstance(PUBLISHED.sampled(16), Halves) and isinstance(RELEASED.sampled(16), Slots)
    assert isinstance(Way("time", seconds=2.0).sampled(2), ByTime)


def test_as_published_the_network_sees_the_test_view():
    frame = columns(240, 320)
    for label in (None, "run"):
        assert np.array_equal(PUBLISHED.view(frame, 112, label), test_view(frame[None], 112)[0])


def test_off_centre_as_released():
    """256 x 340 at 224: the script's crop is [16:240, 60:284], of which the centre would be 58 to 282."""
    frame = columns(256, 340)
    assert np.array_equal(SLIPS["off_centre"].view(frame, 224, None), frame[16:240, 60:284])
    assert np.array_equal(PUBLISHED.view(frame, 224, None), frame[16:240, 58:282])
    square = columns(80, 80)  # has 4 of 73 columns on either side at 64 pixels; one of 64 is nearest to two of 224
    assert SLIPS["off_centre"].view(square, 64, None).shape == (64, 64, 3)
    assert not np.array_equal(SLIPS["off_centre"].view(square, 64, None), PUBLISHED.view(square, 64, None))
    narrow = columns(80, 56)  # as wide as its crop: there is no pixel to go to
    assert test_view(narrow[None], 56, right=60)[0].shape == (56, 56, 3)


def test_squeezed_as_released():
    """A frame of twice the width of 340/256 loses half of its width's detail, none of its sides."""
    frame = columns(64, 250)
    seen = SLIPS["squeezed"].view(frame, 56, None)
    whole = PUBLISHED.view(frame, 56, None)
    assert int(seen[0, -1, 0]) - int(seen[0, 0, 0]) > 150 > int(whole[0, -1, 0]) - int(whole[0, 0, 0])
    plain = columns(256, 340)
    assert np.array_equal(SLIPS["squeezed"].view(plain, 224, None), PUBLISHED.view(plain, 224, None))


def test_the_label_is_drawn_as_released():
    """From (10, 80) of 480 lines on, so above line 80, in yellow; nothing before the first label."""
    frame = np.zeros((480, 640, 3), np.uint8)
    way = SLIPS["label_drawn"]
    assert not way.view(frame, 224, None).any() and not frame.any()
    seen = way.view(frame, 224, "run")
    assert not frame.any(), "the caller's frame is left as it is"
    assert seen[:42].any() and not seen[48:].any()  # line 80 is line 43 of 256
    assert seen[..., 0].sum() == seen[..., 1].sum() > 20 * seen[..., 2].sum()
    small = way.view(np.zeros((80, 80, 3), np.uint8), 64, "run")
    assert small.any() and not small[16:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "halfs"}, "sampling: unknown name 'halfs'; did you mean 'halves'"),
        ({"average": "mean"}, "average: unknown name 'mean'"),
        ({"sampling": "time"}, "seconds: sampling by time needs them"),
        ({"seconds": 2.0}, "seconds: sampling by time needs them, and no other does"),
    ],
)
def test_ways_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Way(**options)


def test_a_cut_is_a_large_change_of_the_whole_frame():
    """Threshold 27 of 255, of all pixels' mean: half of them by 60 is 30, by 50 is 25."""
    for step, expected in ((60, True), (50, False)):
        cuts, frames = Cuts(), np.full((4, 48, 64, 3), 100, np.uint8)
        frames[2:, 24:] += np.uint8(step)
        assert [cuts.begins(frame) for frame in frames] == [False, False, expected, False]
