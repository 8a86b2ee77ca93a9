"""Staging: the executed notebooks and the chapters of book/ as the folder that Sphinx reads, and what programs read.

The pages' order, parts and headings are those of the table in ``pages``; the folder's other files and the project's
citation come along as they are. What lies in the stage's ``extra`` stands beside the built pages: each table as CSV,
each notebook as it was before it was run, the files that pages publish, and two lists of it all, ``manifest.json`` and
``codecheck.yml``.
"""

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from markupsafe import Markup
from nbformat import NotebookNode

from repro.paper import cells as paper
from repro.report.pages import KINDS, ROOT_PAGE, placed
from repro.report.show import FILE, anchor

EXTRA = "extra"  # the folder whose files stand beside the built pages; _config.yml names it too
CITATION = "CITATION.cff"  # of the project's folder; the page of references shows it
CODECHECK = "https://codecheck.org.uk/spec/config/1.0/"


class BookError(ValueError):
    """The book cannot be built. The message names the file and says what to do."""


class Shown(NamedTuple):
    """A figure, a table or a file that a page shows, or the records that its numbers come from."""

    entry: dict[str, Any]  # in the manifest
    content: bytes = b""  # of its ``file``


def stage(pages: Sequence[Path], source: Path, folder: Path) -> list[Path]:
    """Bring the executed pages and the files of ``source`` into ``folder``; write its table of contents.

    Files whose content is the same are not touched; files that are no longer wanted are removed. Returns what was
    written or removed. Raises ValueError for a page that holds an error, lacks a heading or shows a picture without
    alt text, for a page of unknown name, and for two files published under one name.
    """
    files: dict[str, bytes] = {}
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        if path.is_file() and not any(part in ("_build", ".ipynb_checkpoints") for part in place.parts):
            content = path.read_bytes()
            files[place.as_posix()] = _bibliography(content) if path.suffix == ".bib" else content
    files[CITATION] = (source.parent / CITATION).read_bytes()
    shown: list[Shown] = []
    for path in sorted(pages, key=lambda path: _order(path.stem)):
        text, found = staged_page(path)
        files[f"{_name(path)}.ipynb"] = text.encode()
        shown += found
    names = {Path(name).stem for name in files if name.endswith((".ipynb", ".md")) and "/" not in name}
    files["_toc.yml"] = table_of_contents(names).encode()
    for name in {placed(path.stem).source for path in pages}:  # each notebook as it is before a run
        notebook = nbformat.read(source.parent / name, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        files[f"{EXTRA}/{name}"] = (nbformat.writes(notebook) + "\n").encode()
    for name, content in _for_programs(shown).items():
        files[f"{EXTRA}/{name}"] = content

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
    for name in sorted(chapters, key=_order):
        parts.setdefault(placed(name).part, []).append({"file": name})
    listed = [{"caption": part, "chapters": files} for part, files in parts.items()]
    return yaml.safe_dump({"format": "jb-book", "root": "index", "parts": listed}, sort_keys=False)


def _order(name: str) -> tuple[int, str]:
    """Where a page of this name stands in the book."""
    return KINDS.index(placed(name)), name


def _name(path: Path) -> str:
    """The name in the book of an executed notebook."""
    return "index" if path.stem == ROOT_PAGE else path.stem


def staged_page(path: Path) -> tuple[str, list[Shown]]:
    """An executed notebook as the book shows it, as JSON text; and its figures, tables and files in order.

    Progress bars, standard error, widget state and execution times are left out (the run's own file keeps them); each
    picture gets the alt text of its output's metadata, each table a link to its CSV.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise BookError(f"{path}: not a readable notebook: {error}") from None
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if not re.search(r"^# ", texts, re.MULTILINE):  # the book's menu would show it without a name
        raise BookError(f"{path}: no heading; begin its first text cell with '# Title'")
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    staged = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": language},
            "language_info": {"name": language},
        }
    )
    shown: list[Shown] = []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            staged.cells += _code_cells(path, number, cell, shown)
        elif "exercises" not in cell.metadata.get("tags", []):  # those are for JupyterLab
            staged.cells.append(
                NotebookNode(cell_type=cell.cell_type, metadata=NotebookNode(), source=_to_index(cell.source, r"\]\("))
            )
            if cell.get("attachments"):
                staged.cells[-1].attachments = cell.attachments
    for number, cell in enumerate(staged.cells):
        cell.id = f"cell-{number}"
    return nbformat.writes(staged) + "\n", shown


def _code_cells(path: Path, number: int, cell: NotebookNode, shown: list[Shown]) -> list[NotebookNode]:
    """A code cell, and after it one cell without code for each picture after the first: alt text belongs to a cell.

    What its outputs show is added to ``shown``.
    """
    cells = [_code_cell(cell.source, cell.metadata.get("tags", []))]
    for output in cell.outputs:
        if output.output_type == "error":
            raise BookError(
                f"{path}: cell {number} ended in an error: {output.ename}: {output.evalue}; mend and run that notebook"
            )
        kept = _output(path, number, output, shown)
        if kept is None:
            continue
        if alt := _picture_alt(kept):
            if "image" in cells[-1].metadata.mystnb:
                cells.append(_code_cell("# the next figure of the cell above", ["remove-input"]))
            cells[-1].metadata.mystnb["image"] = {"alt": alt}
        cells[-1].outputs.append(kept)
    return cells


def _code_cell(source: str, tags: list[str]) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags})
    cell.metadata.mystnb = NotebookNode()
    return cell


def _output(path: Path, number: int, output: NotebookNode, shown: list[Shown]) -> NotebookNode | None:
    """An output without what a reader of the page has no use for; None where nothing is left."""
    if output.output_type == "stream":
        return output if output.name == "stdout" and output.text.strip() else None
    if any(mime.startswith("application/vnd.jupyter.widget") for mime in output.data):
        return None
    data, metadata = dict(output.data), dict(output.metadata)
    alt = metadata.get("text/html", {}).get("alt") or _picture_alt(output)
    if not alt and any(mime.startswith("image/") for mime in data) and "text/html" not in data:
        raise BookError(
            f"{path}: cell {number} shows a picture without alt text; use repro.report.show.show(figure, alt)"
        )
    if alt:
        mime = next(mime for mime in data if mime.startswith(("text/html", "image/")))
        content = data[mime].encode() if mime == "text/html" else b64decode(data[mime])
        shown.append(_shown(path, "figure", shown, content, alt=alt))
    if csv := data.pop("text/csv", None):
        caption = metadata.pop("text/csv")["caption"]
        words = anchor(caption)[:60].rpartition("-")[0] if len(anchor(caption)) > 60 else anchor(caption)
        file = f"tables/{path.stem}-{_number('table', shown)}-{words}.csv"
        shown.append(_shown(path, "table", shown, csv.encode(), caption=caption, file=file))
        link = Markup(' <a class="csv" href="{}" download>CSV</a></caption>').format(file)
        data["text/html"] = data["text/html"].replace("</caption>", link, 1)
    if records := metadata.get("text/html", {}).pop("records", None):
        shown.append(Shown({**_place(path), "kind": "records", "sha256 by file": records}))
    if published := data.pop(FILE, None):
        name, content = published["name"], json.dumps(published["content"], ensure_ascii=False, indent=1) + "\n"
        shown.append(_shown(path, "file", shown, content.encode(), file=name))
        data["text/html"] = f'<p><a href="{name}" download>{name}</a></p>'
    if "text/html" in data:
        data["text/html"] = _to_index(data["text/html"], r'href="')
    return NotebookNode(output_type="display_data", data=data, metadata=metadata)


def _picture_alt(output: NotebookNode) -> str:
    """The alt text of a photograph; "" for an output of another kind."""
    pictures = (mime for mime in output.get("data", {}) if mime.startswith("image/"))
    return next((alt for mime in pictures if (alt := output.metadata.get(mime, {}).get("alt"))), "")


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


# ---- for programs


def _shown(path: Path, kind: str, before: Sequence[Shown], content: bytes, **words: str) -> Shown:
    """A figure, table or file that a page shows next, after ``before`` on the same page. words: its alt text, caption
    and file."""
    digest = hashlib.sha256(content).hexdigest()
    return Shown({**_place(path), "kind": kind, "number": _number(kind, before), **words, "sha256": digest}, content)


def _place(path: Path) -> dict[str, str]:
    """The page as built, and the notebook that makes it."""
    return {"page": f"{_name(path)}.html", "notebook": placed(path.stem).source}


def _number(kind: str, before: Sequence[Shown]) -> int:
    return 1 + sum(each.entry["kind"] == kind for each in before)


def _for_programs(shown: Sequence[Shown]) -> dict[str, bytes]:
    """The files beside the pages by name: tables, published files and the two lists of what the book shows."""
    written: dict[str, bytes] = {}
    for entry, content in shown:
        if file := entry.get("file"):
            if file in written:
                raise BookError(f"{entry['page']}: {file} is published twice; give one of the two another name")
            written[file] = content
    entries = [each.entry for each in shown]
    written["manifest.json"] = (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode()
    written["codecheck.yml"] = _codecheck([entry for entry in entries if entry["kind"] == "table"]).encode()
    return written


def _codecheck(tables: Sequence[dict[str, Any]]) -> str:
    """The tables as CODECHECK lists a check's outputs, for whoever checks this book against another run."""
    work = paper.load().work
    listed = {
        "version": CODECHECK,
        "paper": {
            "title": work.title,
            "authors": [{"name": name} for name in work.authors],
            "reference": f"https://doi.org/{work.doi}",
        },
        "manifest": [{"file": table["file"], "comment": f"{table['page']}: {table['caption']}"} for table in tables],
    }
    return yaml.safe_dump(listed, explicit_start=True, sort_keys=False, allow_unicode=True, width=1000)
