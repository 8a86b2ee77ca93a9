"""Tables of ways to run the two networks faster (:mod:`repro.bench.backends`), and of how far their logits move."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import wilson_interval
from repro.metrics.text import with_interval

GOAL = 2.0  # times plain eager float32
SLOWEST = 0.97  # of the baseline's rate that Res34-SE-IM-Net should keep
FORMATS = {f"{TITLES[name]}: clips/s": ".2f" for name in (BASELINE, ATTENTION)} | {"prepared in (s)": ".0f"}


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def variants_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a variant: clips/s and gain over eager of both networks, their ratio; or why it did not run."""
    rows = []
    for variant, row in content["variants"].items():
        if "reason" in row:
            rows.append({"variant": variant, "remark": f"not run: {row['reason']}"})
            continue
        shown: dict[str, Any] = {"variant": variant}
        for name in (BASELINE, ATTENTION):
            shown[f"{TITLES[name]}: clips/s"] = row[name]["clips_per_second"]["median"]
            shown[f"{TITLES[name]}: gain [95 %]"] = _ratio(row[name]["gain"])
        shown["SE-IM over baseline [95 %]"] = _ratio(row["second_over_first"])
        rows.append(shown | {"prepared in (s)": row[ATTENTION]["prepared_in"]})
    return pd.DataFrame(rows)


def logits_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a variant: largest difference from eager, clips with the same label with interval."""
    rows = []
    for variant, row in content["logits"].items():
        if "reason" in row:
            rows.append({"variant": variant, "largest difference / largest |logit|": f"not run: {row['reason']}"})
            continue
        same = wilson_interval(row["same"], row["clips"])
        rows.append(
            {
                "variant": variant,
                "largest difference / largest |logit|": f"{row['difference']:.1e}",
                "same label": f"{row['same']} / {row['clips']}",
                "share [95 %]": with_interval(same),
                "other label though the margin exceeds 0.001 of the largest |logit|": row["contradicted"],
            }
        )
    return pd.DataFrame(rows)


def findings(content: Mapping[str, Any]) -> list[str]:
    """Whether the goals were reached, a sentence each."""
    ran = {name: row for name, row in content["variants"].items() if "reason" not in row}
    best = max(ran, key=lambda name: ran[name][ATTENTION]["gain"]["median"])
    gain = ran[best][ATTENTION]["gain"]
    word = "reached" if gain["low"] >= GOAL else "reached by its median only" if gain["median"] >= GOAL else "missed"
    lines = [
        f"**Goal of {GOAL:g} times plain eager float32: {word}.** {TITLES[ATTENTION]}, {best}: {_ratio(gain)} times."
    ]
    in_32 = {name: row for name, row in ran.items() if name.endswith("fp32")}
    if in_32 and best not in in_32:
        name = max(in_32, key=lambda name: in_32[name][ATTENTION]["gain"]["median"])
        lines.append(f"In float32 the fastest is {name}: {_ratio(in_32[name][ATTENTION]['gain'])} times.")
    slow = [name for name, row in ran.items() if row["second_over_first"]["median"] < SLOWEST]
    lines.append(
        f"**{TITLES[ATTENTION]} at {SLOWEST:g} of the baseline's rate or more:** in {len(ran) - len(slow)} of "
        f"{len(ran)} ways by the median" + (f"; not in {', '.join(slow)}." if slow else ".")
    )
    return lines
