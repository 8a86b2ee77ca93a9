"""Shares, intervals and p-values as readers see them."""

from repro.metrics.statistics import Estimate, Interval


def percent(value: float, digits: int = 1) -> str:
    """A share of 0 to 1 as ``62.5 %``."""
    return f"{100 * value:.{digits}f} %"


def with_interval(interval: Interval | Estimate, *, signed: bool = False) -> str:
    """``62.5 % [58.1, 66.7]``; points instead of per cent when it is a signed difference."""
    sign = "+" if signed else ""
    low, high = 100 * interval.low, 100 * interval.high
    unit = " points" if signed else " %"
    return f"{100 * interval.point:{sign}.1f}{unit} [{low:{sign}.1f}, {high:{sign}.1f}]"


def p_text(p: float) -> str:
    """``0.042``, or ``< 0.001``."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
