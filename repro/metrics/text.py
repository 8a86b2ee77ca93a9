"""Names, shares, intervals, p-values and costs as readers see them."""

import re

from repro.metrics.statistics import Estimate, Interval

CARDS = {"A100": 312e12, "RTX 4090": 165e12}  # bf16 operations a second at their makers' dense peaks
SUSTAINED = 0.3  # share of that peak that training is taken to reach: an assumption, not measured here


def in_markdown(name: str) -> str:
    """A name, of a class, say, as Markdown writes it out: no emphasis, formula, link or table cell begins in it."""
    return re.sub(r"([\\`*_${}\[\]<>#|~])", r"\\\1", name)


def percent(value: float, digits: int = 1) -> str:
    """A share of 0 to 1 as ``62.5 %``."""
    return f"{100 * value:.{digits}f} %"


def with_interval(interval: Interval | Estimate, *, signed: bool = False) -> str:
    """``62.5 % [58.1, 66.7]``; points instead of per cent when it is a signed difference."""
    sign, unit = ("+", " points") if signed else ("", " %")
    ends = (interval.point, interval.low, interval.high)
    point, low, high = (f"{round(100 * end, 1) + 0.0:{sign}.1f}" for end in ends)  # + 0.0: no -0.0
    return f"{point}{unit} [{low}, {high}]"


def p_text(p: float) -> str:
    """``0.042``, or ``< 0.001``."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def time_text(seconds: float) -> str:
    """A duration in the unit that reads best."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} seconds"


def hours_text(operations: float) -> str:
    """How long that much training takes on the cards of `CARDS`: ``9 hours on an A100 or 17 on an RTX 4090 (...)``."""
    hours = [f"{operations / (SUSTAINED * peak) / 3600:,.0f}" for peak in CARDS.values()]
    first, *others = (f"{time} on an {card}" for time, card in zip(hours, CARDS))
    times = " or ".join([first.replace(" on", " hours on", 1), *others])
    return f"{times}, at {percent(SUSTAINED, 0)} of its bf16 peak"
