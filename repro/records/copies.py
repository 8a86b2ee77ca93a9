"""Whether a run's scores are those of another run, as they are or disguised: asked of records that others made.

Two trainings err alike, but not in the same numbers. So scores are compared as they are, by the ranks of the classes,
and by their correlation.
"""

import numpy as np

from repro.records.record import Record

COPY = 0.995
"""Correlation of scores above which two runs of different seeds are one. Among 111 runs recorded for this study no two
that were trained apart came above 0.962; scores multiplied, shifted, rounded or slightly noisy stay above 0.999."""


def same_scores(one: Record, other: Record) -> bool:
    """Whether one record's scores are the other's as they are, or moved without changing ranks.

    Of the clips that both have: at least half of those of one of them.
    """
    if set(one.classes) != set(other.classes):
        return False
    tables = [record.predictions.set_index("clip").filter(like="logit_") for record in (one, other)]
    common = tables[0].align(tables[1], join="inner")
    if 2 * len(common[0]) < min(map(len, tables)):
        return False
    a, b = (table.to_numpy(float) for table in common)
    if np.array_equal(a, b):
        return True
    centred = [(table - table.mean(1, keepdims=True)).ravel() for table in (a, b)]
    with np.errstate(invalid="ignore"):  # NaN where one of them does not vary
        correlation = np.corrcoef(*centred)[0, 1]
    many = a.shape[1] > 5  # of few classes two good networks may well rank all clips alike
    return correlation > COPY or (many and np.array_equal(a.argsort(1), b.argsort(1)))
