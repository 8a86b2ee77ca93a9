"""Look-alike confusions of both networks from records: all pairs, those picked on some clips, the clips themselves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.confusion import chosen_and_reported, confusion_counts, confusion_indicator
from repro.paper.look_alikes import named_pairs
from repro.records.compare import partners
from repro.records.record import Record
from repro.records.scores import is_right

BOTH = (BASELINE, ATTENTION)
CASES = ("only SE-IM right", "only the baseline right", "both wrong", "both right")


def counts_of(records: Sequence[Record]) -> np.ndarray:
    """Confusion counts ``(C, C)`` of these runs added up."""
    return sum(confusion_counts(r.labels, r.scores.argmax(1), len(r.classes)) for r in records)


def clustered(counts: np.ndarray) -> list[int]:
    """An order of the classes in which those that are taken for each other stand side by side.

    counts: ``(C, C)``, all networks added up. Average linkage on the confusion indicator, leaves in their best order
    (Bar-Joseph et al. 2001, as scipy has it).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    apart = 2 - (shares + shares.T)  # c is 0 to 2
    np.fill_diagonal(apart, 0)
    if len(apart) < 3:
        return list(range(len(apart)))
    return leaves_list(linkage(squareform(apart), "average", optimal_ordering=True)).tolist()


def all_pairs(records: Sequence[Record]) -> tuple[pd.DataFrame, int]:
    """The paper's indicator of every pair of classes for both networks, the most confused first.

    Runs of both networks (`partners`) are added up. One row a pair that has test clips: ``i, j, pair, named`` (a
    look-alike named beforehand), and for each network ``c_<network>``, its 95 % interval (``low_``, ``high_``), the
    clips behind it as text (``clips_``), and ``difference``, SE-IM less baseline. Returns it with the number of pairs
    of runs; an empty table without any.
    """
    runs = partners(records, BASELINE, ATTENTION)
    if not runs:
        return pd.DataFrame(), 0
    classes = runs[0][0].classes
    first, second = (confusion_indicator(counts_of([pair[k] for pair in runs])) for k in (0, 1))
    table = first[["i", "j"]].copy()
    table["pair"] = [f"{classes[i]} / {classes[j]}" for i, j in zip(table.i, table.j)]
    named = {tuple(sorted(pair)) for pair in named_pairs(classes)}
    table["named"] = [pair in named for pair in zip(table.i, table.j)]
    for network, found in zip(BOTH, (first, second)):
        for column in ("c", "low", "high"):
            table[f"{column}_{network}"] = found[column]
        table[f"clips_{network}"] = [f"{r.k_ij:.0f}/{r.n_i:.0f} + {r.k_ji:.0f}/{r.n_j:.0f}" for r in found.itertuples()]
    table["difference"] = table[f"c_{ATTENTION}"] - table[f"c_{BASELINE}"]
    both = table[f"c_{BASELINE}"] + table[f"c_{ATTENTION}"]  # by both together, so that neither gains from the order
    table = table.assign(both=both).dropna(subset="both").sort_values("both", ascending=False, kind="stable")
    return table.drop(columns="both").reset_index(drop=True), len(runs)


def pairs_shown(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of `all_pairs`, the look-alikes named beforehand; where none is, the ``most`` first that are confused at all."""
    if table["named"].any():
        return table[table["named"]].sort_values(["i", "j"]).reset_index(drop=True)
    confused = table[(table[[f"c_{network}" for network in BOTH]] > 0).any(axis=1)]
    return confused.head(most).reset_index(drop=True)


def with_clips(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `all_pairs` as a reader's table: indicator with interval and clips for each network."""
    shown = table[["pair"]].copy()
    for network in BOTH:
        shown[TITLES[network]] = [
            f"{row[f'c_{network}']:.3f} [{row[f'low_{network}']:.3f}, {row[f'high_{network}']:.3f}] "
            f"({row[f'clips_{network}']})"
            for _, row in table.iterrows()
        ]
    return shown


def example_clips(pair: tuple[Record, Record], classes: tuple[int, int], *, each: int = 1) -> pd.DataFrame:
    """Clips of two classes, right and wrong: for each of `CASES` the first ``each`` of the test list.

    pair: one run of each network on the same clips. A clip counts as wrong where it was taken for the other of the two
    classes, so that errors of another kind are left out. Columns ``clip, label, case`` and, for each network,
    ``said_<network>`` (the class with the largest score) and ``true_``, ``other_`` (softmax probabilities of the clip's
    own class and of the other).
    """
    rows = []
    first, second = pair
    where = {name: k for k, name in enumerate(second.predictions["clip"])}
    inside = np.flatnonzero(np.isin(first.labels, classes))
    probabilities = [_softmax(record.scores) for record in pair]
    for at in inside:
        label, name = int(first.labels[at]), first.predictions["clip"].iat[at]
        other = classes[1] if label == classes[0] else classes[0]
        places = (at, where[name])
        said = [int(record.scores[place].argmax()) for record, place in zip(pair, places)]
        if not set(said) <= {label, other}:
            continue
        right = [bool(is_right(record)[place]) for record, place in zip(pair, places)]
        case = CASES[{(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}[tuple(right)]]
        row = {"clip": name, "label": label, "case": case}
        for network, p, place, guess in zip(BOTH, probabilities, places, said):
            row |= {f"said_{network}": guess, f"true_{network}": p[place, label], f"other_{network}": p[place, other]}
        rows.append(row)
    if not rows:
        return pd.DataFrame(columns=["clip", "label", "case"])
    table = pd.DataFrame(rows)
    table["case"] = pd.Categorical(table["case"], CASES, ordered=True)
    return table.sort_values("case", kind="stable").groupby("case", observed=True).head(each).reset_index(drop=True)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def raised_channels(
    values: dict[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, classes: tuple[int, int], *, top: int = 5
) -> pd.DataFrame:
    """The gate channels that tell two classes apart most, picked on one half of the groups, reported on the other.

    values: s of each gate, ``(B, channels)`` by unit, for B clips with these labels and groups. One row a channel:
    ``unit, channel``, the mean s of each class on the clips that picked it and on the others. Empty where a half has no
    clip of one of the classes.
    """
    half = halves(groups.astype(str), np.random.default_rng(0))
    parts = [[(labels == k) & side for k in classes] for side in (half, ~half)]
    if not all(part.any() for side in parts for part in side):
        return pd.DataFrame()
    rows = []
    for unit, s in values.items():
        means = [[s[part].mean(0) for part in side] for side in parts]
        for channel in range(s.shape[1]):
            rows.append(
                {
                    "unit": unit,
                    "channel": channel,
                    "first, picking": means[0][0][channel],
                    "second, picking": means[0][1][channel],
                    "first, others": means[1][0][channel],
                    "second, others": means[1][1][channel],
                }
            )
    table = pd.DataFrame(rows)
    order = (table["first, picking"] - table["second, picking"]).abs().sort_values(ascending=False).index
    return table.loc[order].head(top).reset_index(drop=True)


def gates_text(values: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> str:
    """In two sentences: how far the gates are from a constant, trained and at the start. Arguments: `gates_plot`'s."""
    means = np.concatenate([s.mean(0) for s in values.values()])
    between, before = (float(np.mean([s.std(0).mean() for s in each.values()])) for each in (values, start))
    return (
        f"Over these clips every channel's s lies between {means.min():.2f} and {means.max():.2f}: the gates multiply "
        f"their branches by {1 + means.min():.2f} to {1 + means.max():.2f}, and one that learns nothing by about "
        f"1.50. From clip to clip s differs by {between:.4f} (standard deviation, mean of all channels), before the "
        f"training by {before:.4f}."
    )


def gates_table(values: dict[str, np.ndarray]) -> pd.DataFrame:
    """What each gate does: channels, mean s, its spread over channels and between clips. values: as above."""
    return pd.DataFrame(
        [
            {
                "unit": unit,
                "channels": s.shape[1],
                "mean s": s.mean(),
                "lowest channel": s.mean(0).min(),
                "highest channel": s.mean(0).max(),
                "raised (s > 0.5)": f"{100 * (s.mean(0) > 0.5).mean():.0f} %",
                "sd over channels": s.mean(0).std(),
                "sd between clips": s.std(0).mean(),
            }
            for unit, s in values.items()
        ]
    )


def halves(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random half of the groups: bool ``(clips,)``. Whole groups, so that no source video is on both sides."""
    names = np.unique(groups)
    return np.isin(groups, rng.permutation(names)[: len(names) // 2])


def picked_pairs_table(
    records: Sequence[Record], *, top: int = 5, repeats: int = 100, seed: int = 0
) -> tuple[pd.DataFrame, int]:
    """The baseline's worst pairs, picked on one half of the test groups, on that half and on the other.

    Both halves pick in turn, over ``repeats`` random halvings of the same clips; runs of both networks (`partners`) are
    added up. Returns the table (mean confusion indicator c of both networks, difference, and the share of it that is
    regression to the mean) and the number of pairs of runs; an empty table without any.
    """
    pairs = partners(records, BASELINE, ATTENTION)
    if not pairs:
        return pd.DataFrame(), 0
    classes, rng, found = len(pairs[0][0].classes), np.random.default_rng(seed), []
    groups = np.unique(np.concatenate([a.predictions["group"].to_numpy(str) for a, _ in pairs]))
    top = max(1, min(top, classes * (classes - 1) // 6))  # a third of all pairs at most: else nothing is picked
    for _ in range(repeats):
        half = groups[halves(groups, rng)]
        sides = [tuple(_counts(pairs, k, half, inside, classes) for k in (0, 1)) for inside in (True, False)]
        for choose, report in (sides, sides[::-1]):
            try:
                found.append(chosen_and_reported(choose, report, top))
            except ValueError:  # a half without clips of two classes picks nothing
                continue
    if not found:
        return pd.DataFrame(), len(pairs)
    mean = pd.DataFrame(found).mean()
    rows = []
    for words, name in (("on the clips that picked them", "chosen"), ("on the other clips", "reported")):
        first, second = mean[f"{name}_first"], mean[f"{name}_second"]
        rows.append({"the baseline's worst pairs": words, "baseline": first, "SE-IM": second, "gain": first - second})
    return pd.DataFrame(rows), len(pairs)


def _counts(pairs, network: int, half: np.ndarray, inside: bool, classes: int) -> np.ndarray:
    total = np.zeros((classes, classes), dtype=int)
    for pair in pairs:
        record = pair[network]
        chosen = np.isin(record.predictions["group"].to_numpy(str), half) == inside
        if chosen.any():
            total += confusion_counts(record.labels[chosen], record.scores[chosen].argmax(1), classes)
    return total
