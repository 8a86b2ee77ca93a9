"""Tables and sentences on training: protocols, speed (``repro.bench.throughput``), what runs started from."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from repro.experiment.protocols import HABITS
from repro.metrics.statistics import Interval, paired_bootstrap
from repro.metrics.text import percent, with_interval
from repro.records.record import Record

PLAIN = "plain eager fp32 loop"
GOAL = 1.5  # times the plain loop, on a CPU
PACE_FORMATS = {"clips/s": ".1f", "TFLOP/s": ".3f", "gradient norm": ".2f"}
FORMATS = {"clips/s": ".2f", "times the plain loop": ".2f", "TFLOP/s": ".3f"}


def habits_table() -> pd.DataFrame:
    """Every habit of published code: what it does, what is done otherwise, the fields that switch it on."""
    return pd.DataFrame(
        {
            "habit": name,
            "published code": habit.text,
            "here, unless switched on": habit.sound,
            "fields": ", ".join(f"{field}: {value}" for field, value in habit.fields.items()),
            "ledger": ", ".join(habit.ledger),
        }
        for name, habit in HABITS.items()
    )


def share_text(share: float | None) -> str:
    """A share of the device's measured peak; above 100 % it is the peak that is wrong."""
    if share is None or pd.isna(share):
        return "not measured"
    return percent(share) + (": the measured peak is at fault" if share > 1 else "")


def ways_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Ways to run the same training step: clips/s, ratio to the plain loop with its interval, share of the peak."""
    rows = []
    for name, way in content["ways"].items():
        rate, ratio = way["clips_per_second"], way.get("ratio")
        rows.append(
            {
                "way": name,
                "clips/s": rate["median"],
                "quartiles": f"{rate['q25']:.2f} to {rate['q75']:.2f}",
                "times the plain loop": ratio and ratio["median"],
                "95 %": f"{ratio['low']:.2f} to {ratio['high']:.2f}" if ratio else None,
                "TFLOP/s": way["flops"] / 1e12,
                "share of the peak": share_text(way["peak_share"]),
            }
        )
    return pd.DataFrame(rows)


def peaks_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """What the device reached at best in each precision, and in what."""
    return pd.DataFrame(
        {"precision": name, "TFLOP/s": peak["flops"] / 1e12, "reached in": peak["case"]}
        for name, peak in content["peaks"].items()
    )


def batches_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Clips/s, memory and share of the peak for each batch size."""
    return pd.DataFrame(
        {
            "batch": row["batch"],
            "clips/s": row["clips_per_second"],
            "share of the peak": share_text(row.get("peak_share")) if row["clips_per_second"] else "does not fit",
            "memory used (GB)": row["memory_used"] and row["memory_used"] / 1e9,
            "memory expected (GB)": row["memory_expected"] / 1e9,
        }
        for row in rows
    )


def runs_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Training from real clips in two precisions, a row a run."""
    return pd.DataFrame(
        {
            "precision": row["precision"],
            "seed": row["seed"],
            "right / clips": f"{row['right']} / {row['clips']}",
            "clips/s": row["clips_per_second"],
            "waiting for clips": percent(row["waiting_share"]),
            "share of the peak": share_text(row.get("peak_share")),
        }
        for row in rows
    )


def precision_difference(scores: pd.DataFrame) -> Interval:
    """Top-1 in bf16-mixed less fp32, paired by clip, seeds averaged, groups resampled."""
    right = scores.assign(value=(scores["predicted"] == scores["label"]).astype(float))
    clips = right.groupby(["precision", "clip"]).agg(group=("group", "first"), value=("value", "mean"))
    first, second = clips.loc["32-true"], clips.loc["bf16-mixed"]
    return paired_bootstrap(first["value"], second["value"], groups=first["group"].to_numpy())


def findings(content: Mapping[str, Any] | None, difference: Interval | None) -> list[str]:
    """What the numbers say, a sentence each; of what was measured."""
    found = []
    ways = content["ways"] if content else {}
    reached = {name: way["ratio"] for name, way in ways.items() if "ratio" in way}
    if reached:
        best = max(reached, key=lambda name: reached[name]["median"])
        ratio = reached[best]
        verdict = (
            "reached" if ratio["low"] >= GOAL else "reached by its median only" if ratio["median"] >= GOAL else "missed"
        )
        found.append(
            f"**Goal of {GOAL:g} times the plain loop: {verdict}.** The fastest way is {best}: {ratio['median']:.2f} "
            f"times [{ratio['low']:.2f}, {ratio['high']:.2f}]."
        )
    rates = [way["clips_per_second"] for way in ways.values() if "clips_per_second" in way]
    if any(rate["q25"] < rate["median"] / 2 for rate in rates):
        found.append(
            "**The machine was at other work in some rounds** (see the quartiles): rates and shares of the peak are "
            "rough. Ratios compare ways within a round, so they bear it; their intervals say how well."
        )
    if difference:
        low, high = difference.low, difference.high
        words = "the interval includes no difference" if low <= 0 <= high else "the interval excludes no difference"
        found.append(
            f"**Accuracy in bf16-mixed less fp32:** {with_interval(difference, signed=True)} over {difference.n} "
            f"groups of clips, seeds averaged; {words}."
        )
    return found


def pace_table(records: Sequence[Record]) -> pd.DataFrame | None:
    """How fast runs were, medians over their epochs; None where none of them noted it (runs of before)."""
    rows = []
    for record in records:
        history = record.history
        if "clips_per_second" not in history:
            continue
        middle = history.median(numeric_only=True)
        rows.append(
            {
                "network": record.experiment.title,
                "seed": record.experiment.seed,
                "precision": record.experiment.precision,
                "clips/s": middle["clips_per_second"],
                "waiting for clips": percent(middle["waiting_share"]),
                "TFLOP/s": middle.get("flops", float("nan")) / 1e12,
                "share of the peak": share_text(middle.get("peak_share")),
                "gradient norm": middle.get("gradient_norm"),
            }
        )
    return pd.DataFrame(rows) if rows else None


def start_table(record: Record) -> pd.DataFrame | None:
    """The weights that a run started from: loaded, not loaded and why; None where it started from none."""
    rows = []
    for each in record.data.get("start", []):
        reasons = {**each["not_loaded_by_reason"], **each["unused_by_reason"]}
        rows.append(
            {
                "part": each["part"],
                "source": each["source"],
                "weights": each["digest"],
                "tensors loaded": each["loaded"],
                "not loaded": each["not_loaded"],
                "in the file, not used": each["unused"],
                "reasons": "; ".join(f"{reason}: {', '.join(names[:3])}" for reason, names in reasons.items()),
            }
        )
    return pd.DataFrame(rows) if rows else None
