"""Pairs of actions that are easily confused, named before any run: the paper's, the demo set's, UT-Interaction's.

Pairs are never picked by how often they were confused.
"""

from collections.abc import Sequence

LOOK_ALIKES = {
    ("wave", "clap"): "introduction, Fig. 1",
    ("drink", "eat"): "online recognition, Fig. 5",
    ("fencing", "sword"): "introduction, Fig. 1",
    ("cartwheel", "flicflac"): "introduction, Fig. 1; Table 8",
}
"""Actions that the paper's text calls easily confused, and where."""
BACKWARDS = (("Sit", "Stand"), ("Pick", "Put"))
"""Pairs of the demo set, by their exact names, of which one is the other played backwards: only the order of frames
tells them apart. HMDB51's own ``sit`` and ``stand`` are different videos and not named by the paper."""
HANDS = (("Punch", "Push"), ("Handshake", "Point"), ("Handshake", "Punch"), ("Hug", "Push"))
"""Pairs of UT-Interaction in which the same two people move a hand alike, by their exact names: HMDB51 has a ``punch``
and a ``push``, which the paper does not name."""


def plain_name(name: str) -> str:
    """A class's name without what datasets and papers write differently: case, hyphens, underscores."""
    return name.lower().replace("_", "").replace("-", "")


def named_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the look-alikes named beforehand of which both classes are there; a class may be in several pairs."""
    index = {plain_name(name): k for k, name in enumerate(classes)}
    found = [(index[a], index[b]) for a, b in LOOK_ALIKES if a in index and b in index]
    return found + backwards_pairs(classes) + _exact(HANDS, classes)


def named_in(words: Sequence[str]) -> str:
    """Where the paper's text names two classes as easily confused; empty where it does not."""
    both = {plain_name(word) for word in words}
    return next((where for pair, where in LOOK_ALIKES.items() if set(pair) == both), "")


def backwards_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the pairs of which one class is the other played backwards."""
    return _exact(BACKWARDS, classes)


def _exact(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> list[tuple[int, int]]:
    index = {name: k for k, name in enumerate(classes)}
    return [(index[a], index[b]) for a, b in pairs if a in index and b in index]


def look_alikes_of(classes: Sequence[str]) -> dict[int, set[int]]:
    """The named look-alikes of each class that has one, all by index."""
    found: dict[int, set[int]] = {}
    for i, j in named_pairs(classes):
        found.setdefault(i, set()).add(j)
        found.setdefault(j, set()).add(i)
    return found
