"""Clips as pictures: which are shown, with which words, and that weights other than the recorded run's are noticed."""

import dataclasses

import numpy as np
import pytest
import tiny
import torch
from made import demo_record, record

from repro.data.clips import read_split
from repro.experiment.fields import ATTENTION, BASELINE
from repro.models import build
from repro.report import examples
from repro.report.examples import CASES, example_clips
from repro.report.study import Study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both networks with weights of a seed, and their records of the test clips of a small set: runs, networks."""
    folder = tmp_path_factory.mktemp("set")
    data = tiny.write_ucf101(folder / "set", classes=("Drink", "Eat"))
    runs, networks = [], {}
    for seed, model in enumerate((BASELINE, ATTENTION)):
        fields = tiny.experiment(data, model=model, study="s").to_dict()
        del fields["classes"]
        torch.manual_seed(seed)
        networks[model] = build(model, classes=2, width=0.125).eval()
        clips = {clip.name: clip for clip in read_split(tiny.experiment(data)).test}
        batch = examples.inputs(list(clips.values()), tiny.experiment(data))
        with torch.no_grad():
            scores = networks[model](batch).numpy()
        labels = [clip.label for clip in clips.values()]
        some = record(folder / "results", classes=("Drink", "Eat"), labels=labels, scores=scores, **fields)
        some.predictions["clip"] = list(clips)
        runs.append(some)
    return tuple(runs), networks, clips


def test_weights_of_another_training_are_noticed(made):
    pair, networks, clips = made
    assert examples.are_recorded(networks, pair, clips)
    torch.manual_seed(9)
    other = networks | {ATTENTION: build(ATTENTION, classes=2, width=0.125).eval()}
    assert not examples.are_recorded(other, pair, clips)


@pytest.mark.parametrize("weights", [True, False])
def test_examples_with_and_without_weights(made, weights):
    pair, networks, clips = made
    found = example_clips(pair, (0, 1))
    assert len(found)
    fig, alt = examples.examples_figure(found, pair, clips, networks if weights else {}, "Drink / Eat")
    assert len(fig.axes) == len(found) * (2 if weights else 1) * 2  # two frames a clip
    assert [len(axis.images) for axis in fig.axes] == [2 if weights else 1] * len(fig.axes)
    for frame, *maps in (axis.images for axis in fig.axes):
        assert all(each.get_extent() == frame.get_extent() for each in maps)
    assert "Test clips of Drink / Eat, 2 frames each: " in alt and "Drink/v_Drink_g01_c01.avi (both wrong)" in alt
    assert ("what speaks for their class" in alt) is weights
    table = examples.examples_table(found, ("Drink", "Eat"))
    assert list(table["clip"]) == list(found["clip"])
    for network in ("ResNet34-3DRes18", "Res34-SE-IM-Net"):
        shares = table[f"{network}: own / other class"].str.findall(r"\d+").iloc[0]
        assert sum(map(int, shares)) == 100


def test_a_map_is_opaque_where_it_speaks_for_the_class():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 3] = 1
    fig = examples.gradcam_plot([("seen", np.full((1, 8, 8, 3), 90, np.uint8), maps)])
    over = fig.axes[0].images[1].get_alpha()
    assert over.max() == over[0, 3] > 0 and np.count_nonzero(over) == 1


def test_the_first_study_whose_clips_are_here_is_shown(made, tmp_path):
    pair, _, clips = made
    here = Study("here", pair)
    away = [dataclasses.replace(run.experiment, videos="nowhere") for run in pair]
    gone = Study("gone", tuple(dataclasses.replace(run, experiment=there) for run, there in zip(pair, away)))
    assert examples.first_at_hand([gone]) is None
    other = pair[0].predictions["clip"] + "2"
    named = [dataclasses.replace(run, predictions=run.predictions.assign(clip=other)) for run in pair]
    assert examples.first_at_hand([Study("clips of other names", tuple(named))]) is None
    study, found = examples.first_at_hand([gone, here])
    assert study is here and found.keys() == clips.keys()


def test_example_clips_right_and_wrong(tmp_path):
    """Clips 0-3 of Wave: wrong for SE-IM alone, both, none, the baseline alone; clip 4 is taken for a third class."""
    first = demo_record(tmp_path, model=BASELINE, to_partner=(1, 3), wrong=(4,))
    second = demo_record(tmp_path, model=ATTENTION, to_partner=(0, 1))
    found = example_clips((first, second), (0, 1))
    assert list(found["case"]) == list(CASES)
    assert list(found["clip"]) == [f"clip0000{k}.avi" for k in (3, 0, 1, 2)]
    one = found.iloc[0]
    largest, other = np.exp(2) / (np.exp(2) + 11), 1 / (np.exp(2) + 11)
    assert one[f"said_{BASELINE}"] == 1 and one[f"said_{ATTENTION}"] == 0
    assert one[f"true_{BASELINE}"] == pytest.approx(other) and one[f"other_{BASELINE}"] == pytest.approx(largest)
    assert one[f"true_{ATTENTION}"] == pytest.approx(largest)
    assert list(example_clips((first, second), (2, 3))["case"]) == ["both right"]
