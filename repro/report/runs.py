"""Every run: one row each with how it ended, and by study where it ran, its settings and what it started from."""

from collections.abc import Sequence

import pandas as pd

from repro.metrics.text import percent
from repro.records.freshness import Digest
from repro.records.provenance import machine_text
from repro.records.questions import has_converged, training_top1
from repro.records.record import Record
from repro.records.scores import is_right
from repro.report.learned import mark
from repro.report.show import formatted
from repro.report.tables import clips_of
from repro.report.training import start_table


def by_study(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs by study, in the records' order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.experiment.study, []).append(record)
    return found


def runs_table(records: Sequence[Record], today: Digest) -> pd.DataFrame:
    """One row a run: top-1 on training and test clips, epochs, minutes, and whether it counts."""
    rows = []
    for record in records:
        stale = record.stale(today)
        rows.append(
            {
                "run": record.name,
                "for": record.experiment.role,
                "epochs": record.experiment.epochs,
                "training top-1 (%)": 100 * training_top1(record),
                "test top-1 (%)": 100 * is_right(record).mean(),
                "minutes": record.provenance["seconds"] / 60,
                "state": _state(record, stale),
            }
        )
    numbers = {"training top-1 (%)": ".1f", "test top-1 (%)": ".1f", "minutes": ".0f"}
    return formatted(pd.DataFrame(rows), numbers if rows else {})


def _state(record: Record, stale: Sequence[str]) -> str:
    if stale:
        return f"stale: {', '.join(stale)}"
    ended = "converged" if has_converged(record) else f"ended at {percent(training_top1(record))} of its training clips"
    return f"fresh, {ended}{mark(record)}"


def provenance_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a study, machine and code: when, on what, with which commit, libraries and clips."""
    rows: dict[tuple, list[Record]] = {}
    for record in records:
        made = record.provenance
        place = (
            record.experiment.study,
            machine_text(made),
            made["commit"][:10] + (" + uncommitted changes" if made["uncommitted_changes"] else ""),
            made["libraries"].get("torch", ""),
            made.get("contributor", "this study"),
        )
        rows.setdefault(place, []).append(record)
    return pd.DataFrame(
        {
            "study": study,
            "runs": len(some),
            "device": device,
            "commit": commit,
            "torch": torch,
            "started (UTC), by": f"{min(r.provenance['started'] for r in some)[:16].replace('T', ' ')}, {by}",
            "clips train / test; data": _clips(some),
        }
        for (study, device, commit, torch, by), some in rows.items()
    )


def _clips(records: Sequence[Record]) -> str:
    found = dict.fromkeys(f"{clips_of(r, 'train')} / {clips_of(r, 'test')}; {r.data['hash'][:12]}" for r in records)
    return ", ".join(found)


def settings_table(records: Sequence[Record]) -> pd.DataFrame:
    """The experiment's fields that all runs of a study share."""
    fields = pd.DataFrame({r.experiment.run: {k: str(v) for k, v in r.experiment.to_dict().items()} for r in records})
    same = (fields.nunique(axis=1) == 1) & (fields.index != "remark")
    return pd.DataFrame({"field": fields.index[same], "value": fields[same].iloc[:, 0].to_numpy()})


def starts_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a part of a run that started from weights; empty where none did."""
    found = [
        table.assign(run=record.name)[["run", *table.columns]]
        for record in records
        if (table := start_table(record)) is not None
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
