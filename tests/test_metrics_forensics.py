"""Which counts a reported percentage can come from: FACTS section 4's answers, and brute force on small numbers."""

import itertools
from decimal import ROUND_HALF_UP, Decimal

import pytest

from repro.metrics import forensics
from repro.metrics.forensics import (
    DROP_LAST,
    LAST_BATCH,
    Reported,
    chance_of_search,
    common_batches,
    mean_of_splits,
    right_counts,
    scored_clips,
)

UCF101, HMDB51 = Reported("92.196", 3783), Reported("71.85", 1530)


def printed(k, n, step="0.1"):
    return str((Decimal(100 * k) / n).quantize(Decimal(step), ROUND_HALF_UP))


def test_the_papers_numbers_are_no_share_of_a_whole_split():
    assert right_counts(UCF101, 3783) == right_counts(UCF101, 3734) == right_counts(UCF101, 3696) == []
    assert right_counts(HMDB51, 1530) == []
    assert right_counts(UCF101, 3780) == [3485] and right_counts(HMDB51, 1524) == [1095]


def test_batches_that_explain_both():
    both = [UCF101, HMDB51]
    assert {12, 135} <= set(common_batches(both, DROP_LAST)) and 6 not in common_batches(both, DROP_LAST)
    assert {6, 12, 45, 135} <= set(common_batches(both, LAST_BATCH))
    assert common_batches(both, DROP_LAST, range(1, 136)) == [12, 135]
    assert common_batches(both, LAST_BATCH, range(1, 136)) == [6, 12, 45, 135]


def test_clips_that_are_left():
    assert [scored_clips(10, batch, DROP_LAST) for batch in (1, 3, 5, 11)] == [10, 9, 10, 0]
    assert [scored_clips(10, batch, LAST_BATCH) for batch in (1, 3, 5, 11)] == [9, 9, 5, 0]
    with pytest.raises(ValueError, match="mechanism 'other', batch 3: use one of drop_last, last batch"):
        scored_clips(10, 3, "other")


@pytest.mark.parametrize("n", [1, 7, 30, 128])
def test_every_count_is_found_again(n):
    for k in range(n + 1):
        assert k in right_counts(Reported(printed(k, n), n), n)
        assert right_counts(Reported(printed(k, n), n), n) == [
            j for j in range(n + 1) if printed(j, n) == printed(k, n)
        ]


def test_chance_is_what_counting_all_pairs_gives():
    """Of the whole search: some batch size under one habit or the other."""
    batches, sizes = (2, 3, 7), (20, 31)
    tried = list(itertools.product(batches, (DROP_LAST, LAST_BATCH)))
    values = [str(Decimal(unit)) for unit in range(101)]
    explained = [
        {v: {(b, m) for b, m in tried if right_counts(Reported(v, n), scored_clips(n, b, m))} for v in values}
        for n in sizes
    ]
    hits = sum(bool(explained[0][a] & explained[1][b]) for a, b in itertools.product(values, values))
    reports = [Reported("50", n) for n in sizes]
    assert chance_of_search(reports, batches) == pytest.approx(hits / 101**2)


def test_the_chance_of_the_search_that_is_made():
    """Batches 1 to 256 under both habits, which the page tries: it explains most random pairs."""
    assert chance_of_search([UCF101, HMDB51], range(1, 257)) == pytest.approx(0.6114, abs=1e-4)


def test_a_mean_over_splits_by_brute_force(monkeypatch):
    sizes = (5, 6, 7)
    hits = sum(
        round(100 * (i / 5 + j / 6 + k / 7) / 3, 1) == 51.0
        for i, j, k in itertools.product(range(6), range(7), range(8))
    )
    assert mean_of_splits("71.85", (1530,) * 3) > 0 and mean_of_splits("92.196", (3783, 3734, 3696)) > 0
    monkeypatch.setattr(forensics, "WITHIN", 100)
    assert mean_of_splits("51.0", sizes) == hits > 0


@pytest.mark.parametrize(
    ("text", "listed", "message"),
    [("71,85", 10, "'71,85' is not a number"), ("101", 10, "101: a percentage"), ("5", 0, "listed: 0 clips")],
)
def test_bad_reports_are_named(text, listed, message):
    with pytest.raises(ValueError, match=message):
        Reported(text, listed)
