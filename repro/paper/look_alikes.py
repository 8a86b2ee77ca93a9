"""Pairs of actions that are easily confused, named before any run: the paper's own, and the demo set's.

Pairs are never picked by how often they were confused.
"""

from collections.abc import Sequence

LOOK_ALIKES = (("wave", "clap"), ("drink", "eat"), ("fencing", "sword"), ("cartwheel", "flicflac"))
"""Actions that the paper's text (introduction, sections on Table 8 and online recognition) calls easily confused."""
BACKWARDS = (("Sit", "Stand"), ("Pick", "Put"))
"""Pairs of the demo set of which one is the other played backwards: only the order of frames tells them apart.

By their exact names: HMDB51's own ``sit`` and ``stand`` are different videos, no reversals, and not named by the paper.
"""


def plain_name(name: str) -> str:
    """A class's name without what datasets and papers write differently: case, hyphens, underscores."""
    return name.lower().replace("_", "").replace("-", "")


def named_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the look-alikes named beforehand of which both classes are there: the paper's, the demo set's."""
    index = {plain_name(name): k for k, name in enumerate(classes)}
    return [(index[a], index[b]) for a, b in LOOK_ALIKES if a in index and b in index] + backwards_pairs(classes)


def backwards_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the pairs of which one class is the other played backwards."""
    index = {name: k for k, name in enumerate(classes)}
    return [(index[a], index[b]) for a, b in BACKWARDS if a in index and b in index]
