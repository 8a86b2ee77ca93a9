"""repro.metrics.text: shares and intervals as readers see them."""

from repro.metrics.statistics import Interval
from repro.metrics.text import percent, with_interval


def test_formats():
    interval = Interval(0.625, 0.581, 0.667, 9)
    assert with_interval(interval) == "62.5 % [58.1, 66.7]"
    assert with_interval(interval, signed=True) == "+62.5 points [+58.1, +66.7]"
    assert with_interval(Interval(-0.0004, -0.1, 0.1, 9), signed=True) == "+0.0 points [-10.0, +10.0]"
    assert percent(0.12346, 2) == "12.35 %" and percent(1) == "100.0 %"
