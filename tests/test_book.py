"""The book: what is staged, what is refused, and the built pages read in a browser."""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from browser import audit
from matplotlib import pyplot
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from repro.paper import cells as paper
from repro.report import book
from repro.report.show import badge, link, plain, show, show_table, table_html, with_code

SOURCE = Path(__file__).resolve().parents[1] / "book"
ALT = 'Line chart: top-1 "rises" <with> the epochs & stays'


def outputs_of(function, *arguments, **options) -> list:
    """What a notebook's cell would hold after this call."""
    outputs = []

    def display(data, metadata=None, raw=False):
        assert raw
        data = {mime: base64.b64encode(d).decode() if isinstance(d, bytes) else d for mime, d in data.items()}
        outputs.append(new_output("display_data", data=data, metadata=metadata or {}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.report.show.display", display)
        function(*arguments, **options)
    return outputs


def figure():
    fig, axes = pyplot.subplots(figsize=(4, 2))
    axes.plot([1, 2, 3])
    axes.set(title="Accuracy", xlabel="epoch", ylabel="top-1 (%)")
    return fig


def code(source: str, outputs=(), tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def write_page(folder: Path, name: str, *cells) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def claims_page(folder: Path) -> Path:
    table = pd.DataFrame(
        {"Claim": ["SE & <IM>"], "Verdict": [badge("reproduced")], "Page": [link("here", "paper.html")]}
    )
    return write_page(
        folder,
        "claims",
        new_markdown_cell(
            "# Verdicts\n\n{cite}`zolfaghari2018eco`, {cite}`wilson1927probable`; [demo](accuracy-demo.ipynb)"
        ),
        code("show_table(table, 'Claims')", outputs_of(show_table, table, "Claims")),
    )


def accuracy_page(folder: Path, remark: str = "") -> Path:
    noise = new_output("stream", name="stderr", text="100%|####| 3/3")
    bar = new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "a bar"}
    )
    figures = outputs_of(show, figure(), ALT) + outputs_of(show, figure(), "A second line chart")
    return write_page(
        folder,
        "accuracy-demo",
        new_markdown_cell(f"# Accuracy\n\n$X + sU$ and\n\n$$p = \\frac{{k}}{{n}}$$\n\n[back](claims.ipynb) {remark}"),
        code("seed = 0", tags=["parameters"]),
        code("# Parameters\nseed = 1", tags=["injected-parameters"]),
        code("show(figure(), alt)", [noise, bar, *figures]),
        code("print('done')", [new_output("stream", name="stdout", text="done\n")]),
    )


def paper_page(folder: Path) -> Path:
    return write_page(folder, "paper", new_markdown_cell("# What the paper says\n\nText."))


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "pages"
    for page in (claims_page, accuracy_page, paper_page):
        page(folder)
    return folder


@pytest.fixture(scope="module")
def built(pages) -> Path:
    """A small book, built; the folder that holds pages, stage and out."""
    root = pages.parent
    assert command(root) == 0
    return root


def command(root: Path) -> int:
    arguments = [
        "book",
        "--pages",
        root / "pages",
        "--source",
        SOURCE,
        "--stage",
        root / "stage",
        "--out",
        root / "out",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(argument) for argument in arguments])
        return book.main()


# ---- figures and tables


def test_a_shown_figure_carries_its_alt_text_and_is_sharp_and_closed():
    fig = figure()
    (output,) = outputs_of(show, fig, "  A line\n chart ")
    assert output.metadata["image/png"]["alt"] == output.data["text/plain"] == "A line chart"
    png = base64.b64decode(output.data["image/png"])
    assert int.from_bytes(png[16:20], "big") // 2 == output.metadata["image/png"]["width"]
    assert not pyplot.fignum_exists(fig.number)
    with pytest.raises(ValueError, match="alt"):
        show(figure(), " ")
    pyplot.close("all")


def test_a_table_escapes_text_aligns_numbers_and_names_its_headers():
    table = pd.DataFrame({"class <a>": ["x & y", None], "top-1": [0.5, np.nan], "n": [3, 4], "ok": [True, False]})
    html = table_html(table, "A <caption>", formats={"top-1": ".2%", "n": lambda n: f"{n} clips"})
    assert "class &lt;a&gt;" in html and "x &amp; y" in html and "A &lt;caption&gt;</span></caption>" in html
    assert '<td style="text-align: right">50.00%</td>' in html and "3 clips" in html
    assert '<td style="text-align: right">–</td>' in html and '<td style="text-align: left">True</td>' in html
    assert html.count('scope="col"') == 4 and html.count('scope="row"') == 2
    with pytest.raises(KeyError, match="known: class <a>, top-1"):
        table_html(table, "c", formats={"top1": ".2f"})
    with pytest.raises(ValueError, match="caption"):
        table_html(table, "")


def test_a_named_index_becomes_the_first_column():
    html = table_html(pd.DataFrame({"n": [1]}, index=pd.Index(["a"], name="model")), "c")
    assert re.search(r'<th scope="row"[^>]*>a</th>', html) and ">model</th>" in html


def test_a_sortable_table_is_whole_without_its_script():
    table = pd.DataFrame({"pair": ["a <b>", "c"], "c": [0.123456, float("nan")]})
    html = table_html(table, "Pairs", formats={"c": ".2f"}, sortable=True)
    assert '<table class="dataframe sortable">' in html and html.count("<script>") == 1
    assert 'data-value="0.123456">0.12</td>' in html and "a &lt;b&gt;" in html and html.count("data-value=") == 1
    assert "<script>" not in table_html(table, "Pairs")


def test_plain_text_keeps_its_signs():
    from markdown_it import MarkdownIt

    text = "s*U, s*f: f_SE(f_X) <b> `c` [x](y) $1$ a\\b"
    assert MarkdownIt().renderInline(plain(text)) == text.replace("<", "&lt;").replace(">", "&gt;")


def test_badges_know_their_words():
    assert 'class="verdict not-testable"' in badge("not testable").__html__()
    assert "<script>" not in link("<script>", 'x"><script>').__html__()
    with pytest.raises(ValueError, match="use one of"):
        badge("proved")


def test_commands_in_a_cell():
    assert with_code("`a < b` and <c>").__html__() == "<code>a &lt; b</code> and &lt;c&gt;"
    assert str(with_code("`a` b")) == "`a` b"


# ---- staging


def test_chapters_stand_in_order_and_pages_without_a_place_are_refused():
    names = ["runs", "reproduce", "references", "paper", "index", "online-demo", "complexity", "confusion-demo"]
    names += ["accuracy-ucf101-3", "accuracy-demo", "architecture", "datasets", "data-demo"]
    toc = yaml.safe_load(book.table_of_contents(names))
    assert toc["root"] == "index"
    assert [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]] == [
        ("Data", ["datasets", "data-demo"]),
        (
            "Experiments",
            [
                "architecture",
                "accuracy-demo",
                "accuracy-ucf101-3",
                "confusion-demo",
                "complexity",
                "online-demo",
            ],
        ),
        ("The paper", ["paper", "references"]),
        ("Do it yourself", ["reproduce"]),
        ("Appendix", ["runs"]),
    ]
    with pytest.raises(ValueError, match="page speed: the book has no place for it"):
        book.table_of_contents(["index", "speed"])
    with pytest.raises(book.BookError, match=r"no claims\.ipynb"):
        book.table_of_contents(["paper"])


def test_staging_again_touches_nothing_and_a_changed_page_only_itself(tmp_path, pages):
    shutil.copytree(pages, tmp_path / "pages")
    files = book.page_files([tmp_path / "pages"])
    stage = tmp_path / "stage"
    assert len(book.stage(files, SOURCE, stage)) > len(files)
    times = {path: path.stat().st_mtime_ns for path in stage.rglob("*")}
    assert book.stage(files, SOURCE, stage) == []
    assert times == {path: path.stat().st_mtime_ns for path in stage.rglob("*")}
    accuracy_page(tmp_path / "pages", "Edited.")
    assert book.stage(files, SOURCE, stage) == [stage / "accuracy-demo.ipynb"]
    left = [path for path in files if path.stem != "paper"]
    assert set(book.stage(left, SOURCE, stage)) == {stage / "paper.ipynb", stage / "_toc.yml"}
    assert not (stage / "paper.ipynb").exists()


def test_code_is_folded_noise_left_out_and_each_picture_has_its_alt_text(pages):
    staged = nbformat.reads(book.staged_page(pages / "accuracy-demo.ipynb"), as_version=4)
    cells = [cell for cell in staged.cells if cell.cell_type == "code"]
    assert [cell.metadata.tags for cell in cells] == [["hide-input"]] * 3 + [["remove-input"], ["hide-input"]]
    assert [cell.metadata.mystnb.get("image", {}).get("alt") for cell in cells[2:4]] == [ALT, "A second line chart"]
    assert [len(cell.outputs) for cell in cells] == [0, 0, 1, 1, 1]
    assert staged.cells[0].source.startswith("# Accuracy · demo\n") and "[back](index.ipynb)" in staged.cells[0].source


def test_failed_and_draft_notebooks_are_no_pages(pages, tmp_path):
    for name in ("claims.failed.ipynb", "claims.draft.ipynb", "claims.ipynb"):
        shutil.copy(pages / "claims.ipynb", tmp_path / name)
    assert book.page_files([tmp_path]) == [tmp_path / "claims.ipynb"]


def test_pages_that_may_not_be_shown_are_named(tmp_path):
    heading = new_markdown_cell("# Title")
    error = new_output("error", ename="ValueError", evalue="no such clip", traceback=[])
    path = write_page(tmp_path, "data-demo", heading, code("1/0", [error]))
    with pytest.raises(book.BookError, match=r"data-demo\.ipynb: cell 2 ended in an error: ValueError: no such clip"):
        book.staged_page(path)
    blind = new_output("display_data", data={"image/png": "aGk="})
    path = write_page(tmp_path, "data-demo", heading, code("fig", [blind]))
    with pytest.raises(book.BookError, match=r"data-demo\.ipynb: cell 2 shows a picture without alt text"):
        book.staged_page(path)
    path = write_page(tmp_path, "data-demo", new_markdown_cell("No heading"))
    with pytest.raises(book.BookError, match=r"data-demo\.ipynb: no heading"):
        book.staged_page(path)
    path.write_text("{")
    with pytest.raises(book.BookError, match=r"data-demo\.ipynb: not a readable notebook"):
        book.staged_page(path)


def test_a_page_that_left_the_book_leaves_no_file(tmp_path, pages, monkeypatch):
    files = book.page_files([pages])

    def sphinx(command, **_):
        """Writes a file for each page of the stage, and leaves those of earlier builds, as Sphinx does."""
        html = tmp_path / "stage" / "_build" / "html"
        html.mkdir(parents=True, exist_ok=True)
        for path in (tmp_path / "stage").glob("*.ipynb"):
            (html / f"{path.stem}.html").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(book.subprocess, "run", sphinx)
    for chosen in (files, [path for path in files if path.stem != "paper"]):
        book.stage(chosen, SOURCE, tmp_path / "stage")
        index = book.build(tmp_path / "stage", tmp_path / "out")
    assert sorted(path.name for path in index.parent.iterdir()) == ["accuracy-demo.html", "index.html"]


# ---- the built book


@pytest.mark.slow
def test_the_book_has_all_pages_and_the_papers_references_by_number(built):
    html = built / "out" / "html"
    for name in ("index", "accuracy-demo", "paper", "references", "reproduce"):
        assert (html / f"{name}.html").is_file()
    references = (html / "references.html").read_text(encoding="utf-8")
    labels = re.findall(r'role="doc-biblioentry">\s*<span class="label">.*?</span>(?:<a[^>]*>)?(\d+)<', references)
    assert labels == [str(reference.number) for reference in paper.load().references]
    index = (html / "index.html").read_text(encoding="utf-8")
    assert 'class="verdict reproduced"' in index and "Wilson 1927" in index and "SE &amp; &lt;IM&gt;" in index
    accuracy = (html / "accuracy-demo.html").read_text(encoding="utf-8")
    assert "Show the parameters of this run" in accuracy and "100%|" not in accuracy and "a bar" not in accuracy


@pytest.mark.slow
def test_the_book_reads_from_a_file_without_a_network(built, browser):
    assert audit(built / "out" / "html", browser) == []


@pytest.mark.slow
def test_the_audit_sees_what_a_reader_would_miss(tmp_path, browser):
    (tmp_path / "page.html").write_text(
        '<title>t</title><img src="https://example.org/a.png"><script>missing()</script>'
        '<a href="gone.html">x</a><a href="#nowhere">y</a><span class="math">x^2</span>'
    )
    found = "\n".join(audit(tmp_path, browser))
    for problem in ("asks for https://example.org/a.png", "without alt text", "missing is not defined", "gone.html"):
        assert problem in found
    assert "#nowhere" in found and "formula not set" in found


@pytest.mark.slow
def test_a_click_sorts_numbers_as_numbers_and_names_as_names(tmp_path, browser):
    table = pd.DataFrame({"pair": ["b", "c", "a"], "c": [0.0901, 0.5, 1e-05]})
    html = table_html(table, "Pairs", formats={"c": ".1f"}, sortable=True)
    (tmp_path / "page.html").write_text(f"<title>t</title>{html}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())

    def column():
        return "".join(page.locator("tbody th").all_text_contents())

    assert column() == "bca"
    for head, order in (("c", "cba"), ("c", "abc"), ("pair", "cba"), ("pair", "abc")):
        page.get_by_role("button", name=head, exact=True).click()
        assert column() == order
    assert page.locator("thead th").first.get_attribute("aria-sort") == "ascending"
    assert page.locator("thead th").last.get_attribute("aria-sort") is None
    page.close()


@pytest.mark.slow
def test_a_warning_fails_again_and_again_and_leaves_the_earlier_book(built, capsys):
    before = {path: path.read_bytes() for path in (built / "out" / "html").glob("*.html")}
    accuracy_page(built / "pages", "[nowhere](absent.ipynb)")
    try:
        for _ in range(2):  # Sphinx warns of a page when it reads it, so the second build must not trust the first's
            assert command(built) == 1
            message = capsys.readouterr().err
            assert "accuracy-demo" in message and "absent.ipynb" in message and "Traceback" not in message
    finally:
        accuracy_page(built / "pages")
    assert before == {path: path.read_bytes() for path in (built / "out" / "html").glob("*.html")}
