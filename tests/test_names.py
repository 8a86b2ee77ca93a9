"""Class names that are formulas, tables, or in letters that no font here has: figures and sentences write them out."""

import numpy as np
import pytest
from made import labels_of, logits, record
from matplotlib import font_manager
from matplotlib import pyplot as plt

from repro.experiment.fields import ATTENTION, BASELINE
from repro.metrics.text import in_markdown
from repro.records.compare import partners
from repro.report import figures, names, show
from repro.report.confusion import all_pairs, counts_of, pairs_figure, pairs_shown
from repro.report.names import find_fonts, in_figure
from repro.report.svg import svg_of

ODD = ("$a_$", "拍手", "नमस्ते", "👋🏽", "a|b*c", "x^2")


@pytest.fixture
def displayed(monkeypatch):
    """What `show` displays: (mime, content) and Markdown."""
    found = []
    monkeypatch.setattr(show, "display", lambda content, **_: found.append(content))
    return found


def test_a_confusion_page_of_odd_classes(tmp_path):
    labels = labels_of(len(ODD), 4)
    rng = np.random.default_rng(0)
    scores = logits(rng.permutation(labels), len(ODD))
    runs = [record(tmp_path, classes=ODD, labels=labels, scores=scores, model=model) for model in (BASELINE, ATTENTION)]
    pairs = pairs_shown(all_pairs(partners(runs, BASELINE, ATTENTION)), 5)
    drawn = figures.confusion_plot({"a": counts_of(runs)}, ODD, range(len(ODD)))
    text = svg_of(drawn, "alt") + svg_of(pairs_figure(pairs, partners(runs, BASELINE, ATTENTION))[0], "alt")
    for name in ODD:
        assert f">{name}<" in text, "words stay words: the browser has the letters"
    for pair in pairs["pair"]:
        assert f">{pair}<" in text
    plt.close("all")


@pytest.mark.parametrize("name", ["$a_$", "$", "a $ b $ c", r"$\\frac$"])
def test_dollars_are_no_formula(name):
    fig = plt.figure()
    fig.text(0.5, 0.5, in_figure(name))
    assert f">{name}<" in svg_of(fig, "alt")
    plt.close(fig)


def test_photographs_number_what_no_font_can_draw(displayed, monkeypatch):
    monkeypatch.setattr(names, "_fonts", lambda: iter(()))
    frames = np.zeros((2, 40, 40, 3), np.uint8)
    rows = [(name, frames) for name in ("拍手", "$a_$", "Wave", "拍手", "$拍$")]
    show.show(figures.frame_strip(rows), "Frames.")
    picture, legend = displayed
    assert picture["text/plain"] == "Frames.; (1) 拍手; (2) $拍$", "and it is said to those who do not see it"
    assert legend.data == r"In the picture: (1) 拍手; (2) \$拍\$."


def test_plain_words_stay_as_they_are(displayed):
    frames = np.zeros((2, 40, 40, 3), np.uint8)
    show.show(figures.frame_strip([("Wave (é)", frames)]), "Frames.")
    assert [content["text/plain"] for content in displayed] == ["Frames."]


def test_a_font_that_has_the_letters_is_taken(monkeypatch):
    """One of the fonts that matplotlib brings has letters that its default lacks."""
    default = names._plain()
    font, letter = next(
        (font, min(more))
        for font in font_manager.fontManager.ttflist
        if not font.name.startswith("Last Resort")
        and (more := {code for code in names._letters(font.fname) - default if code > 0x100})
    )
    monkeypatch.setattr(names.font_manager.fontManager, "ttflist", [font])
    fig = plt.figure()
    text = fig.text(0.5, 0.5, chr(letter))
    assert find_fonts(fig) == [] and text.get_text() == chr(letter) and font.name in text.get_fontfamily()
    plt.close(fig)


def test_markdown_writes_names_out():
    from markdown_it import MarkdownIt

    for name in (*ODD, "<b>", "[x](y)", "`c`", "_a_", "a#b", "back\\slash"):
        html = MarkdownIt().render(f"- **s**: {in_markdown(name)} rises")
        plain = name.replace("<", "&lt;").replace(">", "&gt;")
        assert f"{plain} rises" in html, name
