"""The networks: known parameter counts, torchvision's numbers, Equation 4 by hand, gradients, odd shapes, refusals."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet34

from repro.models import MODELS, build, res34_se_im_net, resnet34_3dres18, resnet34_frame_average
from repro.models.blocks import BasicBlock, Conv3d, TemporalGate, make_gate
from repro.models.fused import ResNet18Head3d, ResNet34Trunk, check_trainable
from repro.models.start import load_network, load_trunk


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(make, **options) -> nn.Module:
    with torch.device("meta"):
        return make(**options)


def shuffle_batch_norms(module: nn.Module, seed: int = 1) -> None:
    """Random non-zero weights, biases and running statistics in every batch norm."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            with torch.no_grad():
                part.weight.copy_(torch.rand(part.weight.shape, generator=generator) + 0.5)
                part.bias.copy_(torch.randn(part.bias.shape, generator=generator) * 0.2)
                part.running_mean.copy_(torch.randn(part.bias.shape, generator=generator) * 0.3)
                part.running_var.copy_(torch.rand(part.bias.shape, generator=generator) + 0.5)


# --- known answers at full width ---


def test_parameter_counts_of_the_paper_s_networks():
    plain = on_meta(resnet34_3dres18, classes=51)
    assert count(plain.trunk) == 21_284_672
    assert count(plain.head) == 34_326_835
    assert count(on_meta(res34_se_im_net, classes=51).trunk) - count(plain.trunk) == 161_196


def test_the_stacked_map_of_16_frames_is_512x16x7x7():
    network = on_meta(resnet34_3dres18, classes=51).eval()
    clips = torch.empty(1, 16, 3, 224, 224, device="meta")
    assert network.stack(clips).shape == (1, 512, 16, 7, 7)
    assert network(clips).shape == (1, 51)


def test_the_trunk_with_torchvision_s_weights_gives_torchvision_s_map():
    torch.manual_seed(3)
    theirs = resnet34(weights=None).eval()
    shuffle_batch_norms(theirs)
    maps = {}
    theirs.layer4.register_forward_hook(lambda _m, _i, output: maps.update(layer4=output))
    ours = ResNet34Trunk().eval()
    report = load_trunk(ours, theirs.state_dict())
    frames = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        theirs(frames)
        difference = (ours(frames) - maps["layer4"]).abs().max()
    assert difference <= 1e-5 * maps["layer4"].abs().max()
    assert report.not_loaded == {} and list(report.unused) == ["fc.weight", "fc.bias"]


# --- Equation 4 and its other readings ---


def by_hand(block: BasicBlock, x, mode):
    def norm(bn, y):
        shape = (1, -1, 1, 1)
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        return y * scale.view(shape) + (bn.bias - bn.running_mean * scale).view(shape)

    stride = block.conv1.stride
    f = norm(block.bn1, F.conv2d(x, block.conv1.weight, stride=stride, padding=1)).clamp(min=0)
    f = norm(block.bn2, F.conv2d(f, block.conv2.weight, padding=1))
    shortcut = x
    if block.downsample is not None:
        shortcut = norm(block.downsample[1], F.conv2d(x, block.downsample[0].weight, stride=stride))
    if mode == "none":
        return (shortcut + f).clamp(min=0)
    if mode == "times_1.5":
        return (shortcut + 1.5 * f).clamp(min=0)
    gate = block.gate
    z = f.mean(dim=(2, 3))
    hidden = (z @ gate.fc1.weight.T + gate.fc1.bias).clamp(min=0)
    s = 1 / (1 + torch.exp(-(hidden @ gate.fc2.weight.T + gate.fc2.bias)))
    s = s[:, :, None, None]
    total = {"se_im": shortcut + (f + s * f), "se": shortcut + s * f, "se_im_vector": shortcut + (f + s)}[mode]
    return total.clamp(min=0)


@pytest.mark.parametrize("mode", ["none", "se_im", "se", "times_1.5", "se_im_vector"])
@pytest.mark.parametrize("channels_in, stride", [(8, 1), (4, 2)])
def test_a_block_is_its_equation(mode, channels_in, stride):
    torch.manual_seed(5)
    block = BasicBlock(channels_in, 8, stride=stride, gate=make_gate(mode, 8, bias=0.3)).double().eval()
    shuffle_batch_norms(block)
    x = torch.randn(2, channels_in, 10, 12, dtype=torch.float64)
    torch.testing.assert_close(block(x), by_hand(block, x, mode), rtol=1e-10, atol=1e-10)


def test_a_gate_keeps_four_hidden_units_and_its_ratio():
    assert make_gate("se_im", 32, reduction=16).fc1.out_features == 4
    assert make_gate("se_im", 512, reduction=16).fc1.out_features == 32


def test_a_closed_se_im_gate_leaves_the_plain_network_unchanged():
    torch.manual_seed(0)
    plain = resnet34_3dres18(classes=3, width=0.125).eval()
    shuffle_batch_norms(plain)
    closed = res34_se_im_net(classes=3, width=0.125, gate_bias=-1e6).eval()
    closed.load_state_dict(plain.state_dict(), strict=False)
    clips = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(closed(clips), plain(clips))
        opened = res34_se_im_net(classes=3, width=0.125).eval()
        opened.load_state_dict(plain.state_dict(), strict=False)
        assert not torch.allclose(opened(clips), plain(clips), rtol=1e-3)


# --- gradients ---


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient_with_random_batch_norms(name):
    torch.manual_seed(0)
    network = build(name, classes=3, width=0.25)
    shuffle_batch_norms(network)
    F.cross_entropy(network(torch.randn(3, 4, 3, 64, 64)), torch.tensor([0, 1, 2])).backward()
    for part, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), part
        assert parameter.grad.abs().max() > 0, part


def test_the_last_batch_norm_of_each_branch_starts_at_zero():
    network = resnet34_3dres18(classes=2, width=0.125)
    blocks = [part for part in network.modules() if isinstance(part, BasicBlock)]
    assert len(blocks) == 16 + 6
    assert all((block.bn2.weight == 0).all() and (block.bn1.weight == 1).all() for block in blocks)


# --- shapes ---


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 1, 3, 64, 64), (1, 2, 3, 65, 97)])
def test_evaluation_takes_one_frame_and_odd_sizes(name, shape):
    network = build(name, classes=5, width=0.125).eval()
    with torch.no_grad():
        logits = network(torch.randn(shape))
    assert logits.shape == (1, 5) and logits.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 2, 4, 64, 64), (1, 2, 3, 64, 63), (1, 0, 3, 64, 64)])
def test_a_wrong_shape_is_one_clear_error(shape):
    with pytest.raises(ValueError, match="clips"):
        resnet34_3dres18(classes=2, width=0.125).eval()(torch.zeros(shape))


def test_the_width_factor_scales_every_stage():
    network = resnet34_3dres18(classes=2, width=0.25)
    assert [getattr(network.trunk, f"layer{i}")[0].conv1.out_channels for i in (1, 2, 3, 4)] == [16, 32, 64, 128]
    assert [getattr(network.head, f"stage{i}")[0].conv1.out_channels for i in (1, 2, 3)] == [32, 64, 128]


def test_the_head_s_stride_is_an_option():
    shapes = {}
    for stride in ((2, 2, 2), (1, 2, 2), (2, 1, 1)):
        with torch.device("meta"):
            head, maps = ResNet18Head3d(512, 2, stride=stride), torch.empty(1, 512, 16, 7, 7)
        shapes[stride] = tuple(head.stage3(head.stage2(head.stage1(maps))).shape[2:])
    assert shapes == {(2, 2, 2): (4, 2, 2), (1, 2, 2): (16, 2, 2), (2, 1, 1): (4, 7, 7)}


@pytest.mark.parametrize("batch, frames, size", [(1, 1, 64), (1, 2, 64), (2, 2, 64), (1, 4, 96), (1, 8, 64)])
def test_check_trainable_refuses_what_torch_refuses(batch, frames, size):
    network = resnet34_3dres18(classes=2, width=0.125).train()
    try:
        copy.deepcopy(network)(torch.randn(batch, frames, 3, size, size))
        torch_refuses = False
    except ValueError as error:
        assert "more than 1 value per channel" in str(error)
        torch_refuses = True
    try:
        check_trainable(network, batch=batch, frames=frames, size=size)
        refuses = False
    except ValueError as error:
        assert "batch norm head.stage" in str(error)
        refuses = True
    assert refuses == torch_refuses
    assert network.training and not any(p.is_meta for p in network.parameters())  # the network itself is untouched


def test_frame_averaging_is_blind_to_order_and_the_3d_head_is_not():
    torch.manual_seed(0)
    clips = torch.randn(1, 4, 3, 64, 64)
    changes = {}
    for make in (resnet34_frame_average, resnet34_3dres18):
        network = make(classes=3, width=0.125).eval()
        shuffle_batch_norms(network)
        with torch.no_grad():
            forward, backward = network(clips), network(clips.flip(1))
        changes[make.__name__] = float((forward - backward).abs().max() / forward.abs().max())
    assert changes["resnet34_frame_average"] < 1e-5
    assert changes["resnet34_3dres18"] > 1e-3


# --- names ---


def test_an_unknown_gate_is_named():
    with pytest.raises(ValueError, match="'sse' is not one of none, se_im"):
        res34_se_im_net(classes=2, width=0.125, gate="sse")


@pytest.mark.parametrize("shape, stride", [((2, 1, 1), 1), ((1, 1, 1), 2), ((4, 1, 3), 2), ((3, 2, 2), 1)])
def test_what_only_meets_padding_is_left_out_without_a_difference(shape, stride):
    torch.manual_seed(0)
    ours = Conv3d(4, 6, 3, stride=stride, padding=1, bias=False).double()
    plain = torch.nn.Conv3d(4, 6, 3, stride=stride, padding=1, bias=False).double()
    plain.load_state_dict(ours.state_dict())
    found = []
    for layer in (ours, plain):
        x = torch.linspace(-1, 1, 2 * 4 * math.prod(shape), dtype=torch.float64).view(2, 4, *shape).requires_grad_()
        y = layer(x)
        (y**2).sum().backward()
        found.append((y, x.grad, layer.weight.grad))
    for mine, theirs in zip(*found):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    with FlopCounterMode(display=False) as counter:  # counted whole, as published counts are
        Conv3d(4, 6, 3, stride=stride, padding=1, device="meta")(torch.empty(2, 4, *shape, device="meta"))
    assert counter.get_total_flops() == 2 * found[0][0].numel() * 4 * 27


# ---------------------------------------- temporal attention


def test_temporal_attention_by_hand():
    """Channel 0's middle step is bright: with weights of 1 the gate sees it at its own step and its neighbours'."""
    gate = TemporalGate(1)
    nn.init.zeros_(gate.conv1.weight)
    nn.init.ones_(gate.conv1.weight[0])
    nn.init.zeros_(gate.conv2.weight)
    gate.conv2.weight.data[0, 0] = 1.0
    for conv in (gate.conv1, gate.conv2):
        nn.init.zeros_(conv.bias)
    branch = torch.zeros(1, 1, 5, 2, 2)
    branch[0, 0, 2] = torch.tensor([[4.0, 0.0], [0.0, 0.0]])  # mean 1
    one = 1 / (1 + math.exp(-1))
    assert gate.weights(branch).flatten().tolist() == pytest.approx([0.5, one, one, one, 0.5])
    assert gate(branch)[0, 0, 2, 0, 0].item() == pytest.approx(4 * (1 + one))


def test_temporal_attention_sees_order_in_time_and_not_in_space():
    torch.manual_seed(0)
    gate, branch = TemporalGate(8), torch.randn(2, 8, 5, 3, 3)
    s = gate.weights(branch)
    assert s.shape == (2, 8, 5, 1, 1)
    cells = branch.flatten(3)[..., torch.randperm(9)].view_as(branch)  # the same in every step
    assert torch.allclose(gate.weights(cells), s)
    backwards = gate.weights(branch.flip(2))
    assert not torch.allclose(backwards.flip(2), s)  # the same steps, other neighbours
    with torch.no_grad():  # a first layer that is the same read either way turns with the steps
        gate.conv1.weight.copy_(gate.conv1.weight + gate.conv1.weight.flip(2))
    assert torch.allclose(gate.weights(branch.flip(2)).flip(2), gate.weights(branch), atol=1e-6)


def test_temporal_attention_adds_its_gates_and_nothing_else():
    with torch.device("meta"):
        plain, gated = (build(name, classes=51) for name in ("res34_se_im_net", "res34_se_im_ta_net"))
    known = set(plain.state_dict())
    added = {name for name in gated.state_dict() if name not in known}
    assert known < set(gated.state_dict()) and all(name.startswith("head.") and ".gate." in name for name in added)
    assert len(added) == 6 * 4
    # two convolutions with biases a unit: C to C/16 over three steps, and back
    by_hand = sum(2 * (3 * c * (c // 16) + c // 16 + c // 16 * c + c) for c in (128, 256, 512))
    assert sum(gated.state_dict()[name].numel() for name in added) == by_hand


def test_temporal_attention_starts_from_the_network_without_it():
    plain, gated = (build(name, classes=3, width=0.125) for name in ("res34_se_im_net", "res34_se_im_ta_net"))
    report = load_network(gated, plain.state_dict())
    assert set(report.loaded) == set(plain.state_dict()) and not report.unused
    assert len(report.not_loaded) == 6 * 4 and all(name.startswith("head.") for name in report.not_loaded)
