"""Online recognition on its page: clips from a new start, whether it keeps up and keeps its memory, Figure 5."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.bench.online_timeline import Row
from repro.claims.judging import FEWEST_GROUPS
from repro.claims.official import FULL, OWN
from repro.claims.rules_costs import CAMERA_RATE, GUESSING
from repro.data.clips import Clip
from repro.data.decode import read_frames
from repro.data.sampling import test_frames
from repro.experiment.fields import ATTENTION, TITLES
from repro.metrics.statistics import share
from repro.metrics.text import percent, with_interval
from repro.paper.look_alikes import named_pairs
from repro.records import table6
from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.report.examples import clips_at_hand
from repro.report.figures import COLOURS, frame_strip
from repro.report.previews import Preview, preview
from repro.report.show import formatted
from repro.report.tables import DASH
from repro.report.timelines import RIGHT, SILENT, WRONG, label_name, rank, record_of, seconds_of


def streamed(study: str) -> list[tuple[str, dict[str, Any]]]:
    """What is filed of clips from a new start, by study: of runs that had learned their training clips first, of them
    this study's."""

    return sorted(read_measurements("online").items(), key=lambda found: rank(found[0], found[1], study))


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
    pair = DASH
    if told:
        right = share(pd.DataFrame(told).assign(run=0))
        pair = f"{with_interval(right)}, {right.clips} clips of {right.groups} sources"
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


def pair_text(row: Row, told: Mapping[str, list[Any]] | None) -> str:
    """Whether drink is told from eat, by these two scores and among all classes, in a line; nothing where they are no
    classes. told: as filed of clips from a new start, None where nothing is."""
    labels = {name.lower(): label for label, name in enumerate(row.content["classes"])}
    if not {"drink", "eat"} <= set(labels):
        return ""
    right = {
        name: row.published.right_end[(row.published.clips["label"] == labels[name]).to_numpy()]
        for name in ("drink", "eat")
    }
    counts = " and ".join(f"{own.sum()} of {len(own)} {name} clips" for name, own in right.items())
    alone = ""
    if told:
        apart = share(pd.DataFrame(told).assign(run=0))
        alone = f"by the scores of these two alone {with_interval(apart)} of {apart.clips} clips from a new start "
        few = ", too few for a verdict" if apart.groups < FEWEST_GROUPS else ""
        alone += f"({apart.groups} sources{few}; guessing {percent(GUESSING)}); "
    return f"- Drink told from eat: {alone}among all {len(labels)} classes {counts} end right in the stream above."


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
        f"**{content['rate']} frames a second are {'kept' if kept else 'not kept'} at {content['size']} pixels** by "
        f"{TITLES[content['model']]} of width ×{content['width']:g}, N = {content['frames']}, on "
        f"{machine_text(content['provenance'])}: {plain['dropped']} of "
        f"{plain['frames']} frames dropped, the oldest {plain['frame_age_ms_largest']:.0f} ms old with its decision. "
        f"{_full_text()}Keeping each frame's map makes decisions faster, {saved}."
    )


def _full_text() -> str:
    """How long a decision takes at the paper's input, machine by machine; nothing where none was timed."""
    cpu = table6.read().get("cpu")
    timed = [measured.fastest_exact(OWN) for measured in (*filter(None, [cpu]), *table6.read_backends())]
    seconds = [f"{took.middle:.2f}" for _, took in filter(None, timed)]
    if not seconds:
        return ""
    return (
        f"At the paper's {FULL['size']} pixels a decision takes {', '.join(seconds)} s in {len(seconds)} measurements "
        f"([Table 6](complexity.html#real-time)), and {FULL['frames']} frames come in "
        f"{FULL['frames'] / CAMERA_RATE:.2f} s. "
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
    """A file played at its own rate, by the network as it is and by slower ones; each frame's map is kept."""
    table = pd.DataFrame(
        {
            "network": name,
            "frames": found["frames"],
            "dropped": found["dropped"],
            "decisions a minute": found["decisions_a_minute"],
            "frame age (ms), median": found["frame_age_ms_median"],
            "frame age (ms), largest": found["frame_age_ms_largest"],
        }
        for name, found in content["paces"].items()
    )
    return formatted(table, dict.fromkeys(table.columns[3:], ".0f"))


PACES = (
    "Slower: every decision takes three times as long, or every frame's map three frames' time. Age: of a decision's "
    "newest frame when its label is shown"
)


# ---- Figure 5

SIDE = 192  # pixels of a frame with its label


def at_hand(rows: Sequence[Row]) -> tuple[Row, dict[str, Clip]] | None:
    """The first of the rows whose clips are on this machine, with them by name; None without one."""
    for row in rows:
        record = record_of(row.study, row.content)
        if record and (clips := clips_at_hand(record)):
            return row, clips
    return None


def figure5(row: Row, clips: Mapping[str, Clip], *, classes: int = 6, frames: int = 5) -> tuple[Figure, str]:
    """As the paper's Figure 5: a line a class, the label shown in the frame; drink and eat first, then look-alikes.

    clips: by name.
    """
    strips, lines = [], []
    for place in _chosen(row, classes):
        name = row.content["classes"][row.published.clips["label"][place]]
        labels, pictures = _with_labels(row, place, clips, frames)
        strips.append((name, pictures))
        lines.append(f"{name}: {', '.join(label or '–' for label in labels)}")
    return frame_strip(strips), f"Frames of one clip a class with the label shown in each. {'; '.join(lines)}."


def _chosen(row: Row, most: int) -> list[int]:
    """The places of the first clip of each of some classes: drink and eat, look-alikes, then the others."""
    names = [name.lower() for name in row.content["classes"]]
    first = [names.index(name) for name in ("drink", "eat") if name in names]
    pairs = [label for pair in named_pairs(row.content["classes"]) for label in pair]
    labels = row.published.clips["label"].tolist()
    order = [label for label in dict.fromkeys([*first, *pairs, *range(len(names))]) if label in labels]
    return [labels.index(label) for label in order[:most]]


def _with_labels(row: Row, place: int, clips: Mapping[str, Clip], frames: int) -> tuple[list[str], np.ndarray]:
    """Labels shown with some frames of a clip of the stream, and the frames with them, ``(frames, SIDE, SIDE, 3)``."""
    published = row.published
    at = test_frames(int(published.clips["frames"][place]), frames)
    labels = [label_name(row, int(label)) for label in published.each[place][at]]
    found = read_frames(clips[published.clips["name"][place]].path, at)
    return labels, np.stack([_labelled(*each) for each in zip(found, labels, published.right[place][at])])


def _labelled(frame: np.ndarray, text: str, right: bool) -> np.ndarray:
    """A square picture of a frame with a text at its top: on blue where right, orange where wrong, white where none."""
    side = min(frame.shape[:2])
    top, left = ((length - side) // 2 for length in frame.shape[:2])
    shown = cv2.resize(frame[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    colour = tuple(int((RIGHT if right else WRONG if text else SILENT)[k : k + 2], 16) for k in (1, 3, 5))
    cv2.rectangle(shown, (0, 0), (SIDE, 26), colour, -1)
    return cv2.putText(shown, text or "-", (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)


def moving(row: Row, clips: Mapping[str, Clip], *, count: int = 3, frames: int = 8) -> Preview:
    """The first clips of the stream with the label shown in each frame, as a loop."""
    pictures = []
    for place in range(min(count, len(row.published.clips))):
        pictures += [*_with_labels(row, place, clips, frames)[1]]
    seconds = float(seconds_of(row.published)[:count].sum())
    return preview(np.stack(pictures), f"The first {count} clips in a row with the label shown.", seconds=seconds)
