"""One function over many clips on all cores, with progress, for work that lasts hours.

Workers are spawned processes: one forked from a process whose OpenCV or OpenMP threads have run can hang. They end when
the process that started them is killed. A clip that kills its worker (a fault inside the decoder) is found by running
the clips in hand once more, each alone.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import cv2

from repro.files import progress

IN_HAND_A_WORKER = 2  # one being worked on, one waiting so that no worker idles


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def can_spawn() -> bool:
    """Whether processes can be started from here: a script that does not ask for ``__main__`` runs again in each."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    by_name = getattr(main, "__spec__", None)  # python -m
    return file is None or by_name is not None or "__main__" in Path(file).read_text(errors="replace")


def run_all(
    function: Callable[..., Any],
    tasks: Mapping[str, tuple],
    *,
    title: str,
    unit: str = "clip",
    workers: int | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield (name, ``function(*arguments)``) for each task as it ends, in any order; None where its process died.

    Args:
        function: importable by name, since other processes call it.
        tasks: name to arguments.
        title, unit: what is being done and what a task is, for the progress.
        workers: processes; None or 0 takes every core, 1 works in this process, where a crash ends everything.

    An exception of ``function`` ends the work and is raised here; tasks in hand are finished first.
    """
    workers = min(workers or cores(), len(tasks))
    if workers > 1:
        source = _spread(function, tasks, workers)
    else:
        quiet_decoders()
        source = ((name, function(*arguments)) for name, arguments in tasks.items())
    with progress(len(tasks), title, unit) as advance:
        for name, result in source:
            yield name, result
            advance()


def _spread(function: Callable[..., Any], tasks: Mapping[str, tuple], workers: int) -> Iterator[tuple[str, Any]]:
    waiting = deque(tasks.items())
    while waiting:
        in_hand: dict[Future[Any], tuple[str, tuple]] = {}
        pool = _pool(workers)
        try:
            while waiting or in_hand:
                while waiting and len(in_hand) < IN_HAND_A_WORKER * workers:
                    with deaf_to_ctrl_c():
                        in_hand[pool.submit(function, *waiting[0][1])] = waiting[0]
                    waiting.popleft()  # only now: submit raises when the pool is broken
                for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield in_hand.pop(future)[0], result
        except BrokenProcessPool:
            pass  # a worker died: one of the tasks in hand did it
        finally:
            pool.shutdown(cancel_futures=True)
        for name, arguments in in_hand.values():
            result = None
            with _pool(1) as alone, contextlib.suppress(BrokenProcessPool):
                with deaf_to_ctrl_c():
                    future = alone.submit(function, *arguments)
                result = future.result()
            yield name, result


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started in the block never get SIGINT, which Ctrl-C sends to all: the first one ends the others.

    They inherit it; one that ignored the signal by itself would die of it, with a traceback, while it still imports.
    This process gets what came meanwhile when the block ends.
    """
    resource_tracker.ensure_running()  # the first process would start it, which lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)  # workers run side by side; threads inside each would fight over the cores
    quiet_decoders()


def quiet_decoders() -> None:
    """From now on FFmpeg and OpenCV print nothing in this process, if no clip was opened in it before: what they say of
    each damaged frame would flood a log."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # read when the first clip is opened
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
