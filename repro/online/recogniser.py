"""Online recognition: a running guess while the frames come in.

Source: ECO's Algorithm 1 (Zolfaghari et al. 2018, ref. 12), which the paper says it uses. A queue takes every frame;
each N new frames the working set becomes half sampled from the queue, half from the old working set, and the new class
probabilities are averaged with the previous ones. The script released with ECO differs: see the ledger of assumptions.
"""

import numpy as np
import torch
from torch import nn

from repro.data.sampling import test_frames
from repro.data.transforms import normalise, test_view


class OnlineRecogniser:
    """Push frames one by one; each N frames there is a new decision.

    Args:
        network: takes ``(1, N, 3, size, size)``; switched to evaluation.
        frames: N, 2 or more.
        size: pixels a side.
        values: what the network is fed (:data:`repro.data.transforms.VALUES`), as in its training.
        device: where the network runs.
    """

    def __init__(
        self, network: nn.Module, *, frames: int, size: int, values: str = "imagenet", device: str = "cpu"
    ) -> None:
        if frames < 2:
            raise ValueError(f"frames: {frames}; the working set is half old, half new, so N must be 2 or more")
        self.network = network.eval().to(device)
        self.frames, self.size, self.values, self.device = frames, size, values, device
        self.reset()

    def reset(self) -> None:
        """Forget everything seen: a new stream begins."""
        self.queue: list[np.ndarray] = []
        self.working: np.ndarray | None = None  # uint8 (N, size, size, 3)
        self.probabilities: np.ndarray | None = None

    def push(self, frame: np.ndarray) -> np.ndarray | None:
        """Take one frame, uint8 RGB ``(H, W, 3)``; class probabilities ``(classes,)`` at every N-th, else None."""
        self.queue.append(test_view(frame[None], self.size)[0])
        if len(self.queue) < self.frames:
            return None
        fresh = np.stack(self.queue)
        self.queue.clear()
        if self.working is None:
            self.working = fresh
        else:
            kept = self.frames // 2
            old = self.working[test_frames(self.frames, kept)]
            self.working = np.concatenate([old, fresh[test_frames(self.frames, self.frames - kept)]])
        clip = torch.from_numpy(self.working).permute(0, 3, 1, 2)[None].to(self.device)
        with torch.inference_mode():
            now = self.network(normalise(clip, self.values)).softmax(1)[0].cpu().numpy()
        self.probabilities = now if self.probabilities is None else (self.probabilities + now) / 2
        return self.probabilities
