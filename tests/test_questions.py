"""Records cut down to what is asked of them, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from made import both_networks, demo_record, labels_of, logits, predicted, record

from repro.experiment.fields import CONTROL
from repro.records.questions import above, has_converged, have_converged, learned_nothing, only, seen
from repro.records.scores import is_right


def run(tmp_path, right, *, classes=3, per_class=20, seed=0, **fields):
    labels = labels_of(classes, per_class)
    guesses = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % classes)
    return predicted(tmp_path, labels, guesses, seed=seed, **fields)


def test_some_clips_only_and_another_order(tmp_path):
    made = run(tmp_path, 60)
    made = replace(made, altered={"reversed": logits((made.labels + 1) % 3, 3)})
    assert not is_right(seen(made, "reversed")).any() and is_right(made).all()
    few = only(made, made.labels == 1)
    assert len(few.labels) == 20 and few.altered["reversed"].shape == (20, 3)
    assert next(iter(few.predictions["clip"])) == "clip00020.avi"


def test_how_far_a_share_is_above_a_threshold(tmp_path):
    runs = [run(tmp_path, right, seed=seed) for seed, right in enumerate((45, 48, 51))]
    found = above(runs, is_right, 0.5)
    assert found.point == pytest.approx(0.3) and found.runs == 3 and found.p < 0.05
    assert above(runs, is_right, 0.8).point == pytest.approx(0) and above(runs, is_right, 0.8).p == 1


def test_a_run_learned_nothing_that_is_no_better_than_one_answer(tmp_path):
    assert learned_nothing(run(tmp_path, 20)) and learned_nothing(run(tmp_path, 24))
    assert not learned_nothing(run(tmp_path, 40))
    assert not learned_nothing(run(tmp_path, 3, per_class=2))  # 3 of 6 clips: who knows
    labels = np.repeat([0, 1, 2], [180, 10, 10])  # one answer is right for nine clips of ten
    constant = record(tmp_path, labels=labels, scores=logits(np.zeros(200, int), 3))
    assert learned_nothing(constant)
    assert not learned_nothing(record(tmp_path, labels=labels, scores=logits(labels, 3)))


def test_a_set_has_converged_where_half_of_each_networks_runs_have(tmp_path):
    runs = both_networks(tmp_path, seeds=(0, 1))
    control = demo_record(tmp_path, model=CONTROL)
    control.history["train_top1"] = 0.5  # it cannot learn what order alone tells
    assert have_converged([*runs, control]) and all(map(has_converged, runs))
    runs[0].history["train_top1"] *= 0.97
    assert not has_converged(runs[0]) and have_converged(runs)
    runs[2].history["train_top1"] *= 0.97
    assert not have_converged(runs)
    waited = demo_record(tmp_path, schedule="plateau", validation_fraction=0.1, seed=5)
    waited.history["train_top1"] = 0.9
    assert has_converged(waited)  # its schedule saw that nothing got better
