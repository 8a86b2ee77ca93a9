"""Class names in figures: whatever people call their folders, ``$a_$`` or ``拍手``."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text


def in_figure(name: str) -> str:
    """The name as matplotlib writes it out: a pair of dollars is no formula."""
    return name.replace("$", r"\$")


def find_fonts(fig: Figure) -> list[str]:
    """Give every word of a figure an installed font that has its letters; words that none has become numbers.

    Returns what the numbers stand for: ``["(1) 拍手"]``.
    """
    numbers: dict[str, int] = {}
    for text in fig.findobj(Text):
        words = text.get_text()
        letters = {ord(letter) for letter in words if not letter.isspace()}
        if letters <= _letters(font_manager.findfont(text.get_fontproperties())):
            continue
        found = next((name for name, has in _fonts() if letters - _plain() <= has), None)
        if found is not None:
            text.set_fontfamily([*text.get_fontfamily(), found])
        else:
            text.set_text(f"({numbers.setdefault(words, len(numbers) + 1)})")
    return [f"({number}) {words}".replace(r"\$", "$") for words, number in numbers.items()]


def _fonts() -> Iterator[tuple[str, frozenset[int]]]:
    for font in font_manager.fontManager.ttflist:
        if not font.name.startswith("Last Resort"):  # matplotlib's own, of boxes for every letter
            yield font.name, _letters(font.fname)


def _plain() -> frozenset[int]:
    return _letters(font_manager.findfont(font_manager.FontProperties()))


@cache
def _letters(path: str | Path) -> frozenset[int]:
    """The code points that a font file has; none where matplotlib cannot draw it (coloured emoji)."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()
