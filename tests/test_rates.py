"""Learning rates are chosen on validation clips alone, for each network apart, and by the study that a run names."""

import re
from pathlib import Path

import pandas as pd
import pytest
from made import demo_record

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL
from repro.experiment.profile import PROFILES, read_profile
from repro.records.rates import by_rate, chosen, rate_for
from repro.records.record import read_all


def run(results: Path, model, rate, seed, validation, wrong=0):
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_top1": [0.1, 0.2]})
    if validation is not None:
        history["validation_top1"] = [0.9, validation]  # the first epoch's is not what is kept
    fields = {"model": model, "learning_rate": rate, "seed": seed, "study": f"rates-{rate:g}", "role": "tuning"}
    return demo_record(results, history=history, wrong=range(wrong), **fields)


def made(results: Path):
    """Of 120 test clips; the baseline's best rate on the test clips (0.02) is not the one that validation picks."""
    table = [
        (BASELINE, 0.02, (0.50, 0.52), (10, 10)),
        (BASELINE, 0.04, (0.60, 0.62), (40, 30)),
        (ATTENTION, 0.02, (0.80, 0.70), (20, 24)),
        (ATTENTION, 0.04, (0.70, 0.60), (50, 50)),
    ]
    return [
        run(results, model, rate, seed, validation[seed], wrong[seed])
        for model, rate, validation, wrong in table
        for seed in (0, 1)
    ]


def test_the_rate_is_chosen_by_the_mean_of_the_validation_clips(tmp_path):
    runs = made(tmp_path)
    assert chosen(by_rate(runs, BASELINE)) == 0.04
    assert chosen(by_rate(runs, ATTENTION)) == 0.02
    with pytest.raises(ValueError, match="no run with validation clips"):
        chosen({})
    without = run(tmp_path / "other", BASELINE, 0.02, 0, None)
    assert by_rate([without], BASELINE) == {}


def test_variants_take_the_rate_of_their_reference(tmp_path):
    runs = made(tmp_path)
    rates = {model: rate_for(runs, "rates", model) for model in (BASELINE, CONTROL, ATTENTION, TEMPORAL)}
    assert rates == {BASELINE: 0.04, CONTROL: 0.04, ATTENTION: 0.02, TEMPORAL: 0.02}
    assert rate_for(runs, "others", BASELINE) is None


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_s_rates_are_those_that_the_recorded_validation_clips_chose(path):
    records = read_all()
    for experiment in read_profile(path).experiments:
        if experiment.rate_chosen_by:
            assert experiment.learning_rate == rate_for(records, experiment.rate_chosen_by, experiment.model)


COST = re.compile(r"^# (\d+) of (\d+) runs, ([\d.]+) hours of one core: ", re.MULTILINE)


@pytest.mark.parametrize(
    "path", sorted(path for path in PROFILES.glob("*.yaml") if path.stem != "demo"), ids=lambda path: path.stem
)
def test_the_cost_at_a_profile_s_head_is_that_of_its_records(path):
    """But the demo's, which each machine makes."""
    named = {f"{experiment.study}/{experiment.run}" for experiment in read_profile(path).experiments}
    took = [record.seconds / 3600 for record in read_all() if record.name in named]
    said = COST.search(path.read_text(encoding="utf-8"))
    if said is None:
        assert len(took) < len(named), "all runs are recorded, and what they took is not at the profile's head"
    else:
        assert (int(said[1]), int(said[2])) == (len(took), len(named))
        assert float(said[3]) == pytest.approx(sum(took), abs=0.05)
