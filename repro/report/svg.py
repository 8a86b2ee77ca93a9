"""A matplotlib figure as SVG inside a page: words stay words, and black and grey follow the page, light or dark.

Class names are whatever people call their folders, ``$a_$`` or ``拍手``. Importing this module sets the style of the
figures drawn after it.
"""

import hashlib
import io
import re
import warnings
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from cycler import cycler
from matplotlib import font_manager, rc_context, rcParams
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text

# Okabe and Ito's colours, which colour-blind readers can tell apart; no yellow, which is too pale for a line
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
rcParams.update(
    {
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "legend.frameon": False,
    }
)

DPI = 192  # of the maps inside
CSS_PIXELS = 96 / 72  # in a point
ON_MAP = "on-map"  # marks a colour map and the words on it, which are the same in both themes
# the page's background: of the book, of JupyterLab, or white
PAPER = "--paper: var(--pst-color-background, var(--jp-layout-color0, #fff))"


def svg_of(fig: Figure, alt: str) -> str:
    """The figure as an ``<svg>`` element for HTML: transparent, in the page's font, as wide as drawn or as the page.

    alt: what the figure shows. The same figure and words give the same text; another figure shares no id with it.
    """
    for axis in fig.axes:
        meshes = [each for each in axis.collections if isinstance(each, QuadMesh)]
        for artist in (*meshes, *axis.texts) if meshes or axis.images else ():
            artist.set_gid(ON_MAP)
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "repro"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # the page's fonts have it: words stay words
        fig.savefig(
            buffer,
            format="svg",
            dpi=DPI,
            bbox_inches="tight",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    root = ElementTree.fromstring(buffer.getvalue())
    width = float(root.attrib["width"].removesuffix("pt")) * CSS_PIXELS
    own = hashlib.sha256(buffer.getvalue() + alt.encode()).hexdigest()[:8]
    _adapt(root, own, set(re.findall(rb'(?:href="|url\()#([\w.-]+)', buffer.getvalue())))
    root.attrib = {
        "role": "img",
        "aria-label": alt,
        "viewBox": root.attrib["viewBox"],
        "style": f"width: {width:.0f}px; max-width: 100%; height: auto; fill: currentColor; "
        f"stroke-linejoin: round; stroke-linecap: butt; {PAPER}",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(element: ElementTree.Element, own: str, used: set[bytes], *, on_map: bool = False) -> None:
    """Make an element and what is in it fit for a page: no namespaces, no styles or ids that reach beyond the figure.

    own: what the ids that are ``used`` begin with. on_map: grey keeps its value.
    """
    on_map = on_map or element.get("id") == ON_MAP
    attributes = {}
    for key, value in element.items():
        key = key.rpartition("}")[2]
        if key == "id" and value.encode() not in used:
            continue
        if key == "id":
            value = f"{own}-{value}"
        elif key == "href" and value.startswith("#"):
            value = f"#{own}-{value[1:]}"
        elif key == "clip-path":
            value = value.replace("url(#", f"url(#{own}-")
        elif key == "style":
            value = re.sub(r"url\(#", f"url(#{own}-", re.sub(r"font-family:[^;]*;?\s*", "", value))
            value = value if on_map else re.sub(r"#([0-9a-f]{2})\1\1\b", _grey, value)
            value += "; fill: #000000" if on_map and element.tag.endswith("}text") and "fill:" not in value else ""
        attributes[key] = value
    element.attrib = attributes
    element.tag = element.tag.rpartition("}")[2]
    element.text, element.tail = (element.text or "").strip(), (element.tail or "").strip()
    for child in list(element):
        if child.tag.endswith("}style"):  # matplotlib's own rule for "*", which would reach the whole page
            element.remove(child)
        else:
            _adapt(child, own, used, on_map=on_map)


def _grey(match: re.Match) -> str:
    """Black as the colour of the page's text, white as the page, greys between the two."""
    share = 1 - int(match[1], 16) / 255
    return "currentColor" if share == 1 else f"color-mix(in srgb, currentColor {share:.0%}, var(--paper))"


# ---- class names in figures


def in_figure(name: str) -> str:
    """The name as matplotlib writes it out: a pair of dollars is no formula."""
    return name.replace("$", r"\$")


def find_fonts(fig: Figure) -> list[str]:
    """Give every word of a figure an installed font that has its letters; words that none has become numbers.

    Returns what the numbers stand for: ``["(1) 拍手"]``.
    """
    numbers: dict[str, int] = {}
    default = _letters(font_manager.findfont(font_manager.FontProperties()))
    # "Last Resort" is matplotlib's own, of boxes for every letter
    fonts = [font for font in font_manager.fontManager.ttflist if not font.name.startswith("Last Resort")]
    for text in fig.findobj(Text):
        words = text.get_text()
        letters = {ord(letter) for letter in words if not letter.isspace()}
        if letters <= _letters(font_manager.findfont(text.get_fontproperties())):
            continue
        found = next((font.name for font in fonts if letters - default <= _letters(font.fname)), None)
        if found is not None:
            text.set_fontfamily([*text.get_fontfamily(), found])
        else:
            text.set_text(f"({numbers.setdefault(words, len(numbers) + 1)})")
    return [f"({number}) {words}".replace(r"\$", "$") for words, number in numbers.items()]


@cache
def _letters(path: str | Path) -> frozenset[int]:
    """The code points that a font file has; none where matplotlib cannot draw it (coloured emoji)."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()
