"""Does the head use time? What is lost with the order of frames, from made runs."""

import numpy as np
from made import DIGEST, backwards_scores, demo_record, logits, record

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL
from repro.report import orders
from repro.report.study import shown


def runs(tmp_path):
    """Both networks, right in order; shuffled they guess inside the backwards pairs."""
    found = [demo_record(tmp_path, model=model, seed=seed) for model in (BASELINE, ATTENTION) for seed in (0, 1)]
    for run in found:
        right = np.arange(len(run.labels)) % 2 == 0
        run.altered["shuffled"] = backwards_scores(run.labels, right).astype(np.float16)
    return found


def test_what_is_lost_is_asked_of_the_clips_that_order_tells_apart(tmp_path):
    (study,) = shown(runs(tmp_path), DIGEST)
    assert orders.asked(study) and orders.asked_of(study) == "2 pairs of classes that only order tells apart"
    text = orders.answer_text([study])
    assert text.count("\n") == 2 and "frames in order, minus that with frames shuffled +50.0 points [" in text
    assert "p is below 0.01: 2 of 2 comparisons" in text
    rows = orders.orders_table([study]).to_dict("records")
    assert [row["network, frames"] for row in rows] == ["ResNet34-3DRes18, shuffled", "Res34-SE-IM-Net, shuffled"]
    assert (rows[0]["in order"], rows[0]["otherwise"], rows[0]["runs"]) == ("100.0 %", "50.0 %", 2)
    _, alt = orders.orders_figure(study)
    assert "Res34-SE-IM-Net, shuffled 50.0 %" in alt


def test_choice_inside_the_backwards_pairs(tmp_path):
    runs = [demo_record(tmp_path, model=model, to_partner=[80, 81]) for model in (BASELINE, CONTROL)]  # of Sit, 2 of 10
    table = orders.backwards_choices(runs)
    assert list(table["right / clips"]) == ["18 / 20", "20 / 20"] * 2
    assert table["share right [95 %]"][0].startswith("90.0 % [")
    fig, alt = orders.backwards_figure(runs)
    assert (
        "ResNet34-3DRes18 split 1, seed 0 Sit / Stand: 90.0 %; ResNet34-3DRes18 split 1, seed 0 Pick / Put: 100.0 %"
        in alt
    )
    assert [axis.get_title() for axis in fig.axes] == ["Sit / Stand (20 clips)", "Pick / Put (20 clips)"]
    points = [[line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"] for axis in fig.axes]
    assert points == [[90, 90], [100, 100]]
    assert orders.backwards_choices([record(tmp_path, labels=[0, 1], scores=logits([0, 1], 3))]).empty


def test_without_such_scores_it_was_not_run(tmp_path):
    (study,) = shown([demo_record(tmp_path)], DIGEST)
    assert not orders.asked(study) and orders.answer_text([]).startswith("**Not run:**")
