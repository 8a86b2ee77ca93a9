"""The paper's eight tables as a whole: how much of each the text states, and what the rest awaits."""

import pandas as pd

from repro.paper.cells import Paper
from repro.report.tables import stated

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
    rows = []
    for table in paper.tables:
        known, cells = stated(table)
        rows.append(
            {
                "table": table.number,
                "caption": table.caption,
                "cells stated in the text": f"{known} of {cells}",
                "awaits": AWAITS[table.number],
            }
        )
    return pd.DataFrame(rows)
