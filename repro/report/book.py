"""The book: executed notebooks and the chapters of book/ staged together, and jupyter-book's HTML of them.

    python -m repro.report.book --pages build/pages/*.ipynb --source book --stage build/book --out book/_build

Staging (``repro.report.staging``) touches only what changed, so that Sphinx reads only that again. Nothing is
executed, and neither the build nor the pages need a network. Sphinx writes into the stage; ``<out>/html`` is replaced
after a build without a warning.

The module is also the book's Sphinx extension (`setup`): offline formulas, citations numbered as the paper numbers its
references, under each title the switch that shows the notebook's code, and at the foot the commit.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.records.provenance import commit_text
from repro.report.pages import ROOT_PAGE, placed
from repro.report.staging import BookError, stage

if TYPE_CHECKING:
    from sphinx.application import Sphinx

COMMAND = "from jupyter_book.cli.main import main; main()"  # jupyter-book 1 has no __main__
MATHJAX = "tex-svg.js"  # one file with its fonts inside; the package's other 22 MB are not needed


# ---- building


def build(folder: Path, out: Path) -> Path:
    """Make ``<out>/html`` from a staged folder by jupyter-book; returns its index.html.

    Warnings are errors. Sphinx warns of a page only when it reads it, so what a failed or killed build left behind, or
    one by other tools, is not built upon. Raises BookError with Sphinx's own words; an earlier ``<out>/html`` is then
    as it was.
    """
    sphinx = folder / "_build"
    finished = sphinx / "finished"
    if sphinx.exists() and not (finished.is_file() and finished.read_text() == _tools()):
        shutil.rmtree(sphinx)
    finished.unlink(missing_ok=True)
    shutil.rmtree(sphinx / "html", ignore_errors=True)  # no page or picture that the book no longer has
    command = [sys.executable, "-c", COMMAND, "build", str(folder), "-W", "-n", "--keep-going", "-q"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        words = re.sub(r"\x1b\[[0-9;]*m", "", process.stderr or process.stdout)
        lines = [line.replace(f"{folder.resolve()}/", "") for line in words.splitlines() if line.strip()]
        faults = [line for line in lines if "WARNING:" in line or "ERROR:" in line]
        raise BookError("jupyter-book refused:\n" + "\n".join(faults or lines[-20:]))

    out.mkdir(parents=True, exist_ok=True)
    draft, html, old = out / "html.draft", out / "html", out / "html.old"
    for path in (draft, old):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(sphinx / "html", draft, copy_function=shutil.copyfile)
    if html.exists():
        html.rename(old)
    draft.rename(html)
    shutil.rmtree(old, ignore_errors=True)
    finished.write_text(_tools())
    return html / "index.html"


def _tools() -> str:
    """What makes pages of the stage, besides the stage."""
    packages = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme")
    return f"{[version(name) for name in packages]} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


# ---- the book's Sphinx extension


def setup(app: "Sphinx") -> dict[str, Any]:
    """Called by Sphinx, which _config.yml tells to load this module."""
    from pybtex.plugin import register_plugin
    from pybtex.style.formatting.unsrt import Style as Unsorted
    from pybtex.style.labels import BaseLabelStyle
    from pybtex.style.sorting import BaseSortingStyle

    class Labels(BaseLabelStyle):
        """[12] for the paper's reference 12; [Wilson 1927] for a work that the paper does not cite."""

        def format_labels(self, sorted_entries: Iterable[Any]) -> Iterator[str]:
            for entry in sorted_entries:
                yield entry.fields.get("number_in_paper") or f"{_first_author(entry)} {entry.fields['year']}"

    class Order(BaseSortingStyle):
        """The paper's references by number, then the others by author."""

        def sorting_key(self, entry: Any) -> tuple[int, str]:
            number = entry.fields.get("number_in_paper")
            return (int(number), "") if number else (sys.maxsize, _first_author(entry).casefold())

    class Style(Unsorted):
        default_label_style = Labels
        default_sorting_style = Order

    register_plugin("pybtex.style.formatting", "paper", Style)

    app.config.mathjax_path = f"mathjax/{MATHJAX}"
    app.connect("html-page-context", _offer_notebook)
    app.connect("html-page-context", partial(_name_commit, commit_text()))
    app.connect("build-finished", _finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _first_author(entry: Any) -> str:
    """The family name of a work's first author, or the name of its maintainers, without BibTeX's braces and accents."""
    return " ".join(str(name) for name in entry.persons["author"][0].rich_last_names)


NOTEBOOK_BAR = """
<div class="repro-notebook">
<button type="button" hidden aria-pressed="false">Show the notebook</button>
<a href="{target}" download>Download the notebook</a>
</div>
"""


def _offer_notebook(_app: "Sphinx", page: str, _template: str, context: dict[str, Any], doctree: object) -> None:
    """Under the title of a page that a notebook makes: a switch for its code (book/_static/book.js), and the file."""
    if doctree is None:  # the search page, the index
        return
    kind = placed(ROOT_PAGE if page == "index" else page)
    if kind.source.endswith(".ipynb"):
        target = context["pathto"](kind.source, resource=True)
        context["body"] = context["body"].replace("</h1>", "</h1>" + NOTEBOOK_BAR.format(target=target), 1)


def _name_commit(
    commit: str, _app: "Sphinx", _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """At the foot of each page what the book was built from."""
    context["theme_extra_footer"] = f"Built from {commit}"


def _finish(app: "Sphinx", error: Exception | None) -> None:
    """Bring the formulas' script in, and leave out the maps of the theme's scripts, a third of the theme's size."""
    if error is None:
        static = Path(app.outdir, "_static")
        target = static / "mathjax" / MATHJAX
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((files("sphinx-mathjax-offline") / "static" / "mathjax" / MATHJAX).read_bytes())
        for path in static.rglob("*.map"):
            path.unlink()


# ---- command line


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.report.book", description="Build the book.")
    parser.add_argument("--pages", type=Path, nargs="+", required=True, help="executed notebooks")
    parser.add_argument("--source", type=Path, default=Path("book"))
    parser.add_argument("--stage", type=Path, default=Path("build/book"))
    parser.add_argument("--out", type=Path, default=Path("book/_build"))
    arguments = parser.parse_args()
    try:
        changed = stage(arguments.pages, arguments.source, arguments.stage)
        print(f"book: {len(changed)} staged files changed; building", flush=True)
        index = build(arguments.stage, arguments.out)
    except ValueError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    print(f"book: {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
