"""Which frames of an endless stream a decision looks at: three samplings, each of bounded memory.

`push` takes frames one by one, as a function that makes what is to be kept of the frame; it is called only for frames
that a decision will look at, since cropping and the trunk are costly. It returns the N frames of a decision, oldest
first, where one is due. `reset` forgets everything seen.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np

from repro.data.sampling import test_frames
from repro.files import check_names

T = TypeVar("T")


def ends(frames: int, wanted: int) -> np.ndarray:
    """Places spread evenly from the first to the last, rounded (half to even), as the script released with ECO does."""
    return np.rint(np.linspace(0, frames - 1, wanted)).astype(int)


PICKS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "middles": lambda frames, wanted, _rng: test_frames(frames, wanted),
    "ends": lambda frames, wanted, _rng: ends(frames, wanted),
    "random": lambda frames, wanted, rng: np.sort(rng.choice(frames, wanted, replace=False)),
}
"""Readings of how k of N frames are picked, given N, k and a generator: rising places from 0, int ``(k,)``."""


class _Queued(Generic[T]):
    """A queue of N frames, of which those at some places are kept."""

    frames: int

    def _begin(self, places: Iterable[int]) -> None:
        self.queue: list[T] = []
        self.came, self.places = 0, {int(place) for place in places}

    def _full(self, take: Callable[[], T]) -> bool:
        """Take one frame; whether it was the N-th."""
        if self.came in self.places:
            self.queue.append(take())
        self.came += 1
        return self.came == self.frames


class Halves(_Queued[T]):
    """ECO's Algorithm 1 (Zolfaghari et al. 2018, ref. 12), which the paper says it uses.

    A queue takes every frame; each N new frames the working set becomes half picked from the queue, half from the old
    working set. The first N frames are the first working set.

    frames: N, 2 or more, else ValueError. pick: how each half is picked, which no source at hand says (:data:`PICKS`).
    """

    def __init__(self, frames: int, pick: str = "middles") -> None:
        check_names([pick], list(PICKS), "pick")
        if frames < 2:
            raise ValueError(f"frames: {frames}; the working set is half old, half new, so N must be 2 or more")
        self.frames, self.pick = frames, PICKS[pick]
        self.reset()

    def reset(self) -> None:
        self.rng = np.random.default_rng(0)
        self.working: list[T] = []
        self._begin(np.arange(self.frames))

    def push(self, take: Callable[[], T], seconds: float) -> list[T] | None:
        if not self._full(take):
            return None
        old = [self.working[k] for k in self.pick(self.frames, self.frames // 2, self.rng)] if self.working else []
        self.working = old + self.queue
        self._begin(self.pick(self.frames, self.frames - self.frames // 2, self.rng))
        return self.working


class Slots(_Queued[T]):
    """The script released with ECO: slots of N frames, each thinned to its ends and what lies between them, for good.

    A decision each N frames. Of k slots the newest gives N/2 frames, the one before N/4 and so on; the oldest gives as
    many as the one after it. With N = 16 there are five at most, which give 1, 1, 2, 4 and 8 frames and span 80.
    Source: scripts/online_recognition/online_recognition.py of mzolfaghari/ECO-efficient-video-understanding, 4f76a74.

    frames: N, a power of two from 2 on, else ValueError; the script has 16.
    """

    def __init__(self, frames: int) -> None:
        if frames < 2 or frames & (frames - 1):
            raise ValueError(f"frames: {frames}; slots are halved again and again, so N must be a power of two, not 1")
        self.frames = frames
        self.reset()

    def reset(self) -> None:
        self.slots: list[list[T]] = []
        self._begin(range(self.frames))

    def push(self, take: Callable[[], T], seconds: float) -> list[T] | None:
        if not self._full(take):
            return None
        most = self.frames.bit_length()
        self.slots = [*self.slots, self.queue][-most:]
        count = len(self.slots)
        sizes = [self.frames >> min(age, count - 1) for age in range(count, 0, -1)]
        self.slots = [[slot[k] for k in ends(len(slot), size)] for slot, size in zip(self.slots, sizes)]
        self._begin(ends(self.frames, self.frames // 2))  # what the next slot, then the newest, will be thinned to
        return [frame for slot in self.slots for frame in slot]


class ByTime(Generic[T]):
    """N frames over a span of time, whatever the camera's rate: the first frame of each of N stretches of it.

    A decision each ``fresh`` stretches, 1 to N, so that it costs at most so many new frames. A stretch without a frame,
    of a slow camera, gives the last one before it. Raises ValueError for no frames, no seconds or another ``fresh``.
    """

    def __init__(self, frames: int, seconds: float, fresh: int = 3) -> None:
        if frames < 1 or not seconds > 0 or not 1 <= fresh <= frames:
            raise ValueError(f"need N >= 1, seconds > 0 and fresh in 1..N, not {frames=}, {seconds=}, {fresh=}")
        self.frames, self.stretch, self.fresh = frames, seconds / frames, fresh
        self.reset()

    def reset(self) -> None:
        self.began: float | None = None
        self.kept: list[tuple[int, T]] = []  # stretch, counted from the stream's beginning, and its frame
        self.due = self.frames - 1  # the stretch at which a decision is due

    def push(self, take: Callable[[], T], seconds: float) -> list[T] | None:
        if self.began is None:
            self.began = seconds
        now = int((seconds - self.began) / self.stretch + 1e-6)  # 3 x 0.04 s are three stretches of 0.04 s
        if self.kept and now <= self.kept[-1][0]:
            return None
        oldest = now - self.frames + 1
        before = [each for each in self.kept if each[0] <= oldest][-1:]  # stands in for empty stretches
        self.kept = [*before, *(each for each in self.kept if each[0] > oldest), (now, take())]
        if now < self.due:
            return None
        self.due = now + self.fresh
        return [self._of(stretch) for stretch in range(oldest, now + 1)]

    def _of(self, stretch: int) -> T:
        return next((frame for at, frame in reversed(self.kept) if at <= stretch), self.kept[0][1])
