"""What Table 6 times: the cases of each section, and a case made ready to be called."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from repro.data.decode import count_frames, read_frames
from repro.data.sampling import test_frames
from repro.data.transforms import normalise, test_view
from repro.metrics.memory import inference_memory
from repro.models.peers.rows import COMMON, Row, rows

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
BATCHES = {"cpu": (2, 4), "cuda": (4, 16, 64)}
FRAMES = (4, 8, 16, 32, 64)
BY_FRAMES = ("resnet34_3dres18", "res34_se_im_net", "eco_lite-16", "tsm_resnet50-16")
BY_VIEWS = ("c3d", "tsn_bn_inception")
FLOW_SHORT_SIDE = 256
WORKSPACE = 1.5  # times what a call needs: libraries copy weights and maps into layouts of their own


@dataclass(frozen=True)
class Case:
    """One thing to time: a row at a precision, batch, number of frames, over so many views.

    A call is of ``batch`` clips; a video of several views is one.
    """

    section: str
    row: str
    precision: str
    batch: int = 1
    frames: int | None = None  # other than the row's
    size: int | None = None
    views: int = 1

    @property
    def name(self) -> str:
        """As in the table of timings."""
        parts = [self.row, self.precision, f"batch {self.batch}"]
        parts += [f"{self.frames} frames"] if self.frames else []
        parts += [f"{self.size} px"] if self.size else []
        parts += [f"{self.views} views"] if self.views > 1 else []
        return ", ".join(parts)


def cases_of(section: str, device: str, names: Sequence[str], precisions: Sequence[str]) -> list[Case]:
    """The cases of a section, for these rows and precisions."""
    known, single = rows(), Case(section, "", "fp32")
    if section in ("network", "pipeline"):
        return [replace(single, row=name, precision=p) for name in names for p in precisions]
    if section == "batch":
        sizes = BATCHES[device]
        return [replace(single, row=n, precision=p, batch=b) for n in names for p in precisions for b in sizes]
    if section == "common":
        chosen = [name for name in names if not known[name].fixed]
        return [replace(single, row=name, frames=COMMON["frames"], size=COMMON["size"]) for name in chosen]
    if section == "frames":
        return [replace(single, row=name, frames=n) for name in BY_FRAMES if name in names for n in FRAMES]
    chosen = [name for name in BY_VIEWS if name in names and (known[name].views or 1) > 1]
    views = [replace(single, row=name, views=known[name].views or 1) for name in chosen]
    return views + [replace(single, row=name) for name in chosen]  # and one view beside it


class Running:
    """A case ready to be called: the network is built at the first call, and let go of by `release`."""

    def __init__(self, case: Case, device: torch.device, clip: Path | None) -> None:
        self.case, self.device, self.clip = case, device, clip
        self.call: Callable[[], object] | None = None

    def __call__(self) -> object:
        if self.call is None:
            self.call = self._make()
        with torch.inference_mode():
            return self.call()

    def release(self) -> None:
        self.call = None

    def _make(self) -> Callable[[], object]:
        case, row, dtype = self.case, rows()[self.case.row], DTYPES[self.case.precision]
        torch.manual_seed(0)
        network = row.build(frames=case.frames).to(self.device, dtype)
        if case.section == "pipeline":
            assert self.clip is not None  # the section is left out without one
            clip, length = self.clip, count_frames(self.clip)  # known beforehand, as the loader knows it
            return lambda: label_of(network, row, clip, length, self.device, dtype)
        inputs = row.inputs(case.batch, frames=case.frames, size=case.size, device=self.device, dtype=dtype)
        if case.views > 1:
            return lambda: sum(network(*inputs) for _ in range(case.views))
        return lambda: network(*inputs)

    def memory(self) -> tuple[int, int]:
        """Bytes, estimated: what the case keeps while others are called, and what its call needs besides."""
        row, dtype = rows()[self.case.row], DTYPES[self.case.precision]
        with torch.device("meta"):
            network = row.build(frames=self.case.frames).to(dtype)
            inputs = row.inputs(self.case.batch, frames=self.case.frames, size=self.case.size, dtype=dtype)
        kept = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers(), *inputs))
        return kept, round(WORKSPACE * (inference_memory(network, inputs) - kept))


# ---- from a video file to a label


def label_of(
    network: nn.Module, row: Row, clip: Path, length: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> int:
    """A video file to a label: decode, sample, resize, crop, normalise, network. One clip, one centre crop.

    A dense clip is taken from the middle of the video; a shorter video repeats its last frame. Two-stream takes the
    middle frame and the flow between the frames that follow it (OpenCV's DIS, at a short side of 256 pixels): its
    authors' methods (Brox, TV-L1) are not part of OpenCV's main package.
    """
    frames = read_frames(clip, np.minimum(sampled(row, length), length - 1))
    view = torch.from_numpy(test_view(frames[: row.frames], row.size)).permute(0, 3, 1, 2)[None]
    inputs = [normalise(view.to(device)).to(dtype)]
    if row.flow:
        inputs.append(_flow(frames, row).to(device, dtype))
    return int(network(*inputs).argmax())


def sampled(row: Row, length: int) -> np.ndarray:
    """Frame numbers that one view of a video reads, from 0, ascending; past the end where the video is too short."""
    if row.flow:
        return length // 2 + np.arange(row.flow // 2 + 1)
    if row.sampling == "segments":
        return test_frames(length, row.frames)
    start = max(0, (length - row.frames * row.stride) // 2)
    return start + row.stride * np.arange(row.frames)


def _flow(frames: np.ndarray, row: Row) -> torch.Tensor:
    """``(1, 2 * pairs, size, size)``: x and y of each pair of frames in turn, clipped to 20 pixels, in -1 to 1."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    scale = FLOW_SHORT_SIDE / min(frames.shape[1:3])
    size = tuple(max(FLOW_SHORT_SIDE, round(side * scale)) for side in frames.shape[2:0:-1])
    grey = [cv2.cvtColor(cv2.resize(frame, size), cv2.COLOR_RGB2GRAY) for frame in frames]
    top, left = (size[1] - row.size) // 2, (size[0] - row.size) // 2
    planes = []
    for first, second in itertools.pairwise(grey):
        flow = method.calc(first, second, None)  # type: ignore[call-overload]  # its stubs know no None
        flow = flow[top : top + row.size, left : left + row.size]
        planes += [np.clip(flow[..., axis], -20, 20) / 20 for axis in (0, 1)]
    return torch.from_numpy(np.stack(planes))[None]
