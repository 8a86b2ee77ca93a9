"""What an epoch adds up to, by hand."""

import math

import pytest
import tiny
import torch

from repro.metrics.peak import Peak
from repro.training.history import Log, Pace, Tally, check_finite, gradient_columns
from repro.training.processes import Place

PLACE = Place(0, 1, torch.device("cpu"))


def test_means_over_clips_not_over_batches():
    tally = Tally()
    three = torch.eye(6)[[0, 1, 2]] * 9.0
    tally.add(torch.tensor(1.0), three, torch.tensor([0, 1, 5]))  # two right; class 5 is the last of six
    tally.add(torch.tensor(5.0), torch.eye(6)[[3]], torch.tensor([3]))
    means = tally.means("train", PLACE)
    assert means["train_loss"] == pytest.approx((3 * 1 + 5) / 4)
    assert means["train_top1"] == pytest.approx(3 / 4) and 3 / 4 <= means["train_top5"] <= 1


def test_top5_of_five_classes_says_nothing_and_is_left_out():
    tally = Tally()
    tally.add(torch.tensor(1.0), torch.eye(5), torch.arange(5))
    assert tally.means("test", PLACE) == {"test_loss": 1.0, "test_top1": 1.0}


@pytest.mark.parametrize("precision, counted", [("32-true", {}), ("16-mixed", {"steps_left_out": 1})])
def test_norms_of_steps(precision, counted):
    norms = [torch.tensor(1.0), torch.tensor(3.0), torch.tensor(math.inf)]
    found = gradient_columns(norms, precision)
    assert found == {"gradient_norm": 2.0, "gradient_norm_largest": 3.0} | counted


def test_pace_by_hand():
    peak = Peak(600.0, "case")
    row = Pace(10, peak, 2).columns(seconds=4.0, waiting=1.0, clips=8)
    # 2 clips a second, 6 operations a multiply-add, half of them on each of two processes
    assert row == {
        "seconds": 4.0, "clips_per_second": 2.0, "waiting_share": 0.25, "flops": 60.0, "peak_share": 0.1
    }  # fmt: skip


def test_what_is_not_finite():
    check_finite(1.0, None, tiny.experiment({}))
    check_finite(1.0, math.inf, tiny.experiment({}, precision="16-mixed"))  # its scale was too large for a step
    with pytest.raises(ValueError, match="the loss is nan: lower the learning rate, or use precision: 32-true"):
        check_finite(math.nan, 1.0, tiny.experiment({}, precision="16-mixed"))
    with pytest.raises(ValueError, match=r"the gradient's norm is inf: lower the learning rate$"):
        check_finite(1.0, math.inf, tiny.experiment({}))


def test_short_epochs_do_not_flood_a_log(tmp_path, capsys):
    row = {"train_loss": 1.0, "train_top1": 0.5, "clips_per_second": 9.0, "waiting_share": 0.25, "seconds": 9.0}
    log = Log(tiny.experiment({}, run="r", epochs=3), tmp_path, PLACE)
    for epoch in range(3):
        log.step(epoch, 1.0, None)
        log.epoch(row | {"epoch": epoch})
    log.close()
    line = "r: epoch 3/3: loss 1.000, training top-1 50.0%; 9.0 clips/s, 25% of the time waiting for clips\n"
    assert capsys.readouterr().out == line
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    other = Log(tiny.experiment({}), tmp_path / "other", Place(1, 2, torch.device("cpu")))
    other.step(0, 1.0, 2.0)
    other.epoch(row | {"epoch": 1})
    other.close()
    assert capsys.readouterr().out == "" and not (tmp_path / "other").exists()


@pytest.mark.parametrize("seconds, waiting, said", [(100.0, 0.25, 1), (100.0, 0.19, 0), (20.0, 0.25, 0)])
def test_a_run_that_waits_for_clips_says_what_would_help_once(tmp_path, capsys, seconds, waiting, said):
    """From the second epoch on: the first starts loader processes. Not where a whole run waits for seconds."""
    log = Log(tiny.experiment({}, run="r", epochs=5), tmp_path, PLACE, lambda *given: f"more than {given}")
    lines = []
    for epoch in range(5):
        log.epoch({"epoch": epoch, "train_loss": 1.0, "train_top1": 0.5, "clips_per_second": 9.0}
                  | {"seconds": seconds, "waiting_share": 0.9 if epoch == 0 else waiting})  # fmt: skip
        lines.append(capsys.readouterr().out)
    log.close()
    assert [f"r: more than ({seconds}, {waiting})\n" in line for line in lines] == [False, bool(said), *3 * [False]]
