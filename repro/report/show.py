"""Figures with alt text, tables with captions and files, for JupyterLab and the book alike.

Text is escaped. What `badge` and `link` return, or anything else with an ``__html__`` method that is no string, is
taken as HTML. What programs read lies in the same output: a figure's alt text and a table's caption as metadata, a
table's values as CSV. ``repro.report.staging`` takes them from there.
"""

import io
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import pandas as pd
from IPython.display import Markdown, display
from markupsafe import Markup, escape
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

from repro.claims.judging import OUTCOMES
from repro.metrics.text import in_markdown
from repro.report.svg import find_fonts, svg_of

CSS_DPI = 96  # CSS pixels an inch
SHARP = 2  # image pixels for each CSS pixel
WIDEST = 1400  # pixels of a photograph
FILE = "application/vnd.repro.file+json"  # the mime type of what `publish` displays

LONGEST_WORD = 24  # letters of a cell: an address that is longer may be broken at its slashes


@dataclass(frozen=True)
class Html:
    """Text for a table's cell, with its HTML. No string, because pandas makes plain strings of those."""

    text: str
    html: Markup

    def __html__(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def say(text: str, *, folded: str = "") -> None:
    """Display Markdown; nothing where there is nothing to say. folded: closed until a click on these words opens it."""
    if text:
        display(Markdown(_fold(folded, Markup("\n{}\n").format(Markup(text))) if folded else text))


def _fold(words: str, html: Markup) -> Markup:
    return Markup('<details class="repro-fold"><summary>{}</summary>\n{}\n</details>').format(words, html)


NARROW = 5.4  # inches of a figure that a phone shows whole; words in wider ones would be too small there


def _figure_html(fig: Figure, alt: str) -> str:
    kind = "repro-figure repro-narrow" if fig.get_figwidth() <= NARROW else "repro-figure"
    return f'<div class="{kind}">{svg_of(fig, alt)}</div>'


def show(fig: Figure, alt: str, *, folded: str = "") -> None:
    """Display a matplotlib figure with its alternative text, as SVG in the page or as a photograph, and close it.

    alt: what the figure shows, with its numbers, for someone who does not see it. folded: the figure is closed, and a
    click on these words opens it. Raises ValueError for an empty alt.
    """
    alt = " ".join(alt.split())
    if not alt:
        raise ValueError("alt: say in a sentence what the figure shows")
    content: str | bytes
    numbered: list[str] = []
    if any(getattr(image.get_array(), "ndim", 0) == 3 for axis in fig.axes for image in axis.images):
        numbered = find_fonts(fig)
        alt = "; ".join([alt, *numbered])
        mime, content, size = _photograph(fig)
    else:
        mime, content, size = "text/html", _figure_html(fig, alt), {}
    pyplot.close(fig)
    if folded:
        if isinstance(content, bytes):
            source = f"data:{mime};base64,{b64encode(content).decode()}"
            content = Markup('<img src="{}" alt="{}" style="max-width: 100%">').format(source, alt)
        mime, content, size = "text/html", str(_fold(folded, Markup(content))), {}
    display({mime: content, "text/plain": alt}, metadata={mime: size | {"alt": alt}}, raw=True)
    say(f"In the picture: {in_markdown('; '.join(numbered))}." if numbered else "")


def _photograph(fig: Figure) -> tuple[str, bytes, dict[str, int]]:
    """The figure in pixels, as PNG or JPEG, whichever is smaller: mime type, content, size in CSS pixels."""
    fig.draw_without_rendering()
    dpi = min(SHARP * CSS_DPI, WIDEST / fig.get_tightbbox().padded(pyplot.rcParams["savefig.pad_inches"]).width)
    png, jpeg = io.BytesIO(), io.BytesIO()
    # without the Software field the same figure gives the same bytes
    fig.savefig(png, format="png", dpi=dpi, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    with Image.open(png) as image:
        image.convert("RGB").save(jpeg, format="jpeg", quality=88, optimize=True)
        width, height = (round(pixels * CSS_DPI / dpi) for pixels in image.size)
    contents = {"image/png": png.getvalue(), "image/jpeg": jpeg.getvalue()}
    mime = min(contents, key=lambda mime: len(contents[mime]))
    return mime, contents[mime], {"width": width, "height": height}


def publish(name: str, content: object) -> None:
    """Hand the book a JSON file, ``name`` ("claims.json") beside its pages; in JupyterLab one line says so.

    Raises ValueError for a name that is not of lower-case letters, digits and hyphens with ``.json``, or is the book's
    own, and for NaN or infinity in the content; TypeError for what JSON does not know.
    """
    if not re.fullmatch(r"[a-z0-9-]+\.json", name) or name == "manifest.json":
        raise ValueError(
            f"name {name!r}: use lower-case letters, digits and hyphens, ending in .json, not manifest.json"
        )
    content = json.loads(json.dumps(content, allow_nan=False))
    display({FILE: {"name": name, "content": content}, "text/plain": f"{name}: a file of the book"}, raw=True)


# The table is whole without the script, and this is a few lines where itables or DataTables bring a megabyte to each
# page and hide the table from whoever has no script. Numbers sort as numbers, by data-value.
SORT = Markup(
    """<script>
for (const table of document.querySelectorAll("table.sortable:not([data-ready])")) {
  table.dataset.ready = "1";
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = row => {
        const cell = row.cells[column], text = cell.dataset.value ?? cell.textContent;
        return text !== "" && !isNaN(text) ? Number(text) : text;
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      });
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    };
  });
}
</script>"""
)


def formatted(table: pd.DataFrame, formats: Mapping[str, str]) -> pd.DataFrame:
    """The table, which from now on knows how its numbers are written: a format specification (".1f") by column."""
    table.attrs["formats"] = dict(formats)
    return table


def show_table(
    table: pd.DataFrame, caption: str, *, empty: str = "–", sortable: bool = False, folded: str = ""
) -> None:
    """Display a table with its caption: numbers at the right, the first column as row headers, wide tables scrolling.

    empty: stands for None and NaN. sortable: a click on a column's head sorts by it, and a long table scrolls in its
    own box. folded: the table is closed, and a click on these words opens it. An index with a name, or other than 0, 1,
    2, ..., becomes the first column or columns. The output holds the values as CSV, unrounded. Raises ValueError for an
    empty caption.
    """
    html = table_html(table, caption, empty=empty, sortable=sortable)
    if folded:
        html = _fold(folded, html)
    display(
        {"text/html": str(html), "text/csv": table_csv(table), "text/plain": table.to_string()},
        metadata={"text/csv": {"caption": caption}},
        raw=True,
    )


def table_html(table: pd.DataFrame, caption: str, *, empty: str = "–", sortable: bool = False) -> Markup:
    """The HTML that `show_table` displays."""
    if not caption.strip():
        raise ValueError("caption: say what the table shows")
    table = _flat(table)
    names = list(table.columns)
    formats = table.attrs.get("formats", {})
    columns = [list(table.iloc[:, position]) for position in range(len(names))]
    numeric = [_is_numeric(values) for values in columns]

    def cell(position: int, value: object) -> Markup:
        text = _text(value, formats.get(names[position]), empty)
        style = Markup(' style="text-align: {}"').format("right" if numeric[position] else "left")
        if sortable and numeric[position] and not pd.isna(value):
            style += Markup(' data-value="{}"').format(value)
        style += Markup(' data-label="{}"').format(names[position])  # for narrow screens, where the head is not seen
        if position == 0:
            return Markup('<th scope="row"{}>{}</th>').format(style, text)
        return Markup("<td{}>{}</td>").format(style, text)

    head = Markup("").join(
        Markup('<th scope="col" style="text-align: {}">{}</th>').format("right" if right else "left", name)
        for name, right in zip(names, numeric, strict=True)
    )
    rows = Markup("\n").join(
        # a line break between cells keeps their words apart in the book's search index
        Markup("<tr>{}</tr>").format(Markup("\n").join(cell(position, value) for position, value in enumerate(row)))
        for row in zip(*columns, strict=True)
    )
    return Markup(
        '<div class="repro-table" style="overflow-x: auto{box}" tabindex="0" role="region" aria-label="{label}">\n'
        '<table class="dataframe{kind}">\n'
        '<caption style="caption-side: top; text-align: left"><span>{caption}</span></caption>\n'
        "<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>{script}"
    ).format(
        label=Markup(caption).striptags(),
        caption=caption,
        head=head,
        rows=rows,
        box="; overflow-y: auto; max-height: 32em" if sortable else "",
        kind=" sortable" if sortable else "",
        script=SORT if sortable else "",
    )


def table_csv(table: pd.DataFrame) -> str:
    """The table's values as CSV: numbers in full, the text of badges and links, nothing for None and NaN."""
    return _flat(table).to_csv(index=False, lineterminator="\n")


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its index as columns, where it has one of its own, and with strings as column names."""
    if any(name is not None for name in table.index.names) or not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    names = [" · ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in table.columns]
    return table.set_axis(names, axis="columns")


def badge(outcome: str) -> Html:
    """A verdict's outcome as a coloured word with a sign of its own. Raises ValueError for a word that is none."""
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome {outcome!r}: use one of {', '.join(OUTCOMES)}")
    return Html(outcome, Markup('<span class="verdict {}">{}</span>').format(outcome.replace(" ", "-"), outcome))


def link(text: str, target: str) -> Html:
    """A link, for a table's cell. To a page of the book by its HTML file: ``accuracy-demo.html``."""
    return Html(text, Markup('<a href="{}">{}</a>').format(target, text))


def with_code(text: str) -> Html:
    """Text with `commands` between backticks, for a table's cell."""
    parts = text.split("`")
    html = Markup("").join(Markup("<code>{}</code>").format(part) if k % 2 else part for k, part in enumerate(parts))
    return Html(text, html)


def place(text: str) -> Html:
    """Text that a link can go to: ``runs.html#`` and `anchor` of the text."""
    return Html(text, Markup('<span id="{}">{}</span>').format(anchor(text), text))


def anchor(text: str) -> str:
    """A text as the name of its place on a page: lower case, hyphens for every other sign."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def plain(text: str) -> str:
    """Text for a Markdown output whose own signs (``s*U``, ``f_SE``) are not Markdown's."""
    return re.sub(r"([\\`*_~$<\[\]])", r"\\\1", text)


def _is_numeric(values: list[object]) -> bool:
    """Whether a column holds numbers and gaps only, with one number at least."""
    filled = [value for value in values if not pd.isna(value)]
    return bool(filled) and all(isinstance(value, Real) and not isinstance(value, bool) for value in filled)


def _text(value: object, form: str | None, empty: str) -> Markup:
    if pd.isna(value):
        return escape(empty)
    if form is not None:
        return escape(format(value, form))
    if isinstance(value, float):
        return escape(f"{value:.4g}")
    if isinstance(value, str) and any(len(word) > LONGEST_WORD for word in value.split()):
        return Markup("/<wbr>").join(value.split("/"))
    return escape(value)
