"""From a video file to a label, as Table 6's pipeline section times it: decode, sample, crop, normalise, network."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from repro.data.decode import read_frames
from repro.data.sampling import test_frames
from repro.data.transforms import normalise, test_view
from repro.models.peers.rows import Row

FLOW_SHORT_SIDE = 256


def label_of(
    network: nn.Module, row: Row, clip: Path, length: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> int:
    """A video file to a label: decode, sample, resize, crop, normalise, network. One clip, one centre crop.

    A dense clip is taken from the middle of the video; a shorter video repeats its last frame. Two-stream takes the
    middle frame and the flow between the frames that follow it (OpenCV's DIS, at a short side of 256 pixels): its
    authors' methods (Brox, TV-L1) are not part of OpenCV's main package.
    """
    frames = read_frames(clip, np.minimum(sampled(row, length), length - 1))
    inputs = [normalise(_tensor(test_view(frames[: row.frames], row.size), device)).to(dtype)]
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


def _tensor(frames: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2)[None].to(device)


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
