"""Tables, a figure and sentences from a recorded measurement of decoding (``repro.bench.decoding``, notebook 11)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.bench.readers import CACHE, CEILING

DEFAULT = "opencv"
GOAL_OF_CEILING, GOAL_OF_CACHE = 0.95, 1.5
CACHE_EXTRA_READS = 1  # the zip's directory, beside one read for each frame
FORMATS = {
    "clips/s of CPU": ".1f",
    "clips/s by the clock": ".1f",
    "% of grab only": ".1f",
    "decoding alone, % of grab only": ".1f",
    "decode (%)": ".0f",
    "resize (%)": ".0f",
    "crop (%)": ".1f",
}
OFFERED, SHOWN = "#0072B2", "#999999"  # Okabe and Ito's blue, and grey


def speed_table(source: Mapping[str, Any], frames: int) -> pd.DataFrame:
    """Every way of reading, one row each: rates for N = ``frames``, shares of the CPU time, frames wrong."""
    return pd.DataFrame([_row(way, frames) for way in source["ways"].values()])


def _row(way: Mapping[str, Any], frames: int) -> dict[str, Any]:
    row = {"way": way["title"], "for training": "yes" if way["offered"] else "no", **_found(way)}
    speed = way["speed"].get(str(frames))
    if speed is None:
        return row
    ceiling = speed["of_ceiling"]
    return row | {
        "clips/s of CPU": speed["cpu"]["median"],
        "quartiles": f"{speed['cpu']['q25']:.1f} to {speed['cpu']['q75']:.1f}",
        "clips/s by the clock": speed["wall"]["median"],
        "% of grab only": ceiling and 100 * ceiling["median"],
        "decoding alone, % of grab only": ceiling and 100 * ceiling["median"] / speed["shares"]["decode"],
        **{f"{stage} (%)": 100 * share for stage, share in speed["shares"].items()},
    }


def _found(way: Mapping[str, Any]) -> dict[str, str]:
    """The column that says whether the right frames came, or why none did."""
    if way["missing"]:
        return {"frames wrong": f"not installed, not measured: {way['missing'].removeprefix('decoder: ')}"}
    exact = way["exact"]
    parts = []
    if exact["refused"]:
        parts.append(f"refuses {exact['refused']} clips")
    if exact["asked"]:
        parts.append(f"{exact['wrong']} of {exact['asked']}")
    if exact["wrong"]:
        parts.append(f"by up to {exact['furthest']}")
    return {"frames wrong": ", ".join(parts) or "gives none"}


def in_words(content: Mapping[str, Any], frames: int) -> list[str]:
    """The rates of each source in words, for the figure's alternative text."""
    return [
        f"{name}: "
        + ", ".join(
            f"{way} {facts['speed'][str(frames)]['cpu']['median']:.0f}"
            for way, facts in source["ways"].items()
            if facts["speed"]
        )
        for name, source in content["sources"].items()
    ]


def rates_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Median clips a second of CPU time of the ways for training: a row a source and way, a column for each N."""
    return pd.DataFrame(
        {"clips": name, "way": way["title"]} | {f"N = {n}": speed["cpu"]["median"] for n, speed in way["speed"].items()}
        for name, source in content["sources"].items()
        for way in source["ways"].values()
        if way["offered"] and way["speed"]
    )


def space_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Kilobytes of a clip as video and as frame cache (means)."""
    return pd.DataFrame(
        {
            "clips": name,
            "clips measured": source["clips"],
            "frames a clip": source["mean_frames"],
            "video (kB a clip)": source["bytes"]["video"] / 1e3,
            "frame cache (kB a clip)": source["bytes"]["cache"] / 1e3,
            "times the video": source["bytes"]["cache"] / source["bytes"]["video"],
        }
        for name, source in content["sources"].items()
    )


def fastest_video(source: Mapping[str, Any], frames: int) -> str:
    """The way for training that reads video files fastest (CPU), all frames right."""
    rates = {
        name: way["speed"][str(frames)]["cpu"]["median"]
        for name, way in source["ways"].items()
        if way["offered"] and not way["cached"] and way["speed"] and not way["exact"]["wrong"]
    }
    return max(rates, key=rates.get)


def storage_table(
    content: Mapping[str, Any], frames: int, *, disks: Mapping[str, Mapping[str, float]], cores: int
) -> pd.DataFrame:
    """What a disk can deliver beside what ``cores`` cores can decode, read from disk each time (nothing in memory).

    disks: by name, ``megabytes_a_second`` and ``reads_a_second`` (at unconnected places). A video is one read of the
    whole file; of a frame cache either N frames and the directory are read, or the whole file, whichever is sooner.
    Reads of the file system's own are left out. Returns clips a second and, as ``default``, what gives more.
    """
    rows = []
    for name, source in content["sources"].items():
        sizes, ways = source["bytes"], source["ways"]
        for disk, speed in disks.items():

            def clips_a_second(megabytes, reads, speed=speed):
                return 1 / (megabytes / 1e6 / speed["megabytes_a_second"] + reads / speed["reads_a_second"])

            reads = frames + CACHE_EXTRA_READS
            video = clips_a_second(sizes["video"], 1)
            cache = max(clips_a_second(frames * sizes["cached_frame"], reads), clips_a_second(sizes["cache"], 1))
            cpu = {way: cores * ways[way]["speed"][str(frames)]["cpu"]["median"] for way in (DEFAULT, CACHE)}
            rows.append(
                {
                    "clips": name,
                    "disk": disk,
                    "disk delivers, video": video,
                    "cores decode, video": cpu[DEFAULT],
                    "disk delivers, cache": cache,
                    "cores decode, cache": cpu[CACHE],
                    "default": CACHE if min(cache, cpu[CACHE]) > min(video, cpu[DEFAULT]) else "video file",
                }
            )
    return pd.DataFrame(rows)


def findings(content: Mapping[str, Any], frames: int) -> list[str]:
    """What the numbers say, some sentences for each source, in Markdown."""
    found = []
    for name, source in content["sources"].items():
        ways, key = source["ways"], str(frames)
        ours, best = ways[DEFAULT]["speed"][key], fastest_video(source, frames)
        fastest = ways[best]["speed"][key]
        wrong = [way for way, facts in ways.items() if facts["exact"] and facts["exact"]["wrong"]]
        refused = [way for way, facts in ways.items() if facts["exact"] and facts["exact"]["refused"]]
        parts = [f"**{name}.** OpenCV gives {ours['cpu']['median']:.1f} clips a second and core."]
        if ours["of_ceiling"]:
            share = 100 * ours["of_ceiling"]["median"]
            whole, alone = (
                _goal(x, 100 * GOAL_OF_CEILING, ".1f", " %") for x in (share, share / ours["shares"]["decode"])
            )
            parts.append(f"That is {whole} of what it gives when it only grabs every frame; decoding alone, without")
            parts.append(f"crop and resize, runs at {alone} of that.")
        parts.append(f"Fastest from the video files is {best}, with {fastest['cpu']['median']:.1f}.")
        if fastest["cache_gain"]:
            gain = _goal(fastest["cache_gain"]["median"], GOAL_OF_CACHE, ".2f", " times")
            parts.append(f"The frame cache gives {gain} as many as that.")
        parts.append(f"Frames other than those asked for came from: {', '.join(wrong) or 'none'}.")
        if refused:
            parts.append(f"Not timed, since clips are refused: {', '.join(refused)}.")
        found.append(" ".join(parts))
    return found


def _goal(value: float, goal: float, form: str, unit: str) -> str:
    return f"{value:{form}}{unit} (goal {goal:g}{unit}: {'reached' if value >= goal else 'not reached'})"


def rate_plot(content: Mapping[str, Any], frames: int) -> Figure:
    """Clips a second of CPU time by way, a panel a source, quartiles as bars; the dashed line is grab only."""
    sources = content["sources"]
    names = list(next(iter(sources.values()))["ways"])
    fig, axes = plt.subplots(
        1, len(sources), figsize=(4 + 2.6 * len(sources), 0.8 + 0.33 * len(names)), sharey=True, squeeze=False
    )
    for (title, source), axis in zip(sources.items(), axes[0], strict=True):
        for row, name in enumerate(names):
            way = source["ways"][name]
            speed = way["speed"].get(str(frames))
            if speed is None:
                axis.text(0, row, " not installed" if way["missing"] else " refuses clips", va="center", fontsize=7)
                continue
            cpu = speed["cpu"]
            wrong = way["exact"]["wrong"] > 0
            axis.barh(row, cpu["median"], color=OFFERED if way["offered"] else SHOWN, hatch="//" if wrong else None)
            axis.plot([cpu["q25"], cpu["q75"]], [row, row], color="black", linewidth=1.5)
            if name == CEILING:
                axis.axvline(cpu["median"], color="black", linestyle="--", linewidth=1)
        axis.set_title(title, fontsize=9, wrap=True)
        axis.set_xlabel("clips/s of CPU time")
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    fig.suptitle(f"{frames} frames a clip; blue: for training, hatched: other frames came", fontsize=10)
    fig.tight_layout()
    return fig
