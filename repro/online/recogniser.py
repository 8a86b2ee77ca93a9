"""Online recognition: class probabilities while the frames come in, from maps that are computed once a frame.

The trunk sees each frame by itself, so its map of a frame is kept and a decision costs the maps of its new frames and
the head: the same numbers as computing all N frames anew. Maps are computed a few frames at once, because a processor
takes twice as long for one frame as for one of four.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from repro.data.transforms import normalise
from repro.inference.trained import Trained
from repro.online.ways import PUBLISHED, Way

CUT_SIDE = 64  # pixels to which frames are shrunk to be compared: noise and small motion fall away
CUT_THRESHOLD = 27.0


class Cuts:
    """Says of each frame whether it begins another shot than the one before it.

    The mean change of luma (0 to 255) from frame to frame is above a threshold: PySceneDetect's ContentDetector with
    luma_only and its default threshold, but for the size of the frames. Its hue is noise where frames are grey.
    """

    def __init__(self) -> None:
        self.last: np.ndarray | None = None

    def begins(self, frame: np.ndarray) -> bool:
        """frame: uint8 RGB ``(H, W, 3)``. The very first one begins nothing."""
        small = cv2.resize(frame, (CUT_SIDE, CUT_SIDE), interpolation=cv2.INTER_AREA)
        last, self.last = self.last, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return last is not None and float(cv2.absdiff(last, self.last).mean()) > CUT_THRESHOLD


@dataclass
class Seen:
    """What is kept of a frame: its time in the stream, and the trunk's map ``(1, C, h, w)``."""

    seconds: float
    kept: Tensor  # the map; before it is computed, and where maps are not kept: uint8 pixels (1, 3, size, size)
    stream: int  # which of the streams that began, as counted by the recogniser


class OnlineRecogniser:
    """Push frames one by one; class probabilities come whenever a decision is due.

    `see` and `decide` are its two halves, for two threads; each has its own state.

    Args:
        network: with ``trunk`` and ``head`` as :class:`repro.models.FusedNet`; switched to evaluation.
        classes, frames, size, values: as the network was trained.
        reuse: whether maps are kept; otherwise every decision computes those of all its N frames.
        together: frames whose maps are computed at once; a decision that is due does not wait for so many.
    """

    def __init__(
        self,
        network: Any,
        classes: Sequence[str],
        *,
        frames: int,
        size: int,
        way: Way = PUBLISHED,
        values: str = "imagenet",
        device: str = "cpu",
        reuse: bool = True,
        together: int = 4,
    ) -> None:
        self.network = network.eval().to(device)
        self.classes, self.frames, self.size, self.way = tuple(classes), frames, size, way
        self.values, self.device, self.reuse, self.together = values, device, reuse, together
        self.sampling = way.sampled(frames)
        self.streams = 0  # that began
        self.decided_of = self.decided = 0  # the stream of the last decision, and how many that has
        self.probabilities: np.ndarray | None = None
        self.reset()

    @classmethod
    def of(cls, trained: Trained, way: Way = PUBLISHED, *, network: Any = None, **options: Any) -> "OnlineRecogniser":
        """Of a trained network, fed as in its training, on the GPU where there is one; network: in its place."""
        options |= {name: getattr(trained.experiment, name) for name in ("frames", "size", "values")}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(network or trained.network, trained.classes, way=way, device=device, **options)

    def reset(self) -> None:
        """Forget everything seen: a new stream begins. To be called where `see` is; `decide` follows by itself."""
        self.sampling.reset()
        self.unmapped: list[Seen] = []
        self.cuts = Cuts()
        self.streams += 1

    def warm_up(self) -> None:
        """Compute a decision for nothing: at the first one libraries are loaded and kernels picked, for seconds in
        which a camera's frames would be dropped."""
        pixels = torch.zeros(self.together, 3, self.size, self.size, dtype=torch.uint8, device=self.device)
        for count in range(1, self.together + 1):
            maps = self._map(pixels[:count])
        with torch.inference_mode():
            self.network.head(maps[:1].repeat(self.frames, 1, 1, 1).transpose(0, 1)[None])

    def push(self, frame: np.ndarray, seconds: float = 0.0) -> np.ndarray | None:
        """Take one frame, uint8 RGB ``(H, W, 3)``, of this time in the stream; class probabilities ``(classes,)``
        where a decision is due, else None."""
        seen = self.see(frame, seconds)
        return None if seen is None else self.decide(seen)

    def see(self, frame: np.ndarray, seconds: float) -> list[Seen] | None:
        """The first half of `push`: the N frames of a decision that is due."""
        if self.way.at_cuts and self.cuts.begins(frame):
            self.reset()
            self.cuts.begins(frame)
        seen = self.sampling.push(lambda: self._seen(frame, seconds), seconds)
        if len(self.unmapped) == self.together or (seen and self.unmapped):
            maps = self._map(torch.cat([each.kept for each in self.unmapped]))
            for each, kept in zip(self.unmapped, maps.split(1)):
                each.kept = kept
            self.unmapped = []
        return seen

    def _seen(self, frame: np.ndarray, seconds: float) -> Seen:
        label = None
        if self.probabilities is not None and self.decided_of == self.streams:
            label = self.classes[int(self.probabilities.argmax())]
        view = self.way.view(frame, self.size, label)
        pixels = torch.from_numpy(view).permute(2, 0, 1)[None].to(self.device)
        seen = Seen(seconds, pixels, self.streams)
        if self.reuse:
            self.unmapped.append(seen)
        return seen

    @torch.inference_mode()
    def _map(self, pixels: Tensor) -> Tensor:
        return self.network.trunk(normalise(pixels, self.values))

    def decide(self, seen: Sequence[Seen]) -> np.ndarray:
        """The second half of `push`: class probabilities ``(classes,)``, averaged as the way says."""
        maps = torch.cat([each.kept for each in seen])
        with torch.inference_mode():
            stack = (maps if self.reuse else self._map(maps)).transpose(0, 1)[None]
            now = self.network.head(stack).softmax(1)[0].cpu().numpy()
        if seen[-1].stream != self.decided_of:
            self.decided_of, self.decided, self.probabilities = seen[-1].stream, 0, None
        self.decided += 1
        if self.probabilities is not None and self.way.average != "none":
            share = 1 / 2 if self.way.average == "previous" else 1 / self.decided
            now = self.probabilities + share * (now - self.probabilities)
        self.probabilities = now
        return now
