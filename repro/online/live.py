"""A source recognised while it runs: source, trunk and head in threads, between them queues of bounded length.

Frames are dropped in one place, before the network, and only where they come by themselves (cameras, streams, a file
played at its own rate): a network that falls behind goes on with the newest frame. Everything after that place waits
for its reader, so a frame's age stays bounded. A file without a clock waits, too: its decisions are the same each time.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from repro.metrics.peak import exact_float32
from repro.online.labels import Decision, Labelling, top5
from repro.online.recogniser import OnlineRecogniser, Seen
from repro.online.sources import Frame, Source

MOST = 16  # frames that wait for the network
PATIENCE = 0.25  # seconds that one may wait: a burst of work passes in that time


class Waiting:
    """Frames between the source and the network.

    drop: whether `put` never waits. Then a network that leaves a frame waiting for longer than PATIENCE is behind, and
    takes the newest frame, the others being dropped, until it finds no other waiting.
    """

    def __init__(self, *, drop: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.drop, self.clock = drop, clock
        self.frames: deque[Frame] = deque()
        self.changed = threading.Condition()
        self.behind = self.closed = False
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        with self.changed:
            if not self.drop:
                self.changed.wait_for(lambda: len(self.frames) < MOST or self.closed)
            elif len(self.frames) == MOST:
                self._drop()
            self.frames.append(frame)
            self.changed.notify_all()

    def take(self) -> Frame | None:
        """The next frame for the network; None when no more will come."""
        with self.changed:
            self.changed.wait_for(lambda: self.frames or self.closed)
            if self.drop and self.frames:
                late = self.clock() - self.frames[0].came > PATIENCE
                self.behind = len(self.frames) > 1 and (self.behind or late)
                while self.behind and len(self.frames) > 1:
                    self._drop()
            frame = self.frames.popleft() if self.frames else None
            self.changed.notify_all()
            return frame

    def _drop(self) -> None:
        """The oldest goes; that a new stream began with it is said by the next one."""
        gone = self.frames.popleft()
        self.dropped += 1
        if gone.begins and self.frames and not self.frames[0].begins:
            self.frames[0] = replace(self.frames[0], begins=gone.begins)

    def close(self) -> None:
        """No more will come; what is waiting may still be taken."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


@dataclass(frozen=True)
class _Due:
    """A decision that is due."""

    seen: list[Seen]
    came: float  # its last frame, by the clock
    taken: float


class Live:
    """Iterate over the decisions, and over the frames where they are wanted; `stop` ends it, from any thread.

    frames: whether the frames that the network took come, too, before the decision that they make due. clock: for
    tests; seconds, monotonic. Recogniser and source are new. Iterating raises what the source raises, after the
    decisions on what came before.
    """

    def __init__(
        self,
        recogniser: OnlineRecogniser,
        source: Source,
        labelling: Labelling,
        *,
        frames: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recogniser, self.source, self.labelling, self.frames = recogniser, source, labelling, frames
        self.clock = clock
        self.waiting = Waiting(drop=source.live or source.realtime, clock=clock)
        self.due = queue.Queue[_Due | Frame | None](2)
        self.out = queue.Queue[Decision | Frame | None](2)
        self.came = 0  # frames that the network took
        self.error: BaseException | None = None

    def stop(self) -> None:
        self.source.stop()
        self.waiting.close()

    @property
    def dropped(self) -> int:
        return self.waiting.dropped

    def __iter__(self) -> Iterator[Decision | Frame]:
        ends: dict[Callable[[], None], Callable[[], Any]] = {
            self._capture: self.waiting.close,
            self._trunk: lambda: self.due.put(None),
            self._head: lambda: self.out.put(None),
        }
        threads = [threading.Thread(target=self._run, args=part, daemon=True) for part in ends.items()]
        with exact_float32():
            for thread in threads:
                thread.start()
            try:
                while (found := self.out.get()) is not None:
                    yield found
            finally:
                self.stop()
                while any(thread.is_alive() for thread in threads):  # whoever waits for room in a queue gets it
                    with contextlib.suppress(queue.Empty):
                        (self.out if threads[-1].is_alive() else self.due).get(timeout=0.02)
        if self.error is not None:
            raise self.error

    def _run(self, part: Callable[[], None], end: Callable[[], Any]) -> None:
        try:
            part()
        except BaseException as error:  # said where the decisions are read
            self.error = self.error or error
            self.stop()
        finally:
            end()

    def _capture(self) -> None:
        for frame in self.source:
            self.waiting.put(frame)

    def _trunk(self) -> None:
        while (frame := self.waiting.take()) is not None:
            taken = self.clock()
            if frame.begins:
                self.recogniser.reset()
            seen = self.recogniser.see(frame.image, frame.seconds)
            self.came += 1
            if self.frames:
                self.due.put(frame)
            if seen is not None:
                self.due.put(_Due(seen, frame.came, taken))

    def _head(self) -> None:
        while (due := self.due.get()) is not None:
            self.out.put(due if isinstance(due, Frame) else self._decision(due))

    def _decision(self, due: _Due) -> Decision:
        probabilities = self.recogniser.decide(due.seen)
        now = self.clock()
        return Decision(
            t_first=round(due.seen[0].seconds, 4),
            t_last=round(due.seen[-1].seconds, 4),
            label=self.labelling.label(probabilities, due.seen[-1].stream),
            top5=top5(probabilities, self.recogniser.classes),
            latency_ms=round(1000 * (now - due.taken), 1),
            frame_age_ms=round(1000 * (now - due.came), 1),
            dropped=self.dropped,
            reconnects=self.source.reconnects,
        )
