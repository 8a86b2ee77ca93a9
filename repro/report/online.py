"""Online recognition on its page: right after how many frames, beside whole clips, and how fast."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION
from repro.metrics.text import percent
from repro.report.figures import COLOURS
from repro.report.show import formatted


def frames_seen_figure(content: Mapping[str, Any]) -> tuple[Figure, str]:
    """Top-1 by the number of frames seen, with its alternative text.

    content: as filed (``repro.bench.online_clips.content``).
    """
    seen, top1, whole = (content[name] for name in ("seen", "top1_seen", "top1_whole_clip"))
    fig, axis = plt.subplots(figsize=(8, 3))
    axis.plot(seen, [100 * share for share in top1], "o-", color=COLOURS[ATTENTION], label="online")
    axis.axhline(100 * whole, color="black", linestyle=":", label="whole clip at once")
    axis.set(xlabel="frames seen", ylabel="top-1 (%)", ylim=(0, 100), xticks=seen[:: max(1, len(seen) // 10)])
    axis.legend(frameon=False)
    shown = ", ".join(f"{percent(share)} after {frames}" for share, frames in zip(top1, seen))
    alt = f"Top-1 by frames seen over {content['clips']} test clips: {shown}; whole clip at once {percent(whole)}."
    return fig, alt


def online_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy at the end of each clip, beside whole clips, and the rate; content: as filed."""
    row = {
        "clips": content["clips"],
        "top-1 online": percent(content["top1"]),
        "top-1, whole clip at once": percent(content["top1_whole_clip"]),
        "frames/s": content["frames_per_second"],
    }
    return formatted(pd.DataFrame([row]), {"frames/s": ".0f"})
