"""What ``repro online`` does: recognise a source, write one JSON line a decision, show and save it on demand."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from repro.files import whole
from repro.inference.backends import check_option, choose
from repro.inference.trained import Trained, find_trained
from repro.online.display import Rate, Video, Window, overlay
from repro.online.labels import Decision, Labelling
from repro.online.live import Live
from repro.online.recogniser import OnlineRecogniser
from repro.online.sources import Source, require_there
from repro.online.ways import Way
from repro.records.record import RESULTS
from repro.training.run_folder import WORK


def recogniser_of(trained: Trained, seconds: float | None = None, *, backend: str | None = None) -> OnlineRecogniser:
    """A network ready for a stream, its trunk and head by a backend of :func:`repro.inference.backends.choose`; None:
    by PyTorch as it is.

    seconds: that a decision spans; None for as published, N frames whatever the camera's rate. Raises ValueError for a
    backend that is none, or that takes its ranges from clips: a stream has none yet.
    """
    way = Way("halves" if seconds is None else "time", seconds=seconds, at_cuts=True)
    found, experiment = OnlineRecogniser.of(trained, way), trained.experiment
    if backend is not None:
        check_option(backend, gpu=found.device == "cuda")
        if backend.endswith("int8"):
            raise ValueError(f"backend: {backend} takes its ranges from clips, which a stream has not yet; use auto")
        network: Any = trained.network
        pixels = torch.zeros(1, 3, experiment.size, experiment.size, device=found.device)
        with torch.inference_mode():
            maps = network.trunk(pixels).repeat(experiment.frames, 1, 1, 1).transpose(0, 1)[None]
        made = {
            "trunk": choose(backend, network.trunk, pixels, say=_say),
            "head": choose(backend, network.head, maps, say=_say),
        }
        found.network = SimpleNamespace(**made)
    found.warm_up()
    return found


def online(
    source: str,
    run: str | None = None,
    *,
    weights: Path | None = None,
    backend: str | None = None,
    seconds: float | None = None,
    realtime: bool = False,
    save: Path | None = None,
    window: bool = True,
    unknown_below: float = 0.0,
    hysteresis: float = 0.0,
    retry_for: float = 60.0,
    results: Path = RESULTS,
    work: Path = WORK,
) -> int:
    """Recognise until the source ends, its window is closed, or the user interrupts; returns the exit status.

    ``run``, ``weights``: the network, as :func:`repro.inference.trained.find_trained`; ``seconds``, ``backend``: as
    :func:`recogniser_of`; ``save``: an .mp4 file, with the decisions drawn in; ``window``: open one where there is a
    display; the others as :class:`Source` and :class:`Labelling`. Raises ValueError and OSError.
    """
    if save is not None and save.suffix != ".mp4":
        raise ValueError(f"save: {save} must end in .mp4")
    require_there(source)
    trained = find_trained(run, weights, results=results, work=work)
    if run is None:
        _say(f"by {trained.name}, which knows {len(trained.classes)} classes")
    recogniser = recogniser_of(trained, seconds, backend=backend)
    labelling = Labelling(trained.classes, unknown_below=unknown_below, hysteresis=hysteresis)
    frames = Source(source, realtime=realtime, retry_for=retry_for, say=_say)
    with contextlib.ExitStack() as stack:
        shows: list[Callable] = []
        if window:
            try:
                opened = Window(f"{source}: {trained.name}")
                stack.callback(opened.close)
                shows.append(lambda image, _seconds: frames.stop() if opened.closed else opened.show(image))
            except RuntimeError as error:
                _say(str(error))
        if save is not None:
            video = Video(stack.enter_context(whole(save)))
            stack.callback(video.close)
            shows.append(video.write)
        live = Live(recogniser, frames, labelling, frames=bool(shows))
        decisions, failure = _follow(live, shows)
    if failure:
        _say(failure)
    _say(f"{source}: {live.came} frames seen, {live.dropped} dropped, {decisions} decisions")
    if not decisions:
        first = f"{recogniser.frames} frames" if seconds is None else f"{seconds:g} s"
        _say(f"{source}: nothing was decided; the first decision takes {first}")
    return 0 if decisions and not failure else 1


def _follow(live: Live, shows: list[Callable]) -> tuple[int, str]:
    """Write and show what comes, until it ends, fails or the user interrupts: the number of decisions, and the failure.

    A source that fails before its first frame raises: then there is no video to keep.
    """
    decision, decisions, rate = None, 0, Rate()
    try:
        for found in live:
            if isinstance(found, Decision):
                decision, decisions = found, decisions + 1
                print(found.line(), flush=True)
                continue
            image = overlay(found.image, decision, rate.of(found))
            for show in shows:
                show(image, found.seconds)
    except KeyboardInterrupt:
        pass  # the usual way to end it
    except OSError as error:
        if not live.came:
            raise
        return decisions, str(error)
    return decisions, ""


def _say(text: str) -> None:
    print(f"repro: {text}", file=sys.stderr, flush=True)
