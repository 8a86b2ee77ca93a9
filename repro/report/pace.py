"""Does online recognition keep up, and keep its memory: what `repro.bench` filed, on the page of Figure 5."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.report.show import formatted

COMMAND = "python -m repro.bench.online_{name}"
OLDEST = 500  # ms that a frame may be old with its decision
WARM = 5  # minutes, after which memory should stay as it is


def read(name: str) -> dict[str, Any] | None:
    """What is filed as ``pace`` or ``memory``; None where nothing is."""
    return read_measurements(name).get("online")


def pace_text(content: Mapping[str, Any] | None) -> str:
    """Whether 25 frames a second are kept, and what keeping maps saves."""
    if content is None:
        return not_run("pace")
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
        return not_run("memory")
    hours, mb = content["streamed"] / content["rate"] / 3600, content["mb"]
    since = min(WARM, len(mb) - 1)
    return (
        f"Over {hours:.2g} h of stream the process held {mb[since]:.0f} MB after {since} minutes and {mb[-1]:.0f} MB "
        "at the end."
    )


def not_run(name: str) -> str:
    return f"**Not run:** `{COMMAND.format(name=name)}`."


def pace_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A file played at its own rate, by the network as it is and by slower ones."""
    rows = [
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
    ]
    table = pd.DataFrame(rows)
    return formatted(table, {name: ".0f" for name in table.columns[3:]})
