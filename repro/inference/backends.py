"""Fast inference of the study's two networks: the same function, sooner.

Every backend runs on a CPU; the eager and compiled ones on a GPU too. ``choose`` takes one by name or the fastest that
gives the same numbers; ``repro.bench.backends`` times and checks them side by side.
"""

import copy
import importlib
import logging
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from repro.files import check_names

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PAIRS = (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1"))  # names of a convolution and the batch norm that follows it

EXACT = 1e-3  # of the largest |logit|: as far as logits in float32 may be from the eager network's

Predictor = Callable[[Tensor], Tensor]
"""Takes float32 clips ``(B, N, 3, H, W)``, gives float32 logits ``(B, classes)``; evaluation, no gradients."""


def folded(network: nn.Module) -> nn.Module:
    """A copy for evaluation in which each batch norm is part of its convolution; exact up to rounding.

    Raises ValueError where a batch norm is left, because it follows no convolution under a name that `PAIRS` has.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = dict(module.named_children())
        for convolution, norm in PAIRS:
            normed, before = children.get(norm), children.get(convolution)
            if isinstance(normed, nn.modules.batchnorm._BatchNorm) and isinstance(before, nn.Conv2d | nn.Conv3d):
                setattr(module, convolution, fuse_conv_bn_eval(before, normed))
                setattr(module, norm, nn.Identity())
    left = [name for name, part in network.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if left:
        raise ValueError(f"batch norm {left[0]} follows no convolution known by name ({PAIRS}); it cannot be folded")
    return network


def fast(network: nn.Module, *, precision: str = "fp32", compiled: bool = False) -> Predictor:
    """A network for inference: folded, trunk in channels-last layout, in this precision, compiled if asked.

    precision: "fp32" or "bf16" (weights and activations; logits come back in float32). compiled: by torch.compile at
    the first call, which takes about half a minute. The network itself stays as it is.
    """
    dtype = PRECISIONS[precision]
    ready = folded(network).to(dtype)
    planes = getattr(ready, "trunk", ready)  # a head alone convolves volumes
    if all(parameter.ndim < 5 for parameter in planes.parameters()):
        planes.to(memory_format=torch.channels_last)
    # frozen weights are laid out once for the library, not at every call
    call = torch.compile(ready, options={"freezing": True}) if compiled else ready

    def predict(clips: Tensor) -> Tensor:
        with torch.no_grad():  # inference_mode hides weights from torch.compile's freezing
            return call(clips.to(dtype)).float()

    return predict


def eager(network: nn.Module) -> Predictor:
    """The network as it is, in evaluation mode: what the others are compared with."""
    network = copy.deepcopy(network).eval()

    def predict(clips: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(clips)

    return predict


def export_onnx(network: nn.Module, clips: Tensor, path: Path, *, any_batch: bool = False) -> Path:
    """Write the folded network as an ONNX file for inputs of the clips' shape; ImportError without onnxscript.

    any_batch: of any number of clips; then ``clips`` must hold two, for torch takes a 1 as fixed.
    """
    _needed("onnxscript")
    shapes = {"clips": {0: torch.export.Dim("batch")}} if any_batch else None
    program = torch.onnx.export(folded(network), (clips,), dynamo=True, verbose=False, dynamic_shapes=shapes)
    assert program is not None  # it is with dynamo
    program.save(str(path))
    return Path(path)


def _one_by_one(predict: Predictor) -> Predictor:
    """By a predictor of one clip: what was exported is for inputs of that shape."""
    return lambda clips: torch.cat([predict(clip[None]) for clip in clips])


def onnx_runtime(network: nn.Module, clips: Tensor) -> Predictor:
    """By ONNX Runtime on the CPU; clips of the examples' shape, one by one."""
    with TemporaryDirectory() as folder:
        return _one_by_one(onnx_predictor(export_onnx(network, clips[:1], Path(folder) / "network.onnx")))


def onnx_session(path: Path) -> Any:
    """A file of `export_onnx` in ONNX Runtime, on the CPU with torch's number of threads; one input and one output."""
    runtime = _needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_predictor(path: Path) -> Predictor:
    """A file of `export_onnx`, by ONNX Runtime."""
    session = onnx_session(path)
    name = session.get_inputs()[0].name
    return lambda clips: torch.from_numpy(session.run(None, {name: clips.numpy()})[0])


def openvino(network: nn.Module, clips: Tensor, *, precision: str = "fp32") -> Predictor:
    """By OpenVINO on the CPU, with torch's number of threads; clips of the examples' shape, one by one.

    precision: "fp32", "bf16", or "int8": then weights and activations of convolutions and sums are 8-bit integers,
    whose ranges are those that these clips take (static quantisation by ONNX Runtime, weights a channel each).
    """
    library = _needed("openvino")
    with TemporaryDirectory() as folder:
        if precision == "int8":
            source = library.Core().read_model(_quantised(network, clips, Path(folder)))
        else:
            source = library.convert_model(torch.export.export(folded(network), (clips[:1],)))
        hints = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = library.Core().compile_model(source, "CPU", hints)
    return _one_by_one(lambda clip: torch.from_numpy(model(clip.numpy())[0].copy()))


def _quantised(network: nn.Module, clips: Tensor, folder: Path) -> Path:
    """An ONNX file of the network in 8-bit integers, calibrated on these clips."""
    quantisation = _needed("onnxruntime.quantization")
    whole, found = export_onnx(network, clips[:1], folder / "whole.onnx"), folder / "int8.onnx"

    fed = ({"clips": clip[None].numpy()} for clip in clips)
    reader = type("Reader", (quantisation.CalibrationDataReader,), {"get_next": lambda _: next(fed, None)})
    logging.getLogger().addFilter(quiet := (lambda record: "pre-process" not in record.getMessage()))
    try:  # it advises to fold batch norms first, which was done
        quantisation.quantize_static(whole, found, reader(), per_channel=True)
    finally:
        logging.getLogger().removeFilter(quiet)
    return found


BACKENDS: dict[str, Callable[[nn.Module, Tensor], Predictor]] = {
    "eager, fp32": lambda network, clips: eager(network),
    "folded, channels-last, fp32": lambda network, clips: fast(network),
    "torch.compile, fp32": lambda network, clips: fast(network, compiled=True),
    "ONNX Runtime, fp32": onnx_runtime,
    "OpenVINO, fp32": openvino,
    "folded, channels-last, bf16": lambda network, clips: fast(network, precision="bf16"),
    "torch.compile, bf16": lambda network, clips: fast(network, precision="bf16", compiled=True),
    "OpenVINO, bf16": lambda network, clips: openvino(network, clips, precision="bf16"),
    "OpenVINO, int8": lambda network, clips: openvino(network, clips, precision="int8"),
}
"""By name, with the precision; the first is the one that gains are measured against. Each takes a network and example
clips ``(B, N, 3, H, W)`` as they are fed, B >= 1: int8 takes its ranges from them."""


@dataclass(frozen=True)
class Agreement:
    """How far logits are from a reference's."""

    difference: float  # the largest, as a share of the reference's largest |logit|
    same: int  # clips with the same top class
    clips: int
    contradicted: int  # clips with another one although the reference's margin is above `EXACT` of that logit


def agreement(logits: Tensor, reference: Tensor) -> Agreement:
    """Compare logits ``(clips, classes)``, two classes or more."""
    largest = reference.abs().max()
    best = reference.topk(2, dim=1).values
    same = logits.argmax(1) == reference.argmax(1)
    sure = best[:, 0] - best[:, 1] > EXACT * largest
    return Agreement(
        difference=float((logits - reference).abs().max() / largest),
        same=int(same.sum()),
        clips=len(same),
        contradicted=int((~same & sure).sum()),
    )


# ---- a choice

TIMED = 3  # calls, of which the fastest counts


def option_of(backend: str) -> str:
    """A backend's name as an option of the command line: "openvino-int8"."""
    return backend.lower().replace(",", "").replace(" ", "-")


OPTIONS = {option_of(backend): backend for backend in BACKENDS}
AUTO = "auto"
ON_CPU = ("onnx", "openvino")


def _options(gpu: bool) -> list[str]:
    return [option for option in OPTIONS if not (gpu and option.startswith(ON_CPU))]


def check_option(option: str, *, gpu: bool) -> None:
    """Raise ValueError for what `choose` does not know here."""
    check_names([option], [AUTO, *_options(gpu)], "backend")


def choose(option: str, network: nn.Module, clips: Tensor, *, say: Callable[[str], None] = print) -> Predictor:
    """The predictor of one of `OPTIONS`; or, by "auto", the fastest here of those that give the eager network's logits.

    Those of float32 are prepared (half a minute for torch.compile), checked on the clips and timed on one of them; one
    that fails is passed over. ``say`` is told which was taken, and why. Parts of a network, such as the trunk, will do.
    Raises ValueError for another option, ImportError where the named one's packages are lacking.
    """
    check_option(option, gpu=clips.is_cuda)
    if option != AUTO:
        return BACKENDS[OPTIONS[option]](network, clips)
    reference, plain = eager(network)(clips), next(iter(BACKENDS))
    say("backend: timing the ways to run this network here, up to some minutes; it pays for many clips")
    ready: dict[str, Predictor] = {}
    seconds: dict[str, float] = {}
    for backend in (OPTIONS[name] for name in _options(clips.is_cuda) if name.endswith("fp32")):
        try:
            predict = BACKENDS[backend](network, clips)
            if agreement(predict(clips).flatten(1), reference.flatten(1)).difference <= EXACT:
                ready[backend] = predict
                seconds[backend] = min(timeit.repeat(partial(predict, clips[:1]), number=1, repeat=TIMED))
        except (ImportError, RuntimeError):
            continue
    best = min(seconds, key=lambda name: seconds[name])
    say(f"backend: {option_of(best)}, {seconds[plain] / seconds[best]:.1f} times as fast as {option_of(plain)}")
    return ready[best]


def _needed(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{package} is not installed: `pip install 'repro[export]'` ({error})") from None
