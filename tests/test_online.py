"""Online recognition: the frames that the network sees, how its guesses are averaged, what is filed of clips."""

import json

import made
import numpy as np
import pytest
import tiny
import torch
from torch import nn

from repro.bench import online_clips
from repro.bench.online_clips import content, stream
from repro.data.clips import Clip, first_of_each_class, read_split
from repro.data.transforms import VALUES, normalise, test_view
from repro.models import MODELS, build
from repro.online.recogniser import OnlineRecogniser
from repro.online.ways import PUBLISHED, RELEASED, Way
from repro.report.online import frames_seen_figure, online_table


class Seeing(nn.Module):
    """Notes which frames it is given (frame i is grey level i) and answers with the logits it is told to."""

    def __init__(self, answers=()):
        super().__init__()
        grey = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 3, 1, 1)
        self.levels = normalise(grey)[:, 0, 0, 0]
        self.answers, self.seen, self.shapes, self.mapped = list(answers), [], [], []

    def trunk(self, frames):
        assert not torch.is_grad_enabled() and not self.training
        self.mapped.append(len(frames))
        return frames

    def head(self, maps):
        self.shapes.append(tuple(maps.shape))
        red = maps[0, 0].mean((1, 2))
        self.seen.append([int((self.levels - value).abs().argmin()) for value in red])
        return torch.tensor([self.answers[len(self.seen) - 1] if self.answers else [0.0, 0.0]])


class Keeping(Seeing):
    def head(self, maps):
        self.last = maps
        return super().head(maps)


def recogniser(network, classes=("a", "b"), **options):
    return OnlineRecogniser(network, classes, **{"frames": 2, "size": 8} | options)


def push(online, frames):
    return [online.push(np.full((12, 16, 3), frame, np.uint8)) for frame in frames]


def test_a_decision_computes_the_maps_of_its_new_frames_alone():
    """N = 4. Of four, test sampling of 2 takes the middles of halves: places 1 and 3."""
    network = Seeing()
    guesses = push(recogniser(network, frames=4), range(16))
    assert network.seen == [
        [0, 1, 2, 3],
        [1, 3, 5, 7],  # old 0..3 at places 1, 3; queue 4..7 at places 1, 3
        [3, 7, 9, 11],
        [7, 11, 13, 15],
    ]
    assert [k for k, guess in enumerate(guesses) if guess is not None] == [3, 7, 11, 15]
    assert set(network.shapes) == {(1, 3, 4, 8, 8)} and network.mapped == [4, 2, 2, 2]
    again = Seeing()
    assert np.array_equal(push(recogniser(again, frames=4, reuse=False), range(16))[-1], guesses[-1])
    assert again.seen == network.seen and again.mapped == 4 * [4]


def test_maps_are_computed_four_at_once_and_no_decision_waits_for_more():
    network = Seeing()
    online = recogniser(network, frames=6)
    push(online, range(5))
    assert network.mapped == [4]
    push(online, range(5, 12))
    assert network.mapped == [4, 2, 3]
    push(online, range(12, 14))
    online.reset()  # what was waiting belongs to no decision now
    push(online, range(6))
    assert network.mapped == [4, 2, 3, 4, 2]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", [PUBLISHED, RELEASED, Way("time", seconds=0.4, fresh=1)], ids=lambda way: way.sampling)
def test_kept_maps_decide_as_computing_all_frames_anew(model, way):
    """To 1e-5, of every network of the study, with its batch norms in use."""
    torch.manual_seed(0)
    network = build(model, classes=3, width=0.125)
    frames = np.random.default_rng(0).integers(0, 256, (24, 80, 100, 3), np.uint8)
    kept, anew = (
        [online.push(frame, k / 25) for k, frame in enumerate(frames)]
        for online in (recogniser(network, "abc", frames=4, size=64, way=way, reuse=reuse) for reuse in (True, False))
    )
    both = [(a, b) for a, b in zip(kept, anew, strict=True) if a is not None]
    assert len(both) > 4 and all(np.abs(a - b).max() < 1e-5 for a, b in both)
    clip = torch.from_numpy(test_view(frames[:4], 64)).permute(0, 3, 1, 2)[None]
    if way is PUBLISHED:  # the first N frames are the first clip
        with torch.inference_mode():
            assert np.abs(network(normalise(clip)).softmax(1)[0].numpy() - both[0][0]).max() < 1e-5


@pytest.mark.parametrize("values", VALUES)
def test_the_network_is_fed_the_values_of_its_training(values):
    network = Keeping()
    online = recogniser(network, frames=2, size=8, values=values)
    frame = np.tile(np.array([200, 100, 50], np.uint8), (12, 16, 1))
    online.push(frame)
    online.push(frame)
    expected = normalise(torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1), values)
    torch.testing.assert_close(network.last[0, :, 0, 0, 0], expected.flatten())


THIRD = float(np.log(1 / 3))  # beside a logit of 0: .75 / .25


@pytest.mark.parametrize(
    "average, expected",
    [("previous", [0.5, 0.625, 0.4375]), ("running", [0.5, 0.625, 0.5]), ("none", [0.5, 0.75, 0.25])],
)
def test_probabilities_are_averaged(average, expected):
    online = recogniser(Seeing([[0.0, 0.0], [0.0, THIRD], [THIRD, 0.0]]), way=Way(average=average))
    guesses = [guess for guess in push(online, range(6)) if guess is not None]
    assert [guess[0] for guess in guesses] == pytest.approx(expected, abs=1e-6)


def test_another_shot_begins_anew():
    """Black, then white: the frames before it are forgotten, and so is the average."""
    for at_cuts, sets, last in ((True, [[0, 0, 0], [255, 255, 255]], 0.75), (False, [[0, 0, 0], [0, 0, 255]], None)):
        network = Seeing([[0.0, THIRD], [THIRD, 0.0]])
        guesses = push(recogniser(network, frames=3, way=Way(at_cuts=at_cuts)), [0, 0, 0, 0, 255, 255, 255])
        assert network.seen == sets
        assert guesses[-1] is None if last is None else guesses[-1][1] == pytest.approx(last)


def test_the_last_label_stands_in_the_frame_that_the_network_sees():
    """As released; nothing before the first decision, nor after a new start, and the caller's frame is left alone."""
    seen = []

    class Noting(Way):
        def view(self, frame, size, label):
            seen.append(label)
            kept = frame.copy()
            view = super().view(frame, size, label)
            assert np.array_equal(frame, kept)
            return view

    online = recogniser(
        Seeing([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), way=Noting(label_drawn=True, average="none")
    )
    push(online, range(6))  # of frames 2, 3 and of 4, 5 one each is looked at
    online.reset()
    push(online, range(2))
    assert seen == [None, None, "b", "a", None, None]


def test_warming_up_computes_a_decision_and_leaves_no_trace():
    network = Seeing()
    online = recogniser(network, frames=4)
    online.warm_up()
    assert network.shapes == [(1, 3, 4, 8, 8)] and online.probabilities is None
    assert [k for k, guess in enumerate(push(online, range(8))) if guess is not None] == [3, 7]
    assert network.seen[1:] == [[0, 1, 2, 3], [1, 3, 5, 7]]


def test_reset_forgets_queue_set_and_average():
    network = Seeing([[0.0, THIRD], [THIRD, 0.0]])
    online = recogniser(network, frames=3, size=8)
    push(online, [1, 2, 3, 4])
    online.reset()
    assert push(online, [10, 11]) == [None, None]  # frame 4 is forgotten
    (guess,) = push(online, [12])
    assert network.seen == [[1, 2, 3], [10, 11, 12]]
    assert guess == pytest.approx([0.25, 0.75], abs=1e-6)


# ---- clips from files


def test_clips_are_streamed_frame_by_frame_each_from_a_new_start(tmp_path):
    """N = 5; clips of 7 and 8 frames are decided once each, and their last frames are forgotten."""
    data = tiny.write_ucf101(tmp_path, classes=("Drink", "Eat"))
    clips = read_split(tiny.experiment(data)).test
    network = Seeing()
    decisions, seconds = stream(recogniser(network, frames=5, size=8), clips)
    assert [guesses.shape for guesses in decisions] == [(1, 2)] * 4 and min(seconds) > 0
    short = recogniser(Seeing(), frames=8, size=8)
    with pytest.raises(ValueError, match=r"v_Drink_g01_c01.avi: 7 frames are fewer than the network's 8"):
        stream(short, clips)


@pytest.mark.parametrize("length", [16, 31, 47])
def test_the_rate_is_the_camera_s_whatever_the_clips_length(tmp_path, monkeypatch, length):
    """A network that takes 0.4 s for 16 frames follows 40 frames a second; frames that cost no decision do not count,
    nor does the first decision, in which libraries are loaded."""
    now = [0.0]

    class Slow(Seeing):
        def head(self, maps):
            now[0] += 0.4 if self.seen else 60.0
            return super().head(maps)

    clips = [Clip(str(k), tmp_path, 0, "g") for k in range(3)]
    monkeypatch.setattr(online_clips, "count_frames", lambda path: length)
    monkeypatch.setattr(online_clips, "read_frames", lambda path, indices: np.zeros((length, 12, 16, 3), np.uint8))
    _, seconds = stream(recogniser(Slow(), frames=16, size=8), clips, clock=lambda: now[0])
    assert seconds == pytest.approx([16 / 40] * 3 * (length // 16))


def test_the_first_clips_of_each_class():
    clips = [Clip(str(k), None, label, "g") for k, label in enumerate((1, 0, 1, 1, 0))]
    assert [clip.name for clip in first_of_each_class(clips, 2)] == ["1", "4", "0", "2"]


@pytest.fixture
def streamed():
    """Four clips of two classes and sources, two decisions on the shortest: 1 of 4 right after 8 frames, then 3."""
    first, second = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    decisions = [np.stack(each) for each in ((first, first), (second, first), (first, second, second), (first,) * 2)]
    clips = [Clip(name, None, label, group) for name, label, group in zip("abcd", (0, 0, 1, 1), "ghgh")]
    return clips, decisions, [0.1, 0.3, 0.2, 0.2]  # 8 frames each: 40 frames/s


def recorded(folder, classes):
    scores = made.logits([0, 0, 1, 1], len(classes))
    run = made.record(folder, classes=classes, labels=[0, 0, 1, 1], scores=scores, run="r")
    run.predictions["clip"] = list("dcba")
    return run


def test_what_is_filed_is_what_the_verdict_reads(tmp_path, streamed):
    found = content(recorded(tmp_path, ("drink", "Eat", "x")), *streamed)
    assert found.keys() - {"seen", "top1_seen"} == made.online().keys() - {"provenance"}
    told = {"clip": list("abcd"), "group": ["g", "h", "g", "h"], "value": [1.0, 1.0, 1.0, 0.0]}
    assert found["drink_eat"] == told | {"class": ["drink", "drink", "Eat", "Eat"]} and found["top1"] == 0.75
    assert found["top1_whole_clip"] == 0.0  # they are found by name: the record has them reversed
    assert (found["seen"], found["top1_seen"]) == ([8, 16], [0.25, 0.75])
    assert (found["clips"], found["frames_per_second"], found["run"]) == (4, pytest.approx(40), "r")
    assert content(recorded(tmp_path, ("sit", "eat", "x")), *streamed)["drink_eat"] is None


def test_the_page(tmp_path, streamed):
    found = content(recorded(tmp_path, ("drink", "eat", "x")), *streamed)
    fig, alt = frames_seen_figure(found)
    assert alt == "Top-1 by frames seen over 4 test clips: 25.0 % after 8, 75.0 % after 16; whole clip at once 0.0 %."
    assert list(fig.axes[0].lines[0].get_ydata()) == [25, 75]
    (row,) = online_table(found).to_dict("records")
    assert row["top-1 online, last decision"] == "75.0 %" and row["at best"] is None
    assert row["frames/s"] == pytest.approx(40)
    (row,) = online_table(found | {"top1": 0.5}).to_dict("records")
    assert row["at best"] == "75.0 % after 16 frames"


def test_what_is_measured_already_is_not_measured_again(tmp_path, monkeypatch):
    """Of the same run by the same code; another run or other code is measured."""
    record, places = tiny.trained(tmp_path), {"results": tmp_path / "results", "work": tmp_path / "runs"}
    first = online_clips.measure(record, 1, **places)
    again = online_clips.measure(record, 1, **places)
    assert again.content == json.loads(json.dumps(first.content)) and again.path == first.path
    assert again.provenance == first.provenance
    monkeypatch.setattr(online_clips, "sources_state", lambda: "edited")
    other = online_clips.measure(record, 1, **places)
    assert other.content["of"]["code"] == "edited" and other.content["top1"] == first.content["top1"]
    monkeypatch.setattr(online_clips, "sources_state", lambda: "edited again")
    elsewhere = places | {"work": tmp_path / "of another machine"}  # without the weights what is filed will do
    assert online_clips.measure(record, 1, **elsewhere).content == other.content
    with pytest.raises(FileNotFoundError, match=r"no weights .* delete its record"):
        online_clips.measure(record, 2, **elsewhere)
