"""Video decoding by OpenCV, as in the paper.

Frames are grabbed one after the other and only the wanted ones are converted: seeking by position returns other frames
on a fifth of re-encoded UCF101 clips. The decoder runs on one thread: OpenCV's own threading costs a third of the CPU
when many clips are decoded side by side.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


class DecodeError(OSError):
    """A clip that cannot be decoded; the message names the file."""


def _open(path: Path) -> cv2.VideoCapture:
    if not Path(path).is_file():
        raise DecodeError(f"{path}: no such clip")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not video.isOpened():
        raise DecodeError(f"{path}: OpenCV cannot open this clip ({Path(path).stat().st_size} bytes); fetch it again")
    return video


def count_frames(path) -> int:
    """Frames that really decode, not the number that the container announces. Raises DecodeError when there is none."""
    video = _open(path)
    count = 0
    while video.grab():
        count += 1
    video.release()
    if count == 0:
        raise DecodeError(f"{path}: not one frame decodes; fetch the clip again")
    return count


def read_frames(path, indices: Sequence[int]) -> np.ndarray:
    """The frames at ``indices`` (non-decreasing, from 0; repeats allowed).

    Returns uint8 ``(len(indices), H, W, 3)``, RGB. Raises DecodeError where a frame is not there.
    """
    wanted = [int(i) for i in indices]
    if not wanted or wanted[0] < 0 or any(b < a for a, b in itertools.pairwise(wanted)):
        raise ValueError(f"indices must be a non-empty, non-decreasing list from 0, not {wanted}")
    video = _open(path)
    frames: list[np.ndarray] = []
    position = -1
    for index in wanted:
        if frames and index == position:
            frames.append(frames[-1])
            continue
        while position < index:
            if not video.grab():
                raise DecodeError(f"{path}: ends at frame {position + 1}, frame {index} was asked for")
            position += 1
        ok, frame = video.retrieve()
        if not ok:
            raise DecodeError(f"{path}: frame {index} cannot be converted")
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    video.release()
    return np.stack(frames)
