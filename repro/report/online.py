"""Online recognition on its page: right after how many frames, beside whole clips, and how fast."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION
from repro.metrics.statistics import share
from repro.metrics.text import percent, with_interval
from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.records.questions import has_converged
from repro.records.record import RESULTS, read_record
from repro.report.figures import COLOURS
from repro.report.show import formatted
from repro.report.tables import DASH


def streamed(study: str, results: Path = RESULTS) -> list[tuple[str, dict[str, Any]]]:
    """What is filed of clips from a new start, by study: of runs that had learned their training clips first, of them
    this study's."""

    def key(found: tuple[str, dict[str, Any]]) -> tuple[bool, bool, str]:
        folder = results / found[0] / found[1]["run"]
        sure = (folder / "record.json").is_file() and has_converged(read_record(folder))
        return not sure, found[0] != study, found[0]

    return sorted(read_measurements("online", results).items(), key=key)


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


def online_caption(study: str, content: Mapping[str, Any]) -> str:
    """What the frame rate of `online_table` leaves out, and where it was measured."""
    return (
        f"Streamed clips of {study}; frame rate that cropping and network keep up with, without decoding, on "
        f"{machine_text(content['provenance'])}"
    )


def online_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy at the end of each clip and at best, beside whole clips, and the rate; content: as filed."""
    told = content["drink_eat"]
    pair = with_interval(share(pd.DataFrame(told).assign(run=0))) if told else DASH
    best = max(zip(content["top1_seen"], content["seen"]), key=lambda each: (each[0], -each[1]))
    row = {
        "clips": content["clips"],
        "top-1 online, last decision": percent(content["top1"]),
        "at best": f"{percent(best[0])} after {best[1]} frames" if best[0] > content["top1"] else None,
        "top-1, whole clip at once": percent(content["top1_whole_clip"]),
        "drink told from eat, these two alone": pair,
        "frames/s": content["frames_per_second"],
    }
    return formatted(pd.DataFrame([row]), {"frames/s": ".0f"})
