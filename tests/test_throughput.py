"""Measuring training: the ways compute the same step, sizes that do not fit say so, and what the page makes of it."""

import dataclasses

import pandas as pd
import pytest
import tiny
import torch

from repro.bench import throughput
from repro.bench.throughput import PLAIN, WAYS, Way, compare_batches, compare_ways, training_step
from repro.experiment.fields import Experiment
from repro.metrics.peak import measure_peak
from repro.report import training as page
from repro.training import loop as training

SMALL = Experiment(width=0.125, frames=2, size=64, dropout=0.0, schedule="cosine", validation_fraction=0.0)
CPU = torch.device("cpu")
QUICK = {name: way for name, way in WAYS.items() if not way.compile}


def test_every_way_trains_the_same_step():
    """Three steps' losses of each way without a compiler: equal but for rounding, and falling."""
    torch.manual_seed(0)
    network = throughput.build("res34_se_im_net", classes=3, width=0.125, dropout=0.0)
    fast = dataclasses.replace(SMALL, learning_rate=0.02)
    losses = {}
    for name, way in QUICK.items():
        step = training_step(fast, way, network, 4, CPU)
        losses[name] = [step() for _ in range(3)]
    plain = losses[PLAIN]
    assert plain[2] < plain[0]
    assert losses["fp32, as repro trains"] == pytest.approx(plain, rel=1e-3)
    assert losses["bf16-mixed, as repro trains"][0] == pytest.approx(plain[0], rel=0.05)


def test_ways_side_by_side():
    found = compare_ways(SMALL, QUICK, batch=2, repeats=3, device=CPU, seconds=0.1)
    assert list(found["ways"]) == list(QUICK) and "ratio" not in found["ways"][PLAIN]
    assert set(found["peaks"]) == {"32-true", "bf16-mixed"}
    for name, way in found["ways"].items():
        rate = way["clips_per_second"]
        assert rate["q25"] <= rate["median"] <= rate["q75"]
        assert way["flops"] == pytest.approx(6 * found["multiply_adds"] * rate["median"])
        assert way["peak_share"] == pytest.approx(way["flops"] / found["peaks"][way["precision"]]["flops"])
        if name != PLAIN:
            assert way["ratio"]["low"] <= way["ratio"]["median"] <= way["ratio"]["high"]


def test_a_loss_that_is_not_finite_has_no_speed(monkeypatch):
    monkeypatch.setattr(throughput, "training_step", lambda *_: lambda: float("nan"))
    with pytest.raises(ValueError, match="some way: the loss of the first step is not finite"):
        compare_ways(SMALL, {"some way": Way()}, batch=2, repeats=2, device=CPU, seconds=0.1)


def test_a_batch_that_does_not_fit_says_so_and_the_others_go_on(monkeypatch):
    made = throughput.training_step

    def step(experiment, way, network, batch, device):
        if batch == 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made(experiment, way, network, batch, device)

    monkeypatch.setattr(throughput, "training_step", step)
    rows = compare_batches(SMALL, [2, 64, 4], repeats=2, device=CPU, seconds=0.1)
    assert [row["clips_per_second"] is None for row in rows] == [False, True, False]
    table = page.batches_table(rows)
    assert table["share of the peak"][1] == "does not fit" and table["share of the peak"][0].endswith("%")
    assert table["memory expected (GB)"].is_monotonic_increasing is False and table["batch"].tolist() == [2, 64, 4]


def test_runs_in_both_precisions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "todays_digest", lambda: {"sampling": [1.0]})
    monkeypatch.setattr(training, "measure_peak", lambda *a, **k: measure_peak("cpu", "32-true", seconds=0.05))
    data = tiny.write_ucf101(tmp_path / "set")
    runs = [tiny.experiment(data, seed=seed, study="precision") for seed in (0, 1)]
    rows, scores = throughput.train_in_both_precisions(runs, folder=tmp_path / "measured")
    assert [(row["precision"], row["seed"]) for row in rows] == [
        ("32-true", 0), ("bf16-mixed", 0), ("32-true", 1), ("bf16-mixed", 1)
    ]  # fmt: skip
    for row in rows:
        mine = scores[(scores["precision"] == row["precision"]) & (scores["seed"] == row["seed"])]
        assert len(mine) == row["clips"] == 4 and (mine["label"] == mine["predicted"]).sum() == row["right"]
    assert page.runs_table(rows)["right / clips"].tolist() == [f"{r['right']} / 4" for r in rows]


# --- the page


def test_the_difference_of_precisions_by_hand():
    """Two seeds, four clips in four groups: fp32 has 2 and 3 right, bf16 2 and 1: -2 of 8."""
    right = {("32-true", 0): [1, 1, 0, 0], ("32-true", 1): [1, 1, 1, 0]}
    right |= {("bf16-mixed", 0): [1, 0, 1, 0], ("bf16-mixed", 1): [1, 0, 0, 0]}
    rows = [
        {"precision": p, "seed": seed, "clip": f"c{k}", "group": f"g{k}", "label": 1, "predicted": value}
        for (p, seed), values in right.items()
        for k, value in enumerate(values)
    ]
    difference = page.precision_difference(pd.DataFrame(rows))
    assert difference.point == pytest.approx(-0.25) and difference.low <= -0.25 <= difference.high


@pytest.mark.parametrize("ratio, verdict", [
    ({"median": 1.9, "low": 1.6, "high": 2.1}, "reached."),
    ({"median": 1.6, "low": 1.4, "high": 1.8}, "by its median only"),
    ({"median": 1.2, "low": 1.1, "high": 1.3}, "missed."),
])  # fmt: skip
def test_the_goal_is_judged_by_its_interval(ratio, verdict):
    (line,) = page.findings({"ways": {PLAIN: {}, "ours": {"ratio": ratio}}}, None)
    assert verdict in line and "fastest way is ours" in line


def test_a_disturbed_measurement_is_said_to_be_one():
    rates = {"median": 3.0, "q25": 0.7, "q75": 3.2}
    quiet = {"ways": {PLAIN: {"clips_per_second": rates | {"q25": 2.9}}}}
    assert page.findings(quiet, None) == []
    (line,) = page.findings({"ways": {PLAIN: {"clips_per_second": rates}}}, None)
    assert "at other work in some rounds" in line


@pytest.mark.parametrize("share, text", [
    (0.431, "43.1 %"), (1.12, "112.0 %: the measured peak is at fault"), (None, "not measured"),
    (float("nan"), "not measured"),
])  # fmt: skip
def test_a_share_above_the_peak_is_a_fault_of_the_peak(share, text):
    assert page.share_text(share) == text


def test_every_habit_has_a_row():
    table = page.habits_table()
    assert len(table) == len(set(table["habit"])) and (table != "").all().all()
    assert "watch: test" in table.set_index("habit").loc["test_steers", "fields"]
