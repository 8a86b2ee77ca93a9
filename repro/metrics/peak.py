"""How fast this device can be at best, measured now, and a network's rate as a share of that.

A rate counts two operations a multiply-add and is in FLOP/s. The cases are what the networks are made of, large matrix
products and convolutions, so that "the peak" is what a program reaches here and not what a data sheet promises. The
convolutions have a rim of values where the networks pad with zeros, for a library may leave products with zeros out.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.metrics.speed import seconds_of

DTYPES = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "bf16-true": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""Names of precisions and the type of their convolutions' and matrix products' inputs."""

SHORTEST = 0.005  # seconds of calls in one timing: long for the clock, short for other work to come between
MAPS = ((64, 28), (128, 14), (256, 7), (512, 4))  # channels and side of the trunk's four stages at 112 pixels
STACKS = ((128, 8, 4), (256, 4, 2), (512, 8, 4))  # channels, frames and side in the 3D head, and of its input
EXACT = "ieee"  # torch's name of float32 as it is written down
FRAMES = {"cpu": 32, "cuda": 1024}  # in a batch of a 2D convolution; 8 a clip in a 3D one
SIDES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096)}  # of square matrices

Call = Callable[[], object]
Case = tuple[int, Callable[[], Call]]
"""Operations of a call, and what makes the tensors and returns the call."""


@dataclass(frozen=True)
class Peak:
    """The best rate of a device in one precision, FLOP/s, and the name of the case that reached it."""

    flops: float
    case: str


def measure_peak(
    device: str | torch.device, precision: str, *, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Peak:
    """Time every case, cheapest first, then all in turn until `seconds` are over; the best counts.

    precision: a name of `DTYPES`. Settings (TF32, threads, cuDNN's search) are left as found. A case that the device
    cannot run, or has no time for, is left out; a slow one may overrun the time by its two calls. clock: seconds,
    monotonic. Raises ValueError for an unknown device or when no case runs.
    """
    device, dtype = torch.device(device), DTYPES[precision]
    if device.type not in FRAMES:
        raise ValueError(f"cannot time device {device}: cpu or cuda is needed")
    best: dict[str, float] = {}
    slowest: dict[str, float] = {}  # of each kind of case, so that a hopeless one is known by its smaller sister
    kept: dict[str, tuple[int, Call, int]] = {}
    faults: list[str] = []
    with torch.no_grad():
        _load_libraries(device)
        end = clock() + seconds
        for name, (operations, make) in sorted(_cases(device, dtype).items(), key=lambda case: case[1][0]):
            kind = name.split()[0]
            if (best and clock() >= end) or operations / slowest.get(kind, math.inf) > seconds:
                continue
            try:
                call = make()
                seconds_of(call, device, clock)  # picks kernels
                took = seconds_of(call, device, clock)
            except RuntimeError as error:  # an operator that the device lacks, or out of memory
                faults.append(f"{name}: {error}")
                continue
            best[name] = operations / took
            slowest[kind] = min(best[name], slowest.get(kind, math.inf))
            kept[name] = (operations, call, max(1, round(SHORTEST / took)))
        for name, (operations, call, times) in itertools.cycle(kept.items()):
            if clock() >= end:
                break
            took = seconds_of(call, device, clock, times=times)
            best[name] = max(best[name], operations * times / took)
    if not best:
        raise ValueError(f"no case runs on {device} in {precision}: {'; '.join(faults)}")
    case = max(best, key=lambda name: best[name])
    return Peak(best[case], case)


def training_flops(multiply_adds: int) -> int:
    """Operations of one training step, from the multiply-adds of its forward pass.

    Two a multiply-add, and a backward pass counts as two forward passes: the convention of model FLOPs utilisation
    (Chowdhery et al. 2022, appendix B). A first layer, which needs no gradient of its input, is a little over-counted.
    """
    return 2 * 3 * multiply_adds


def _cases(device: torch.device, dtype: torch.dtype) -> dict[str, Case]:
    """Cases by name; a name begins with its kind."""

    def make(function: Callable[[Tensor, Tensor], Tensor], *shapes: tuple[int, ...]) -> Call:
        layout = torch.channels_last if function is F.conv2d else torch.contiguous_format
        a, b = (torch.randn(*shape, device=device).to(dtype, memory_format=layout) for shape in shapes)
        return lambda: function(a, b)

    def convolution(function: Any, batch: int, channels: int, cells: tuple[int, ...], k: int) -> Case:
        maps, weight = (batch, channels, *(n + k - 1 for n in cells)), (channels, channels, *(k for _ in cells))
        return 2 * batch * math.prod(cells) * math.prod(weight), partial(make, function, maps, weight)

    cases: dict[str, Case] = {}
    frames = FRAMES[device.type]
    for side in SIDES[device.type]:
        cases[f"product {side}x{side}"] = 2 * side**3, partial(make, torch.matmul, (side, side), (side, side))
    for channels, side in MAPS:
        for k in (1, 3):
            cases[f"conv{k}x{k} {channels} channels"] = convolution(F.conv2d, frames, channels, (side, side), k)
    for channels, depth, side in STACKS:
        cells = (depth, side, side)
        cases[f"conv3x3x3 {channels} channels"] = convolution(F.conv3d, frames // 8, channels, cells, 3)
    return cases


def _load_libraries(device: torch.device) -> None:
    """cuBLAS and cuDNN take a second at their first use, which is no case's fault."""
    values = torch.ones(1, 8, 8, 8, device=device)
    seconds_of(lambda: (values @ values, F.conv2d(values, values)), device)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products and convolutions on a GPU in float32 itself, of 24 significant bits, inside the block.

    PyTorch lets cuDNN's convolutions take TF32, of 11 bits, for float32: faster, another function, under the same name.
    """
    backends: Any = torch.backends  # torch's stubs lack these names
    settings = backends.cuda.matmul, backends.cudnn.conv
    before = [each.fp32_precision for each in settings]
    for each in settings:
        each.fp32_precision = EXACT
    try:
        yield
    finally:
        for each, setting in zip(settings, before):
            each.fp32_precision = setting


def float32_of(device: torch.device) -> str:
    """What the settings make of float32. The older allow_tf32 cannot be read where the run uses the newer names."""
    backends: Any = torch.backends  # torch's stubs lack these names
    if device.type == "cuda":
        found = backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision
    else:
        found = backends.mkldnn.matmul.fp32_precision, backends.mkldnn.conv.fp32_precision
    products, convolutions = (EXACT if setting == "none" else setting for setting in found)
    return f"products {products}, convolutions {convolutions}"


def measure_bandwidth(device: torch.device) -> float:
    """Bytes a second that a CPU or CUDA device moves when it copies a large array, read and written bytes together: the
    best of ten timings. For a roofline's slope."""
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    took = [seconds_of(lambda: target.copy_(source), device) for _ in range(11)]
    return 2 * source.nbytes / min(took[1:])
