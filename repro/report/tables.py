"""Tables of runs, of accuracy, of network against network, and the paper's own."""

from collections.abc import Sequence

import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.metrics.statistics import holm
from repro.metrics.text import p_text, percent, with_interval
from repro.paper.cells import NOT_STATED, Paper, Table
from repro.records.compare import partners
from repro.records.freshness import Digest
from repro.records.provenance import machine_text
from repro.records.questions import has_converged, training_top1
from repro.records.record import Record
from repro.records.scores import gain_of, is_right, share_of
from repro.report.show import formatted
from repro.report.study import Pairs, beside, gain_text, mark

DASH = "–"  # a cell that the paper's text does not state
DASHES = "– is not stated in the text"


def clips_of(record: Record, part: str) -> str:
    """How many clips of a part ("train", "test") a run used, and of how many listed where some had to be left out."""
    used, listed = record.data["clips"][part], record.data.get("listed", record.data["clips"])[part]
    return str(used) if used == listed else f"{used} of {listed} listed"


def accuracy_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run: top-1 with its 95 % interval over groups of clips, top-5 and mean of classes, clips k/n."""
    return pd.DataFrame(
        {
            "network": r.experiment.title + mark(r),
            "split, seed": f"{r.experiment.split}, {r.experiment.seed}",
            "right / clips": f"{is_right(r).sum()} / {clips_of(r, 'test')}",
            "top-1 [95 % over groups]": with_interval(share_of([r], is_right)),
            # among 5 classes or fewer every clip is right at top-5
            "top-5": percent(topk_accuracy(r.scores, r.labels, k=5)) if len(r.classes) > 5 else "5 classes or fewer",
            "mean of classes": percent(mean_class_accuracy(r.scores, r.labels)),
            "run by": f"{r.provenance.get('contributor', 'this study')}, {r.provenance['device']}",
        }
        for r in records
    )


def comparison_table(records: Sequence[Record]) -> pd.DataFrame:
    """Table 7's question, one row a split: what the gates add, by pairs of like runs.

    With several splits a last row takes them together, and Holm's method corrects the p-values for their number.
    """
    pairs = partners(records, BASELINE, ATTENTION)
    numbers = sorted({first.experiment.split for first, _ in pairs})
    splits = {str(number): [pair for pair in pairs if pair[0].experiment.split == number] for number in numbers}
    gains = {split: gain_of(some, is_right) for split, some in splits.items()}
    corrected = dict(zip(gains, holm([gain.p for gain in gains.values()]))) if len(gains) > 1 else {}
    if len(gains) > 1:
        splits["all"], gains["all"] = pairs, gain_of(pairs, is_right)
    rows = []
    for split, some in splits.items():
        gain = gains[split]
        row = {
            "split": split,
            "pairs of runs": gain.runs,
            "clips / groups": f"{gain.clips} / {gain.groups}",
            TITLES[BASELINE]: percent(share_of([pair[0] for pair in some], is_right).point),
            TITLES[ATTENTION]: percent(share_of([pair[1] for pair in some], is_right).point),
            "difference [95 %]": beside(some, gain_text),
            "p": p_text(gain.p),
        }
        if corrected:
            row[f"p, corrected for {len(corrected)}"] = p_text(corrected[split]) if split in corrected else ""
        rows.append(row)
    return pd.DataFrame(rows)


def pairs_table(pairs: Pairs) -> pd.DataFrame:
    """One row a pair of like runs: top-1 of both over groups of clips, and what the gates add, also mean of classes."""
    rows = []
    for pair in pairs:
        classes = [100 * mean_class_accuracy(run.scores, run.labels) for run in pair]
        row = {"split, seed": f"{pair[0].experiment.split}, {pair[0].experiment.seed}"}
        for words, run in zip(("without gates", "with gates"), pair):
            right = f"{is_right(run).sum()} / {clips_of(run, 'test')}"
            row[f"{words}: right / clips, top-1 [95 %]"] = (
                f"{right}, {with_interval(share_of([run], is_right))}{mark(run)}"
            )
        row["gain [95 %]"] = gain_text([pair])
        row["gain, mean of classes"] = f"{classes[1] - classes[0]:+.1f} points"
        rows.append(row)
    return pd.DataFrame(rows)


def paper_table(table: Table) -> pd.DataFrame:
    """One of the paper's tables with what its text states, and a dash in every other cell."""
    columns = ["", *table.columns]
    rows = [[row.name, *(DASH if cell.text == NOT_STATED else cell.text for cell in row.cells)] for row in table.rows]
    return pd.DataFrame(rows, columns=columns)


def paper_caption(table: Table) -> str:
    """``Table 7 of the paper: ...``, and what its dashes mean where it has any."""
    known, cells = stated(table)
    return f"Table {table.number} of the paper: {table.caption}" + (f" ({DASHES})" if known < cells else "")


def stated(table: Table) -> tuple[int, int]:
    """How many of a paper table's cells the text states, of how many."""
    cells = [cell for row in table.rows for cell in row.cells]
    return sum(cell.text != NOT_STATED and cell.value is not None for cell in cells), len(cells)


def by_study(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs by study, in the records' order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.experiment.study, []).append(record)
    return found


def runs_table(records: Sequence[Record], today: Digest) -> pd.DataFrame:
    """One row a run: top-1 on training and test clips, epochs, minutes, and whether it counts."""
    table = pd.DataFrame(
        {
            "run": record.name,
            "for": record.experiment.role,
            "epochs": record.experiment.epochs,
            "training top-1 (%)": 100 * training_top1(record),
            "test top-1 (%)": 100 * is_right(record).mean(),
            "minutes": record.seconds / 60,
            "state": _state(record, today),
        }
        for record in records
    )
    return formatted(table, {"training top-1 (%)": ".1f", "test top-1 (%)": ".1f", "minutes": ".0f"})


def _state(record: Record, today: Digest) -> str:
    if stale := record.stale(today):
        return f"stale: {', '.join(stale)}"
    ended = "converged" if has_converged(record) else f"ended at {percent(training_top1(record))} of its training clips"
    changes = ", by code with uncommitted changes" if record.provenance["uncommitted_changes"] else ""
    return f"fresh, {ended}{mark(record)}{changes}; commit {record.provenance['commit'][:10]}"


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
    """One row a part of a run that started from weights: loaded, not loaded and why; empty where none did."""
    return pd.DataFrame(
        {
            "run": record.name,
            "part": each["part"],
            "source": each["source"],
            "weights": each["digest"],
            "tensors: loaded; not loaded; unused": f"{each['loaded']}; {each['not_loaded']}; {each['unused']}",
            "reasons": "; ".join(
                f"{reason}: {', '.join(names[:3])}"
                for reason, names in (each["not_loaded_by_reason"] | each["unused_by_reason"]).items()
            ),
        }
        for record in records
        for each in record.data.get("start", [])
    )


# ---- the paper's eight tables

AWAITS = {
    1: "stated in part; the network built from it is on the page of that table",
    2: "the PDF; the datasets' own lists are counted on the page of that table",
    3: "the PDF",
    4: "full-size runs on HMDB51 and UCF101",
    5: "full-size runs on Something-Something v1",
    6: "every network rebuilt, counted and timed together, on the page of that table",
    7: "full-size runs; stand-ins stand on the page of that table",
    8: "full-size runs on HMDB51; stand-ins stand on the page of that table",
}


def tables_table(paper: Paper) -> pd.DataFrame:
    """One row a table of the paper: its caption, the cells that the text states, what would fill the others."""
    return pd.DataFrame(
        {
            "table": table.number,
            "caption": table.caption,
            "cells stated in the text": "{} of {}".format(*stated(table)),
            "awaits": AWAITS[table.number],
        }
        for table in paper.tables
    )
