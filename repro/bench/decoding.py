"""How exactly and how fast clips become network input: video files by OpenCV and PyAV, and the frame cache.

An item is what training takes: N frames, the middle ones of N segments, decoded, cropped and resized. Each reader makes
the same items in interleaved rounds, on one thread; rates are items a second of CPU time, so of one core. The ceiling
is OpenCV decoding every frame and converting none. Which frames come is compared with a sequential decode by OpenCV.

    python -m repro.bench.decoding ucf101-3 "UCF101 as distributed=/data/ucf101/videos/*/*.avi"

files results/ucf101-3/decoding.json, which the report's page of Table 2 shows.
"""

import argparse
import functools
import glob
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from repro.data.decode import OPENCV_OPTIONS, ByOpenCV, iter_frames, quick_opening
from repro.data.prepare.frame_cache import cache_frames
from repro.data.sampling import test_frames
from repro.data.transforms import augment
from repro.metrics.speed import measure_speed
from repro.metrics.timings import kept_ratio, quartiles
from repro.records.measure import measured
from repro.records.provenance import versions

CACHE, CEILING = "frame cache", "opencv grab only"
FRAMES = (8, 16, 32)  # numbers N of an item's frames
CLIPS, REPEATS, SIZE = 40, 7, 224  # of a source at most; timed rounds, after one that is not; pixels
SIGNATURE = (64, 48)  # pixels to which frames are shrunk before they are compared


class Reader(NamedTuple):
    """One way from a clip's file to its frames."""

    title: str
    read: Callable[[Path, list[int]], Iterable[np.ndarray]]  # path, rising indices; frames RGB, as they come
    cached: bool = False  # reads the clip's frame cache instead of its video


def _grab_only(path: Path, _wanted: list[int]) -> Iterable[np.ndarray]:
    with ByOpenCV(path) as video:
        while video.capture.grab():
            pass
    return ()


READERS = {
    "opencv": Reader("OpenCV", iter_frames),
    "pyav": Reader("PyAV", lambda path, wanted: iter_frames(path, wanted, decoder="pyav")),
    CACHE: Reader("frame cache: JPEG in one zip a clip", iter_frames, cached=True),
    CEILING: Reader("the ceiling: OpenCV decodes every frame and converts none, no crop", _grab_only),
}


def measure(sources: Mapping[str, str]) -> dict[str, Any]:
    """Measure clips of several encodings, one encoding after the other; their frame caches are temporary.

    sources: by title, the pattern (as of a shell) of its video files, of which `CLIPS` at most are taken, evenly.
    Returns ``sources`` (:func:`measure_source` of each), how they were measured, and the ``libraries``' versions.
    Raises FileNotFoundError where a pattern finds nothing.
    """
    found = {}
    for title, pattern in sources.items():
        paths = sorted(map(Path, glob.glob(pattern)))
        if not paths:
            raise FileNotFoundError(f"{title}: no file matches {pattern!r}; name video files")
        chosen = [paths[k] for k in np.unique(np.linspace(0, len(paths) - 1, CLIPS).astype(int))]
        print(f"decoding: {title}: {len(chosen)} clips, {REPEATS} rounds for each N of {list(FRAMES)}", flush=True)
        named = {f"{path.parent.name}/{path.name}": path for path in chosen}
        with tempfile.TemporaryDirectory() as caches:
            found[title] = measure_source(named, Path(caches))
    fixed = {"frames": list(FRAMES), "repeats": REPEATS, "size": SIZE, "seed": 0}
    return {"sources": found, **fixed, "libraries": versions(("opencv-python-headless", "av"))}


def measure_source(clips: Mapping[str, Path], caches: Path) -> dict[str, Any]:
    """Everything about these clips, of one encoding, as JSON types.

    clips: name (as in a list file) to video file. caches: folder for their frame cache.
    Returns ``clips``, ``mean_frames``, ``bytes`` (means) and ``ways``: for each reader its ``title``, ``exact``
    (:func:`exactness`) and ``speed`` by N (:func:`speeds`). Raises ValueError for a clip that does not decode, OSError
    where the frame cache cannot be written.
    """
    cached = cache_frames(clips, caches, workers=1)
    if cached.left_out:
        raise ValueError(f"{cached.left_out[0][0]}: {cached.left_out[0][1]}; measure clips that decode")
    zips = {path: Path(caches, name).with_suffix(".zip") for name, path in clips.items()}
    with _one_thread():
        lengths, exact = exactness(READERS, zips, segments=16)
        speed = {str(n): speeds(zips, lengths, n) for n in FRAMES}
    cache_bytes = [path.stat().st_size for path in zips.values()]
    return {
        "clips": len(clips),
        "mean_frames": float(np.mean(list(lengths.values()))),
        "bytes": {
            "video": float(np.mean([path.stat().st_size for path in zips])),
            "cache": float(np.mean(cache_bytes)),
            "cached_frame": sum(cache_bytes) / sum(lengths.values()),
        },
        "ways": {
            name: {"title": reader.title, "exact": exact[name], "speed": {n: speed[n][name] for n in speed}}
            for name, reader in READERS.items()
        },
    }


def exactness(
    readers: Mapping[str, Reader], zips: Mapping[Path, Path], *, segments: int
) -> tuple[dict[Path, int], dict[str, dict[str, int]]]:
    """Whether each reader returns the frames asked for: first, last and the centres of ``segments`` segments.

    A frame is identified by the nearest of all frames that a plain sequential OpenCV decode of its clip gives (mean
    absolute difference at 64x48 pixels). It is wrong when another one is nearer than the one asked for.
    zips: video file to its frame cache. Returns the frames of each clip, and by reader: ``asked``, ``same`` (equal in
    every byte), ``wrong`` and ``furthest`` (places away).
    """
    lengths: dict[Path, int] = {}
    found = {name: {"asked": 0, "same": 0, "wrong": 0, "furthest": 0} for name in readers}
    for path, cache in zips.items():
        with ByOpenCV(path) as video:
            every = [convert() for convert in video]
        lengths[path] = len(every)
        wanted = sorted({0, len(every) - 1, *test_frames(len(every), segments).tolist()})
        signatures = _signatures(every)
        for name, reader in readers.items():
            if name == CEILING:
                continue
            frames = list(reader.read(cache if reader.cached else path, wanted))
            distances = np.abs(_signatures(frames)[:, None] - signatures[None]).mean(axis=2)
            wrong = distances[np.arange(len(wanted)), wanted] > distances.min(axis=1)
            away = np.abs(distances.argmin(axis=1) - wanted)[wrong]
            counts = found[name]
            counts["asked"] += len(wanted)
            counts["wrong"] += int(wrong.sum())
            counts["furthest"] = max(counts["furthest"], *away.tolist(), 0)
            counts["same"] += sum(np.array_equal(frame, every[at]) for frame, at in zip(frames, wanted, strict=True))
    return lengths, found


def _signatures(frames: Sequence[np.ndarray]) -> np.ndarray:
    small = [cv2.resize(frame, SIGNATURE, interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(small).reshape(len(small), -1).astype(np.float32)


def speeds(zips: Mapping[Path, Path], lengths: Mapping[Path, int], segments: int) -> dict[str, dict[str, Any]]:
    """Items a second of each reader for N = ``segments``, every clip once a round, all readers in each round.

    By reader: ``cpu`` (``median``, ``q25``, ``q75`` over the rounds), and ``of_ceiling`` and ``cache_gain``: median and
    95 % interval of the rate over the ceiling's, and of the frame cache's rate over this one, in the same rounds.
    """

    def run(name: str) -> None:
        for path, cache in zips.items():
            wanted = list(dict.fromkeys(test_frames(lengths[path], segments).tolist()))
            frames = READERS[name].read(cache if READERS[name].cached else path, wanted)
            if name != CEILING:
                rng = np.random.default_rng([0, zlib.crc32(path.name.encode())])  # every reader crops a clip alike
                augment(frames, SIZE, rng, count=len(wanted))

    calls: dict[str, Callable[[], object]] = {name: functools.partial(run, name) for name in READERS}
    options: dict[str, Any] = {"device": "cpu", "clock": time.process_time, "clips_per_call": len(zips)}
    timings = measure_speed(calls, repeats=REPEATS, warmup=1, **options)
    rates = quartiles(timings)
    return {
        name: {
            "cpu": rates[name],
            "of_ceiling": None if name == CEILING else kept_ratio(timings, name, CEILING),
            "cache_gain": None if name == CACHE else kept_ratio(timings, CACHE, name),
        }
        for name in READERS
    }


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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.bench.decoding", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("study", help="files results/STUDY/decoding.json")
    parser.add_argument("sources", nargs="+", metavar="TITLE=PATTERN", help="clips of one encoding each")
    given = parser.parse_args(arguments)
    try:
        with measured(given.study, "decoding", device="CPU, 1 thread") as found:
            found.content |= measure(dict(source.split("=", 1) for source in given.sources))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{found.path}: shown on the report's page of Table 2 (make book)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
