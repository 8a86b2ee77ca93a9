"""The book: executed notebooks and the chapters of book/ staged together, and jupyter-book's HTML of them.

    python -m repro.report.book --pages build/pages --source book --stage build/book --out book/_build

The pages' order, parts and headings are those of the table in ``pages``; the folder's other files come along as they
are. Staging touches only what changed, so that Sphinx reads only that again. Nothing is executed, and neither the build
nor the pages need a network. Sphinx writes into the stage; ``<out>/html`` is replaced after a build without a warning.

The module is also the book's Sphinx extension (`setup`): offline formulas, and citations numbered as the paper numbers
its references.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import yaml
from nbformat import NotebookNode

from repro.paper import cells as paper
from repro.report.pages import KINDS, ROOT_PAGE, placed

if TYPE_CHECKING:
    from sphinx.application import Sphinx

COMMAND = "from jupyter_book.cli.main import main; main()"  # jupyter-book 1 has no __main__
MATHJAX = "tex-svg.js"  # one file with its fonts inside; the package's other 22 MB are not needed


class BookError(ValueError):
    """The book cannot be built. The message names the file and says what to do."""


# ---- staging


def stage(pages: Iterable[Path], source: Path, folder: Path) -> list[Path]:
    """Bring the executed pages and the files of ``source`` into ``folder``; write its table of contents.

    Files whose content is the same are not touched; files that are no longer wanted are removed. Returns what was
    written or removed. Raises ValueError for a page that holds an error, lacks a heading or shows a picture without
    alt text, and for a page of unknown name.
    """
    files: dict[str, bytes] = {}
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        if path.is_file() and not any(part in ("_build", ".ipynb_checkpoints") for part in place.parts):
            content = path.read_bytes()
            files[place.as_posix()] = _bibliography(content) if path.suffix == ".bib" else content
    for path in pages:
        files[f"{'index' if path.stem == ROOT_PAGE else path.stem}.ipynb"] = staged_page(path).encode()
    names = {Path(name).stem for name in files if name.endswith((".ipynb", ".md")) and "/" not in name}
    files["_toc.yml"] = table_of_contents(names).encode()

    changed = []
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        place = path.relative_to(folder)
        if place.parts[0] == "_build":
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif place.as_posix() not in files:
            path.unlink()
            changed.append(path)
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            changed.append(path)
    return changed


def table_of_contents(names: Iterable[str]) -> str:
    """The _toc.yml for pages of these names. Raises ValueError where the root page is missing or a name unknown."""
    chapters = set(names) - {"index"}
    if len(chapters) == len(set(names)):
        raise BookError(
            f"there is no {ROOT_PAGE}.ipynb among the pages: the book opens with it; run its notebook first"
        )
    parts: dict[str, list[dict[str, str]]] = {}
    for kind, name in sorted(((placed(name), name) for name in chapters), key=lambda p: (KINDS.index(p[0]), p[1])):
        parts.setdefault(kind.part, []).append({"file": name})
    listed = [{"caption": part, "chapters": files} for part, files in parts.items()]
    return yaml.safe_dump({"format": "jb-book", "root": "index", "parts": listed}, sort_keys=False)


def staged_page(path: Path) -> str:
    """An executed notebook as the book shows it, as JSON text.

    Code is folded; progress bars, standard error, widget state and execution times are left out (the run's own file
    keeps them); each picture gets the alt text of its output's metadata.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise BookError(f"{path}: not a readable notebook: {error}") from None
    _set_heading(path, notebook)
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    staged = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": language},
            "language_info": {"name": language},
        }
    )
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            staged.cells += _code_cells(path, number, cell)
        else:
            staged.cells.append(
                NotebookNode(cell_type=cell.cell_type, metadata=NotebookNode(), source=_to_index(cell.source, r"\]\("))
            )
            if cell.get("attachments"):
                staged.cells[-1].attachments = cell.attachments
    for number, cell in enumerate(staged.cells):
        cell.id = f"cell-{number}"
    return nbformat.writes(staged) + "\n"


def _set_heading(path: Path, notebook: NotebookNode) -> None:
    """Make the first heading the one of the table of pages, which names the study where there are several of a kind."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# .*", cell.source, re.MULTILINE)):
            cell.source = cell.source[: found.start()] + f"# {placed(path.stem).title}" + cell.source[found.end() :]
            return
    raise BookError(f"{path}: no heading; begin its first text cell with '# Title'")


PROMPTS = {"parameters": "the notebook's parameters", "injected-parameters": "the parameters of this run"}


def _code_cells(path: Path, number: int, cell: NotebookNode) -> list[NotebookNode]:
    """A code cell, and after it one cell without code for each picture after the first: alt text belongs to a cell."""
    tags = cell.metadata.get("tags", [])
    what = next((words for tag, words in PROMPTS.items() if tag in tags), "code")
    kept = [tag for tag in tags if tag not in PROMPTS]
    if not {"hide-input", "remove-input", "remove-cell", "hide-cell"} & set(kept):
        kept.append("hide-input")
    prompts = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
    cells = [_code_cell(cell.source, kept, prompts)]
    for output in cell.outputs:
        if output.output_type == "error":
            raise BookError(
                f"{path}: cell {number} ended in an error: {output.ename}: {output.evalue}; mend and run that notebook"
            )
        shown = _output(output)
        if shown is None:
            continue
        if alt := _alt_text(path, number, shown):
            if "image" in cells[-1].metadata.mystnb:
                cells.append(_code_cell("# the next figure of the cell above", ["remove-input"], {}))
            cells[-1].metadata.mystnb["image"] = {"alt": alt}
        cells[-1].outputs.append(shown)
    return cells


def _code_cell(source: str, tags: list[str], options: Mapping[str, object]) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags})
    cell.metadata.mystnb = NotebookNode(options)
    return cell


def _output(output: NotebookNode) -> NotebookNode | None:
    """An output without what a reader of the page has no use for; None where nothing is left."""
    if output.output_type == "stream":
        return output if output.name == "stdout" and output.text.strip() else None
    if any(mime.startswith("application/vnd.jupyter.widget") for mime in output.data):
        return None
    output = NotebookNode(output_type="display_data", data=dict(output.data), metadata=dict(output.metadata))
    if "text/html" in output.data:
        output.data["text/html"] = _to_index(output.data["text/html"], r'href="')
    return output


def _alt_text(path: Path, number: int, output: NotebookNode) -> str:
    """The alt text of a picture; "" for an output of another kind. Raises BookError for a picture without."""
    pictures = [mime for mime in output.get("data", {}) if mime.startswith("image/")]
    if not pictures or "text/html" in output.data:
        return ""
    alt = next((alt for mime in pictures if (alt := output.metadata.get(mime, {}).get("alt"))), "")
    if not alt:
        raise BookError(
            f"{path}: cell {number} shows a picture without alt text; use repro.report.show.show(figure, alt)"
        )
    return alt


def _to_index(text: str, before: str) -> str:
    """Links to the root page by its notebook's name, as links to the page that the book opens with."""
    return re.sub(rf"({before}(?:\./)?){ROOT_PAGE}(?=\.(?:ipynb|html)\b)", r"\1index", text)


def _bibliography(content: bytes) -> bytes:
    """References with the paper's number of each as a field ``number_in_paper``, and annotations as printed notes."""
    numbers = {reference.key: reference.number for reference in paper.load().references}

    def numbered(match: re.Match) -> str:
        number = numbers.get(match[1])
        return match[0] + (f"\n  number_in_paper = {{{number}}}," if number else "")

    text = re.sub(r"^@\w+\{(\S+),$", numbered, content.decode(), flags=re.MULTILINE)
    return re.sub(r"^(\s*)annote\b", r"\1note", text, flags=re.MULTILINE).encode()


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
    app.connect("build-finished", _copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _first_author(entry: Any) -> str:
    """The family name of a work's first author, or the name of its maintainers, without BibTeX's braces and accents."""
    return " ".join(str(name) for name in entry.persons["author"][0].rich_last_names)


def _copy_mathjax(app: "Sphinx", error: Exception | None) -> None:
    if error is None:
        target = Path(app.outdir, "_static", "mathjax", MATHJAX)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((files("sphinx-mathjax-offline") / "static" / "mathjax" / MATHJAX).read_bytes())


# ---- command line


def page_files(paths: Iterable[Path]) -> list[Path]:
    """Notebooks named one by one, or those of a folder. Drafts and failed runs (X.failed.ipynb) are no pages."""
    files = []
    for path in paths:
        found = sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
        files += [file for file in found if "." not in file.stem]
    return files


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.report.book", description="Build the book.")
    parser.add_argument("--pages", type=Path, nargs="+", required=True, help="executed notebooks, or their folder")
    parser.add_argument("--source", type=Path, default=Path("book"))
    parser.add_argument("--stage", type=Path, default=Path("build/book"))
    parser.add_argument("--out", type=Path, default=Path("book/_build"))
    arguments = parser.parse_args()
    try:
        changed = stage(page_files(arguments.pages), arguments.source, arguments.stage)
        print(f"book: {len(changed)} staged files changed; building", flush=True)
        index = build(arguments.stage, arguments.out)
    except ValueError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    print(f"book: {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
