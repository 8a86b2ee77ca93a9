"""Whether a way of reading clips returns the frames that were asked for: compared with a plain sequential decode."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.distance import cdist

from repro.bench.readers import CEILING, Way, sequential
from repro.data.sampling import test_frames

SIGNATURE = (64, 48)  # pixels to which frames are shrunk before they are compared


def exactness(
    ways: Mapping[str, Way], zips: Mapping[Path, Path], *, segments: int
) -> tuple[dict[Path, int], dict[str, dict[str, Any]]]:
    """Whether each way returns the frames asked for: first, last and the centres of ``segments`` segments.

    A frame is identified by the nearest of all frames that a plain sequential OpenCV decode of its clip gives (mean
    absolute difference at 64x48 pixels). It is wrong when another one is nearer than the one asked for.
    zips: video file to its frame cache. Returns the frames of each clip, and by way: ``asked``, ``same`` (equal in
    every byte), ``wrong``, ``furthest`` (places away), ``refused`` (clips on which it raised) and ``reason``.
    """
    lengths = {}
    found = {name: {"asked": 0, "same": 0, "wrong": 0, "furthest": 0, "refused": 0, "reason": None} for name in ways}
    for path, cache in zips.items():
        every = list(sequential(path))
        lengths[path] = len(every)
        wanted = sorted({0, len(every) - 1, *test_frames(len(every), segments).tolist()})
        signatures = _signatures(every)
        for name, way in ways.items():
            if name == CEILING:
                continue
            try:
                frames = list(way.read(cache if way.cached else path, wanted))
            except Exception as error:  # each library has its own kind; the reason is kept
                found[name]["refused"] += 1
                found[name]["reason"] = str(error).replace(str(path), path.name).splitlines()[0]
                continue
            distances = cdist(_signatures(frames), signatures, "cityblock")
            own = distances[np.arange(len(wanted)), wanted]
            wrong = own > distances.min(axis=1)
            away = np.abs(distances.argmin(axis=1) - wanted)[wrong]
            counts = found[name]
            counts["asked"] += len(wanted)
            counts["wrong"] += int(wrong.sum())
            counts["furthest"] = max(counts["furthest"], *away.tolist(), 0)
            counts["same"] += sum(np.array_equal(frame, every[at]) for frame, at in zip(frames, wanted, strict=True))
    return lengths, found


def _signatures(frames: Sequence[np.ndarray]) -> np.ndarray:
    small = [cv2.resize(frame, SIGNATURE, interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(small).reshape(len(small), -1).astype(np.float64)
