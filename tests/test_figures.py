"""Every figure from made records: no warning, labelled axes, what is drawn is what was measured, names written out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from made import DEMO, labels_of, logits, record
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.metrics.text import in_markdown
from repro.records.compare import partners
from repro.report import figures, show, svg
from repro.report.confusion import all_pairs, counts_of, pairs_figure, pairs_shown
from repro.report.svg import find_fonts, in_figure, svg_of


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(fig) -> Figure:
    """The figure, after it was drawn as the report draws it; nothing else was opened or closed."""
    assert isinstance(fig, Figure) and plt.get_fignums() == [fig.number]
    fig.canvas.draw()
    return fig


def run(results, classes=3, model=ATTENTION, right=0.5, **fields):
    names = DEMO if classes == 12 else tuple(f"Class{k:03d}" for k in range(classes))
    labels = labels_of(classes, 4)
    predicted = np.where(np.arange(len(labels)) % 4 < 4 * right, labels, (labels + 1) % classes)
    return record(results, classes=names, labels=labels, scores=logits(predicted, classes), model=model, **fields)


@pytest.mark.parametrize("classes", [3, 12, 101])
def test_confusion_plot(tmp_path, classes):
    counts = counts_of([run(tmp_path, classes)])
    fig = drawn(figures.confusion_plot({"made": counts}, DEMO * 10, range(classes)))
    axes = fig.axes
    assert len(axes) == 1 and fig.get_size_inches()[0] <= 9
    shares = cells(axes[0])
    assert shares.shape == (classes, classes) and np.allclose(shares.sum(1), 100)
    assert np.allclose(np.diag(shares), 50)
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("predicted", "true") and "%" in axes[0].get_title()
    assert bool(axes[0].texts) == (classes < 101)  # numbers only where they can be read
    labels = [*axes[0].get_xticklabels(), *axes[0].get_yticklabels()]
    assert min(text.get_fontsize() for text in [*labels, *axes[0].texts]) >= 8
    assert len(labels) == 2 * (classes if classes < 101 else 34) and not overlaps(axes[0].get_yticklabels())


def cells(axis) -> np.ndarray:
    """What a matrix shows."""
    return axis.collections[0].get_array()


def overlaps(texts) -> bool:
    """Whether two texts of a drawn figure lie on one another."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_confusion_plot_of_two_networks_has_their_difference():
    first, second = np.array([[8, 2, 0], [0, 10, 0], [5, 0, 5]]), np.array([[9, 1, 0], [0, 10, 0], [0, 0, 10]])
    axes = drawn(figures.confusion_plot({"one": first, "two": second}, "abc", [2, 0, 1])).axes
    titles = ["one (% of the true class)", "two (% of the true class)", "two minus one (points)"]
    assert [axis.get_title() for axis in axes] == titles
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["c", "a", "b"]
    assert cells(axes[2]).tolist() == [[50, -50, 0], [0, 10, -10], [0, 0, 0]]
    assert sorted(text.get_text() for text in axes[2].texts if text.get_text()) == ["+10", "+50", "-10", "-50"]
    assert not overlaps(axes[2].texts)


def test_confusion_plot_of_a_class_without_clips():
    drawn(figures.confusion_plot({"one": np.array([[3, 1], [0, 0]])}, "ab", [0, 1]))


@pytest.mark.parametrize("models, seeds", [([ATTENTION], [0]), ([BASELINE, ATTENTION, CONTROL], [0, 1])])
def test_learning_curves_are_a_mean_and_a_band_a_network(tmp_path, models, seeds):
    fig, _ = figures.learning_curves([run(tmp_path, 3, model, seed=seed) for model in models for seed in seeds])
    losses, rights = drawn(fig).axes
    assert losses.get_xlabel() == rights.get_xlabel() == "epoch"
    assert "nats" in losses.get_ylabel() and "%" in rights.get_ylabel() and losses.get_title()
    assert rights.get_title() == "Training top-1" and [text.get_text() for text in rights.texts] == ["converged"]
    legend = [text.get_text() for text in losses.get_legend().get_texts()]
    assert len(legend) == len(set(legend)) == len(models) == len(losses.lines) == len(rights.lines) - 1
    assert all(label.endswith(f"({len(seeds)} run{'s' if len(seeds) > 1 else ''})") for label in legend)
    assert list(rights.lines[-1].get_ydata()) == [98, 98]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_band_goes_from_the_lowest_to_the_highest_run_beside_the_part_that_steers(tmp_path, part):
    def ends(top1, seed):
        history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.2, top1]})
        history[f"{part}_top1"] = [0.1, top1 / 2]
        fields = {"watch": part, "schedule": "plateau", "validation_fraction": 0.1 * (part == "validation")}
        return run(tmp_path, 3, history=history, seed=seed, **fields)

    fig, alt = figures.learning_curves([ends(0.4, 0), ends(0.5, 1), ends(0.99, 2)])
    _, rights = drawn(fig).axes
    mean, steering, _ = rights.lines
    assert mean.get_ydata().tolist() == pytest.approx([20, 63]) and list(mean.get_xdata()) == [1, 2]
    assert steering.get_linestyle() == "--" and steering.get_ydata().tolist() == pytest.approx([10, 31.5])
    assert f"dashed: {part}" in rights.get_title()
    band = rights.collections[0].get_paths()[0].vertices
    assert sorted(set(band[band[:, 0] == 2][:, 1].round(6))) == [40, 99]
    assert "Training top-1 ends at 40.0 % to 99.0 %." in alt
    seeds = [f"res34_se_im_net-split1-seed{seed} {top1}.0 %" for seed, top1 in ((0, 40), (1, 50))]
    assert alt.endswith(f"ends below 98 %: {'; '.join(seeds)}.")


@pytest.mark.parametrize("measured_peak", [True, False])
def test_pace_plot(tmp_path, measured_peak):
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.1, 0.2]})
    history = history.assign(gradient_norm=[3.0, 2.0], gradient_norm_largest=[9.0, 4.0], learning_rate=[0.1, 0.05])
    history = history.assign(clips_per_second=[10.0, 12.0], waiting_share=[0.5, 0.25])
    if measured_peak:
        history["peak_share"] = [0.3, 0.4]
    norms, rates, shares, steps = drawn(figures.pace_plot(run(tmp_path, 3, history=history))).axes
    assert [list(line.get_ydata()) for line in norms.lines] == [[3, 2], [9, 4]]
    assert list(steps.lines[0].get_ydata()) == [0.1, 0.05] and list(rates.lines[0].get_ydata()) == [10, 12]
    assert [list(line.get_ydata()) for line in shares.lines] == [[50, 25], [30, 40]][: 1 + measured_peak]
    assert all(axis.get_xlabel() == "epoch" and axis.get_ylabel() for axis in (norms, rates, shares))


def frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), np.uint8)


@pytest.mark.parametrize("rows, count", [(1, 1), (1, 8), (12, 8), (2, 16)])
def test_frame_strip(rows, count):
    fig = drawn(figures.frame_strip([(f"clip {k}", frames(count)) for k in range(rows)]))
    assert len(fig.axes) == rows * count
    assert [axis.get_ylabel() for axis in fig.axes[::count]] == [f"clip {k}" for k in range(rows)]
    assert (fig.axes[-1].images[0].get_array() == frames(count)[-1]).all()


def test_frame_strip_wants_clips_of_one_length():
    with pytest.raises(ValueError):
        figures.frame_strip([("a", frames(4)), ("b", frames(3))])


def test_the_networks_differ_in_colour():
    assert len({figures.COLOURS[model] for model in figures.TITLES}) == len(figures.TITLES)


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


@pytest.mark.parametrize("name", ["$a_$", "$", "a $ b $ c", r"$\\frac$"])
def test_dollars_are_no_formula(name):
    fig = plt.figure()
    fig.text(0.5, 0.5, in_figure(name))
    assert f">{name}<" in svg_of(fig, "alt")


def test_photographs_number_what_no_font_can_draw(displayed, monkeypatch):
    default = [font for font in font_manager.fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", default)
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
    default = svg._letters(font_manager.findfont(font_manager.FontProperties()))
    font, letter = next(
        (font, min(more))
        for font in font_manager.fontManager.ttflist
        if not font.name.startswith("Last Resort")
        and (more := {code for code in svg._letters(font.fname) - default if code > 0x100})
    )
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [font])
    fig = plt.figure()
    text = fig.text(0.5, 0.5, chr(letter))
    assert find_fonts(fig) == [] and text.get_text() == chr(letter) and font.name in text.get_fontfamily()


def test_markdown_writes_names_out():
    from markdown_it import MarkdownIt

    for name in (*ODD, "<b>", "[x](y)", "`c`", "_a_", "a#b", "back\\slash"):
        html = MarkdownIt().render(f"- **s**: {in_markdown(name)} rises")
        plain = name.replace("<", "&lt;").replace(">", "&gt;")
        assert f"{plain} rises" in html, name
