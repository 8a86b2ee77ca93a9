"""What stops a run, each as one message that says why and what to do; what is finished is kept."""

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

from repro.experiment.fields import Experiment
from repro.files import is_disk_full
from repro.metrics.memory import is_out_of_memory

KEPT = "the last finished epoch is kept, and the same command goes on from it"


class TrainingStopped(RuntimeError):
    """A run that cannot go on; what is finished is kept. The message says why and what to do."""


@contextlib.contextmanager
def stopped_by_sigterm(experiment: Experiment) -> Iterator[None]:
    """SIGTERM raises TrainingStopped wherever the main thread is: files are whole at every moment."""

    def stop(*_: object) -> NoReturn:
        raise TrainingStopped(f"{experiment.run}: stopped by SIGTERM; {KEPT}")

    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def clear_messages(experiment: Experiment, *, advice: str) -> Iterator[None]:
    """Errors in the block as :func:`explained` says them."""
    try:
        yield
    except Exception as error:
        clear = explained(error, experiment, advice=advice)
        if clear is error:
            raise
        raise clear from None


def explained(error: Exception, experiment: Experiment, *, advice: str) -> Exception:
    """The error as one clear message where its cause is known; otherwise as it is. ``advice``: what would fit."""
    text = str(error)
    if is_out_of_memory(error):
        what = f"out of memory with batch_size {experiment.batch_size}"
        return TrainingStopped(f"{experiment.run}: {what}: {advice}; {KEPT}")
    if is_disk_full(error):
        where = str(getattr(error, "strerror", text)).split(": ")[0]
        return TrainingStopped(f"{experiment.run}: the disk is full ({where}): free some space; {KEPT}")
    if text.startswith("Caught ") and "in DataLoader worker" in text:  # its traceback, the error itself comes last
        _kind, _, message = text.strip().splitlines()[-1].partition(": ")
        return type(error)(message) if isinstance(error, OSError | ValueError) else error
    if "DataLoader worker" in text:
        first = text.splitlines()[0]
        return TrainingStopped(
            f"{experiment.run}: a loader process died ({first}); if the system killed it for memory, use fewer workers "
            f"or prefetch: 1; if a clip crashes its decoder, repro prepare --audit finds it; {KEPT}"
        )
    if isinstance(error, RuntimeError) and re.search("[Cc]onnection (closed|reset) by peer", text):
        return TrainingStopped(f"{experiment.run}: another of its processes ended (killed for memory?); {KEPT}")
    return error
