"""Runs that learned nothing: marked on every page where they count, with the result without them beside it."""

from collections.abc import Callable, Sequence

import numpy as np

from repro.experiment.fields import TITLES
from repro.metrics.text import in_markdown, percent, with_interval
from repro.records.questions import learned_nothing
from repro.records.record import Record
from repro.records.scores import gain_of, is_right, share_of

Pairs = Sequence[tuple[Record, Record]]
NOTHING = "learned nothing"


def mark(record: Record) -> str:
    """`` (learned nothing)`` behind a run's name, or nothing."""
    return f" ({NOTHING})" if learned_nothing(record) else ""


def stuck_text(records: Sequence[Record]) -> str:
    """Which of a study's runs learned nothing, and what they answer instead; nothing where all learned."""
    stuck = [_answer(record) for record in records if learned_nothing(record)]
    if not stuck:
        return ""
    return (
        f"**{len(stuck)} of {len(records)} runs {NOTHING}**, right no more often than one answer to every clip would "
        f"be: {'; '.join(stuck)}. They count like any other; where they do, the result without them stands beside."
    )


def _answer(record: Record) -> str:
    """What a run answers most."""
    most = np.bincount(record.scores.argmax(1), minlength=len(record.classes))
    answer = f"answers {in_markdown(record.classes[most.argmax()])} to {percent(most.max() / most.sum())} of clips"
    experiment = record.experiment
    return f"{TITLES[experiment.model]}, split {experiment.split}, seed {experiment.seed}, {answer}"


def top1_text(records: Sequence[Record]) -> str:
    """Top-1 of one network's runs, as ``62.5 % [58.1, 66.7]``."""
    return with_interval(share_of(records, is_right))


def gain_text(pairs: Pairs) -> str:
    """Gain in top-1 of the second network, as ``+2.1 points [-0.3, +4.5]``."""
    return with_interval(gain_of(pairs, is_right), signed=True)


def both_learned(pairs: Pairs) -> list[tuple[Record, Record]]:
    """The pairs of which neither run learned nothing."""
    return [pair for pair in pairs if not any(map(learned_nothing, pair))]


def beside(pairs: Pairs, text: Callable[[Pairs], str]) -> str:
    """``text`` of these pairs of runs, and of those that learned, where some did not."""
    rest = both_learned(pairs)
    if len(rest) == len(pairs):
        return text(pairs)
    return f"{text(pairs)}; where both learned {text(rest) if rest else 'no pair is left'}"


def beside_runs(records: Sequence[Record], text: Callable[[Sequence[Record]], str]) -> str:
    """``text`` of one network's runs, and of those that learned, where some did not."""
    rest = [record for record in records if not learned_nothing(record)]
    if len(rest) == len(records):
        return text(records)
    return f"{text(records)}; of those that learned {text(rest) if rest else 'none is left'}"
