"""The rows of Table 6: every network builds, runs forward and backward, and has the published counts."""

from functools import cache

import pytest
import torch

from repro.metrics.complexity import multiply_adds, parameters
from repro.models.peers.rows import not_rebuilt, rows

KNOWN = [  # FACTS, section 5: row, classes, parameters in M, GMACs
    ("c3d", 101, 78.41, 38.55),
    ("eco_full-8", 400, 47.50, 32.2),
    ("eco_full-16", 400, 47.50, 64.4),
    ("eco_lite-4", 400, 37.50, 11.6),
    ("eco_lite-8", 400, 37.50, 23.2),
    ("eco_lite-16", 400, 37.50, 46.5),
    ("eco_lite-32", 400, 37.50, 93.0),
    ("tsm_resnet50-8", 174, 23.9, 32.7),
    ("tsm_resnet50-16", 174, 23.9, 65.4),
]
UNEXPLAINED = {"trn_multiscale"}  # its page says so


@cache
def counts(name, classes, frames, size):
    row = rows()[name]
    with torch.device("meta"):
        network, inputs = row.build(classes=classes), row.inputs(frames=frames, size=size)
    return parameters(network) / 1e6, multiply_adds(network, inputs) / 1e9


def counted(name, *, classes=None, frames=None, size=None):
    row = rows()[name]
    return counts(name, classes or row.classes, frames or row.frames, size or row.size)


def digits_of(number: float) -> int:
    return len(str(number).partition(".")[2]) if "." in str(number) else 0


@pytest.mark.parametrize(("name", "classes", "params", "gmacs"), KNOWN)
def test_known_answers(name, classes, params, gmacs):
    built = counted(name, classes=classes)
    assert round(built[0], digits_of(params)) == params
    assert round(built[1], digits_of(gmacs)) == gmacs


PUBLISHED = [name for name, row in rows().items() if row.published.params or row.published.gmacs]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_difference_from_what_is_published_is_rounding_or_explained(name):
    source = rows()[name].published
    built = counted(name, classes=source.classes, frames=source.frames, size=source.size)
    for here, there in zip(built, (source.params, source.gmacs)):
        if there is not None and round(here, digits_of(there)) != there:
            assert source.cause, f"{name}: {here} was built, {there} published, and no cause is given"
            assert abs(here / there - 1) < 0.01 or name in UNEXPLAINED


@pytest.mark.parametrize("name", {row.factory: name for name, row in rows().items()}.values())
def test_every_network_scores_its_published_input_and_trains_whole(name):
    """Once a factory, on the meta device, which has shapes and gradients but no values."""
    row = rows()[name]
    with torch.device("meta"):
        network, inputs = row.build(classes=3).train(), row.inputs(2)
    logits = network(*inputs)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert [part for part, parameter in network.named_parameters() if parameter.grad is None] == []
    if row.frames > 3:  # channels before frames
        with pytest.raises(ValueError, match=r"clips must be|batch"):
            network(inputs[0].transpose(1, 2), *inputs[1:])


@pytest.mark.parametrize(("name", "frames", "size", "message"), [
    ("c3d", 8, 112, r"clips must be \(batch, 16, 3, 112, 112\).*4x4"), ("c3d", 16, 128, "4x4"),
    ("eco_lite-16", 6, 224, "multiples of 4, not 6"), ("eco_full-16", 18, 224, "multiples of 4, not 18"),
    ("i3d", 8, 224, "9 frames or more, not 8"), ("p3d_199", 8, 160, "16 frames or more, not 8"),
    ("trn_multiscale", 7, 224, "built for 8 frames, not 7"), ("mvit_v2_s", 8, 224, "position tables"),
])  # fmt: skip
def test_an_input_that_a_network_cannot_take_is_named(name, frames, size, message):
    with torch.device("meta"):
        network, inputs = rows()[name].build(), rows()[name].inputs(frames=frames, size=size)
    with pytest.raises(ValueError, match=message):
        network(*inputs)


def test_every_row_says_where_its_numbers_come_from():
    for row in rows().values():
        source = row.published
        assert source.looked_in or (source.params and source.gmacs), row.name
        assert row.views or row.protocol, row.name
        assert row.protocol_source or row.group == "ours", row.name
    assert all(method.why for method in not_rebuilt())


ENTRY = """[[network]]
name = "a"
title = "A"
factory = "c3d.C3D"
group = "peer"
frames = 16
size = 112
classes = 101
"""


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY.replace('title = "A"\n', ""), r"network.a.title: Field required"),
        (ENTRY + "frame = 3", r"network.a: unknown name 'frame'; did you mean 'frames'"),
        (ENTRY.replace("peer", "rival"), r"network.a.group: 'rival': input should be 'ours', 'peer' or 'today'"),
        (ENTRY + "published = { params = 3.0 }", r"a.published: params has no source; add params_source"),
        (ENTRY + ENTRY, r"network: name 'a' stands twice"),
        (ENTRY + "name", r"not readable as TOML"),
    ],
)
def test_a_fault_in_the_list_is_named(tmp_path, entry, message):
    path = tmp_path / "networks.toml"
    path.write_text(entry)
    with pytest.raises(ValueError, match=message) as raised:
        rows(path)
    assert str(path) in str(raised.value)
