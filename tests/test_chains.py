"""Chains of runs: pre-train, then fine-tune on other clips and classes; what was loaded is in the record."""

import dataclasses

import pytest
import tiny
import torch

from repro.training import loop as training
from repro.training.loop import train


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        tiny.quick(patch)
        yield


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A baseline trained on three classes, and a function that runs others beside it."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        three = tiny.write_ucf101(folder / "three", classes=("A", "B", "C"))
        two = tiny.write_ucf101(folder / "two")

        def run(data=two, **fields):
            experiment = tiny.experiment(data, **{"epochs": 1, **fields})
            return train(experiment, results=folder / "results", work=folder / "work")

        run(three, study="pre", run="base", model="resnet34_3dres18")
        yield folder, run


def weights(folder, name):
    return torch.load(folder / "work" / name / "weights.pt", weights_only=True)


def test_fine_tuning_starts_from_the_source_and_says_what_it_took(chain, monkeypatch, capsys):
    folder, run = chain
    seen = {}
    fit = training.fit

    def look(recogniser, *arguments):
        seen.update({name: value.clone() for name, value in recogniser.network.state_dict().items()})
        return fit(recogniser, *arguments)

    monkeypatch.setattr(training, "fit", look)
    record = run(run="fine", start_from="pre/base")
    source = weights(folder, "pre/base")
    for name, value in source.items():
        if not name.startswith("head.fc."):
            assert torch.equal(seen[name], value), name
    (started,) = record.data["start"]
    assert started["part"] == "network" and started["source"].endswith("pre/base/weights.pt")
    assert started["loaded"] == len(source) - 2
    reasons = started["not_loaded_by_reason"]
    assert sum(map(len, reasons.values())) == started["not_loaded"] == 2 + 16 * 4  # the classifier, and 16 gates
    shape = next(reason for reason, names in reasons.items() if "head.fc.weight" in names)
    assert "(3, 64)" in shape and "(2, 64)" in shape
    assert f"start_from {started['source']}: loaded {started['loaded']}" in capsys.readouterr().out


def test_other_weights_make_another_run(chain, capsys):
    folder, run = chain
    first = run(run="again", start_from="pre/base")
    assert run(run="again", start_from="pre/base").folder == first.folder
    assert "a fresh record is there" in capsys.readouterr().out
    state = weights(folder, "pre/base")
    path = folder / "work" / "pre" / "base" / "weights.pt"
    kept = path.read_bytes()
    try:
        torch.save({name: value + 0.01 for name, value in state.items()}, path)
        changed = run(run="again", start_from="pre/base")
    finally:
        path.write_bytes(kept)
    assert "which differs in the weights it starts from" in capsys.readouterr().out
    assert changed.data["start"][0]["digest"] != first.data["start"][0]["digest"]


def test_nothing_is_said_of_a_run_from_scratch(chain):
    _folder, run = chain
    assert "start" not in run(run="scratch").data


@pytest.mark.parametrize("source, message", [
    ("pre/nothing", r"start_from: 'pre/nothing' is neither a weights file nor a run that was finished in .*train that"),
    ("pre/half", r"start_from: run pre/half is not finished .*finish it first"),
])  # fmt: skip
def test_a_source_that_is_not_there(chain, source, message):
    folder, run = chain
    (folder / "work" / "pre" / "half").mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError, match=message):
        run(run="lost", start_from=source)


def test_the_tables_show_it(chain):
    from repro.report.tables import starts_table
    from repro.report.training import habits_table, pace_by_study, share_text

    _folder, run = chain
    record = run(run="fine", start_from="pre/base")
    (row,) = starts_table([record]).to_dict("records")
    assert row["part"] == "network" and row["tensors: loaded; not loaded; unused"] == "306; 66; 0"
    assert "head.fc.weight" in row["reasons"]
    (row,) = pace_by_study([record]).to_dict("records")
    assert row["clips/s"] > 0 and row["share of the peak"].endswith("%")
    old = dataclasses.replace(record, history=record.history[["epoch", "train_loss"]], data={"hash": "x"})
    assert pace_by_study([old]).empty and starts_table([old]).empty
    (row,) = pace_by_study([record, old, record]).to_dict("records")
    assert (row["study"], row["runs"], row["device"][:3]) == ("tiny", 2, "CPU")
    # a share above the peak is a fault of the peak
    assert [share_text(share) for share in (0.431, None)] == ["43.1 %", "not measured"]
    assert share_text(1.12) == "112.0 %: the measured peak is at fault"
    table = habits_table()
    assert len(table) == len(set(table["habit"])) and (table != "").all().all()
