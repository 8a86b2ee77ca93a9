"""repro.metrics.memory: sums by hand, the profiler's count of a real step, and made /proc and control-group files."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from repro.metrics import memory as module
from repro.metrics.memory import TrainingMemory, available_memory, inference_memory, training_memory
from repro.models import MODELS, res34_se_im_net

GIB = 1024**3


class Net(nn.Module):
    """Two 1x1 convolutions with an in-place ReLU between; clips of one frame of 4 x 4 pixels are 48 values."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 1, bias=False)  # 24 weights; output 128 values a clip
        self.b = nn.Conv2d(8, 2, 1)  # 16 weights, 2 biases
        self.register_buffer("offset", torch.zeros(5))

    def forward(self, clips):
        return self.b(self.a(clips.flatten(0, 1)).relu_())


def test_sums_by_hand():
    """Kept are the clip and the first convolution's output, once, though two layers save it; plus its two gradients."""
    found = training_memory(Net(), frames=1, size=4)
    assert found.fixed == 3 * 4 * 42 + 4 * 5  # parameters, gradients, momentum; the buffer
    assert found.per_clip == 4 * (48 + 3 * 128)
    assert training_memory(Net(), frames=1, size=4, precision="bf16-true") == TrainingMemory(
        found.fixed // 2, found.per_clip // 2
    )
    # 32-bit parameters with 16-bit copies of the weights; the clip in both, the rest in 16 bits
    for precision in ("bf16-mixed", "16-mixed"):
        mixed = training_memory(Net(), frames=1, size=4, precision=precision)
        assert mixed == TrainingMemory(found.fixed + 2 * 40, 4 * 48 + 2 * (48 + 3 * 128))


def test_frozen_layers_keep_nothing_but_their_values():
    net = Net()
    net.a.requires_grad_(False)
    found = training_memory(net, frames=1, size=4)
    assert found.fixed == 4 * 42 + 2 * 4 * 18 + 4 * 5
    assert found.per_clip == 4 * (48 + 3 * 128)  # what b needs


def test_what_no_batch_changes_is_fixed():
    class Scaled(Net):
        def forward(self, clips):
            scale = (torch.ones(10, device=clips.device) * self.b.bias[0]).sum()
            return super().forward(clips) * scale

    plain, scaled = (training_memory(net, frames=1, size=4) for net in (Net(), Scaled()))
    assert scaled == TrainingMemory(plain.fixed + 4 * 10, plain.per_clip)


def test_peak_in_bytes_is_linear_in_the_batch():
    found = TrainingMemory(fixed=100, per_clip=30)
    assert (found.total(1), found.total(4)) == (130, 220)
    assert [found.largest_batch(n) for n in (0, 129, 130, 219, 220)] == [0, 0, 1, 3, 4]


@pytest.fixture
def one_thread():
    """Workspaces grow with the threads; and such small layers run fastest on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def real_peak(make, batch, frames, size, precision):
    """Most bytes alive in two steps whose gradients stay until the next forward pass is done, by the profiler's log."""
    torch.manual_seed(0)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as log:
        net = make().train()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        for _ in range(2):
            clips, labels = torch.randn(batch, frames, 3, size, size), torch.zeros(batch, dtype=torch.long)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = F.cross_entropy(net(clips), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            del clips, labels, loss
    events = [event for event in log.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


@pytest.mark.parametrize(("name", "precision"), [("res34_se_im_net", "32-true"), ("resnet34_3dres18", "bf16-mixed")])
def test_estimate_against_a_real_step(one_thread, name, precision):
    def make():
        return MODELS[name](classes=5, width=0.125)

    real = real_peak(make, 4, 4, 64, precision)
    assert training_memory(make(), frames=4, size=64, precision=precision).total(4) == pytest.approx(real, rel=0.25)


def test_full_size_costs_no_memory_and_changes_nothing():
    with torch.device("meta"):
        net = res34_se_im_net(classes=101).eval()
    found = training_memory(net, frames=16, size=112)
    assert found.total(32) > 5e9
    assert not net.training and all(parameter.grad is None for parameter in net.parameters())
    net = Net()
    net.a.weight.data = net.a.weight.data.to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    training_memory(net, frames=1, size=4, precision="bf16-true")
    assert all(value.device.type == "cpu" and torch.equal(value, before[k]) for k, value in net.state_dict().items())
    with torch.no_grad():  # a caller's setting does not hide what training keeps
        assert training_memory(net, frames=1, size=4).per_clip == 4 * (48 + 3 * 128)


def test_a_shape_that_the_network_refuses():
    with pytest.raises(ValueError, match="64 pixels or more a side"):
        training_memory(res34_se_im_net(classes=2, width=0.1), frames=2, size=32)


def host(root, groups="", **files):
    """A root folder with 8 GiB available; file names have "__" for "/"."""
    files = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:  {8 * GIB // 1024} kB\n"} | {
        name.replace("__", "/"): text for name, text in files.items()
    }
    for name, text in (files | {"proc/self/cgroup": groups}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return module._left_on_host(root)


def test_host_without_limits(tmp_path):
    assert host(tmp_path, "0::/\n") == 8 * GIB
    (tmp_path / "proc/self/cgroup").unlink()
    assert module._left_on_host(tmp_path) == 8 * GIB


@pytest.mark.parametrize("limit", ["max", str(100 * GIB), str(2**63 - 4096)])
def test_limits_above_what_is_there_do_not_count(tmp_path, limit):
    files = {"sys/fs/cgroup/memory.max": limit, "sys/fs/cgroup/memory.current": "5"}
    assert host(tmp_path, "0::/\n", **files) == 8 * GIB


def test_control_group_version_2_and_its_parents(tmp_path):
    files = {
        "sys/fs/cgroup/slice/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/slice/memory.current": f"{3 * GIB}\n",
        "sys/fs/cgroup/slice/memory.stat": f"anon 7\ninactive_file {2 * GIB}\n",  # can be had back
        "sys/fs/cgroup/slice/job/memory.max": "max\n",
        "sys/fs/cgroup/slice/job/memory.current": f"{GIB}\n",
    }
    assert host(tmp_path, "0::/slice/job\n", **files) == 3 * GIB


def test_control_group_version_1_in_a_container(tmp_path):
    """The path is the host's, and only the container's own group is there, at the top."""
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": "cache 1\ntotal_inactive_file 512\n",
    }
    assert host(tmp_path, "5:cpu:/docker/1\n4:memory:/docker/1\n0::/\n", **files) == GIB + 512
    files["sys/fs/cgroup/memory/memory.usage_in_bytes"] = str(3 * GIB)  # over the limit
    files["sys/fs/cgroup/memory/memory.stat"] = ""
    assert host(tmp_path, "4:memory:/docker/1\n", **files) == 0


def test_other_systems(tmp_path, monkeypatch):
    values = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf_names", dict.fromkeys(values, 0))
    monkeypatch.setattr(os, "sysconf", values.__getitem__)
    assert module._left_on_host(tmp_path) == 4096 * 1000
    monkeypatch.delattr(os, "sysconf_names")
    with pytest.raises(OSError, match="does not tell its memory"):
        module._left_on_host(tmp_path)


def test_this_machine(monkeypatch):
    assert available_memory("cpu") > 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 7))
    assert available_memory("cuda:1") == 3
    with pytest.raises(ValueError, match="cannot ask device meta"):
        available_memory("meta")


def test_inference_memory_by_hand():
    """Three layers of 10 to 20 to 20 to 5: at most two neighbouring activations are alive, and the input throughout."""
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 20), nn.Linear(20, 5))
        clip = torch.empty(3, 10)
    weights = 10 * 20 + 20 + 20 * 20 + 20 + 20 * 5 + 5
    assert inference_memory(network, (clip,)) == 4 * (weights + 3 * (10 + 20 + 20))
    assert inference_memory(network.bfloat16(), (clip.bfloat16(),)) == 2 * (weights + 3 * (10 + 20 + 20))


def test_inference_memory_of_what_is_kept_and_of_views():
    class Kept(nn.Module):
        def forward(self, x):
            first = x + 1
            second = first.transpose(0, 1) * 2  # the view shares first's storage
            third = second.relu_()
            return first.sum() + third.sum()

    # x, first, second; at the end two sums and their sum beside them
    assert inference_memory(Kept(), (torch.empty(10, 10, device="meta"),)) == 4 * (300 + 3)


def test_inference_memory_needs_meta():
    with pytest.raises(ValueError, match="must be on the meta device"):
        inference_memory(nn.Linear(2, 2), (torch.empty(1, 2, device="meta"),))
