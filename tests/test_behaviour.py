"""A record goes stale with every edit that changes what a run does, and with no other."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import repro.training.digest as behaviour
from repro.experiment.fields import Experiment
from repro.records.freshness import COARSE, differences, used_by

PACKAGE = Path(behaviour.__file__).parents[1]
EDITS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
CHANGES = {edit["name"]: edit for edit in EDITS["change"]}


def edited(folder: Path, *edits: dict) -> Path:
    """A copy of the package with these edits, each of which must fit."""
    shutil.copytree(PACKAGE, folder / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        path = folder / "repro" / edit["file"]
        text = path.read_text()
        assert edit["old"] in text, edit
        path.write_text(text.replace(edit["old"], edit["new"]))
    return folder


@pytest.fixture(scope="module")
def today():
    return behaviour.digest()


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    """Of every change by its name, and of all words together under ""."""
    place = tmp_path_factory.mktemp("mutants")
    folders = [edited(place / str(k), change) for k, change in enumerate(CHANGES.values())]
    folders.append(edited(place / "words", *EDITS["words"]))
    command = [sys.executable, str(Path(__file__).with_name("mutants.py")), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip([*CHANGES, ""], json.loads(done.stdout), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_run_makes_its_record_stale(change, digests, today):
    experiment = Experiment(model="res34_se_im_net", **CHANGES[change].get("fields", {}))
    assert isinstance(digests[change], dict), digests[change]
    assert differences(used_by(experiment, today), used_by(experiment, digests[change]))


@pytest.mark.slow
def test_words_names_and_layout_leave_every_record_fresh(digests, today):
    assert isinstance(digests[""], dict), digests[""]
    assert differences(today, digests[""]) == []


def test_the_same_code_gives_the_same_digest_with_any_number_of_threads(today):
    threads = torch.get_num_threads()
    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert differences(today, behaviour.digest()) == []
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_every_number_of_the_digest_is_finite_and_every_section_says_something(today):
    assert all(len(set(values)) > 1 or name.startswith(("values", "carving")) for name, values in today.items())
    assert all(abs(value) < 1e6 for values in today.values() for value in values)
    assert set(COARSE) <= {re.split(" ", name)[0] for name in today}


def test_differences_allow_rounding_only():
    known = {"a": [1.0, 0.0], "b": [2.0]}
    assert differences(known, {"a": [1.0 + 5e-7, 5e-10], "b": [2.0]}) == []
    assert differences(known, {"a": [1.0 + 5e-6, 0.0], "b": [2.0, 3.0]}) == ["a", "b"]
    assert differences({"items": [1.0]}, {"items": [1.01]}) == [] != differences({"items": [1.0]}, {"items": [1.1]})


def test_a_section_that_one_side_lacks_is_a_difference():
    assert differences({"a": [1.0]}, {"a": [1.0], "new": [1.0]}) == ["new"]
    assert differences({"a": [1.0], "gone": [1.0]}, {"a": [1.0]}) == ["gone"]
    assert differences({}, {"a": [1.0]}) == ["a"]


OF_ALL = {"crops", "batches", "items", "carving", "steps"}
OWN = {
    "start resnet34_3dres18", "network resnet34_3dres18", "sampling paper_text", "values imagenet", "groups one",
    "schedule plateau", "frames opencv",
}  # fmt: skip


@pytest.mark.parametrize(
    "fields, other",
    [
        ({}, {}),
        ({"sampling": "eco_pytorch"}, {"sampling paper_text": "sampling eco_pytorch"}),
        ({"values": "eco_pytorch_resnet"}, {"values imagenet": "values eco_pytorch_resnet"}),
        ({"parameter_groups": "eco_pytorch"}, {"groups one": "groups eco_pytorch"}),
        ({"schedule": "cosine"}, {"schedule plateau": "schedule cosine"}),
        ({"decoder": "pyav"}, {"frames opencv": "frames pyav"}),
        ({"swap_labels": True}, {"": "labels swapped"}),
    ],
)
def test_a_run_uses_its_own_choices_and_what_all_use(today, fields, other):
    names = set(used_by(Experiment(model="resnet34_3dres18", **fields), today))
    assert names == (OF_ALL | OWN | set(other.values())) - set(other)


def test_a_gated_network_uses_its_own_gate(today):
    for fields, gate in (({}, "gate se_im"), ({"gate": "se"}, "gate se"), ({"gate": "times_2"}, "gate times_2")):
        used = used_by(Experiment(model="res34_se_im_net", **fields), today)
        assert [name for name in used if name.startswith("gate")] == [gate]
