"""How exactly and how fast clips become network input: video files by several libraries, and the frame cache.

An item is what training takes: N frames, the middle ones of N segments, decoded, cropped by multi-scale fixed-corner
cropping, and resized. Every way of reading reads the same items in interleaved rounds, on one thread; its frames are
compared with a sequential decode by OpenCV. Rates are items a second of CPU time, so of one core.
"""

import glob
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from repro.bench.exactness import exactness
from repro.bench.readers import CACHE, CEILING, WAYS, Way
from repro.data.decode import OPENCV_OPTIONS, quick_opening, why_not
from repro.data.prepare.frames import cache_frames
from repro.data.sampling import test_frames
from repro.data.transforms import augment, train_crop
from repro.metrics.speed import measure_speed
from repro.metrics.timings import paired_ratio, summary


def measure(
    sources: Mapping[str, str],
    *,
    clips: int = 40,
    frames: Sequence[int] = (8, 16, 32),
    repeats: int = 5,
    size: int = 224,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure clips of several encodings, one encoding after the other; their frame caches are temporary.

    sources: by title, the pattern (as of a shell) of its video files, of which ``clips`` at most are taken, evenly.
    Returns ``sources`` (:func:`measure_source` of each), the other arguments, and the ``libraries``' versions.
    Raises FileNotFoundError where a pattern finds nothing.
    """
    chosen = {title: _take(pattern, clips, title) for title, pattern in sources.items()}
    measured = {}
    for title, paths in chosen.items():
        print(f"decoding: {title}: {len(paths)} clips, {repeats} rounds for each N of {list(frames)}", flush=True)
        named = {f"{path.parent.name}/{path.name}": path for path in paths}
        with tempfile.TemporaryDirectory() as caches:
            measured[title] = measure_source(named, Path(caches), frames=frames, repeats=repeats, size=size, seed=seed)
    packages = {"opencv-python-headless", "opencv-python", "torchcodec", "decord", "av"}
    return {
        "sources": measured,
        "frames": list(frames),
        "repeats": repeats,
        "size": size,
        "seed": seed,
        "libraries": {found.name: found.version for found in distributions() if found.name in packages},
    }


def _take(pattern: str, count: int, title: str) -> list[Path]:
    found = sorted(map(Path, glob.glob(pattern)))
    if not found or count < 1:
        raise FileNotFoundError(f"sources: {count} of {len(found)} clips match {pattern!r} ({title}); name video files")
    return [found[k] for k in np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).astype(int))]


def measure_source(
    clips: Mapping[str, Path],
    caches: Path,
    *,
    frames: Sequence[int] = (8, 16, 32),
    repeats: int = 5,
    size: int = 224,
    seed: int = 0,
    ways: Mapping[str, Way] = WAYS,
) -> dict[str, Any]:
    """Everything about these clips, of one encoding, as JSON types.

    Args:
        clips: name (as in a list file) to video file.
        caches: folder for their frame cache; clips already cached there are kept.
        frames: the numbers N of frames an item.
        repeats: timed rounds for each N; one more runs before them, untimed.

    Returns ``clips``, ``mean_frames``, ``bytes`` (means: ``video``, ``cache``, ``cached_frame``) and ``ways``: for each
    its ``title``, ``offered``, ``cached``, ``missing`` (why it was not measured, or None), ``exact`` (what
    :func:`repro.bench.exactness.exactness` says) and ``speed`` by N (:func:`speeds`), empty where a clip is refused.
    Raises ValueError for no clips, OSError where the frame cache cannot be written.
    """
    if not clips:
        raise ValueError("no clips to measure: name files that are there")
    cached = cache_frames(clips, caches, workers=1)
    if cached.left_out:
        raise ValueError(f"{cached.left_out[0][0]}: {cached.left_out[0][1]}; measure clips that decode")
    zips = {path: Path(caches, name).with_suffix(".zip") for name, path in clips.items()}
    missing = {name: why_not(way.library) for name, way in ways.items()}
    usable = {name: way for name, way in ways.items() if missing[name] is None}
    with _one_thread():
        lengths, exact = exactness(usable, zips, segments=16)
        timed = {name: way for name, way in usable.items() if exact[name]["refused"] == 0}
        speed = {str(n): speeds(timed, zips, lengths, n, repeats=repeats, size=size, seed=seed) for n in frames}
    cache_bytes = [zips[path].stat().st_size for path in zips]
    return {
        "clips": len(clips),
        "mean_frames": float(np.mean(list(lengths.values()))),
        "bytes": {
            "video": float(np.mean([path.stat().st_size for path in zips])),
            "cache": float(np.mean(cache_bytes)),
            "cached_frame": sum(cache_bytes) / sum(lengths.values()),
        },
        "ways": {
            name: {
                "title": way.title,
                "offered": way.offered,
                "cached": way.cached,
                "missing": missing[name],
                "exact": exact.get(name),
                "speed": {n: table[name] for n, table in speed.items() if name in table},
            }
            for name, way in ways.items()
        },
    }


def speeds(
    ways: Mapping[str, Way],
    zips: Mapping[Path, Path],
    lengths: Mapping[Path, int],
    segments: int,
    *,
    repeats: int,
    size: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Items a second of each way for N = ``segments``, every clip once a round, all ways in each round.

    By way: ``cpu`` and ``wall`` (``median``, ``q25``, ``q75`` over the rounds), ``shares`` of the CPU time (``decode``,
    ``resize`` with the mirror image, ``crop``), and ``of_ceiling`` and ``cache_gain``: median and 95 % interval of the
    rate over OpenCV's grab-only rate, and of the frame cache's rate over this one, in the same rounds.
    """
    seconds = {name: {"decode": 0.0, "view": 0.0, "draw": 0.0} for name in ways}
    walls: dict[str, list[float]] = {name: [] for name in ways}

    def run(name: str) -> None:
        start, way = time.perf_counter(), ways[name]
        for path, cache in zips.items():
            wanted = list(dict.fromkeys(test_frames(lengths[path], segments).tolist()))
            rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])  # every way crops a clip alike
            frames = _timed(way.read, cache if way.cached else path, wanted, seconds[name])
            begun, before = time.process_time(), seconds[name]["decode"]
            if name == CEILING:
                list(frames)
                continue
            augment(frames, size, rng, count=len(wanted))
            decoded = seconds[name]["decode"] - before
            seconds[name]["view"] += time.process_time() - begun - decoded
            seconds[name]["draw"] += draw
        walls[name].append(time.perf_counter() - start)

    draw = _seconds_a_crop()
    calls = {name: lambda name=name: run(name) for name in ways}
    timings = measure_speed(
        calls, device="cpu", repeats=repeats, warmup=1, clips_per_call=len(zips), seed=seed, clock=time.process_time
    )
    rounds = zip(timings["case"], timings["round"], strict=True)
    wall = timings.assign(seconds=[walls[name][number + 1] for name, number in rounds])  # the first was the warm-up
    return {
        name: {
            "cpu": _quartiles(timings, name),
            "wall": _quartiles(wall, name),
            "shares": _shares(**seconds[name]),
            "of_ceiling": _ratio(timings, name, CEILING),
            "cache_gain": _ratio(timings, CACHE, name),
        }
        for name in ways
    }


def _timed(read: Callable, path: Path, wanted: list[int], seconds: dict[str, float]) -> Iterator[np.ndarray]:
    """The frames as they come, the CPU time until each added to ``seconds["decode"]``."""
    start = time.process_time()
    for frame in read(path, wanted):
        seconds["decode"] += time.process_time() - start
        yield frame
        start = time.process_time()
    seconds["decode"] += time.process_time() - start


def _seconds_a_crop(times: int = 500) -> float:
    """CPU seconds of one crop. It is a view of the frames, so drawing its place is all that it costs."""
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(times):
        train_crop(240, 320, rng)
    return (time.process_time() - start) / times


def _shares(decode: float, view: float, draw: float) -> dict[str, float]:
    whole, crop = decode + view, min(draw, view)
    return {"decode": decode / whole, "resize": (view - crop) / whole, "crop": crop / whole}


def _quartiles(timings: pd.DataFrame, name: str) -> dict[str, float]:
    return {key: float(value) for key, value in summary(timings).loc[name, ["median", "q25", "q75"]].items()}


def _ratio(timings: pd.DataFrame, a: str, b: str) -> dict[str, float] | None:
    if a == b or not {a, b} <= set(timings["case"]) or timings["round"].nunique() < 2:
        return None
    ratio = paired_ratio(timings, a, b)
    return {"median": ratio.point, "low": ratio.low, "high": ratio.high}


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for OpenCV and PyTorch, and OpenCV's quick opening, as in a loader's worker; put back afterwards."""
    before = cv2.getNumThreads(), torch.get_num_threads(), os.environ.get(OPENCV_OPTIONS)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    quick_opening()
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
        if before[2] is None:
            os.environ.pop(OPENCV_OPTIONS, None)
