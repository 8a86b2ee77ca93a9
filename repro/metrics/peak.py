"""How fast this device can be at best, measured now, and a network's rate as a share of that.

A rate counts two operations a multiply-add and is in FLOP/s. The cases are what the networks are made of, large matrix
products and convolutions, so that "the peak" is what a program reaches here and not what a data sheet promises. The
convolutions have a rim of values where the networks pad with zeros: products with padding are counted, but a library
may leave them out, and a rate that includes them can be above what the device does.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.metrics.speed import _seconds

DTYPES = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "bf16-true": torch.bfloat16,
    "16-mixed": torch.float16,
    "16-true": torch.float16,
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
    """The best rate of a device in one precision, with what it was found by.

    flops: FLOP/s of the fastest case. case: its name. by_case: FLOP/s, the best of each case's timings. left_out: cases
    that did not run, with the reason. precision: its name; dtype: the tensors' type. device: the GPU's name,
    or "CPU"; threads: torch's, on the CPU. float32: for 32-true, what "float32" means in products and convolutions
    ("ieee", or "tf32" where the settings found allow it), else "". seconds: what the measurement took.
    """

    flops: float
    case: str
    by_case: dict[str, float]
    left_out: dict[str, str]
    precision: str
    dtype: str
    device: str
    threads: int
    float32: str
    seconds: float


def dtype_of(precision: str) -> torch.dtype:
    """The type that a precision computes in. Raises ValueError for a name not in `DTYPES`."""
    if precision not in DTYPES:
        raise ValueError(f"precision: {precision!r} is not one of {', '.join(DTYPES)}")
    return DTYPES[precision]


def measure_peak(
    device: str | torch.device,
    precision: str,
    *,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Peak:
    """Time every case, cheapest first, then all in turn until `seconds` are over; the best counts.

    Forward only, of tensors in the precision's type, waiting for the GPU before and after each timing. Settings (TF32,
    threads, cuDNN's search) are left as found. A case that the device cannot run, or has no time for, is left out and
    named; a slow one may overrun the time by its two calls. Libraries are loaded before the time counts. clock:
    seconds, monotonic. Raises ValueError for an unknown device or precision, no time, a clock that does not advance,
    or when no case runs.
    """
    device, dtype = torch.device(device), dtype_of(precision)
    if device.type not in FRAMES:
        raise ValueError(f"cannot time device {device}: cpu or cuda is needed")
    if not seconds > 0:
        raise ValueError(f"seconds: {seconds} must be more than 0")
    threads, float32 = torch.get_num_threads(), float32_of(device) if dtype == torch.float32 else ""
    best: dict[str, float] = {}
    left_out: dict[str, str] = {}
    kept: dict[str, tuple[int, Call, int]] = {}
    with torch.no_grad():
        _load_libraries(device)
        start = clock()
        cases = dict(sorted(_cases(device, dtype).items(), key=lambda case: case[1][0]))
        slowest: dict[str, float] = {}  # of each kind of case, so that a hopeless one is known by its smaller sister
        for name, (operations, make) in cases.items():
            kind = name.split()[0]
            late = bool(best) and clock() - start >= seconds
            if late or operations / slowest.get(kind, math.inf) > seconds:
                left_out[name] = "no time was left for it"
                continue
            try:
                call = make()
                _seconds(call, device, clock)  # picks kernels
                took = _seconds(call, device, clock)
            except RuntimeError as error:  # an operator that the device lacks, or out of memory
                left_out[name] = str(error).partition("\n")[0] or type(error).__name__
                continue
            if took <= 0:
                raise ValueError(f"the clock did not advance during {name!r}")
            best[name] = operations / took
            slowest[kind] = min(best[name], slowest.get(kind, math.inf))
            kept[name] = (operations, call, max(1, round(SHORTEST / took)))
        for name, (operations, call, times) in itertools.cycle(kept.items()):
            if clock() - start >= seconds:
                break
            took = _seconds(_repeated(call, times), device, clock)
            best[name] = max(best[name], operations * times / took)
    if not best:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"no case runs on {device} in {precision}: {reasons}")
    case = max(best, key=lambda name: best[name])
    return Peak(
        flops=best[case],
        case=case,
        by_case=best,
        left_out=left_out,
        precision=precision,
        dtype=str(dtype).removeprefix("torch."),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        threads=threads,
        float32=float32,
        seconds=clock() - start,
    )


def training_flops(multiply_adds: int) -> int:
    """Operations of one training step, from the multiply-adds of its forward pass: 2 x 3 x multiply-adds.

    Two operations a multiply-add; a backward pass counts as two forward passes, one for the gradients of the inputs
    and one for those of the weights. That is the convention for such shares (model FLOPs utilisation, Chowdhery et
    al. 2022, appendix B); a first layer, which needs no gradient of its input, is a little over-counted. Raises
    ValueError for a negative count.
    """
    if multiply_adds < 0:
        raise ValueError(f"multiply_adds: {multiply_adds} must be 0 or more")
    return 2 * 3 * multiply_adds


def _cases(device: torch.device, dtype: torch.dtype) -> dict[str, Case]:
    """Cases by name; a name begins with its kind."""

    def product(side: int) -> Case:
        def make() -> Call:
            a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
            return lambda: a @ b

        return 2 * side**3, make

    def convolution(
        function: Callable[[Tensor, Tensor], Tensor],
        batch: int,
        channels: int,
        cells: tuple[int, ...],
        kernel: tuple[int, ...],
        layout: torch.memory_format,
    ) -> Case:
        def make() -> Call:
            with_rim = (n + k - 1 for n, k in zip(cells, kernel))
            maps = torch.randn(batch, channels, *with_rim, device=device).to(dtype, memory_format=layout)
            weight = torch.randn(channels, channels, *kernel, device=device).to(dtype, memory_format=layout)
            return lambda: function(maps, weight)

        return 2 * batch * math.prod(cells) * channels**2 * math.prod(kernel), make

    frames = FRAMES[device.type]
    cases = {f"product {side}x{side}": product(side) for side in SIDES[device.type]}
    for channels, side in MAPS:
        for k in (1, 3):
            cases[f"conv{k}x{k} {channels} channels"] = convolution(
                F.conv2d, frames, channels, (side, side), (k, k), torch.channels_last
            )
    for channels, depth, side in STACKS:
        cases[f"conv3x3x3 {channels} channels"] = convolution(
            F.conv3d, frames // 8, channels, (depth, side, side), (3, 3, 3), torch.contiguous_format
        )
    return cases


def _repeated(call: Call, times: int) -> Call:
    def calls() -> None:
        for _ in range(times):
            call()

    return calls


def _load_libraries(device: torch.device) -> None:
    """cuBLAS and cuDNN take a second at their first use, which is no case's fault."""
    values = torch.ones(1, 8, 8, 8, device=device)
    _seconds(lambda: (values @ values, F.conv2d(values, values)), device, time.perf_counter)


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


def measure_bandwidth(device: str | torch.device, *, megabytes: int = 256, repeats: int = 10) -> float:
    """Bytes a second that this device moves when it copies a large array: read and written bytes together, the best of
    ``repeats`` timings. For a roofline's slope. Raises ValueError for another device than cpu or cuda."""
    device = torch.device(device)
    if device.type not in FRAMES:
        raise ValueError(f"cannot time device {device}: cpu or cuda is needed")
    source = torch.ones(megabytes * 2**20 // 4, device=device)
    target = torch.empty_like(source)
    _seconds(lambda: target.copy_(source), device, time.perf_counter)
    best = min(_seconds(lambda: target.copy_(source), device, time.perf_counter) for _ in range(repeats))
    return 2 * source.numel() * 4 / best
