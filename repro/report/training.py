"""Tables on training: habits of published code, how fast runs were, what they started from."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from repro.claims.official import STATED
from repro.experiment.fields import TITLES
from repro.experiment.protocols import HABITS, PAPER_TEXT
from repro.metrics.text import percent
from repro.records.provenance import machine_text
from repro.records.record import Record
from repro.report.show import formatted
from repro.report.study import Study, convergence_text
from repro.report.tables import DASH

IN_TEXT = (*STATED, "frames")  # settings whose values the text states
IN_PART = {  # what it says of others
    "crop_scales": "scale jitter with fixed corners, no scales",
    "sampling": "a random frame a segment; at test time not stated",
    "momentum": "momentum, no value",
    "weight_decay": "weight decay, no value",
}


def answer_text(studies: Sequence[Study]) -> str:
    """How many runs had learned their training clips at the end, study by study."""
    return "\n".join(f"- **{study.name}.** {convergence_text(study)}" for study in studies)


def settings_table(studies: Sequence[Study]) -> pd.DataFrame:
    """One row a setting of the training: what the paper states, what is taken where it is silent, and the runs'."""
    rows = []
    for name in PAPER_TEXT:
        if name == "accumulate":  # it stands with the batch size
            continue
        rows.append(
            {
                "setting": name.replace("_", " "),
                "the paper": _value(name, PAPER_TEXT) if name in IN_TEXT else IN_PART.get(name, DASH),
                "at full size here": _value(name, PAPER_TEXT),
                "runs shown": _of_runs(name, studies) or DASH,
            }
        )
    return pd.DataFrame(rows)


def _of_runs(name: str, studies: Sequence[Study]) -> str:
    """The values of a setting in these studies' runs, each network's own where they differ within a study."""
    found: dict[str, None] = {}
    for study in studies:
        own = {model: _value(name, runs[0].experiment.to_dict()) for model, runs in study.networks.items()}
        if name == "saturate" and study.records[0].experiment.schedule != "plateau":  # of that schedule alone
            continue
        same = len(set(own.values())) == 1
        found |= dict.fromkeys([next(iter(own.values()))] if same else [f"{v} ({TITLES[m]})" for m, v in own.items()])
    return "; ".join(found)


def departures_text(studies: Sequence[Study]) -> str:
    """In which settings that the text states the runs shown are other ones; nothing without runs."""
    others = [
        f"{name.replace('_', ' ')} {_value(name, PAPER_TEXT)} → {here}"
        for name in IN_TEXT
        if (here := _of_runs(name, studies)) and here != _value(name, PAPER_TEXT)
    ]
    if not others:
        return ""
    asked = sum(bool(_of_runs(name, studies)) for name in IN_TEXT)
    return (
        f"- **The paper's settings**: of {asked} values that its text states and that apply, the runs shown have "
        f"{asked - len(others)}; small networks that learn from scratch on a CPU were given others for "
        f"{'; '.join(others)}."
    )


def _value(name: str, fields: Mapping[str, Any]) -> str:
    if name == "batch_size" and fields["accumulate"] > 1:
        return f"{fields[name] * fields['accumulate']} clips a step, in {fields['accumulate']} passes"
    if name == "schedule" and fields[name] == "plateau":
        return "plateau: a tenth of the rate where top-1 does not rise"
    return f"{fields[name]} clips a step" if name == "batch_size" else _setting(fields[name])


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "the network's own" if value is None else str(value)


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


def pace_by_study(records: Sequence[Record]) -> pd.DataFrame | None:
    """How fast the runs of each study and network were, medians over all their epochs; None where none noted it."""
    groups: dict[tuple[str, str, str, str], list[pd.DataFrame]] = {}
    for record in records:
        if "clips_per_second" in record.history:
            device = machine_text(record.provenance)
            place = record.experiment.study, record.experiment.title, record.experiment.precision, device
            groups.setdefault(place, []).append(record.history)
    rows = []
    for (study, network, precision, device), histories in groups.items():
        middle = pd.concat(histories).median(numeric_only=True)
        rows.append(
            {
                "study": study,
                "network": network,
                "runs": len(histories),
                "precision": precision,
                "device": device,
                "clips/s": middle["clips_per_second"],
                "waiting for clips": percent(middle["waiting_share"]),
                "TFLOP/s": middle.get("flops", float("nan")) / 1e12,
                "share of the peak": share_text(middle.get("peak_share")),
                "gradient norm": middle.get("gradient_norm"),
            }
        )
    formats = {"clips/s": ".1f", "TFLOP/s": ".3f", "gradient norm": ".2f"}
    return formatted(pd.DataFrame(rows), formats) if rows else None


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
