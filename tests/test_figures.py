"""Every figure from made records: no warning, labelled axes, and what is drawn is what was measured."""

import warnings

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from made import DEMO, backwards_scores, labels_of, logits, record
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.metrics.statistics import Estimate, Spread
from repro.records.scores import backwards_table
from repro.report import figures
from repro.report.confusion import counts_of


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    plt.close("all")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


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


CASES = {
    "one run": lambda folder, n: [run(folder, n)],
    "one network": lambda folder, n: [run(folder, n, seed=s) for s in (0, 1)],
    "three networks": lambda folder, n: [
        run(folder, n, m, seed=s) for m in (BASELINE, ATTENTION, CONTROL) for s in (0, 1)
    ],
}


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
    assert [axis.get_title() for axis in axes] == [
        "one (% of the true class)",
        "two (% of the true class)",
        "two minus one (points)",
    ]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["c", "a", "b"]
    assert cells(axes[2]).tolist() == [[50, -50, 0], [0, 10, -10], [0, 0, 0]]
    assert sorted(text.get_text() for text in axes[2].texts if text.get_text()) == ["+10", "+50", "-10", "-50"]
    assert not overlaps(axes[2].texts)


def test_confusion_plot_of_a_class_without_clips():
    drawn(figures.confusion_plot({"one": np.array([[3, 1], [0, 0]])}, "ab", [0, 1]))


def test_gradcam_plot_lays_the_map_over_its_own_frame():
    frames = np.full((2, 8, 8, 3), 90, np.uint8)
    maps = np.zeros((2, 4, 4))
    maps[1, 0, 3] = 1
    axes = drawn(figures.gradcam_plot([("plain", frames, None), ("seen", frames, maps)])).axes
    assert [len(axis.images) for axis in axes] == [1, 1, 2, 2]
    over = axes[3].images[1]
    assert over.get_extent() == axes[3].images[0].get_extent()
    assert over.get_alpha().max() == over.get_alpha()[0, 3] > 0 and axes[2].images[1].get_alpha().max() == 0


@pytest.mark.parametrize("case", CASES)
def test_learning_curves_are_a_mean_and_a_band_a_network(tmp_path, case):
    records = CASES[case](tmp_path, 3)
    losses, rights = drawn(figures.learning_curves(records)).axes
    assert losses.get_xlabel() == rights.get_xlabel() == "epoch"
    assert "nats" in losses.get_ylabel() and "%" in rights.get_ylabel() and losses.get_title()
    assert rights.get_title() == "Training top-1" and [text.get_text() for text in rights.texts] == ["converged"]
    models = {r.experiment.model for r in records}
    legend = [text.get_text() for text in losses.get_legend().get_texts()]
    assert len(legend) == len(set(legend)) == len(models) == len(losses.lines) == len(rights.lines) - 1
    seeds = len(records) // len(models)
    assert all(label.endswith(f"({seeds} run{'s' if seeds > 1 else ''})") for label in legend)
    assert list(rights.lines[-1].get_ydata()) == [98, 98]


def test_the_band_goes_from_the_lowest_to_the_highest_run(tmp_path):
    def ends(top1, seed):
        history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.2, top1]})
        history["validation_top1"] = [0.1, top1 / 2]
        return run(tmp_path, 3, history=history, seed=seed)

    _, rights = drawn(figures.learning_curves([ends(0.4, 0), ends(0.5, 1), ends(0.9, 2)])).axes
    mean, steering, _ = rights.lines
    assert mean.get_ydata().tolist() == pytest.approx([20, 60]) and list(mean.get_xdata()) == [1, 2]
    assert steering.get_linestyle() == "--" and steering.get_ydata().tolist() == pytest.approx([10, 30])
    assert "dashed: validation" in rights.get_title()
    band = rights.collections[0].get_paths()[0].vertices
    assert sorted(set(band[band[:, 0] == 2][:, 1].round(6))) == [40, 90]


@pytest.mark.parametrize("measured_peak", [True, False])
def test_pace_plot(tmp_path, measured_peak):
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.1, 0.2]})
    history = history.assign(gradient_norm=[3.0, 2.0], gradient_norm_largest=[9.0, 4.0], learning_rate=[0.1, 0.05])
    history = history.assign(clips_per_second=[10.0, 12.0], waiting_share=[0.5, 0.25])
    if measured_peak:
        history["peak_share"] = [0.3, 0.4]
    (one,) = [run(tmp_path, 3, history=history)]
    norms, rates, shares, steps = drawn(figures.pace_plot(one)).axes
    assert [list(line.get_ydata()) for line in norms.lines] == [[3, 2], [9, 4]]
    assert list(steps.lines[0].get_ydata()) == [0.1, 0.05] and list(rates.lines[0].get_ydata()) == [10, 12]
    assert [list(line.get_ydata()) for line in shares.lines] == [[50, 25], [30, 40]][: 1 + measured_peak]
    assert all(axis.get_xlabel() == "epoch" and axis.get_ylabel() for axis in (norms, rates, shares))


def test_learning_curves_name_the_part_that_steered(tmp_path):
    history = pd.DataFrame({"epoch": [0], "train_loss": [2.0], "train_top1": [0.1], "test_top1": [0.3]})
    fields = {"watch": "test", "schedule": "plateau"}
    _, rights = drawn(figures.learning_curves([run(tmp_path, 3, history=history, **fields)])).axes
    assert "dashed: test" in rights.get_title() and len(rights.lines) == 3


@pytest.mark.parametrize("models", [[CONTROL], [BASELINE, ATTENTION, CONTROL]])
def test_backwards_plot(tmp_path, models):
    labels = labels_of(12, 10)
    scores = backwards_scores(labels, np.arange(120) % 10 < 8)
    runs = [record(tmp_path, classes=DEMO, labels=labels, scores=scores, model=model) for model in models]
    axes = drawn(figures.backwards_plot(backwards_table(runs))).axes
    assert [axis.get_title() for axis in axes] == ["Sit / Stand (20 clips)", "Pick / Put (20 clips)"]
    for axis in axes:
        assert "%" in axis.get_xlabel()
        assert [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"] == [80.0] * len(models)


def estimate(point, low, high) -> Estimate:
    return Estimate(point, low, high, 2, 40, 40, 0.1, 0.5, Spread(0.1, 0.1, 0.1, 2, 40, 40))


@pytest.mark.parametrize("pairs", [1, 6])
def test_pair_plot_has_both_networks_with_their_intervals(pairs):
    one, two = (estimate(*ends) for ends in ((0.5, 0.2, 0.9), (0.25, 0.1, 0.6)))
    rows = [(f"a{k} / b{k}", one, two) for k in range(pairs)] + [("untested / too", None, None)]
    (axis,) = drawn(figures.pair_plot(rows)).axes
    assert axis.get_xlabel() and axis.get_title()
    assert [label.get_text() for label in axis.get_yticklabels()] == [name for name, _, _ in rows]
    marked = {line.get_label(): list(line.get_xdata()) for line in axis.lines if line.get_marker() != "None"}
    assert marked == {"ResNet34-3DRes18": [0.5] * pairs, "Res34-SE-IM-Net": [0.25] * pairs}
    spans = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "None"]
    assert spans == [[0.2, 0.9]] * pairs + [[0.1, 0.6]] * pairs


def frames(count, height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("rows, count", [(1, 1), (1, 8), (12, 8), (2, 16)])
def test_frame_strip(rows, count):
    fig = drawn(figures.frame_strip([(f"clip {k}", frames(count)) for k in range(rows)]))
    assert len(fig.axes) == rows * count
    assert [axis.get_ylabel() for axis in fig.axes[::count]] == [f"clip {k}" for k in range(rows)]
    assert (fig.axes[-1].images[0].get_array() == frames(count)[-1]).all()


def test_frame_strip_wants_clips_of_one_length():
    with pytest.raises(ValueError):
        figures.frame_strip([("a", frames(4)), ("b", frames(3))])


@pytest.mark.parametrize("length, segments, rows", [(40, 8, 3), (5, 8, 1), (1, 1, 2)])
def test_sampling_plot(length, segments, rows):
    indices = np.arange(segments) * length // segments
    taken = {f"row {k}": indices for k in range(rows)} | {"test": indices}
    (axis,) = drawn(figures.sampling_plot(length, segments, taken)).axes
    assert "frame" in axis.get_xlabel() and axis.get_title()
    assert [label.get_text() for label in axis.get_yticklabels()] == list(taken)
    drawn_rows = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert [list(line.get_xdata()) for line in drawn_rows] == [list(indices)] * (rows + 1)
    assert [line.get_marker() for line in drawn_rows] == ["o"] * rows + ["s"]
    low, high = axis.get_xlim()
    assert low < indices.min() and indices.max() < high


def test_clip_histograms():
    audit = pd.DataFrame({"frames": [30, 40, 0], "seconds": [1.2, 1.6, np.nan], "fps": [25.0, 25.0, np.nan]})
    sizes = [(320 + k, 240) for k in range(9)]
    audit = pd.concat([audit] * 3, ignore_index=True).assign(width=[w for w, _ in sizes], height=[h for _, h in sizes])
    fig = drawn(figures.clip_histograms(audit))
    assert [axis.get_xlabel() for axis in fig.axes] == ["decoded frames", "duration (s)", "frames a second", "clips"]
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == 9  # clips that do not decode too
    assert sum(bar.get_height() for bar in fig.axes[1].patches) == 6
    names = [label.get_text() for label in fig.axes[3].get_yticklabels()]
    assert len(names) == 7 and names[0] == "320 × 240" and names[-1] == "3 others"
    assert fig.axes[3].patches[-1].get_width() == 3


@pytest.mark.parametrize("count", [1, 13])
def test_crop_plot(count):
    offsets = [(k % 4, k) for k in range(count)]
    fig = drawn(figures.crop_plot(frames(1)[0], 16, 20, offsets))
    boxes = [axis.patches[0] for axis in fig.axes if axis.patches]
    assert [(box.get_y(), box.get_x()) for box in boxes] == offsets
    assert {(box.get_height(), box.get_width()) for box in boxes} == {(16, 20)}


def test_the_networks_differ_in_colour():
    assert len({figures.COLOURS[model] for model in figures.TITLES}) == len(figures.TITLES)
