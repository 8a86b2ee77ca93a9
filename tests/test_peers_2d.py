"""The 2D and fused peers: what counts do not show - the shift, the order of frames, relations, stages, padding."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50

from repro.models.peers import bn_inception, eco, i3d, trn, tsm, tsn, two_stream

CLASSES = 5
ORDERED = {  # factory: frames, size of an input that runs in a second
    trn.TRN: (8, 64),
    tsm.TSMResNet50: (4, 64),
    eco.ECOFull: (4, 64),
    i3d.I3D: (9, 32),
}


def clips(frames: int, size: int, *, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, frames, 3, size, size, generator=torch.Generator().manual_seed(7))


def on_meta(factory, **options) -> nn.Module:
    with torch.device("meta"):
        return factory(**options).eval()


def change_when_reversed(network: nn.Module, x: torch.Tensor) -> float:
    """Largest change of a logit when the frames come in reverse, relative to the logits' spread.

    Batch norm first takes its statistics from the input: an untrained network's maps fade out otherwise.
    """
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
        network.eval()
        logits, reversed_logits = network(x), network(x.flip(1))
    return float((logits - reversed_logits).abs().max() / logits.std())


@pytest.mark.parametrize(("factory", "of"), ORDERED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_order_of_frames_matters(factory, of):
    torch.manual_seed(0)
    assert change_when_reversed(factory(classes=CLASSES), clips(*of, batch=2)) > 1e-2


# --- BN-Inception -----------------------------------------------------------------------------------------------------


def test_bn_inception_stages():
    trunk = on_meta(bn_inception.BNInception)
    x = trunk.stem(torch.empty(1, 3, 224, 224, device="meta"))
    shapes = {"stem": x.shape[1:]}
    for name, block in zip(bn_inception.BLOCKS, (*trunk.low, trunk.block_3c, *trunk.high), strict=True):
        x = block(x)
        shapes[name] = x.shape[1:]
    assert {name: (shape[0], shape[1]) for name, shape in shapes.items()} == {
        "stem": (192, 28),
        "3a": (256, 28),
        "3b": (320, 28),
        "3c": (576, 14),
        "4a": (576, 14),
        "4b": (576, 14),
        "4c": (608, 14),
        "4d": (608, 14),
        "4e": (1056, 7),
        "5a": (1024, 7),
        "5b": (1024, 7),
    }


# --- TSN --------------------------------------------------------------------------------------------------------------


def test_tsn_is_the_mean_of_its_frames():
    torch.manual_seed(0)
    network = tsn.tsn_resnet50(classes=CLASSES).eval()
    x = clips(3, 32)
    with torch.no_grad():
        alone = torch.stack([network(x[:, i : i + 1]) for i in range(3)]).mean(0)
        torch.testing.assert_close(network(x), alone, rtol=1e-3, atol=1e-6)


# --- TRN --------------------------------------------------------------------------------------------------------------


def test_trn_relations_of_8_frames():
    relations = on_meta(trn.MultiScaleRelations, frames=8, features=4, classes=CLASSES)
    assert relations.scales == (8, 7, 6, 5, 4, 3, 2)
    chosen = relations.relations
    assert [len(of_scale) for of_scale in chosen] == [1, 3, 3, 3, 3, 3, 3]
    assert chosen[0] == ((0, 1, 2, 3, 4, 5, 6, 7),)
    assert chosen[-1] == ((0, 5), (2, 4), (4, 6))  # numbers 4, 14 and 23 of 28 pairs
    for of_scale in chosen:
        assert all(tuple(sorted(set(relation))) == relation for relation in of_scale)


def test_trn_adds_the_relations():
    torch.manual_seed(0)
    relations = trn.MultiScaleRelations(frames=3, features=2, classes=CLASSES).eval()
    x = torch.randn(1, 3, 2)
    triple, pair = relations.fusions
    by_hand = triple(x.flatten(1)) + sum(pair(x[:, list(p)].flatten(1)) for p in ((0, 1), (0, 2), (1, 2)))
    torch.testing.assert_close(relations(x), by_hand)


# --- TSM --------------------------------------------------------------------------------------------------------------


def test_temporal_shift_by_hand():
    x = torch.arange(1.0, 13.0).view(1, 3, 4, 1, 1)  # frame 0: 1 2 3 4, frame 1: 5 6 7 8, frame 2: 9 10 11 12
    shifted = tsm.temporal_shift(x, fraction=4).flatten(2)
    assert shifted.tolist() == [[[5, 0, 3, 4], [9, 2, 7, 8], [0, 6, 11, 12]]]


def test_tsm_is_resnet50_with_shifts():
    network, plain = on_meta(tsm.TSMResNet50, classes=1000), on_meta(resnet50)
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    assert {name: value.shape for name, value in network.state_dict().items()} == shapes
    assert sum(isinstance(part, tsm.ShiftedBottleneck) for part in network.modules()) == 16


def test_tsm_without_shift_is_tsn(monkeypatch):
    torch.manual_seed(0)
    shifted, plain = tsm.TSMResNet50(classes=CLASSES).eval(), resnet50(num_classes=CLASSES).eval()
    plain.load_state_dict(shifted.state_dict())
    monkeypatch.setattr(tsm, "temporal_shift", lambda x: x)
    x = clips(2, 32)
    with torch.no_grad():
        torch.testing.assert_close(shifted(x), plain(x[0]).mean(0, keepdim=True), rtol=1e-3, atol=1e-6)


# --- ECO --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [4, 12, 16, 20, 32])
def test_eco_stages(frames):
    network = on_meta(eco.ECOLite, classes=CLASSES)
    maps = network.trunk(torch.empty(frames, 3, 224, 224, device="meta"))
    assert maps.shape == (frames, 96, 28, 28)
    x = eco.in_time(maps, torch.empty(1, frames, 3, 1, 1, device="meta"))
    sizes = []
    for layer in network.head:
        x = layer(x)
        sizes.append(tuple(x.shape[1:4]))
    third, quarter = (128, frames, 28), (512, frames // 4, 7)
    assert sizes[:4] == [third, third, (256, frames // 2, 14), (256, frames // 2, 14)]
    assert sizes[4:] == [quarter] * 4


def test_eco_full_shares_the_low_layers():
    network = on_meta(eco.ECOFull, classes=CLASSES)
    low, high = network.trunk.both(torch.empty(4, 3, 224, 224, device="meta"))
    assert (low.shape, high.shape) == ((4, 96, 28, 28), (4, 1024, 7, 7))
    assert network.fc.in_features == 1024 + 512


def test_eco_adds_raw_outputs():
    """With both convolutions at zero a unit passes its raw input on, negative values included."""
    unit = eco.PreActivated(4, 4).eval()
    nn.init.zeros_(unit.conv2.weight)
    nn.init.zeros_(unit.conv2.bias)
    raw = torch.randn(1, 4, 2, 3, 3)
    torch.testing.assert_close(unit(raw), raw)


# --- I3D --------------------------------------------------------------------------------------------------------------


def test_same_padding_by_hand():
    # size 224, kernel 7, stride 2: 112 outputs need 229 inputs: 2 before, 3 after; size 5: 3 outputs need 11: 3 and 3
    assert i3d.same_padding((224,), (7,), (2,)) == [2, 3]
    assert i3d.same_padding((5,), (7,), (2,)) == [3, 3]
    assert i3d.same_padding((10, 8, 7), (1, 3, 2), (1, 2, 2)) == [0, 1, 0, 1, 0, 0]


def test_same_convolution_by_hand():
    convolution = i3d.SameConv3d(1, 1, (1, 1, 3), (1, 1, 2), bias=False)
    nn.init.ones_(convolution.weight)
    x = torch.tensor([1.0, 2, 3, 4]).view(1, 1, 1, 1, 4)
    assert convolution(x).flatten().tolist() == [1 + 2 + 3, 3 + 4]  # symmetric padding would give 3 and 9


def test_same_pool_by_hand():
    pool = i3d.SameMaxPool3d((1, 1, 3), (1, 1, 2))
    x = torch.tensor([-5.0, -2, -3, -4]).view(1, 1, 1, 1, 4)
    assert pool(x).flatten().tolist() == [-2, -3]


def test_i3d_maps_and_mean_over_time():
    network = on_meta(i3d.I3D, classes=CLASSES)
    assert network.features(torch.empty(1, 3, 64, 224, 224, device="meta")).shape == (1, 1024, 8, 7, 7)
    torch.manual_seed(0)
    network = i3d.I3D(classes=CLASSES).eval()
    x = clips(17, 32)
    with torch.no_grad():
        maps = network.features(x.transpose(1, 2)).mean((3, 4))  # 3 in time
        pairs = [F.linear((maps[..., i] + maps[..., i + 1]) / 2, network.fc.weight.flatten(1)) for i in (0, 1)]
        by_hand = (pairs[0] + pairs[1]) / 2 + network.fc.bias
        torch.testing.assert_close(network(x), by_hand, rtol=1e-3, atol=1e-5)


# --- two-stream -------------------------------------------------------------------------------------------------------


def test_two_stream_averages_softmax_scores():
    network = two_stream.TwoStream(
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, CLASSES)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, CLASSES)),
    )
    frames, flow = torch.randn(2, 1, 3, 8, 8), torch.randn(2, 20, 8, 8)
    average = (network.spatial(frames[:, 0]).softmax(1) + network.temporal(flow).softmax(1)) / 2
    torch.testing.assert_close(network(frames, flow).softmax(1), average)


def test_two_stream_shapes():
    network = on_meta(two_stream.two_stream, classes=CLASSES)
    frames, flow = torch.empty(2, 1, 3, 224, 224, device="meta"), torch.empty(2, 20, 224, 224, device="meta")
    assert network(frames, flow).shape == (2, CLASSES)
    with pytest.raises(ValueError, match="frames"):
        network(frames.expand(2, 2, 3, 224, 224), flow)
    with pytest.raises(ValueError, match="flow"):
        network(frames, flow[:, :10])


def test_temporal_shift_keeps_clips_apart():
    x = clips(4, 8, batch=2).repeat(1, 1, 3, 1, 1)
    torch.testing.assert_close(tsm.temporal_shift(x)[1:], tsm.temporal_shift(x[1:]))
