"""Tables from records: accuracy, network against network, backwards pairs, look-alike confusions.

Every function takes records and returns a data frame or an interval; nothing is read from disk.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro.experiment.fields import TITLES
from repro.metrics.accuracy import mean_class_accuracy, topk_accuracy, topk_correct
from repro.metrics.statistics import (
    Interval,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    seeds_needed,
    seeds_spread,
    smallest_detectable_gain,
    wilson_interval,
)
from repro.paper.cells import NOT_STATED
from repro.records.record import Record

BASELINE, ATTENTION, CONTROL = "resnet34_3dres18", "res34_se_im_net", "resnet34_frame_average"
TEMPORAL = "res34_se_im_ta_net"  # the paper's future work, no network of the paper's
# Actions that the paper's text (introduction, sections on Table 8 and online recognition) calls easily confused
LOOK_ALIKES = (("wave", "clap"), ("drink", "eat"), ("fencing", "sword"), ("cartwheel", "flicflac"))
BACKWARDS = (("Sit", "Stand"), ("Pick", "Put"))
"""Pairs of the demo set of which one is the other played backwards: only the order of frames tells them apart.

By their exact names: HMDB51's own ``sit`` and ``stand`` are different videos, no reversals, and not named by the paper.
"""


def title(record: Record) -> str:
    """The network as a reader knows it, with its width factor where it is not the paper's."""
    experiment = record.experiment
    gate = f", gate {experiment.gate}" if experiment.gate else ""
    width = f" (width ×{experiment.width:g})" if experiment.width != 1 else ""
    return TITLES[experiment.model] + gate + width


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def with_interval(interval: Interval, *, signed: bool = False) -> str:
    """``62.5 % [58.1, 66.7]``; points instead of per cent when it is a signed difference."""
    sign = "+" if signed else ""
    low, high = 100 * interval.low, 100 * interval.high
    unit = " points" if signed else " %"
    return f"{100 * interval.point:{sign}.1f}{unit} [{low:{sign}.1f}, {high:{sign}.1f}]"


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
                "network": title(record),
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


def partners(records: Sequence[Record], first: str, second: str) -> list[tuple[Record, Record]]:
    """Runs of two networks that differ in nothing but the network: same clips, split, seed and settings.

    Runs with another gate than Equation 4's (an ablation) are neither of the paper's networks and have no partner. Of
    runs that several studies hold with the same settings and seed, one counts.
    """
    own = {"model", "run", "gate", "study", "remark"}
    records = [record for record in records if record.experiment.gate in (None, "se_im")]

    def key(record):
        fields = {k: v for k, v in record.experiment.to_dict().items() if k not in own}
        if fields["start_from"]:  # each network from its own pre-training
            fields["start_from"] = fields["start_from"].replace(record.experiment.model, "{model}")
        return str(fields) + record.data["hash"]

    seconds = {key(record): record for record in records if record.experiment.model == second}
    firsts = {key(record): record for record in records if record.experiment.model == first}
    return [(record, seconds[at]) for at, record in firsts.items() if at in seconds]


def per_clip(records: Sequence[Record], score) -> pd.DataFrame:
    """``score(record)`` of each test clip averaged over the records (seeds): columns ``group, value``, by clip."""
    tables = [
        record.predictions[["clip", "group"]].assign(value=np.asarray(score(record), dtype=float)) for record in records
    ]
    return pd.concat(tables).groupby("clip", sort=True).agg(group=("group", "first"), value=("value", "mean"))


def paired_difference(pairs: Sequence[tuple[Record, Record]], score) -> Interval:
    """Mean of ``score`` under the second network less the first, paired by clip, seeds averaged, groups resampled.

    Clips of one group come from one source video, so groups, not clips, are what a new sample would bring.
    """
    first, second = (per_clip([pair[k] for pair in pairs], score) for k in (0, 1))
    return paired_bootstrap(first["value"], second["value"], groups=first["group"].to_numpy())


def is_right(record: Record) -> np.ndarray:
    return topk_correct(record.scores, record.labels, 1)


def comparison_table(records: Sequence[Record], first: str = BASELINE, second: str = ATTENTION) -> pd.DataFrame:
    """Table 7's question, one row a pair of runs: difference in top-1, McNemar's exact test, discordant clips.

    The p-values stand beside those that Holm's method corrects for the number of rows.
    """
    rows, pairs = [], partners(records, first, second)
    tests = [mcnemar_exact(is_right(a), is_right(b)) for a, b in pairs]
    corrected = holm([test.p for test in tests]) if tests else []
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
    """Second network less first by split, seeds averaged: top-1 by resampling clips, groups and seeds, top-5, classes.

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
    return pd.DataFrame(rows)


def _mean_gain(pairs: Sequence[tuple[Record, Record]], accuracy, **options) -> float:
    values = [[accuracy(run.scores, run.labels, **options) for run in pair] for pair in pairs]
    return float(np.mean([second - first for first, second in values]))


def gains_by_seed(pairs: Sequence[tuple[Record, Record]]) -> list[float]:
    """Difference in top-1 of each pair of runs, second less first."""
    return [float(is_right(b).mean() - is_right(a).mean()) for a, b in pairs]


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


def plain_name(name: str) -> str:
    """A class's name without what datasets and papers write differently: case, hyphens, underscores."""
    return name.lower().replace("_", "").replace("-", "")


def named_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the look-alikes named beforehand of which both classes are there: the paper's, the demo set's."""
    index = {plain_name(name): k for k, name in enumerate(classes)}
    return [(index[a], index[b]) for a, b in LOOK_ALIKES if a in index and b in index] + backwards_pairs(classes)


def backwards_pairs(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the pairs that are each other played backwards."""
    index = {name: k for k, name in enumerate(classes)}
    return [(index[a], index[b]) for a, b in BACKWARDS if a in index and b in index]


def mistaken_for_partner(record: Record) -> np.ndarray:
    """For each test clip: was it taken for the look-alike of its own class? bool ``(clips,)``."""
    partner = {}
    for i, j in named_pairs(record.classes):
        partner |= {i: j, j: i}
    predicted = record.scores.argmax(1)
    return np.array([partner.get(label, -1) == guess for label, guess in zip(record.labels, predicted)])


def right_of_look_alikes(record: Record) -> np.ndarray:
    """For each test clip: is it of a class with a named look-alike, and right? bool ``(clips,)``."""
    return is_right(record) & np.isin(record.labels, named_pairs(record.classes))


def backwards_table(records: Sequence[Record]) -> pd.DataFrame:
    """Inside the backwards pairs, the choice between the pair's two logits: one row a run and pair.

    The interval is Wilson's with n halved: a clip and its reversal come from one rendering, so they count as one.
    """
    from repro.metrics.confusion import two_way_choice

    rows = []
    for record in records:
        for pair in backwards_pairs(record.classes):
            if np.isin(record.labels, pair).sum() < 2:
                continue
            right = two_way_choice(record.scores, record.labels, pair)
            interval = wilson_interval(int(right.sum()) // 2, len(right) // 2)
            rows.append(
                {
                    "network": title(record),
                    "model": record.experiment.model,
                    "seed": record.experiment.seed,
                    "pair": " / ".join(record.classes[k] for k in pair),
                    "right": int(right.sum()),
                    "clips": len(right),
                    "low": interval.low,
                    "high": interval.high,
                    "point": right.mean(),
                }
            )
    return pd.DataFrame(rows)


def paper_table(table) -> pd.DataFrame:
    """One of the paper's tables with what its text states; every other cell says so."""
    columns = list(table.columns)
    return pd.DataFrame([[row.name, *(cell.text for cell in row.cells)] for row in table.rows], columns=["", *columns])


def stated(table) -> tuple[int, int]:
    """How many of a paper table's cells the text states, of how many."""
    cells = [cell for row in table.rows for cell in row.cells]
    return sum(cell.text != NOT_STATED and cell.value is not None for cell in cells), len(cells)


def provenance_table(records: Sequence[Record], today) -> pd.DataFrame:
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
