"""The behaviour digest changes with what the code does, section by section, and with nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

import repro.models.blocks as blocks
import repro.training.digest as behaviour
from repro.data.sampling import POLICIES
from repro.experiment.fields import Experiment
from repro.records.freshness import differences, used_by
from repro.records.record import read_record


@pytest.fixture(scope="module")
def today():
    return behaviour.digest()


def changed(today) -> list[str]:
    return differences(today, behaviour.digest())


def test_the_same_code_gives_the_same_digest_with_any_number_of_threads(today):
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert changed(today) == []
    finally:
        torch.set_num_threads(threads)


def test_a_docstring_changes_nothing(today, monkeypatch):
    monkeypatch.setattr(blocks.BasicBlock, "__doc__", "another text")
    assert changed(today) == []


def test_other_sampling_changes_the_sampling(today, monkeypatch):
    for name, section in (("paper_text", "sampling"), ("eco_pytorch", "sampling eco_pytorch")):
        other = POLICIES[name]._replace(test=lambda frames, segments: np.arange(segments) * frames // segments)
        with monkeypatch.context() as patch:
            patch.setitem(POLICIES, name, other)
            assert changed(today) == [section]


def test_other_labels_of_mirror_images_change_their_section_alone(today, monkeypatch):
    monkeypatch.setattr(behaviour, "swap_sides", lambda classes: list(range(len(classes))))
    assert changed(today) == ["labels swapped"]


def test_other_values_groups_and_batches_change_their_sections_alone(today, monkeypatch):
    normalise, windows = behaviour.normalise, behaviour.window_clips
    slips = {
        "normalise": lambda clips, values="imagenet": normalise(clips, values) * (1 if values == "imagenet" else 2),
        "parameter_groups": lambda network, experiment: [{"lr": 1, "weight_decay": 0, "params": []}],
        "window_clips": lambda sizes, accumulate: windows(sizes, 1),
    }
    sections = [["values eco_pytorch", "values eco_pytorch_resnet"], ["groups eco_pytorch"], ["batches"]]
    for (name, slip), expected in zip(slips.items(), sections, strict=True):
        with monkeypatch.context() as patch:
            patch.setattr(behaviour, name, slip)
            assert changed(today) == expected


def test_another_gate_changes_its_networks_alone(today, monkeypatch):
    weights = blocks.Gate.weights
    monkeypatch.setattr(blocks.Gate, "weights", lambda self, branch: weights(self, branch) * 0.99)
    assert changed(today) == ["network res34_se_im_net", "network res34_se_im_ta_net"]


def test_another_stride_changes_every_network(today, monkeypatch):
    start = blocks.BasicBlock.__init__

    def other(self, channels_in, channels_out, *, stride=1, **options):
        start(self, channels_in, channels_out, stride=1 if stride == 2 else stride, **options)

    monkeypatch.setattr(blocks.BasicBlock, "__init__", other)
    assert all(name.startswith("network ") for name in changed(today)) and len(changed(today)) == 4


def test_another_rate_rule_changes_the_optimisation(today, monkeypatch):
    schedule = behaviour.make_schedule

    def other(optimiser, experiment):
        made = schedule(optimiser, experiment)
        if experiment.schedule == "plateau":
            made.factor = 0.5
        return made

    monkeypatch.setattr(behaviour, "make_schedule", other)
    assert changed(today) == ["optimisation"]


def test_differences_allow_rounding_only():
    known = {"a": [1.0, 0.0], "b": [2.0]}
    assert differences(known, {"a": [1.0 + 5e-7, 5e-10], "b": [2.0], "new": [1.0]}) == []
    assert differences(known, {"a": [1.0 + 5e-6, 0.0], "b": [2.0, 3.0]}) == ["a", "b"]
    assert differences(known, {"a": [1.0, 0.0]}) == ["b"]


@pytest.mark.parametrize(
    "fields, own",
    [
        ({}, {"sampling"}),
        ({"sampling": "eco_pytorch"}, {"sampling eco_pytorch"}),
        ({"swap_labels": True}, {"sampling", "labels swapped"}),
        ({"values": "eco_pytorch_resnet"}, {"sampling", "values eco_pytorch_resnet"}),
        ({"parameter_groups": "eco_pytorch"}, {"sampling", "groups eco_pytorch"}),
        ({"accumulate": 2}, {"sampling", "batches"}),
        ({"last_batch": "drop"}, {"sampling", "batches"}),
    ],
)
def test_a_run_uses_its_own_choices_and_all_else(today, fields, own):
    names = set(used_by(Experiment(model="resnet34_3dres18", **fields), today))
    assert names == {"transforms", "optimisation", "network resnet34_3dres18"} | own


RECORDS = sorted((Path(__file__).parents[1] / "results" / "ucf101-3").glob("*/record.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_the_recorded_runs_are_fresh_and_made_by_the_defaults(today, path):
    record = read_record(path.parent)
    assert record.stale(used_by(record.experiment, today)) == []
    assert set(record.digest) == set(used_by(record.experiment, today))
    e = record.experiment
    assert (e.decoder, e.sampling, e.swap_labels, e.unusable) == ("opencv", "paper_text", False, "error")
