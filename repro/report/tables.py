"""Tables from records: accuracy, network against network, provenance.

Every function takes records and returns a data frame; nothing is read from disk.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy, topk_correct
from repro.metrics.statistics import (
    holm,
    mcnemar_exact,
    paired_bootstrap,
    seeds_needed,
    seeds_spread,
    smallest_detectable_gain,
    wilson_interval,
)
from repro.metrics.text import percent, with_interval
from repro.paper.cells import NOT_STATED, Table
from repro.records.compare import partners
from repro.records.freshness import Digest
from repro.records.record import Record
from repro.records.scores import gains_by_seed, is_right, paired_difference, per_clip
from repro.report.show import formatted


def clips_of(record: Record, part: str) -> str:
    """How many clips of a part ("train", "test") a run used, and of how many listed where some had to be left out."""
    used, listed = record.data["clips"][part], record.data.get("listed", record.data["clips"])[part]
    return str(used) if used == listed else f"{used} of {listed} listed"


def accuracy_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run: top-1 with its Wilson 95 % interval over clips, top-5 and mean of classes, clips k/n."""
    rows = []
    for record in records:
        scores, labels = record.scores, record.labels
        right = int(topk_correct(scores, labels, 1).sum())
        rows.append(
            {
                "network": record.experiment.title,
                "split": record.experiment.split,
                "seed": record.experiment.seed,
                "right / clips": f"{right} / {clips_of(record, 'test')}",
                "top-1 [95 %]": with_interval(wilson_interval(right, len(labels))),
                # among 5 classes or fewer every clip is right at top-5
                "top-5": percent(topk_accuracy(scores, labels, k=5)) if scores.shape[1] > 5 else "5 classes or fewer",
                "mean of classes": percent(mean_class_accuracy(scores, labels)),
                "chance": percent(1 / scores.shape[1]),
                "run by": f"{record.provenance.get('contributor', 'this study')}, {record.provenance['device']}",
            }
        )
    return pd.DataFrame(rows)


def comparison_table(records: Sequence[Record], first: str = BASELINE, second: str = ATTENTION) -> pd.DataFrame:
    """Table 7's question, one row a pair of runs: difference in top-1, McNemar's exact test, discordant clips.

    The p-values stand beside those that Holm's method corrects for the number of rows.
    """
    rows, pairs = [], partners(records, first, second)
    tests = [mcnemar_exact(is_right(a), is_right(b)) for a, b in pairs]
    corrected = list(holm([test.p for test in tests])) if tests else []
    for (a, b), test, after in zip(pairs, tests, corrected, strict=True):
        rows.append(
            {
                "split": a.experiment.split,
                "seed": a.experiment.seed,
                "clips": len(a.labels),
                TITLES[first]: percent(is_right(a).mean()),
                TITLES[second]: percent(is_right(b).mean()),
                "difference [95 %]": with_interval(paired_difference([(a, b)], is_right), signed=True),
                "only first right / only second right": f"{test.b} / {test.c}",
                "McNemar p": _p_text(test.p),
                f"corrected for {len(tests)}": _p_text(after),
            }
        )
    return pd.DataFrame(rows)


def _p_text(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def splits_table(records: Sequence[Record], first: str = BASELINE, second: str = ATTENTION) -> pd.DataFrame:
    """Second network minus first by split, seeds averaged: top-1 by resampling clips, groups and seeds, top-5, classes.

    What each interval takes for chance: other test clips; other source videos; other training runs (Student's t).
    """
    rows, pairs = [], partners(records, first, second)
    for split in sorted({a.experiment.split for a, _ in pairs}):
        some = [pair for pair in pairs if pair[0].experiment.split == split]
        ours, theirs = (per_clip([pair[k] for pair in some], is_right) for k in (1, 0))
        seeds = seeds_spread(gains_by_seed(some))
        classes = _mean_gain(some, mean_class_accuracy)
        many = len(some[0][0].classes) > 5
        rows.append(
            {
                "split": split,
                "seeds": len(some),
                "clips / groups": f"{len(ours)} / {ours['group'].nunique()}",
                "top-1, clips resampled": with_interval(paired_bootstrap(theirs["value"], ours["value"]), signed=True),
                "top-1, groups resampled": with_interval(paired_difference(some, is_right), signed=True),
                "top-1, over seeds": f"{100 * seeds.mean:+.1f} points [{100 * seeds.low:+.1f}, {100 * seeds.high:+.1f}]"
                if seeds.n > 1
                else "one seed: none",
                "sd over seeds (points)": 100 * seeds.sd,
                "top-5": f"{100 * _mean_gain(some, topk_accuracy, k=5):+.1f} points" if many else "5 classes or fewer",
                "mean of classes": f"{100 * classes:+.1f} points",
            }
        )
    return formatted(pd.DataFrame(rows), {"sd over seeds (points)": ".1f"})


def _mean_gain(pairs: Sequence[tuple[Record, Record]], accuracy: Callable[..., float], **options: int) -> float:
    values = [[accuracy(run.scores, run.labels, **options) for run in pair] for pair in pairs]
    return float(np.mean([second - first for first, second in values]))


def power_text(pairs: Sequence[tuple[Record, Record]], *, power: float = 0.8) -> str:
    """How large a gain this many clips can show, at the usual discordance and at the one found, and seeds needed."""
    clips = len(pairs[0][0].labels)
    usual = smallest_detectable_gain(clips, power=power)
    found = float(np.mean([(is_right(a) != is_right(b)).mean() for a, b in pairs]))

    def points(gain: float) -> str:
        return f"about {100 * gain:.1f} points or more" if np.isfinite(gain) else "no gain at all"

    text = (
        f"**How small a gain can {clips} clips show?** With 15 % of them discordant (right under one network only), "
        f"one pair of runs shows, with {100 * power:.0f} % power, {points(usual)}."
    )
    if found > 0:
        own = smallest_detectable_gain(clips, discordant=found, power=power)
        text += f" Here {100 * found:.1f} % are discordant: {points(own)}."
    gains = gains_by_seed(pairs)
    if len(gains) < 2:
        return text + " How far training seeds spread is not known from one pair of runs."
    spread = seeds_spread(gains)
    if spread.sd > 0 and spread.mean != 0:
        needed = seeds_needed(abs(spread.mean), spread.sd, power=power)
        seeds = f"{needed:.0f} pairs of seeds" if np.isfinite(needed) else "more than 10,000 pairs of seeds"
        text += (
            f" **How many seeds does it take?** The gain differs between seeds with a standard deviation of "
            f"{100 * spread.sd:.1f} points: to tell a true gain of {100 * abs(spread.mean):.1f} points, the mean found "
            f"here, from none over training runs takes {seeds}; {spread.n} were run."
        )
    return text


def paper_table(table: Table) -> pd.DataFrame:
    """One of the paper's tables with what its text states; every other cell says so."""
    columns = list(table.columns)
    return pd.DataFrame([[row.name, *(cell.text for cell in row.cells)] for row in table.rows], columns=["", *columns])


def stated(table: Table) -> tuple[int, int]:
    """How many of a paper table's cells the text states, of how many."""
    cells = [cell for row in table.rows for cell in row.cells]
    return sum(cell.text != NOT_STATED and cell.value is not None for cell in cells), len(cells)


def provenance_table(records: Sequence[Record], today: Digest) -> pd.DataFrame:
    """One row a run: when, where, how long, on which commit and data, and whether today's code behaves the same."""
    rows = []
    for record in records:
        provenance = record.provenance
        stale = record.stale(today)
        rows.append(
            {
                "run": record.name,
                "started (UTC)": provenance["started"].replace("+00:00", ""),
                "minutes": f"{provenance['seconds'] / 60:.1f}",
                "by": provenance.get("contributor", "this study"),
                "device": f"{provenance['device']} of {provenance['processor']}",
                "commit": provenance["commit"][:10]
                + (" + uncommitted changes" if provenance["uncommitted_changes"] else ""),
                "torch": provenance["libraries"].get("torch", ""),
                "clips train / test": f"{clips_of(record, 'train')} / {clips_of(record, 'test')}",
                "data": record.data["hash"],
                "state": "fresh" if not stale else "stale: " + ", ".join(stale),
            }
        )
    return pd.DataFrame(rows)
