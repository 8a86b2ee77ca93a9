"""Online recognition on its page: right after how many frames, beside whole clips, how fast, and with what memory."""

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


# ---- does it keep up, and keep its memory: what `repro.bench` filed

NOT_RUN = "**Not run:** `python -m repro.bench.online_{}`."
OLDEST = 500  # ms that a frame may be old with its decision
WARM = 5  # minutes, after which memory should stay as it is


def read(name: str) -> dict[str, Any] | None:
    """What is filed as ``pace`` or ``memory``; None where nothing is."""
    return read_measurements(name).get("online")


def pace_text(content: Mapping[str, Any] | None) -> str:
    """Whether 25 frames a second are kept, and what keeping maps saves."""
    if content is None:
        return NOT_RUN.format("pace")
    plain = content["paces"]["as it is"]
    kept = plain["dropped"] == 0 and plain["frame_age_ms_largest"] < OLDEST
    saved = "; ".join(
        f"{name}: {each['times']:.1f} times [{each['low']:.1f}, {each['high']:.1f}]"
        for name, each in content["saving"].items()
    )
    return (
        f"**{content['rate']} frames a second are {'kept' if kept else 'not kept'}** by a network of width "
        f"×{content['width']:g} at {content['size']} pixels, N = {content['frames']}, on "
        f"{machine_text(content['provenance'])}: {plain['dropped']} of "
        f"{plain['frames']} frames dropped, the oldest {plain['frame_age_ms_largest']:.0f} ms old with its decision. "
        "Decisions at the paper's input are timed on [Table 6's page](complexity.html#real-time). Keeping each frame's "
        f"map makes decisions faster, {saved}."
    )


def memory_text(content: Mapping[str, Any] | None) -> str:
    """Whether memory grows while a stream goes on."""
    if content is None:
        return NOT_RUN.format("memory")
    hours, mb = content["streamed"] / content["rate"] / 3600, content["mb"]
    since = min(WARM, len(mb) - 1)
    return (
        f"Over {hours:.2g} h of stream the process held {mb[since]:.0f} MB after {since} minutes and {mb[-1]:.0f} MB "
        "at the end."
    )


def pace_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A file played at its own rate, by the network as it is and by slower ones."""
    table = pd.DataFrame(
        {
            "network": name,
            "frames": found["frames"],
            "dropped": found["dropped"],
            "decisions a minute": found["decisions_a_minute"],
            "latency (ms), median": found["latency_ms_median"],
            "frame age (ms), median": found["frame_age_ms_median"],
            "frame age (ms), largest": found["frame_age_ms_largest"],
        }
        for name, found in content["paces"].items()
    )
    return formatted(table, dict.fromkeys(table.columns[3:], ".0f"))
