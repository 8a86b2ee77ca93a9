"""repro.paper.look_alikes: pairs named beforehand, by the names that datasets give them."""

import pytest
from made import DEMO, logits, record

from repro.paper.look_alikes import look_alikes_of, named_pairs
from repro.records.scores import mistaken_for_partner


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
        (("Handshake", "Hug", "Kick", "Point", "Punch", "Push"), [(4, 5), (0, 3), (0, 4), (1, 5)]),
        (("handshake", "punch", "push"), []),
    ],
)
def test_named_pairs(classes, expected):
    assert named_pairs(classes) == expected


def test_a_class_may_have_several_look_alikes(tmp_path):
    """UT-Interaction's punch may be taken for a push and for a handshake; kick has no look-alike."""
    classes = ("Handshake", "Hug", "Kick", "Point", "Punch", "Push")
    assert look_alikes_of(classes) == {0: {3, 4}, 1: {5}, 3: {0}, 4: {0, 5}, 5: {1, 4}}
    guessed = [0, 5, 1, 4]  # of clips of Punch, Punch, Punch, Kick
    run = record(tmp_path, classes=classes, labels=[4, 4, 4, 2], scores=logits(guessed, 6))
    assert mistaken_for_partner(run).tolist() == [True, True, False, False]
