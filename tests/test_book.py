"""The book: what is staged, what is refused, and the built pages read in a browser."""

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from browser import audit
from matplotlib import pyplot
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from repro.paper import cells as paper
from repro.records.provenance import commit_text
from repro.report import book, staging
from repro.report.pages import KINDS
from repro.report.show import badge, formatted, link, plain, publish, show, show_table, table_csv, table_html, with_code

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


def photographs():
    fig, axes = pyplot.subplots(1, 2, figsize=(20, 10))
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    for axis in axes:
        axis.imshow(noise)
    return fig


def code(source: str, outputs=(), tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def write_page(folder: Path, name: str, *cells) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


FOOT = {"text/html": "<aside>again</aside>", "text/plain": "again"}
RECORDS = {"results/a/b/record.json": "1f"}  # sha256 by file


def answer_page(folder: Path) -> Path:
    table = pd.DataFrame({"Claim": ["SE & <IM>"], "Verdict": badge("reproduced"), "Page": link("here", "ledger.html")})
    words = "one to seven " * 3
    wide = pd.DataFrame({f"a column of words {k}": [words if k == 7 else 1000 * k + 0.5] * 2 for k in range(1, 8)})
    return write_page(
        folder,
        "answer",
        new_markdown_cell("# Verdicts\n\n{cite}`zolfaghari2018eco`, {cite}`wilson1927probable`; [demo](gate.ipynb)"),
        code("show_table(table, 'Claims')", outputs_of(show_table, table, "Claims")),
        code("show_table(wide, 'Wide')", outputs_of(show_table, wide, "Wide", folded="All seven columns")),
        code("publish('claims.json', claims)", outputs_of(publish, "claims.json", {"SE & <IM>": ["reproduced", 0.1]})),
    )


def gate_page(folder: Path, remark: str = "") -> Path:
    noise = new_output("stream", name="stderr", text="100%|####| 3/3")
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "bar of a widget"}
    bar = new_output("display_data", data=widget)
    foot = new_output("display_data", data=FOOT, metadata={"text/html": {"records": RECORDS}})
    figures = outputs_of(show, figure(), ALT) + outputs_of(show, figure(), "A second line chart")
    figures += outputs_of(show, photographs(), "Two photographs") + outputs_of(show, photographs(), "And two more")
    return write_page(
        folder,
        "gate",
        new_markdown_cell(f"# Accuracy\n\n$X + sU$ and\n\n$$p = \\frac{{k}}{{n}}$$\n\n[back](answer.ipynb) {remark}"),
        code("seed = 0", tags=["parameters"]),
        code("# Parameters\nseed = 1", tags=["injected-parameters"]),
        code("show(figure(), alt)", [noise, bar, *figures]),
        code("print('done')", [new_output("stream", name="stdout", text="done\n")]),
        code("show_foot('gate', records)", [foot]),
    )


def ledger_page(folder: Path) -> Path:
    return write_page(folder, "ledger", new_markdown_cell("# What the paper says\n\nText."))


def linked_pages(folder: Path) -> None:
    """The notebooks' pages that the chapters of book/ link to."""
    chapters = "".join(path.read_text(encoding="utf-8") for path in SOURCE.glob("*.md"))
    for kind in KINDS[1:]:
        linked = re.search(rf"\]\({kind.name}(\.ipynb)?[)#]", chapters) and kind.source.endswith(".ipynb")
        if linked and not (folder / f"{kind.name}.ipynb").exists():
            sections = re.findall(rf"\]\({kind.name}\.ipynb#([\w-]+)\)", chapters)
            headings = "".join(f"\n\n## {name.replace('-', ' ')}" for name in sections)
            write_page(folder, kind.name, new_markdown_cell(f"# {kind.title}{headings}"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "pages"
    for page in (answer_page, gate_page, ledger_page, linked_pages):
        page(folder)
    return folder


@pytest.fixture(scope="module")
def built(pages) -> Path:
    """A small book, built; the folder that holds pages, stage and out."""
    root = pages.parent
    assert command(root) == 0
    return root


def of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ipynb"))


def command(root: Path) -> int:
    places = {"source": SOURCE, "stage": root / "stage", "out": root / "out"}
    arguments = ["--pages", *map(str, of(root / "pages")), *(f"--{name}={place}" for name, place in places.items())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["book", *arguments])
        return book.main()


# ---- figures and tables


def test_a_figure_is_words_and_lines_that_follow_the_page():
    fig = figure()
    fig.axes[0].axhline(2, color="#bbbbbb")
    (output,) = outputs_of(show, fig, '  A "line"\n chart ')
    assert output.metadata["text/html"]["alt"] == output.data["text/plain"] == 'A "line" chart'
    html = output.data["text/html"]
    assert '<svg role="img" aria-label="A &quot;line&quot; chart"' in html and ">top-1 (%)</text>" in html
    points = float(re.search(r'viewBox="0 0 (\S+) ', html)[1])
    assert f"width: {points * 96 / 72:.0f}px" in html and "max-width: 100%" in html
    assert "stroke: currentColor" in html and "stroke: #0072b2" in html and "#000000" not in html
    assert "color-mix(in srgb, currentColor 27%, var(--paper))" in html  # 0xbb of 0xff is 73 % of the way to white
    assert "<style" not in html and "font-family" not in html and "xlink" not in html
    assert not pyplot.fignum_exists(fig.number)
    with pytest.raises(ValueError, match="alt"):
        show(figure(), " ")


def test_figures_share_no_id_and_each_name_is_there():
    def names(fig, alt):
        html = outputs_of(show, fig, alt)[0].data["text/html"]
        ids, used = re.findall(r' id="([^"]*)"', html), re.findall(r'(?:url\(|href=")#([^")]*)', html)
        assert set(ids) == set(used) and len(ids) == len(set(ids))
        return set(ids)

    first, again, second = names(figure(), "One"), names(figure(), "One"), names(figure(), "Two")
    assert first == again and first and not first & second


def test_cells_of_a_map_and_numbers_on_it_keep_their_colours():
    fig, axis = pyplot.subplots()
    axis.imshow(np.eye(2), cmap="cividis")
    axis.text(0, 0, "dark")
    axis.text(1, 0, "pale", color="white")
    html = outputs_of(show, fig, "A map")[0].data["text/html"]
    assert re.search(r'<text style="[^"]*fill: #000000"[^>]*>dark<', html)
    assert re.search(r'<text style="[^"]*fill: #ffffff"[^>]*>pale<', html)
    assert "data:image/png;base64," in html
    fig, axis = pyplot.subplots()
    axis.pcolormesh(np.array([[0.0, 1.0]]), cmap="gray")
    axis.text(1.5, 0.5, "on white", color=".15")
    html = outputs_of(show, fig, "A map")[0].data["text/html"]
    assert "fill: #ffffff" in html and "fill: #262626" in html and "color-mix" not in html


def test_photographs_stay_pixels_of_a_bounded_width():
    (output,) = outputs_of(show, photographs(), "Two photographs")
    (mime,) = (mime for mime in output.data if mime.startswith("image/"))
    with Image.open(io.BytesIO(base64.b64decode(output.data[mime]))) as image:
        width, height = image.size
    size = output.metadata[mime]
    assert 1390 <= width <= 1401 and mime == "image/jpeg"  # noise, which PNG cannot make smaller
    assert size["alt"] == "Two photographs" and size["width"] > width  # 20 inches
    assert size["width"] / size["height"] == pytest.approx(width / height, rel=0.01)


def test_a_table_escapes_text_aligns_numbers_and_names_its_headers():
    table = pd.DataFrame({"class <a>": ["x & y", None], "top-1": [0.5, np.nan], "n": [3, 4], "ok": [True, False]})
    html = table_html(formatted(table, {"top-1": ".2%", "n": "04d"}), "A <caption>")
    assert "class &lt;a&gt;" in html and "x &amp; y" in html and "A &lt;caption&gt;</span></caption>" in html
    assert '<td style="text-align: right" data-label="top-1">50.00%</td>' in html and ">0003<" in html
    assert '<td style="text-align: right" data-label="top-1">–</td>' in html
    assert '<td style="text-align: left" data-label="ok">True</td>' in html and 'data-label="class &lt;a&gt;"' in html
    assert html.count('scope="col"') == 4 and html.count('scope="row"') == 2
    with pytest.raises(ValueError, match="caption"):
        table_html(table, "")


def test_a_sortable_table_is_whole_without_its_script():
    table = pd.DataFrame({"pair": ["a <b>", "c"], "c": [0.123456, float("nan")]})
    html = table_html(formatted(table, {"c": ".2f"}), "Pairs", sortable=True)
    assert '<table class="dataframe sortable">' in html and html.count("<script>") == 1
    assert 'data-value="0.123456" data-label="c">0.12</td>' in html and html.count("data-value=") == 1
    assert "<script>" not in table_html(table, "Pairs")


def test_a_tables_values_are_csv_in_full_and_a_named_index_is_the_first_column():
    columns = {("a", "b"): [badge("reproduced"), None], "c, é": [1 / 3, np.nan]}
    table = pd.DataFrame(columns, index=pd.Index(['x "y"', "z"], name="model"))
    (output,) = outputs_of(show_table, table, "Values", folded="Open <me>")
    assert list(csv.reader(io.StringIO(output.data["text/csv"]))) == [
        ["model", "a · b", "c, é"],
        ['x "y"', "reproduced", "0.3333333333333333"],
        ["z", "", ""],
    ]
    assert output.data["text/csv"] == table_csv(table) and output.metadata["text/csv"]["caption"] == "Values"
    html = output.data["text/html"]
    assert html.startswith('<details class="repro-fold"><summary>Open &lt;me&gt;</summary>')
    assert re.search(r'<th scope="row"[^>]*>z</th>', html) and ">model</th>" in html


def test_a_published_file_is_json_with_a_name_of_its_own():
    (output,) = outputs_of(publish, "claims.json", {"a": (1, None)})
    assert output.data["application/vnd.repro.file+json"] == {"name": "claims.json", "content": {"a": [1, None]}}
    assert output.data["text/plain"] == "claims.json: a file of the book"
    for name in ("../claims.json", "manifest.json", "claims.csv"):
        with pytest.raises(ValueError, match="lower-case"):
            publish(name, {})
    with pytest.raises(ValueError):
        publish("claims.json", float("nan"))


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
    names = ["runs", "reproduce", "references", "time", "index", "online", "complexity", "networks", "data"]
    toc = yaml.safe_load(staging.table_of_contents(names))
    assert toc["root"] == "index"
    assert [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]] == [
        ("The paper's tables and figures", ["networks", "data", "complexity", "online"]),
        ("Beyond the paper", ["time"]),
        ("For those who run it", ["reproduce", "runs", "references"]),
    ]
    with pytest.raises(ValueError, match="page speed: the book has no place for it"):
        staging.table_of_contents(["index", "speed"])
    with pytest.raises(staging.BookError, match=r"no answer\.ipynb"):
        staging.table_of_contents(["ledger"])


def test_staging_again_touches_nothing_and_a_changed_page_only_itself(tmp_path, pages):
    shutil.copytree(pages, tmp_path / "pages")
    files = of(tmp_path / "pages")
    stage = tmp_path / "stage"
    assert len(staging.stage(files, SOURCE, stage)) > len(files)
    times = {path: path.stat().st_mtime_ns for path in stage.rglob("*")}
    assert staging.stage(files, SOURCE, stage) == []
    assert times == {path: path.stat().st_mtime_ns for path in stage.rglob("*")}
    gate_page(tmp_path / "pages", "Edited.")
    assert staging.stage(files, SOURCE, stage) == [stage / "gate.ipynb"]
    left = [path for path in files if path.stem != "ledger"]
    notebook = stage / "extra" / "notebooks" / "16_ledger.ipynb"
    assert set(staging.stage(left, SOURCE, stage)) == {stage / "ledger.ipynb", stage / "_toc.yml", notebook}
    assert not (stage / "ledger.ipynb").exists()


def test_noise_is_left_out_and_each_photograph_has_its_alt_text(pages):
    staged = nbformat.reads(staging.staged_page(pages / "gate.ipynb")[0], as_version=4)
    cells = [cell for cell in staged.cells if cell.cell_type == "code"]
    tags = [["parameters"], ["injected-parameters"], [], ["remove-input"], [], []]
    assert [cell.metadata.tags for cell in cells] == tags
    assert [cell.metadata.mystnb.image.alt for cell in cells[2:4]] == ["Two photographs", "And two more"]
    assert [len(cell.outputs) for cell in cells] == [0, 0, 3, 1, 1, 1]
    assert staged.cells[0].source.startswith("# Accuracy\n") and "[back](index.ipynb)" in staged.cells[0].source


def test_programs_find_every_figure_table_and_file(tmp_path, pages):
    stage = tmp_path / "stage"
    staging.stage(of(pages), SOURCE, stage)
    extra = stage / "extra"
    manifest = json.loads((extra / "manifest.json").read_text(encoding="utf-8"))
    assert [(each["page"], each["kind"], each["number"]) for each in manifest if each["kind"] != "records"] == [
        ("index.html", "table", 1),
        ("index.html", "table", 2),
        ("index.html", "file", 1),
        *(("gate.html", "figure", number) for number in range(1, 5)),
    ]
    table, file, drawn = manifest[0], manifest[2], manifest[3]
    assert table["caption"] == "Claims" and table["notebook"] == "notebooks/02_answer.ipynb"
    assert table["file"] == "tables/answer-1-claims.csv" and drawn["alt"] == ALT
    for each in (table, file):
        assert each["sha256"] == hashlib.sha256((extra / each["file"]).read_bytes()).hexdigest()
    (records,) = (each for each in manifest if each["kind"] == "records")
    assert records["page"] == "gate.html" and records["sha256 by file"] == RECORDS
    assert (extra / table["file"]).read_text() == "Claim,Verdict,Page\nSE & <IM>,reproduced,here\n"
    assert json.loads((extra / "claims.json").read_text()) == {"SE & <IM>": ["reproduced", 0.1]}
    check = (extra / "codecheck.yml").read_text(encoding="utf-8")
    assert check.startswith("---\n")
    assert yaml.safe_load(check)["manifest"] == [
        {"file": "tables/answer-1-claims.csv", "comment": "index.html: Claims"},
        {"file": "tables/answer-2-wide.csv", "comment": "index.html: Wide"},
    ]
    assert 'href="tables/answer-1-claims.csv"' in (stage / "index.ipynb").read_text().replace('\\"', '"')
    source = nbformat.read(extra / "notebooks" / "09_gate.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in source.cells) and source.cells[0].cell_type == "markdown"


def test_two_files_of_one_name_are_refused(tmp_path, pages):
    shutil.copytree(pages, tmp_path / "pages")
    again = code("publish('claims.json', 1)", outputs_of(publish, "claims.json", 1))
    write_page(tmp_path / "pages", "ledger", new_markdown_cell("# Title"), again)
    with pytest.raises(staging.BookError, match=r"ledger\.html: claims\.json is published twice"):
        staging.stage(of(tmp_path / "pages"), SOURCE, tmp_path / "stage")


def test_pages_that_may_not_be_shown_are_named(tmp_path):
    heading = new_markdown_cell("# Title")
    error = new_output("error", ename="ValueError", evalue="no such clip", traceback=[])
    blind = new_output("display_data", data={"image/png": "aGk="})
    for cells, words in (
        ([heading, code("1/0", [error])], "cell 2 ended in an error: ValueError: no such clip"),
        ([heading, code("fig", [blind])], "cell 2 shows a picture without alt text"),
        ([new_markdown_cell("No heading")], "no heading"),
    ):
        path = write_page(tmp_path, "data", *cells)
        with pytest.raises(staging.BookError, match=rf"data\.ipynb: {words}"):
            staging.staged_page(path)
    path.write_text("{")
    with pytest.raises(staging.BookError, match=r"data\.ipynb: not a readable notebook"):
        staging.staged_page(path)


def test_a_page_that_left_the_book_leaves_no_file(tmp_path, pages, monkeypatch):
    files = of(pages)

    def sphinx(command, **_):
        """Writes a file for each page of the stage, and leaves those of earlier builds, as Sphinx does."""
        html = tmp_path / "stage" / "_build" / "html"
        html.mkdir(parents=True, exist_ok=True)
        for path in (tmp_path / "stage").glob("*.ipynb"):
            (html / f"{path.stem}.html").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(book.subprocess, "run", sphinx)
    for chosen in (files, [path for path in files if path.stem != "ledger"]):
        staging.stage(chosen, SOURCE, tmp_path / "stage")
        index = book.build(tmp_path / "stage", tmp_path / "out")
    left = {path.name for path in index.parent.iterdir()}
    assert {"gate.html", "index.html"} <= left and "ledger.html" not in left


# ---- the built book


@pytest.mark.slow
def test_the_book_has_all_pages_and_the_papers_references_by_number(built):
    html = built / "out" / "html"
    for name in ("index", "gate", "ledger", "references", "reproduce"):
        assert (html / f"{name}.html").is_file()
    references = (html / "references.html").read_text(encoding="utf-8")
    labels = re.findall(r'role="doc-biblioentry">\s*<span class="label">.*?</span>(?:<a[^>]*>)?(\d+)<', references)
    assert labels == [str(reference.number) for reference in paper.load().references]
    cited = re.search(r'<section id="cite-this-study">(.*?)</section>', references, re.DOTALL)[1]
    words = " ".join(re.sub(r"<[^>]*>", "", cited).split())
    citation = yaml.safe_load((SOURCE.parent / "CITATION.cff").read_text(encoding="utf-8"))
    assert all(f"{name}: {citation[name]}" in words for name in ("version", "license")) and "authors:" in words
    index = (html / "index.html").read_text(encoding="utf-8")
    assert 'class="verdict reproduced"' in index and "Wilson 1927" in index and "SE &amp; &lt;IM&gt;" in index
    assert all(f"Built from {commit_text()}" in text for text in (index, references))
    accuracy = (html / "gate.html").read_text(encoding="utf-8")
    assert "100%|" not in accuracy and "bar of a widget" not in accuracy
    assert not (html / "_sources").exists() and not list(html.rglob("*.map"))
    for name in ("manifest.json", "codecheck.yml", "claims.json", "tables/answer-1-claims.csv"):
        assert (html / name).read_bytes() == (built / "stage" / "extra" / name).read_bytes()


def opened(browser, path: Path, *, width: int = 1280, **options):
    """A page of the book in a window of its own."""
    page = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    page.goto(path.as_uri())
    return page


@pytest.mark.slow
def test_one_switch_shows_the_code_and_the_notebook_is_at_hand(built, browser):
    path = built / "out" / "html" / "gate.html"
    page = opened(browser, path)
    switch, source = page.get_by_role("button", name="Show the notebook"), page.get_by_text("show(figure(), alt)")
    assert switch.get_attribute("aria-pressed") == "false" and not source.is_visible()
    switch.press("Enter")
    hide = page.get_by_role("button", name="Hide the notebook")
    assert hide.get_attribute("aria-pressed") == "true" and source.is_visible()
    assert page.get_by_text("seed = 1").is_visible() and page.get_by_text("the next figure").count() == 0
    hide.click()
    assert not source.is_visible()
    target = page.get_by_role("link", name="Download the notebook").get_attribute("href")
    assert target == "notebooks/09_gate.ipynb" and (path.parent / target).is_file()
    page.goto((path.parent / "reproduce.html").as_uri())
    assert page.get_by_role("link", name="Download the notebook").count() == 0
    page.context.close()
    page = opened(browser, path, java_script_enabled=False)
    assert not page.get_by_text("show(figure(), alt)").is_visible()
    assert page.get_by_text("done", exact=True).is_visible()
    assert not page.get_by_text("Show the notebook").is_visible()
    page.context.close()


@pytest.mark.slow
def test_seven_columns_fit_and_on_a_phone_each_row_is_a_card(built, browser):
    path = built / "out" / "html" / "index.html"
    page = opened(browser, path)
    table = page.locator(".repro-table").nth(1)
    assert not table.is_visible()
    page.get_by_text("All seven columns").click()
    assert table.is_visible() and table.evaluate("box => box.scrollWidth - box.clientWidth") == 0
    page.set_viewport_size({"width": 390, "height": 900})
    cells = table.locator("tbody tr").first.locator("th, td")
    places = [cells.nth(k).bounding_box() for k in range(7)]
    assert all(above["y"] + above["height"] <= below["y"] + 1 for above, below in pairwise(places))
    before = "cell => getComputedStyle(cell, '::before').content"
    assert [cells.nth(k).evaluate(before) for k in (0, 6)] == ['"a column of words 1"', '"a column of words 7"']
    assert table.locator("thead").evaluate("head => head.offsetWidth") == 1
    page.context.close()
    page = opened(browser, path.with_name("reproduce.html"), width=390)
    cut = "all => all.filter(block => block.scrollWidth > block.clientWidth).map(block => block.innerText)"
    assert page.locator("pre").count() and page.locator("pre").evaluate_all(cut) == []
    page.context.close()


@pytest.mark.slow
def test_on_paper_folds_are_open_and_bars_and_code_are_not_there(built, browser):
    page = opened(browser, built / "out" / "html" / "index.html")
    page.get_by_role("button", name="Show the notebook").click()
    page.emulate_media(media="print")
    assert page.locator(".repro-table").nth(1).is_visible() and page.locator(".verdict").first.is_visible()
    for hidden in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".repro-notebook", ".cell_input", "a.csv"):
        assert not page.locator(hidden).first.is_visible(), hidden
    page.context.close()


CONTRAST = """element => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(getComputedStyle(e).backgroundColor);
    canvas.fillStyle = "white"; canvas.fillRect(0, 0, 1, 1);
    const drawn = colour => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const light = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
    };
    const ground = layers.map(drawn).at(-1), ink = drawn(getComputedStyle(element).color);
    return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(built, browser, scheme):
    page = opened(browser, built / "out" / "html" / "index.html", color_scheme=scheme)
    words = "caption span, caption a.csv, tbody th, tbody td, tbody a, thead th, .verdict, .repro-notebook a, summary"
    asked = f"all => all.map(e => [e.className + ' ' + e.textContent, ({CONTRAST})(e)])"
    found = page.locator(words).evaluate_all(asked)
    assert len(found) > 20 and [each for each in found if each[1] < 4.5] == []
    page.goto((built / "out" / "html" / "gate.html").as_uri())
    assert page.locator(".repro-figure text").first.evaluate(
        "text => getComputedStyle(text).fill === getComputedStyle(document.querySelector('section > p')).color"
    )
    page.context.close()


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
    html = table_html(formatted(table, {"c": ".1f"}), "Pairs", sortable=True)
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
    gate_page(built / "pages", "[nowhere](absent.ipynb)")
    try:
        for _ in range(2):  # Sphinx warns of a page when it reads it, so the second build must not trust the first's
            assert command(built) == 1
            message = capsys.readouterr().err
            assert "gate" in message and "absent.ipynb" in message and "Traceback" not in message
    finally:
        gate_page(built / "pages")
    assert before == {path: path.read_bytes() for path in (built / "out" / "html").glob("*.html")}
