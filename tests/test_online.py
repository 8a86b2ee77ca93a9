"""Online recognition: which frames the network sees, worked out by hand, and how its guesses are averaged."""

import numpy as np
import pytest
import torch
from torch import nn

from repro.data.transforms import normalise
from repro.online.recogniser import OnlineRecogniser


class Seeing(nn.Module):
    """Notes which frames it is given (frame i is grey level i) and answers with the logits it is told to."""

    def __init__(self, answers=()):
        super().__init__()
        grey = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 3, 1, 1)
        self.levels = normalise(grey)[:, 0, 0, 0]
        self.answers, self.seen, self.shapes = list(answers), [], []

    def forward(self, clips):
        assert not torch.is_grad_enabled() and not self.training
        self.shapes.append(tuple(clips.shape))
        red = clips[0, :, 0].mean((1, 2))
        self.seen.append([int((self.levels - value).abs().argmin()) for value in red])
        return torch.tensor([self.answers[len(self.seen) - 1] if self.answers else [0.0, 0.0]])


def push(online, frames):
    return [online.push(np.full((12, 16, 3), frame, np.uint8)) for frame in frames]


def test_working_sets_of_an_even_number():
    """N = 4. Of four, test sampling of 2 takes the middles of halves: places 1 and 3."""
    network = Seeing()
    guesses = push(OnlineRecogniser(network, frames=4, size=8), range(16))
    assert network.seen == [
        [0, 1, 2, 3],
        [1, 3, 5, 7],  # old 0..3 at places 1, 3; queue 4..7 at places 1, 3
        [3, 7, 9, 11],
        [7, 11, 13, 15],
    ]
    assert [k for k, guess in enumerate(guesses) if guess is not None] == [3, 7, 11, 15]
    assert set(network.shapes) == {(1, 4, 3, 8, 8)}


def test_working_sets_of_an_odd_number():
    """N = 5: 2 old (places 1, 3) and 3 new (places 0, 2, 4)."""
    network = Seeing()
    push(OnlineRecogniser(network, frames=5, size=8), range(15))
    assert network.seen == [[0, 1, 2, 3, 4], [1, 3, 5, 7, 9], [3, 7, 10, 12, 14]]


def test_the_frames_are_normalised_rgb():
    """Colour order and scale: a pure red frame is 1 in the first channel before normalisation."""

    class Keeping(Seeing):
        def forward(self, clips):
            self.last = clips
            return super().forward(clips)

    network = Keeping()
    online = OnlineRecogniser(network, frames=2, size=8)
    for _ in range(2):
        online.push(np.tile(np.array([255, 0, 0], np.uint8), (12, 16, 1)))
    red, green, blue = network.last[0, 0, :, 0, 0].tolist()
    assert (red, green, blue) == pytest.approx(((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225), abs=1e-5)


def test_probabilities_are_averaged_with_the_previous():
    third = float(np.log(1 / 3))
    network = Seeing([[0.0, 0.0], [0.0, third], [third, 0.0]])  # probabilities .5/.5, .75/.25, .25/.75
    guesses = [g for g in push(OnlineRecogniser(network, frames=2, size=8), range(6)) if g is not None]
    expected = [[0.5, 0.5], [0.625, 0.375], [0.4375, 0.5625]]
    assert np.array(guesses) == pytest.approx(np.array(expected), abs=1e-6)


def test_reset_forgets_queue_set_and_average():
    third = float(np.log(1 / 3))
    network = Seeing([[0.0, third], [third, 0.0]])
    online = OnlineRecogniser(network, frames=3, size=8)
    push(online, [1, 2, 3, 4])
    online.reset()
    assert push(online, [10, 11]) == [None, None]  # frame 4 is forgotten
    (guess,) = push(online, [12])
    assert network.seen == [[1, 2, 3], [10, 11, 12]]
    assert guess == pytest.approx([0.25, 0.75], abs=1e-6)


def test_a_returned_guess_does_not_change_later():
    third = float(np.log(1 / 3))
    online = OnlineRecogniser(Seeing([[0.0, third], [third, 0.0]]), frames=2, size=8)
    first = push(online, [0, 1])[-1]
    kept = first.copy()
    push(online, [2, 3])
    assert (first == kept).all()


@pytest.mark.parametrize("frames", [1, 0, -2])
def test_one_frame_cannot_be_half_old(frames):
    with pytest.raises(ValueError, match=rf"frames: {frames}; .*N must be 2 or more"):
        OnlineRecogniser(Seeing(), frames=frames, size=8)


def test_a_network_in_training_is_switched_over():
    network = nn.Sequential(Seeing()).train()
    OnlineRecogniser(network, frames=2, size=8)
    assert not network.training
