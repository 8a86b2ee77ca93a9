"""Tables of runs, accuracy and network against network, and the paper's own."""

from collections.abc import Sequence

import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy
from repro.metrics.statistics import holm
from repro.metrics.text import p_text, percent, with_interval
from repro.paper.cells import NOT_STATED, Table
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import gain_of, is_right, share_of
from repro.report.learned import beside, gain_text, mark

DASH = "–"  # a cell that the paper's text does not state
DASHES = "– is not stated in the text"


def clips_of(record: Record, part: str) -> str:
    """How many clips of a part ("train", "test") a run used, and of how many listed where some had to be left out."""
    used, listed = record.data["clips"][part], record.data.get("listed", record.data["clips"])[part]
    return str(used) if used == listed else f"{used} of {listed} listed"


def accuracy_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run: top-1 with its 95 % interval over groups of clips, top-5 and mean of classes, clips k/n."""
    rows = []
    for record in records:
        scores, labels = record.scores, record.labels
        rows.append(
            {
                "network": record.experiment.title + mark(record),
                "split, seed": f"{record.experiment.split}, {record.experiment.seed}",
                "right / clips": f"{is_right(record).sum()} / {clips_of(record, 'test')}",
                "top-1 [95 % over groups]": with_interval(share_of([record], is_right)),
                # among 5 classes or fewer every clip is right at top-5
                "top-5": percent(topk_accuracy(scores, labels, k=5)) if scores.shape[1] > 5 else "5 classes or fewer",
                "mean of classes": percent(mean_class_accuracy(scores, labels)),
                "run by": f"{record.provenance.get('contributor', 'this study')}, {record.provenance['device']}",
            }
        )
    return pd.DataFrame(rows)


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
