"""What a trained network says of whole clips: the same frames, crop and numbers as in the test of its run."""

import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from repro.data.clips import Clip
from repro.data.decode import count_frames
from repro.data.folder import VIDEO_SUFFIXES, split_suffix
from repro.data.images import DecodeError, frame_name
from repro.data.lists import is_aside
from repro.data.parallel import quiet_decoders
from repro.data.transforms import normalise
from repro.files import progress
from repro.inference.backends import Predictor, check_option, choose
from repro.inference.trained import Trained, find_trained
from repro.records.record import RESULTS
from repro.training.network_and_clips import make_dataset
from repro.training.recogniser import Recogniser
from repro.training.run_folder import WORK

BATCH = 8  # clips a forward pass
Scoring = Callable[[Tensor], Tensor]  # uint8 clips (B, N, 3, size, size) to logits (B, classes)
ENDINGS = f"clips end in {', '.join(VIDEO_SUFFIXES)} or .zip"
RANKS = ("", "_2", "_3", "_4", "_5")  # of the columns label and score


def predict(
    clips: Iterable[Path | str],
    *,
    run: str | None = None,
    weights: Path | None = None,
    backend: str | None = None,
    results: Path = RESULTS,
    work: Path = WORK,
) -> pd.DataFrame:
    """Label clips by a network that was trained.

    Args:
        clips: video files, frame caches (.zip), folders of frames (00001.jpg ...), and folders with any of these.
        run, weights, results, work: the network, as :func:`repro.inference.trained.find_trained`; by default the one
            last trained on this machine.
        backend: "auto" or another of :func:`repro.inference.backends.choose`, whose int8 takes its ranges from the
            first clips given; None: PyTorch, as in the run's own test.

    Returns a row a clip: ``clip`` (path), ``frames``; ``label`` and ``score``, ``label_2`` and ``score_2`` ... of the
    first five classes; ``problem``, why a clip could not be read, else "". Scores are softmax probabilities; nobody
    has calibrated them, and a network answers with one of its classes whatever it sees.
    Raises FileNotFoundError, ValueError where not one clip is there, or as ``find_trained``.
    """
    paths = find_clips(clips)
    trained = find_trained(run, weights, results=results, work=work)
    return pd.DataFrame(predictions(trained, paths, backend=backend))


def find_clips(given: Iterable[Path | str]) -> dict[Path, str]:
    """The clips among these files and folders, each once, folders in the order of names; and what is no clip, with the
    reason, which is "" for a clip.

    Where there is no clip at all, raises FileNotFoundError for what is not there, ValueError for the rest.
    """
    found: dict[Path, str] = {}
    faults: list[Exception] = []
    for path in map(Path, given):
        inside = list(_inside(path)) if path.is_dir() else [path]
        if not path.exists():
            faults.append(FileNotFoundError(f"{path}: there is no such file or folder"))
        elif path.is_file() and not split_suffix(path.name)[1]:
            faults.append(ValueError(f"{path}: not a clip by its name; {ENDINGS}"))
        elif not inside:
            faults.append(ValueError(f"{path}: no clip is in this folder; {ENDINGS}"))
        else:
            found |= dict.fromkeys(inside, "")
            continue
        found[path] = str(faults[-1])
    if not found:
        raise ValueError("clips: name a file or a folder")
    if all(found.values()):
        raise faults[0]
    return found


def _inside(folder: Path) -> Iterator[Path]:
    if (folder / frame_name(0)).is_file():
        yield folder
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if is_aside(entry):
            continue
        if entry.is_dir():
            yield from _inside(folder / entry.name)
        elif split_suffix(entry.name)[1]:
            yield folder / entry.name


def predictions(trained: Trained, clips: Mapping[Path, str], *, backend: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of :func:`predict` of what :func:`find_clips` found, as they are known; the next are read meanwhile."""
    logits_of = _scoring(trained, backend)
    quiet_decoders()
    coming = _read(trained, clips)
    with progress(len(clips), "predict") as advance:
        while some := list(itertools.islice(coming, BATCH)):
            yield from _rows(trained, logits_of, some)
            advance(len(some))


class _Clip(NamedTuple):
    """A clip that was read; pixels: uint8 ``(N, 3, size, size)``, None where ``problem`` says why there are none."""

    path: Path
    pixels: Tensor | None
    frames: int
    problem: str = ""


def _read(trained: Trained, clips: Mapping[Path, str]) -> Iterator[_Clip]:
    """The clips in their order, a batch of them ahead of who asks."""
    experiment = trained.experiment

    def read(path: Path, problem: str) -> _Clip:
        if problem:
            return _Clip(path, None, 0, problem)
        try:
            frames = count_frames(path, decoder=experiment.decoder)
            dataset = make_dataset(experiment, [Clip("", path, 0, "")], pd.Series({"": frames}), trained.classes)
            return _Clip(path, dataset[0][0], frames)
        except DecodeError as error:
            return _Clip(path, None, 0, str(error))

    readers = min(4, os.cpu_count() or 1)
    coming: deque[Future[_Clip]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        for path, problem in clips.items():
            coming.append(pool.submit(read, path, problem))
            if len(coming) > readers + BATCH:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _scoring(trained: Trained, backend: str | None) -> Scoring:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, values = trained.network.to(device), trained.experiment.values
    if backend is None:
        return Recogniser(network, trained.experiment).eval().to(device)
    check_option(backend, gpu=device.type == "cuda")
    made: list[Predictor] = []

    def logits(clips: Tensor) -> Tensor:
        fed = normalise(clips, values)
        if not made:  # of the first clips
            made.append(choose(backend, network, fed, say=lambda text: print(f"repro: {text}", file=sys.stderr)))
        return made[0](fed)

    return logits


def _rows(trained: Trained, logits_of: Scoring, clips: Sequence[_Clip]) -> Iterator[dict[str, Any]]:
    scores: Iterator[Tensor] = iter(())
    if pixels := [clip.pixels for clip in clips if clip.pixels is not None]:
        device = next(trained.network.parameters()).device
        with torch.no_grad():
            scores = iter(logits_of(torch.stack(pixels).to(device)).softmax(1).cpu())
    for clip in clips:
        row: dict[str, Any] = {"clip": str(clip.path), "frames": clip.frames}
        best = None if clip.problem else next(scores).topk(min(len(RANKS), len(trained.classes)))
        for rank, name in enumerate(RANKS[: len(trained.classes)]):
            row[f"label{name}"] = trained.classes[best.indices[rank]] if best else None
            row[f"score{name}"] = float(best.values[rank]) if best else None
        yield row | {"problem": clip.problem}
