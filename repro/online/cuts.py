"""Where one shot ends and another begins: what came before says nothing of what follows."""

import cv2
import numpy as np

SIDE = 64  # pixels to which frames are shrunk: noise and small motion fall away
THRESHOLD = 27.0


class Cuts:
    """Says of each frame whether it begins another shot than the one before it.

    The mean change of luma (0 to 255) from frame to frame is above :data:`THRESHOLD`: PySceneDetect's ContentDetector
    with luma_only and its default threshold, but for the size of the frames. Its hue is noise where frames are grey.
    """

    def __init__(self) -> None:
        self.last: np.ndarray | None = None

    def begins(self, frame: np.ndarray) -> bool:
        """frame: uint8 RGB ``(H, W, 3)``. The very first one begins nothing."""
        small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        last, self.last = self.last, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return last is not None and float(cv2.absdiff(last, self.last).mean()) > THRESHOLD
