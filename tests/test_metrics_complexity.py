"""repro.metrics.complexity: known answers of published networks, counts by hand, two counters, nothing left behind."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision.models import resnet34
from torchvision.models.video import r3d_18, swin3d_t

from repro.metrics.complexity import activations, depth, multiply_adds, multiply_adds_by_hooks, parameters
from repro.models import build
from repro.models.blocks import Gate


def complexity(module, inputs):
    """All counts at once."""
    counts = (multiply_adds, multiply_adds_by_hooks, depth, activations)
    return SimpleNamespace(parameters=parameters(module), **{count.__name__: count(module, inputs) for count in counts})


def on_meta(factory, *shape):
    with torch.device("meta"):
        return factory(), torch.empty(shape)


@pytest.mark.parametrize(
    ("factory", "shape", "expected_parameters", "gmacs", "layers"),
    [
        (resnet34, (1, 3, 224, 224), 21_797_672, 3.66, (34, 37)),
        (r3d_18, (1, 3, 16, 112, 112), 33_371_472, 40.70, (18, 21)),
    ],
)
def test_known_answers_at_full_size(factory, shape, expected_parameters, gmacs, layers):
    module, clip = on_meta(factory, *shape)
    counted = complexity(module, clip)
    assert counted.parameters == expected_parameters
    assert round(counted.multiply_adds / 1e9, 2) == gmacs
    assert counted.multiply_adds == counted.multiply_adds_by_hooks
    assert counted.depth == layers


def test_attention_is_counted_as_torchvision_publishes_it():
    module, clip = on_meta(swin3d_t, 1, 3, 16, 224, 224)
    assert multiply_adds(module, clip) / 1e9 == pytest.approx(43.88, abs=0.01)
    assert multiply_adds_by_hooks(module, clip) < multiply_adds(module, clip)


def test_fused_attention_kernel_is_counted_too():
    """10 tokens of 64: projections 4 x 64 x 64, two layers of 64 x 2048, two products of 10 x 64 a token."""
    layer = nn.TransformerEncoderLayer(64, 4, batch_first=True)
    before = torch.backends.mha.get_fastpath_enabled()
    assert multiply_adds(layer, torch.randn(1, 10, 64)) == 10 * (4 * 64 * 64 + 2 * 64 * 2048 + 2 * 10 * 64)
    assert torch.backends.mha.get_fastpath_enabled() == before


@pytest.mark.parametrize(
    ("layer", "shape", "macs", "elements"),
    [
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 8, 8), 8 * 4 * 4 * 3 * 9, 8 * 4 * 4),
        (nn.Conv2d(8, 8, 3, groups=4, bias=False), (2, 8, 5, 5), 2 * 8 * 3 * 3 * 2 * 9, 2 * 8 * 3 * 3),
        (nn.Conv3d(2, 4, (3, 1, 1), stride=(2, 1, 1)), (1, 2, 7, 4, 4), 4 * 3 * 4 * 4 * 2 * 3, 4 * 3 * 4 * 4),
        (nn.Conv1d(4, 6, 5), (1, 4, 9), 6 * 5 * 4 * 5, 6 * 5),
        (nn.Linear(10, 3), (5, 10), 5 * 10 * 3, 5 * 3),
        (nn.BatchNorm2d(3), (2, 3, 4, 4), 0, 0),
    ],
)
def test_single_layers_by_hand(layer, shape, macs, elements):
    values = torch.randn(shape)
    assert multiply_adds(layer, values) == multiply_adds_by_hooks(layer, values) == macs
    assert activations(layer, values) == elements


class Branches(nn.Module):
    """One convolution used twice, a gated branch, a projection shortcut, and two inputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.gate = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))
        self.downsample = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, first, second):
        branch = self.bn(self.conv(self.conv(first)))
        branch = branch * self.gate(branch.mean((2, 3)))[:, :, None, None]
        return self.fc((branch + self.downsample(second)).mean((2, 3)))


class Gated(nn.Module):
    """A convolution, an SE gate on it and a projection shortcut beside both."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.downsample = nn.Conv2d(4, 4, 3, padding=1), Gate(4, mode="se"), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return (self.gate(self.conv(x)) + self.downsample(x)).relu_()


def test_depth_follows_the_papers_rule():
    assert depth(Gated(), torch.randn(1, 4, 6, 6)) == (1, 2)  # not the gate's two, not the shortcut
    assert depth(nn.Sequential(Gated(), nn.BatchNorm2d(4), Gated()), torch.randn(1, 4, 6, 6)) == (2, 4)
    # 2 calls of conv, 2 linear layers of what is no SE gate by type, fc; the shortcut's path is shorter
    assert depth(Branches(), (torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6))) == (5, 6)


def test_depth_takes_the_longest_of_parallel_branches():
    class Inception(nn.Module):
        def __init__(self):
            super().__init__()
            self.short = nn.Conv2d(3, 2, 1)
            self.long = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3)))

        def forward(self, x):
            return torch.cat([self.short(x), self.long(x)], 1)

    assert depth(Inception(), torch.randn(1, 3, 4, 4)) == (3, 4)


def test_depth_of_the_networks_with_a_3d_head_is_that_of_their_module_tree():
    """33 convolutions in the trunk, 12 in the head, one linear layer; gates of either kind change nothing."""
    for name in ("resnet34_3dres18", "res34_se_im_net", "res34_se_im_ta_net"):
        with torch.device("meta"):
            network = build(name, classes=5)
        found = [n for n, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Conv3d, nn.Linear))]
        layers = [n for n in found if "gate" not in n.split(".")]
        on_path = [n for n in layers if "downsample" not in n.split(".")]
        counted = depth(network, torch.empty(1, 4, 3, 64, 64, device="meta"))
        assert counted == (len(on_path), len(layers)) == (46, 52)


def test_every_call_is_counted_with_several_inputs():
    inputs = (torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6))
    macs = 2 * 36 * 4 * 4 * 9 + 2 * 8 + 36 * 16 + 12
    counted = complexity(Branches(), inputs)
    assert counted.multiply_adds == counted.multiply_adds_by_hooks == macs
    assert counted.activations == 3 * 36 * 4 + 2 + 4 + 3


def test_shared_parameters_count_once_and_buffers_not_at_all():
    conv = nn.Conv2d(3, 8, 3)
    assert parameters(nn.Sequential(conv, nn.BatchNorm2d(8))) == 3 * 8 * 9 + 8 + 16
    linear = nn.Linear(4, 4)
    assert parameters(nn.Sequential(linear, nn.ReLU(), linear)) == 20


def test_meta_and_real_counts_agree():
    module, values = on_meta(Branches, 1, 4, 6, 6)
    assert complexity(module, (values, values)) == complexity(Branches(), (torch.randn(1, 4, 6, 6),) * 2)


def test_module_is_left_as_it_was():
    module = Branches().train()
    module.bn.eval()  # frozen within a network in training mode
    inputs = (torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6))
    state = {name: value.clone() for name, value in module.state_dict().items()}
    complexity(module, inputs)
    assert module.training and module.conv.training and not module.bn.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())
    with pytest.raises(RuntimeError):
        complexity(module, (torch.randn(1, 5, 6, 6), inputs[1]))
    assert module.training and not module.bn.training
    assert not any(part._forward_hooks for part in module.modules())
