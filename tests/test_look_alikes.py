"""repro.paper.look_alikes: pairs named beforehand, by the names that datasets give them."""

import pytest
from made import DEMO

from repro.paper.look_alikes import named_pairs


@pytest.mark.parametrize(
    "classes, expected",
    [
        (("flic_flac", "run", "cartwheel"), [(2, 0)]),
        (("FlicFlac", "Cartwheel"), [(1, 0)]),
        (("flic-flac", "CARTWHEEL", "Eat", "drink"), [(3, 2), (1, 0)]),
        (("cartwheel", "run"), []),
        (("wave_hands", "clap"), []),
        (DEMO, [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]),
        (("BabyCrawling", "Punch", "PushUps"), []),
        # HMDB51 has videos of sitting and of standing, which the paper does not name and nobody reversed
        (("sit", "stand", "pick", "put"), []),
    ],
)
def test_named_pairs(classes, expected):
    assert named_pairs(classes) == expected
