"""Progress of long work: a bar where a person is watching, else a plain line now and then for a batch log."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 20


def size_text(count: float) -> str:
    """Bytes as people say them, in decimal units: 6.9 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} bytes"


@contextmanager
def bytes_progress(total: int | None, title: str, *, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of bytes just handled.

    ``total`` is None where it is not known; ``done`` bytes were handled by an earlier run.
    """
    watched = sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ
    start = said = time.monotonic()
    first = done
    with tqdm(total=total, initial=done, desc=title, unit="B", unit_scale=True, disable=not watched) as bar:

        def advance(count: int) -> None:
            nonlocal done, said
            done += count
            bar.update(count)
            now = time.monotonic()
            if watched or now - said < SECONDS_BETWEEN_LINES:
                return
            said, rate = now, max(done - first, 1) / (now - start)
            of = f" of {size_text(total)}" if total is not None else ""
            left = f", about {(total - done) / rate / 60:.0f} minutes to go" if total is not None else ""
            print(f"{title}: {size_text(done)}{of}, {size_text(rate)} a second{left}", flush=True)

        yield advance
