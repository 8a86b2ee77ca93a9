"""Look-alike confusions of both networks from records: pairs picked on some clips and reported on others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro.metrics.confusion import chosen_and_reported, confusion_counts
from repro.records import Record
from repro.report.tables import ATTENTION, BASELINE, partners


def halves(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random half of the groups: bool ``(clips,)``. Whole groups, so that no source video is on both sides."""
    names = np.unique(groups)
    return np.isin(groups, rng.permutation(names)[: len(names) // 2])


def picked_pairs_table(
    records: Sequence[Record], *, top: int = 5, repeats: int = 100, seed: int = 0
) -> tuple[pd.DataFrame, int]:
    """The baseline's worst pairs, picked on one half of the test groups, on that half and on the other.

    Both halves pick in turn, over ``repeats`` random halvings of the same clips; runs of both networks (`partners`) are
    added up. Returns the table (mean confusion indicator c of both networks, difference, and the share of it that is
    regression to the mean) and the number of pairs of runs; an empty table without any.
    """
    pairs = partners(records, BASELINE, ATTENTION)
    if not pairs:
        return pd.DataFrame(), 0
    classes, rng, found = len(pairs[0][0].classes), np.random.default_rng(seed), []
    groups = np.unique(np.concatenate([a.predictions["group"].to_numpy(str) for a, _ in pairs]))
    top = max(1, min(top, classes * (classes - 1) // 6))  # a third of all pairs at most: else nothing is picked
    for _ in range(repeats):
        half = groups[halves(groups, rng)]
        sides = [tuple(_counts(pairs, k, half, inside, classes) for k in (0, 1)) for inside in (True, False)]
        for choose, report in (sides, sides[::-1]):
            try:
                found.append(chosen_and_reported(choose, report, top))
            except ValueError:  # a half without clips of two classes picks nothing
                continue
    if not found:
        return pd.DataFrame(), len(pairs)
    mean = pd.DataFrame(found).mean()
    rows = []
    for words, name in (("on the clips that picked them", "chosen"), ("on the other clips", "reported")):
        first, second = mean[f"{name}_first"], mean[f"{name}_second"]
        rows.append({"the baseline's worst pairs": words, "baseline": first, "SE-IM": second, "gain": first - second})
    return pd.DataFrame(rows), len(pairs)


def _counts(pairs, network: int, half: np.ndarray, inside: bool, classes: int) -> np.ndarray:
    total = np.zeros((classes, classes), dtype=int)
    for pair in pairs:
        record = pair[network]
        chosen = np.isin(record.predictions["group"].to_numpy(str), half) == inside
        if chosen.any():
            total += confusion_counts(record.labels[chosen], record.scores[chosen].argmax(1), classes)
    return total
