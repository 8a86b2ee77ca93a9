"""Reading clips, as recorded by ``repro.bench.decoding``: a table of rates and space, and what the numbers say.

Records from before November 2026 also hold libraries that are not offered any more, for the frames that they gave.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repro.bench.decoding import CACHE, CEILING, READERS
from repro.metrics.text import percent
from repro.report.show import formatted


def conditions(content: Mapping[str, Any]) -> str:
    """When, where and with what it was measured, in Markdown."""
    made = content["provenance"]
    libraries = ", ".join(f"{name} {version}" for name, version in content["libraries"].items())
    return (
        f"Measured {made['started'][:10]} on one core of {made['processor']} ({made['cores']} cores), {libraries}; "
        f"{content['repeats']} interleaved rounds for each N, {content['size']}×{content['size']} pixels. Files were "
        "in memory: no disk is in these rates."
    )


def rates_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a source and reader: frames wrong, median clips a second of CPU time for each N, kilobytes of a clip.

    The share of the ceiling is at the middle N.
    """
    middle = str(content["frames"][len(content["frames"]) // 2])
    rows = []
    for source, found in content["sources"].items():
        for name, reader in READERS.items():
            if name not in found["ways"] or not found["ways"][name]["speed"]:
                continue
            exact, speed = found["ways"][name]["exact"], found["ways"][name]["speed"]
            ceiling = speed[middle]["of_ceiling"]
            rows.append(
                {"clips": f"{source} ({found['clips']})", "read by": reader.title}
                | {"frames wrong": f"{exact['wrong']} of {exact['asked']}" if exact["asked"] else "gives none"}
                | {f"N = {n}": f"{rate['cpu']['median']:.1f}" for n, rate in speed.items()}
                | {"% of the ceiling": 100 * ceiling["median"] if ceiling else None}
                | {"kB a clip": found["bytes"]["cache" if reader.cached else "video"] / 1e3}
            )
    return formatted(pd.DataFrame(rows), {"% of the ceiling": ".0f", "kB a clip": ",.0f"})


def findings(content: Mapping[str, Any]) -> list[str]:
    """What the numbers say: a line for each source, and one on libraries that are not offered, in Markdown."""
    n = str(content["frames"][len(content["frames"]) // 2])
    said = []
    for source, found in content["sources"].items():
        speed = {name: found["ways"][name]["speed"][n] for name in ("opencv", CACHE, CEILING)}
        rate, cached = speed["opencv"]["cpu"]["median"], speed[CACHE]["cpu"]["median"]
        text = f"**{source}.** OpenCV reads {rate:.1f} clips of {n} frames a second and core"
        if ceiling := speed["opencv"]["of_ceiling"]:
            shares = speed["opencv"]["shares"]
            text += f", {100 * ceiling['median']:.0f} % of the ceiling (cropping and resizing, which it has not, take "
            text += f"{percent(shares['resize'] + shares['crop'], 0)})"
        text += f"; the frame cache {cached:.1f}"
        if gain := speed["opencv"]["cache_gain"]:
            text += f", {gain['median']:.1f} times as many ({gain['low']:.1f} to {gain['high']:.1f})"
        times = found["bytes"]["cache"] / found["bytes"]["video"]
        said.append(f"{text}. It takes {times:.0f} times the space of the videos.")
    if others := _other_frames(content):
        said.append(
            f"**Not offered**, because on these ordinary files other frames came than those asked for, or none: "
            f"{'; '.join(others)}."
        )
    return said


def _other_frames(content: Mapping[str, Any]) -> list[str]:
    """By reader that is not offered: the wrong frames and the refused clips of each source where there are some."""
    texts: dict[str, list[str]] = {}
    for source, found in content["sources"].items():
        for name, facts in found["ways"].items():
            exact = facts["exact"]
            if name in READERS or not exact:
                continue
            if exact["wrong"]:
                texts.setdefault(facts["title"], []).append(f"{exact['wrong']} of {exact['asked']} frames ({source})")
            if exact.get("refused"):
                texts.setdefault(facts["title"], []).append(f"{exact['refused']} clips refused ({source})")
    return [f"{title}: {', '.join(parts)}" for title, parts in texts.items()]
