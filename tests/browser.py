"""A built book, read from its files in a headless browser: what a reader without a network would meet.

    python tests/browser.py book/_build/html --screenshots /tmp/shots

`audit` opens every page by file:// at three widths, light and dark and printed, and lists the problems: requests that
leave, console errors, pictures that do not load or have no alt text, formulas left as source, links to files or
sections that are not there, pages wider than the window or too long, tables that scroll sideways, what axe-core finds.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
GENERATED = ("genindex", "search")  # Sphinx's own pages: read for requests and errors, not photographed

INSPECT = """() => ({
    blind: [...document.images].filter(i => !(i.alt || "").trim()).map(i => i.src.slice(0, 120))
        .concat([...document.querySelectorAll(".text_html svg:not([aria-label])")].map(() => "an svg")),
    twice: [...document.querySelectorAll("[id]")].map(e => e.id).filter((id, k, all) => all.indexOf(id) < k),
    broken: [...document.images].filter(i => i.offsetParent && !(i.complete && i.naturalWidth))
        .map(i => i.src.slice(0, 120)),
    raw: [...document.querySelectorAll(".math")].filter(m => !m.querySelector("mjx-container"))
        .map(m => m.textContent.trim()),
    merror: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(m => m.textContent.trim()),
    links: [...document.links].map(a => a.href),
    tall: document.documentElement.scrollHeight,
    title: document.title,
})"""


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def launched(executable: str | None = None) -> Iterator:
    """A headless Chromium of the system's. Raises RuntimeError where there is none."""
    from playwright.sync_api import sync_playwright

    executable = executable or find_browser()
    if executable is None:
        raise RuntimeError("no Chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


HEIGHT = 900
PAPER = 794  # pixels of an A4 page's width
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
WIDTHS = (1280, 768, 390)  # pixels: a desktop, a tablet, a phone
SCHEMES = ("light", "dark")
TALLEST = 6000  # pixels of a page at 1280, but for the appendix of runs
LONG = ("runs", "genindex", "search")
LARGEST_BOOK, LARGEST_FRONT = 30e6, 1.5e6  # bytes, of all files and of the front page
SIDEWAYS = """() => [...document.querySelectorAll(".repro-table")]
    .filter(t => t.offsetParent && t.scrollWidth > t.clientWidth + 1)
    .map(t => `${t.getAttribute("aria-label").slice(0, 60)}, by ${t.scrollWidth - t.clientWidth} pixels`)"""
# without the roles of DPUB-ARIA that docutils gives to citations; style sheets are not fetched again
AXE = """async () => (await axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa"], preload: false,
        rules: {"aria-deprecated-role": {enabled: false}, "aria-required-children": {enabled: false}},
    })).violations
    .flatMap(v => v.nodes.map(n => [v.id, n.target.join(" ").slice(0, 90), (n.any[0] || {message: v.help}).message]))
    .map(words => words.join(": "))"""


def audit(html: Path, browser, *, screenshots: Path | None = None) -> list[str]:
    """Open every page of a built book as readers do; returns one line for each problem, [] for a book without any.

    At each width, light and dark, and printed. screenshots: a folder for one PNG a page, width and scheme.
    """
    html = Path(html).resolve()
    pages = sorted(html.glob("*.html"))
    if not pages:
        return [f"{html}: no pages"]
    problems: list[str] = []
    targets: list[tuple[str, str]] = []
    for scheme in SCHEMES:
        size = {"width": WIDTHS[0], "height": HEIGHT}
        context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        for path in pages:
            found, links = _read(context, path, scheme, screenshots)
            problems += [f"{path.name}, {scheme}: {problem}" for problem in found]
            targets += [(path.name, link) for link in links]
        context.close()
    return [*dict.fromkeys(problems), *_dead(targets, html), *_sizes(html)]


def _read(context, path: Path, scheme: str, screenshots: Path | None) -> tuple[list[str], list[str]]:
    page = context.new_page()
    problems: list[str] = []
    page.on("request", lambda request: _outward(request.url) and problems.append(f"asks for {request.url}"))
    page.on("requestfailed", lambda request: problems.append(f"did not get {request.url[:200]}"))
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("() => window.MathJax && MathJax.startup && MathJax.startup.promise.then(() => true)")
    page.wait_for_timeout(100)
    seen = page.evaluate(INSPECT)
    problems += [f"picture without alt text: {source}" for source in seen["blind"]]
    problems += [f"picture does not load: {source}" for source in seen["broken"]]
    problems += [f"two places named {name}" for name in seen["twice"]]
    problems += [f"formula not set: {source}" for source in seen["raw"] + seen["merror"]]
    if not seen["title"].strip():
        problems.append("no title")
    if path.stem not in LONG and seen["tall"] > TALLEST:
        problems.append(f"{seen['tall']} pixels high, more than {TALLEST}")
    problems += [f"a table scrolls sideways: {words}" for words in page.evaluate(SIDEWAYS)]
    if path.stem not in GENERATED:
        page.evaluate(_axe())
        problems += page.evaluate(AXE)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        if (wide := page.evaluate(WIDE)) > 0:
            problems.append(f"wider than a window of {width} by {wide} pixels")
        if screenshots and path.stem not in GENERATED:
            screenshots.mkdir(parents=True, exist_ok=True)
            shot = screenshots / f"{path.stem}-{width}-{scheme}.png"
            page.screenshot(path=shot, full_page=True, animations="disabled")
    page.set_viewport_size({"width": PAPER, "height": HEIGHT})
    page.emulate_media(media="print")
    if (wide := page.evaluate(WIDE)) > 0:
        problems.append(f"wider than the paper by {wide} pixels")
    page.close()
    return problems, seen["links"]


@cache
def _axe() -> str:
    """axe-core, which finds what keeps people out: contrast, names of controls, structure."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def _sizes(html: Path) -> list[str]:
    """Whether the book, and its front page with all that it loads, are small enough."""
    whole = sum(path.stat().st_size for path in html.rglob("*") if path.is_file())
    front = html / "index.html"
    found = [
        (html.name, whole, LARGEST_BOOK),
        (front.name, front.stat().st_size if front.is_file() else 0, LARGEST_FRONT),
    ]
    return [f"{name}: {size / 1e6:.1f} MB, more than {most / 1e6:g}" for name, size, most in found if size > most]


def _outward(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:", "about:"))


def _dead(targets: list[tuple[str, str]], html: Path) -> list[str]:
    """Links to files, or to sections of pages, that the book does not have."""
    texts: dict[Path, str] = {}
    dead = []
    for page, link in sorted(set(targets)):
        parts = urlsplit(link)
        if parts.scheme != "file":
            continue
        path = Path(unquote(parts.path))
        if path == html or path.is_dir():
            continue
        if not path.is_file():
            dead.append(f"{page}: link to {path.name}, which is not there")
        elif parts.fragment and path.suffix == ".html":
            text = texts.setdefault(path, path.read_text(encoding="utf-8"))
            if f'id="{unquote(parts.fragment)}"' not in text:
                dead.append(f"{page}: link to {path.name}#{parts.fragment}, which is not there")
    return dead


def main() -> int:
    parser = argparse.ArgumentParser(description="Read a built book in a headless browser and list its problems.")
    parser.add_argument("html", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for a PNG of each page, width and scheme")
    arguments = parser.parse_args()
    with launched() as browser:
        problems = audit(arguments.html, browser, screenshots=arguments.screenshots)
    print("\n".join(problems) or "no problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
