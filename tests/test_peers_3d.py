"""The 3D peers: what counts do not show - strides, groups, order of blocks, agreement with torchvision."""

import pytest
import torch
from test_peers_2d import change_when_reversed, clips, on_meta
from torch import nn
from torchvision.models import video

from repro.models.peers import c3d, p3d, r2plus1d, res3d, resnext3d, slowfast, today, x3d
from repro.models.peers.parts import ChannelsFirst

SMALL = {  # frames and size at which a network still runs
    res3d.res3d_18: (8, 32),
    resnext3d.ResNeXt3d: (16, 32),
    x3d.X3D: (4, 32),
    slowfast.SlowFast: (8, 32),
}


@pytest.mark.parametrize(("factory", "frames", "size", "stages"), [
    # time is kept in the first pool, and halved in four
    (c3d.C3D, 16, 112, {"features.2": (64, 16, 56, 56), "features.5": (128, 8, 28, 28), "features.10": (256, 4, 14, 14),
                        "features.15": (512, 2, 7, 7), "features.20": (512, 1, 4, 4)}),
    (res3d.res3d_18, 8, 112, {"network.layer1": (64, 8, 56, 56), "network.layer2": (128, 4, 28, 28),
                              "network.layer3": (256, 2, 14, 14), "network.layer4": (512, 1, 7, 7)}),
    (p3d.P3D, 16, 160, {"pool": (64, 8, 40, 40), "res2": (256, 8, 40, 40), "res3": (512, 4, 20, 20),
                        "res4": (1024, 2, 10, 10), "res5": (2048, 5, 5)}),
    # time is halved four times
    (resnext3d.ResNeXt3d, 16, 112, {"stem": (64, 16, 56, 56), "layer1": (256, 8, 28, 28), "layer2": (512, 4, 14, 14),
                                    "layer3": (1024, 2, 7, 7), "layer4": (2048, 1, 4, 4)}),
    # time is kept
    (x3d.X3D, 16, 224, {"stem": (24, 16, 112, 112), "res2": (24, 16, 56, 56), "res3": (48, 16, 28, 28),
                        "res4": (96, 16, 14, 14), "res5": (192, 16, 7, 7)}),
    # time is kept in both pathways, which are joined
    (slowfast.SlowFast, 32, 224, {"slow_stem": (64, 8, 56, 56), "fast_stem": (8, 32, 56, 56), "fuse.0": (16, 8, 56, 56),
                                  "slow.0": (256, 8, 56, 56), "slow.3": (2048, 8, 7, 7), "fast.3": (256, 32, 7, 7),
                                  "fuse.3": (256, 8, 14, 14)}),
], ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
def test_channels_time_height_and_width_of_each_stage(factory, frames, size, stages):
    network, seen = on_meta(factory, classes=3), {}
    for name in stages:
        part = network.get_submodule(name)
        part.register_forward_hook(lambda _part, _inputs, output, name=name: seen.update({name: tuple(output.shape)}))
    network(torch.empty(1, frames, 3, size, size, device="meta"))
    assert {name: shape[1:] for name, shape in seen.items()} == stages


@pytest.mark.parametrize(("factory", "of"), SMALL.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_order_of_frames_matters(factory, of):
    torch.manual_seed(0)
    assert change_when_reversed(factory(classes=3), clips(*of, batch=2)) > 1e-2


@pytest.mark.parametrize(("ours", "theirs"), [(res3d.r3d_18, video.r3d_18), (r2plus1d.r2plus1d_18, video.r2plus1d_18)])
def test_the_wrapped_give_torchvisions_scores(ours, theirs):
    network, reference = ours(classes=7).eval(), theirs(num_classes=7).eval()
    reference.load_state_dict(network.network.state_dict())
    x = clips(4, 32)
    with torch.no_grad():
        assert torch.equal(network(x), reference(x.transpose(1, 2)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(today.s3d, video.s3d), (today.swin3d_t, video.swin3d_t), (today.mvit_v2_s, video.mvit_v2_s)],
)
def test_todays_are_torchvisions_behind_the_same_wrapper(ours, theirs):
    network, reference = on_meta(ours), on_meta(theirs)
    assert isinstance(network, ChannelsFirst)
    assert str(network.network) == str(reference)
    assert network.network.state_dict().keys() == reference.state_dict().keys()


def test_res3d_is_r3d_with_a_projection_in_its_first_block():
    ours, plain = on_meta(res3d.res3d_18), on_meta(res3d.r3d_18)
    extra = ours.state_dict().keys() - plain.state_dict().keys()
    assert {name.rsplit(".", 2)[0] for name in extra} == {"network.layer1.0.downsample"}


def test_middle_channels_of_r2plus1d_by_hand():
    # 27 in out / (9 in + 3 out): 64 to 64 is 110592 / 768, 64 to 128 is 221184 / 960 = 230.4, 128 to 128 is 2 x 144
    assert [r2plus1d.middle_channels(*pair) for pair in [(64, 64), (64, 128), (128, 128)]] == [144, 230, 288]

    def middles(network):
        block = network.network.layer2[0]
        return [conv[0][0].out_channels for conv in (block.conv1, block.conv2)]

    assert middles(on_meta(r2plus1d.r2plus1d_34)) == [230, 288]  # for every convolution, as VMZ
    assert middles(on_meta(r2plus1d.r2plus1d_18)) == [230, 230]  # once a block, as torchvision
    assert [len(on_meta(r2plus1d.r2plus1d_34).network.get_submodule(f"layer{i}")) for i in (1, 2, 3, 4)] == [3, 4, 6, 3]


def test_p3d_has_its_three_blocks_in_turn_and_a_flat_last_stage():
    network = on_meta(p3d.P3D, classes=3)
    kinds = [part.kind for part in network.modules() if isinstance(part, p3d.Pseudo3d)]
    assert "".join(kinds) == ("ABC" * 16)[:47]
    assert not any(isinstance(part, nn.Conv3d) for part in network.res5.modules())


def test_p3d_blocks_join_space_and_time_as_in_figure_3():
    x = torch.randn(1, 4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    for kind, join in {
        "A": lambda s, t: t(s(x)),
        "B": lambda s, t: s(x) + t(x),
        "C": lambda s, t: s(x) + t(s(x)),
    }.items():
        block = p3d.Pseudo3d(4, kind=kind).eval()
        torch.testing.assert_close(block(x), join(block.space, block.time))


def test_p3d_averages_the_moments_left_of_32_frames():
    torch.manual_seed(0)
    network = p3d.P3D(classes=3).eval()
    moments = []
    network.res5.register_forward_hook(lambda _part, _inputs, output: moments.append(output))
    with torch.no_grad():
        logits = network(clips(32, 32))
        assert moments[0].shape == (2, 2048, 1, 1)
        torch.testing.assert_close(logits[0], network.fc(moments[0].mean((0, 2, 3))))


def test_resnext_has_32_groups():
    network = on_meta(resnext3d.ResNeXt3d, classes=3)
    groups = {conv.groups for conv in network.modules() if isinstance(conv, nn.Conv3d) and conv.kernel_size == (3,) * 3}
    assert groups == {32}


def test_x3d_works_channel_by_channel_and_gates_every_other_block():
    network = on_meta(x3d.X3D, classes=3)
    wide = [conv for conv in network.modules() if isinstance(conv, nn.Conv3d) and conv.kernel_size == (3,) * 3]
    assert len(wide) == 3 + 5 + 11 + 7
    assert all(conv.groups == conv.in_channels == conv.out_channels for conv in wide)
    gated = [isinstance(block.branch[5], x3d.SqueezeExcite) for block in network.res3]
    assert gated == [True, False, True, False, True]
    hidden = [network.get_submodule(f"res{stage}")[0].branch[5].fc1.out_channels for stage in (2, 3, 4, 5)]
    assert hidden == [8, 8, 16, 32]  # 3.4, 6.8, 13.5 and 27: 24 would lose over a tenth of 27


def test_slowfast_extents_in_time():
    network = on_meta(slowfast.SlowFast, classes=3)
    extents = [[stage[0].branch[0].kernel_size[0] for stage in pathway] for pathway in (network.slow, network.fast)]
    assert extents == [[1, 1, 3, 3], [3, 3, 3, 3]]


def test_slowfast_shows_the_slow_pathway_every_fourth_frame():
    network = slowfast.SlowFast(classes=2).eval()
    seen = []
    network.slow_stem.register_forward_pre_hook(lambda _part, inputs: seen.append(inputs[0]))
    x = clips(8, 32)
    with torch.no_grad():
        network(x)
    assert torch.equal(seen[0], x.transpose(1, 2)[:, :, [0, 4]])
