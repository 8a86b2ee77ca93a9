"""What is counted of the labels over clips in a row: worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from repro.bench import online_timeline as timeline
from repro.bench.online_timeline import NONE, UNKNOWN, Timeline, of_content, read_rows
from repro.records.measure import write_measurement

CLIPS = [
    {"name": "a", "group": "g", "label": 0, "frames": 4, "rate": 2.0, "offline": 0},
    {"name": "b", "group": "h", "label": 1, "frames": 5, "rate": 1.0, "offline": 0},
    {"name": "c", "group": "h", "label": 2, "frames": 2, "rate": 2.0, "offline": 2},
]
SHOWN = np.array([NONE, 0, 1, 0, 0, 1, 1, 1, 1, UNKNOWN, 2])


@pytest.fixture
def made():
    return Timeline(pd.DataFrame(CLIPS), SHOWN)


def test_clip_by_clip(made):
    assert [each.tolist() for each in made.each] == [[-1, 0, 1, 0], [0, 1, 1, 1, 1], [-2, 2]]
    assert made.right_share == pytest.approx([0.5, 0.8, 0.5]) and made.right_end.tolist() == [True, True, True]
    assert made.first_right.tolist() == [0.5, 1.0, 0.5]
    assert made.delays.tolist() == [1.5, 1.0, 0.5]  # frame 3 of 2 a second, frame 1 of 1 a second, frame 1 of 2
    never = Timeline(pd.DataFrame(CLIPS), np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 2, 2]))
    assert never.delays.tolist() == [0.0, np.inf, 0.0]
    nothing = Timeline(pd.DataFrame(CLIPS), np.full(11, NONE))
    assert nothing.first_right.tolist() == [np.inf] * 3


def test_changes_a_minute(made):
    """0 1 0 0 1 1 1 1 unknown 2: five changes in 2 + 5 + 1 seconds."""
    assert made.minutes == pytest.approx(8 / 60) and made.changes_a_minute == pytest.approx(5 * 60 / 8)


def test_accuracy_by_seconds_seen(made):
    assert made.accuracy_after(0.0) == 0.0 and made.accuracy_after(0.5) == pytest.approx(2 / 3)
    assert made.accuracy_after(1.0) == 0.5  # of two clips, the third is over
    assert made.accuracy_after(4.0) == 1.0 and np.isnan(made.accuracy_after(5.0))


def test_one_way_against_another(made):
    other = Timeline(pd.DataFrame(CLIPS), np.where(SHOWN == UNKNOWN, 2, SHOWN))
    assert other.against(made).point == pytest.approx(0.5 / 3) and made.against(other).point == pytest.approx(-0.5 / 3)
    assert made.differs(other) == pytest.approx(1 / 11) and made.differs(made) == 0
    assert made.accuracy().point == pytest.approx(0.6) and (made.accuracy().groups, made.accuracy().clips) == (2, 3)
    assert made.accuracy_end().point == 1


def test_what_is_filed_is_read_again(made, tmp_path):
    decisions = {
        timeline.PUBLISHED: [(1, 0), (2, 1), (3, 0), (5, 1), (9, UNKNOWN), (10, 2)],
        timeline.BY_TIME: [(10, 2)],
    }
    table = pd.DataFrame([(way, *each) for way, rows in decisions.items() for each in rows])
    table.columns = ["way", "frame", "label"]
    content = {"clips": CLIPS, "classes": ["x", "y", "z"]}
    row = of_content("s", content, table)
    assert row.published.shown.tolist() == SHOWN.tolist() and row.offline.point == pytest.approx(2 / 3)
    assert row.ways[timeline.BY_TIME].shown.tolist() == [NONE] * 10 + [2]
    write_measurement("s", timeline.NAME, content, provenance={}, table=table, results=tmp_path)
    (found,) = read_rows(tmp_path)
    assert found.study == "s" and found.published.shown.tolist() == SHOWN.tolist()
    (tmp_path / "s" / "timeline.parquet").unlink()
    with pytest.raises(ValueError, match=r"timeline.parquet is missing beside timeline.json; measure again"):
        read_rows(tmp_path)
