"""Memory: what a training step or a forward pass needs, known before the first one, and what the device has left.

The estimates run the network's forward pass on the meta device, where tensors have shapes but no data, and add up what
autograd keeps for the backward pass, or what is alive at once without one. Bytes throughout.
"""

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repro.metrics.peak import DTYPES

BATCHES = (2, 4)  # two, for a slope; not one clip, which can leave a batch norm a single value per channel


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training step needs at its peak: ``fixed + batch * per_clip``; see `training_memory`."""

    fixed: int
    per_clip: int

    def total(self, batch: int) -> int:
        return self.fixed + batch * self.per_clip

    def largest_batch(self, available: int) -> int:
        """The most clips a batch for which these bytes are enough; 0 where not even one clip fits."""
        return max(0, (available - self.fixed) // self.per_clip)


def training_memory(network: nn.Module, *, frames: int, size: int, precision: str = "32-true") -> TrainingMemory:
    """Estimate what training a network of clips ``(B, frames, 3, size, size)`` needs; costs no arithmetic.

    precision: a name of `repro.metrics.peak.DTYPES`. The network stays as it is.

    ``fixed``: parameters, gradients, momentum, buffers and whatever is kept whatever the batch. ``per_clip``: the float
    clip and each distinct storage that the forward pass keeps for the backward pass, all alive at its end. In the
    backward pass what is kept shrinks while gradients of activations come and go: two of them, beside all that was kept
    up to their activation, are the second bound, and the larger of the two counts.

    Mixed precision: autocast does nothing to meta tensors, so all activations count 16 bits, as in a 16-bit copy of the
    network; added are the clip in 32 bits and a 16-bit copy of each weight of two or more dimensions, which autocast
    makes. Layers that autocast leaves in 32 bits (softmax, losses) are thus taken at half.

    Not in the estimate: workspaces of libraries (cuDNN, oneDNN), the allocator's rounding, the CUDA context, uint8
    clips of the loader, the loss, an optimiser's temporaries. Raises ValueError for what the network refuses.
    """
    dtype = DTYPES[precision]
    mixed = precision.endswith("mixed")
    stored = torch.float32 if mixed else dtype

    def bytes_of(tensors: Iterable[Tensor]) -> int:
        return sum(t.numel() * (stored if t.is_floating_point() else t.dtype).itemsize for t in tensors)

    parameters = list(network.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    fixed = bytes_of([*parameters, *network.buffers()]) + 2 * bytes_of(trainable)
    clip = frames * 3 * size * size
    if mixed:
        fixed += sum(parameter.numel() for parameter in parameters if parameter.ndim > 1) * dtype.itemsize
    few, many = (_peak_of_backward(network, (b, frames, 3, size, size), dtype, keep_input=not mixed) for b in BATCHES)
    slope = math.ceil((many - few) / (BATCHES[1] - BATCHES[0]))
    return TrainingMemory(
        fixed=fixed + max(0, few - BATCHES[0] * slope), per_clip=slope + (clip * stored.itemsize if mixed else 0)
    )


def _peak_of_backward(network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, *, keep_input: bool) -> int:
    """Bytes kept by one forward pass in training, or those kept up to an activation with its two gradients if more."""
    probe = _on_meta(network, dtype).train()
    own = {tensor.untyped_storage()._cdata for tensor in (*probe.parameters(), *probe.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # the storages themselves, so that no address is used twice
    total = peak = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total, peak
        storage = tensor.untyped_storage()
        if storage._cdata not in own and storage._cdata not in kept:
            kept[storage._cdata] = storage
            total += storage.nbytes()
            gradients = 2 * storage.nbytes() if tensor.is_floating_point() else 0  # max-pool's indices have none
            peak = max(peak, total + gradients)
        return tensor

    clips = torch.empty(shape, dtype=dtype, device="meta")
    if keep_input:
        storage = clips.untyped_storage()
        kept[storage._cdata] = storage
        total = peak = storage.nbytes()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        probe(clips)
    return peak


def _on_meta(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy in this type of float, made without copying any data."""

    def empty(tensor: Tensor) -> Tensor:
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=kind, device="meta")

    memo = {id(p): nn.Parameter(empty(p), requires_grad=p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, memo | {id(buffer): empty(buffer) for buffer in network.buffers()})


def inference_memory(network: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Bytes of one forward pass at its peak: parameters, buffers, and the tensors alive at once, inputs included.

    network and inputs: on the meta device, in the precision asked about; costs no arithmetic. What an operation needs
    inside is not counted. Raises ValueError for what is not on the meta device, and what the network refuses.
    """
    own = [*network.parameters(), *network.buffers()]
    if any(tensor.device.type != "meta" for tensor in (*own, *inputs)):
        raise ValueError("network and inputs must be on the meta device: `with torch.device('meta'): ...`")
    with torch.no_grad(), _Alive(own) as alive:
        alive.see(inputs)
        network(*inputs)
    return alive.fixed + alive.peak


class _Alive(TorchDispatchMode):
    """Adds up the storages that are alive after each operation."""

    def __init__(self, own: list[Tensor]) -> None:
        super().__init__()
        storages = {storage._cdata: storage for tensor in own for storage in (tensor.untyped_storage(),)}
        self.own, self.fixed = set(storages), sum(storage.nbytes() for storage in storages.values())
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def see(self, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, Tensor) and (storage := value.untyped_storage())._cdata not in self.own:
                self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.alive = {key: entry for key, entry in self.alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.see(result)
        return result


def available_memory(device: str | torch.device) -> int:
    """Bytes that a process can still take on "cpu" or a CUDA device; ValueError for another one.

    CUDA: free memory as the driver sees it. CPU: Linux's MemAvailable, or what the process's control groups (versions 1
    and 2; a container's limit) leave it, where that is less, file cache not counted as used; elsewhere the free memory
    by sysconf, or all of it where free memory is not told (macOS). Raises OSError on a system that has none of these.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        return _left_on_host(Path("/"))
    raise ValueError(f"cannot ask device {device} for its memory: cpu or cuda is needed")


def _left_on_host(root: Path) -> int:
    available = _table(root / "proc/meminfo").get("MemAvailable:")  # KiB
    if available is not None:
        return min([available * 1024, *_left_in_groups(root)])
    known = getattr(os, "sysconf_names", {})
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if pages in known:
            return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    raise OSError("this system does not tell its memory by /proc/meminfo or sysconf")


CONTROL_GROUPS = {  # by controller, which version 2 does not name: folder, limit, use, and file cache in memory.stat
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _left_in_groups(root: Path) -> Iterator[int]:
    """Limit minus use, for each control group from the top one down to the process's own that has a limit."""
    membership = root / "proc/self/cgroup"
    for line in membership.read_text().splitlines() if membership.is_file() else ():
        _, controllers, path = line.split(":", 2)
        kind = next((each for each in controllers.split(",") if each in CONTROL_GROUPS), None)
        if kind is None:
            continue
        top, limit, used, cache = CONTROL_GROUPS[kind]
        parts = path.strip("/").split("/")
        # In a container the path may be the host's, of which only the top is there: folders without files are passed
        for depth in range(len(parts) + 1):
            group = root.joinpath(top, *parts[:depth])
            most, taken = _number(group / limit), _number(group / used)
            if most is not None and taken is not None:
                yield max(0, most - taken + _table(group / "memory.stat").get(cache, 0))


def _number(path: Path) -> int | None:
    """A file's number; None where there is no such file, or no limit ("max")."""
    text = path.read_text().strip() if path.is_file() else "max"
    return None if text == "max" else int(text)


def _table(path: Path) -> dict[str, int]:
    """Lines "name number ..." of a file; empty where there is none."""
    rows = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def is_out_of_memory(error: BaseException) -> bool:
    """Of a GPU or of this machine; torch's allocator on the CPU raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
