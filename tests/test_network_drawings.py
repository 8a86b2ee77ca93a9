"""The drawn networks are the built ones: as many boxes as units, with their channels, shapes and gates."""

import pytest

from repro.experiment.fields import ATTENTION, BASELINE, TEMPORAL
from repro.models import build
from repro.models.blocks import BasicBlock
from repro.report.network_drawings import GATED, GREY, IN_TIME, PLAIN, network_figure, parts_of, unit_figure


def texts(fig) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


@pytest.mark.parametrize(
    "model, trunk, head", [(BASELINE, PLAIN, PLAIN), (ATTENTION, GATED, PLAIN), (TEMPORAL, GATED, IN_TIME)]
)
def test_a_box_is_a_unit_of_the_module_tree_with_its_channels(model, trunk, head):
    network = build(model, classes=7)
    parts = [part for part in parts_of(model, classes=7, frames=4, size=64) if part.colour != GREY]
    units = [unit for unit in network.modules() if isinstance(unit, BasicBlock)]
    assert [text.split()[0] for part in parts for text in part.boxes] == [str(u.conv2.out_channels) for u in units]
    assert ["/2" in text for part in parts for text in part.boxes] == [max(u.conv1.stride) == 2 for u in units]
    assert [part.colour for part in parts] == 4 * [trunk] + 3 * [head]


def test_shapes_are_the_papers_at_its_input():
    parts = {part.title: part for part in parts_of(BASELINE, classes=51, frames=16, size=224)}
    assert parts["layer 4"].output == "512 maps\n7 × 7" and parts["stack"].output == "512 maps\n16 × 7 × 7"
    assert parts["classifier"].boxes == ("average", "dropout 0.5", "FC 512→51")


def test_the_figure_of_a_network_says_in_words_what_it_draws():
    fig, alt = network_figure(ATTENTION, classes=51, frames=16, size=224)
    assert fig.get_size_inches()[0] <= 9 and texts(fig).count("256") == 6
    assert "22 residual units, 16 of them with a gate" in alt and "stack: 512 maps of 16 × 7 × 7" in alt


def test_the_unit_is_equation_4_with_the_built_gates_numbers():
    fig, alt = unit_figure(size=224)
    gate = build(ATTENTION, classes=2).trunk.layer1[-1].gate
    shown = texts(fig)
    assert shown.count(f"FC {gate.fc1.in_features} → {gate.fc1.out_features}") == 2  # in panels b and c
    assert shown.count("conv 3 × 3, 64") == 4 and shown.count("X: 64 × 56 × 56") == 2
    assert shown.count("+") == 3 and shown.count("×") == 2  # one sum in a; U + s U and the sum with X in c
    assert "X + (U + s U)" in alt and "4 hidden (r = 16)" in alt
