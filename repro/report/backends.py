"""Tables of the fast backends for the two networks (:mod:`repro.bench.backends`), and of how far their logits move."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.text import percent
from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.records.table6 import Measured, read_backends
from repro.report.show import formatted, say, show_table
from repro.report.table6 import show_measured


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def backends_table(content: Mapping[str, Any] | None) -> pd.DataFrame:
    """A row a backend: clips/s and gain over eager of both networks, their ratio; or why it did not run. Empty where
    nothing was measured."""
    rows = []
    for backend, row in (content or {"variants": {}})["variants"].items():
        if "reason" in row:
            rows.append({"backend": backend, "remark": f"not run: {row['reason']}"})
            continue
        shown: dict[str, Any] = {"backend": backend}
        for name in (BASELINE, ATTENTION):
            shown[f"{TITLES[name]}: clips/s"] = row[name]["clips_per_second"]["median"]
            shown[f"{TITLES[name]}: gain [95 %]"] = _ratio(row[name]["gain"])
        shown["SE-IM over baseline [95 %]"] = _ratio(row["second_over_first"])
        rows.append(shown | {"prepared in (s)": row[ATTENTION]["prepared_in"]})
    rates = {f"{TITLES[name]}: clips/s": ".2f" for name in (BASELINE, ATTENTION)}
    return formatted(pd.DataFrame(rows), rates | {"prepared in (s)": ".0f"})


def show_backends(record: Measured) -> None:
    """Display what was measured of the backends alone, a kind of processor at a time, else beside Table 6, or how to
    measure it."""
    alone = read_backends()
    for found in alone:
        by = found.content["provenance"]
        _show_backends(found.content["variants"], found.name, f", {by['started'][:10]}, commit {by['commit'][:10]}")
    if not alone:
        _show_backends(record.content.get("variants"), record.name)


def _show_backends(found: Mapping[str, Any] | None, machine: str, when: str = "") -> None:
    caption = "The two networks on each backend, 16 frames of 224×224"
    if found:
        say("\n".join([f"On {machine}:\n", *(f"- {line}" for line in findings(found))]))
        caption += f", {found['repeats']} interleaved rounds, {machine}{when}"
    show_measured(backends_table(found), caption, folded=f"Every backend, {machine}")


def logits_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a backend: largest difference from eager, clips with the same label, accuracy and what it differs by."""
    rows, plain = [], next(iter(content["logits"].values()))
    for backend, row in content["logits"].items():
        if "reason" in row:
            rows.append({"backend": backend, "largest difference / largest |logit|": f"not run: {row['reason']}"})
            continue
        rows.append(
            {
                "backend": backend,
                "largest difference / largest |logit|": f"{row['difference']:.1e}",
                "same label": f"{row['same']} / {row['clips']}",
                "share": percent(row["same"] / row["clips"]),
                "top-1": percent(row["right"] / row["clips"]),
                "difference in points": f"{100 * (row['right'] - plain['right']) / row['clips']:+.1f}",
                "other label though the margin exceeds 0.001 of the largest |logit|": row["contradicted"],
            }
        )
    return pd.DataFrame(rows)


def show_logits() -> None:
    """Display what was measured of logits, a study at a time, or how to measure it."""
    measured = read_measurements("inference")
    if not measured:
        say("**Logits not compared:** no `results/*/inference.json`; set `measure_logits = True`.")
    for found in measured.values():
        say(f"- {agreed(found)}")
        made = found["provenance"]
        show_table(
            logits_table(found),
            f"Logits beside eager float32: run {found['run']} (width ×{found['width']:g}, {found['frames']} frames of "
            f"{found['size']} pixels; int8 calibrated on {found['calibrated_on']} training clips), "
            f"{made['started'][:10]}, {machine_text(made)}, commit {made['commit'][:10]}",
            folded=f"How far the logits of {found['run']} move",
        )


def agreed(found: Mapping[str, Any]) -> str:
    """A sentence a precision: of how many clips eager's label is kept, and what that does to the accuracy."""
    ran = {name: row for name, row in found["logits"].items() if "reason" not in row}
    plain, (_, *others) = next(iter(ran.values())), ran
    parts = []
    for precision in dict.fromkeys(name.rpartition(", ")[2] for name in others):
        rows = [ran[name] for name in others if name.endswith(precision)]
        same, gains = min(row["same"] for row in rows), [row["right"] - plain["right"] for row in rows]
        share = f"{same} of {plain['clips']} ({percent(same / plain['clips'])})" if same < plain["clips"] else "all"
        worst = 100 * max(gains, key=abs) / plain["clips"]
        parts.append(f"{precision} keeps {share}, top-1 moves by {worst:+.1f} points{' at most' * (len(rows) > 1)}")
    return f"Of eager's labels of the test clips of {found['run']}, {'; '.join(parts)}."


def findings(content: Mapping[str, Any]) -> list[str]:
    """Which runtime is fastest, and what the gates cost there, a sentence each."""
    ran = {name: row for name, row in content["variants"].items() if "reason" not in row}
    best = max(ran, key=lambda name: ran[name][ATTENTION]["gain"]["median"])
    gain = ran[best][ATTENTION]["gain"]
    lines = [
        f"The fastest is **{best}**: {TITLES[ATTENTION]} runs {_ratio(gain)} times as fast as in plain eager float32."
    ]
    in_32 = {name: row for name, row in ran.items() if name.endswith("fp32")}
    if in_32 and best not in in_32:
        name = max(in_32, key=lambda name: in_32[name][ATTENTION]["gain"]["median"])
        lines.append(f"In float32 the fastest is {name}: {_ratio(in_32[name][ATTENTION]['gain'])} times.")
    kept = {name: row["second_over_first"]["median"] for name, row in ran.items()}
    least = min(kept, key=lambda name: kept[name])
    lines.append(
        f"{TITLES[ATTENTION]} keeps {percent(kept[least], 0)} of the baseline's rate or more, the least under {least}."
    )
    return lines
