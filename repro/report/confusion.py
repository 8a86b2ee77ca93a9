"""Which classes networks take for each other, from records: matrices, every pair, picked pairs."""

import contextlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.confusion import chosen_and_reported, confusion_counts, confusion_indicator
from repro.metrics.statistics import Estimate, holm
from repro.metrics.text import in_markdown, p_text, percent, with_interval
from repro.paper.look_alikes import named_pairs
from repro.records.questions import errors_with_look_alike, of_look_alikes
from repro.records.record import Record
from repro.records.scores import (
    confusion_gain,
    confusion_of,
    gain_of,
    is_right,
    mistaken_for_partner,
    share_of,
)
from repro.report.figures import COLOURS, confusion_plot
from repro.report.gains import own_rates_text, rows_of
from repro.report.show import formatted
from repro.report.study import OneRate, Pairs, Study
from repro.report.svg import in_figure

BOTH = (BASELINE, ATTENTION)
LEVEL = 0.05  # p below which a pair is said to differ, corrected for the number of pairs


def counted(pairs: Pairs) -> str:
    """``3 pairs of runs``."""
    return f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of runs"


def answer_text(studies: Sequence[Study]) -> str:
    """Which look-alikes the gate tells apart better and which not, a line a study; those that converged, if any did."""
    named = _with_look_alikes(studies)
    sure = [study for study in named if study.converged]
    if not named:
        return "**Not run:** no study here has classes with a named look-alike."
    lines = [] if sure else ["**Not known yet:** these runs ended before they had learned their training clips."]
    found = [f"- **{study.name}**: {_fell_text(study)}" for study in sure or named]
    return "\n\n".join([*lines, "\n".join(found)])


def _with_look_alikes(studies: Sequence[Study]) -> list[Study]:
    return [study for study in studies if named_pairs(study.records[0].classes)]


def _fell_text(study: Study) -> str:
    """For which pairs the indicator is lower, higher or the same with gates, and for which of them beyond chance.

    Beyond chance: the p-value, corrected for the number of pairs (Holm), is below 5 %.
    """
    classes = study.records[0].classes
    tested = {two: change for two in named_pairs(classes) if (change := confusion_gain(study.pairs, two))}
    found: dict[str, list[str]] = {"lower": [], "higher": [], "the same": []}
    sure = []
    for ((i, j), change), p in zip(tested.items(), holm([change.p for change in tested.values()])):
        name = in_markdown(f"{classes[i]} / {classes[j]}")
        found["lower" if change.point < 0 else "higher" if change.point > 0 else "the same"].append(name)
        if p < LEVEL:
            sure.append(f"{name} {indicator_text(change, signed=True)}")
    parts = ", ".join(f"{words} for {len(pairs)} ({', '.join(pairs)})" for words, pairs in found.items() if pairs)
    beyond = f"beyond chance: {', '.join(sure)}" if sure else "none of it beyond chance"
    return (
        f"with gates the confusion of look-alikes is {parts}; {beyond} ({counted(study.pairs)}{own_rates_text(study)})."
    )


def taken_table(studies: Sequence[Study], one_rate: OneRate, records: Sequence[Record]) -> pd.DataFrame:
    """What share of the clips of classes with a named look-alike both networks take for it, and for any other class;
    a row a study that converged and, below it, at one rate. Arguments as for `repro.report.gains.rows_of`.
    """
    sure = [study for study in _with_look_alikes(studies) if study.converged]
    return pd.DataFrame(
        {"clips": name} | _taken(_of_look_alikes(pairs)) for name, pairs in rows_of(sure, one_rate, records).items()
    )


def _taken(pairs: Pairs) -> dict[str, str]:
    cells = {}
    for words, score in (("the look-alike", mistaken_for_partner), ("any other class", _taken_elsewhere)):
        shares = [percent(share_of([pair[k] for pair in pairs], score).point) for k in (0, 1)]
        gain = gain_of(pairs, score)
        cells[f"taken for {words}: without → with gates"] = " → ".join(shares)
        cells[f"change, {words} [95 %]"] = f"{with_interval(gain, signed=True)}, p {p_text(gain.p)}"
    return cells | {"pairs of runs": f"{len(pairs)}"}


def _of_look_alikes(pairs: Pairs) -> Pairs:
    """The pairs of runs with the clips of classes that have a named look-alike."""
    return [(of_look_alikes(first), of_look_alikes(second)) for first, second in pairs]


def _taken_elsewhere(record: Record) -> np.ndarray:
    """The part of each test clip that was taken for neither its own class nor a look-alike of it, ``(clips,)``."""
    return 1.0 - is_right(record) - mistaken_for_partner(record)


def errors_text(studies: Sequence[Study]) -> str:
    """How many of a network's errors fall on the look-alike of a clip's class, a line a study that converged."""
    lines = []
    for study in studies:
        told = []
        for model in BOTH if study.converged and len(study.records[0].classes) > 2 else ():
            runs = [record for record in study.records if record.experiment.model == model]
            inside, chance = errors_with_look_alike(runs)
            if inside:
                share = with_interval(share_of(inside, mistaken_for_partner))
                told.append(f"of the errors of {TITLES[model]} {share}, by chance {percent(chance)}")
        lines += [f"- {study.name}{own_rates_text(study)}: {'; '.join(told)}."] if told else []
    head = (
        "**Do errors fall on the look-alike?** On classes with a named one; each clip counts once, however many runs "
        "have it wrong, so it is no ratio of the shares of clips above:"
    )
    return "\n".join([head, "", *lines]) if lines else ""


# ---- matrices


def counts_of(records: Sequence[Record]) -> np.ndarray:
    """Confusion counts ``(C, C)`` of these runs added up."""
    return np.sum([confusion_counts(r.labels, r.scores.argmax(1), len(r.classes)) for r in records], axis=0)


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


def matrices(records: Sequence[Record]) -> list[tuple[Figure, str]]:
    """The confusion matrices with their alternative texts: the paper's two networks and their difference, then others.

    Classes that the paper's two networks together take for each other stand side by side; runs of one network are added
    up.
    """
    runs = {model: some for model in TITLES if (some := [r for r in records if r.experiment.model == model])}
    order = clustered(counts_of([r for model in BOTH for r in runs.get(model, ())] or records))
    found = []
    for models in ([m for m in BOTH if m in runs], [m for m in runs if m not in BOTH]):
        if models:
            counts = {TITLES[m]: counts_of(runs[m]) for m in models}
            added = "; ".join(f"{len(runs[m])} of {TITLES[m]}" for m in models)
            alt = (
                f"Confusion matrices on the test split in per cent of the true class, of {' and '.join(counts)}"
                f"{', and their difference' if len(models) == 2 else ''}; runs added up: {added}."
            )
            found.append((confusion_plot(counts, records[0].classes, order), alt))
    return found


# ---- pairs of classes


def all_pairs(runs: Pairs) -> pd.DataFrame:
    """The paper's indicator of every pair of classes for both networks, the most confused first.

    runs: of the baseline and of SE-IM. One row a pair that has test clips: ``i, j, pair, named`` (a look-alike named
    beforehand), and for each network ``c_<network>``, the mean of its runs, the clips behind it as text (``clips_``),
    and ``difference``, SE-IM minus baseline. Empty without runs.
    """
    if not runs:
        return pd.DataFrame()
    classes = runs[0][0].classes
    first, second = (_mean_indicator([pair[k] for pair in runs]) for k in (0, 1))
    table = first[["i", "j"]].copy()
    table["pair"] = [f"{classes[i]} / {classes[j]}" for i, j in zip(table.i, table.j)]
    named = {tuple(sorted(pair)) for pair in named_pairs(classes)}
    table["named"] = [pair in named for pair in zip(table.i, table.j)]
    for network, found in zip(BOTH, (first, second)):
        table[f"c_{network}"] = found["c"]
        table[f"clips_{network}"] = [f"{r.k_ij:g} of {r.n_i:g} + {r.k_ji:g} of {r.n_j:g}" for r in found.itertuples()]
    table["difference"] = table[f"c_{ATTENTION}"] - table[f"c_{BASELINE}"]
    both = table[f"c_{BASELINE}"] + table[f"c_{ATTENTION}"]  # by both together, so that neither gains from the order
    table = table.assign(both=both).dropna(subset="both").sort_values("both", ascending=False, kind="stable")
    return table.drop(columns="both").reset_index(drop=True)


def _mean_indicator(records: Sequence[Record]) -> pd.DataFrame:
    """`confusion_indicator` of each run, its columns averaged over the runs that have clips of both classes."""
    found = pd.concat([confusion_indicator(counts_of([record])) for record in records])
    tested = found.where(found["c"].notna()).assign(i=found["i"], j=found["j"])
    return tested.groupby(["i", "j"], as_index=False).mean().round({"k_ij": 1, "n_i": 1, "k_ji": 1, "n_j": 1})


def confused_pairs(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of `all_pairs`, the ``most`` first of which a network takes a clip of one class for the other."""
    return table[(table[[f"c_{network}" for network in BOTH]] > 0).any(axis=1)].head(most).reset_index(drop=True)


def pairs_shown(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of `all_pairs`, the look-alikes named beforehand; where none is, the ``most`` that are confused most."""
    if table["named"].any():
        return table[table["named"]].sort_values(["i", "j"]).reset_index(drop=True)
    return confused_pairs(table, most)


def choice_text(shown: pd.DataFrame) -> str:
    """Why these pairs are shown, where no look-alikes are named; else nothing."""
    if not len(shown):
        return "Neither network takes a clip of one class for another."
    if shown["named"].any():
        return ""
    return (
        f"No look-alikes are named for these classes: the {len(shown)} pairs that the two networks together confuse "
        "most."
    )


def pairs_figure(shown: pd.DataFrame, runs: Pairs) -> tuple[Figure, str]:
    """The indicator of some of `all_pairs` for both networks, with 95 % intervals and its alternative text.

    runs: those of `all_pairs`.
    """
    fig, axis = plt.subplots(figsize=(8, 1.1 + 0.45 * len(shown)), layout="constrained")
    texts = []
    for k, (model, shape, shift) in enumerate(((BASELINE, "o", -0.13), (ATTENTION, "D", 0.13))):
        found = [confusion_of([pair[k] for pair in runs], place) for place in zip(shown["i"], shown["j"])]
        texts.append([indicator_text(c) for c in found])
        marks = [(at + shift, c) for at, c in enumerate(found) if c]
        for at, c in marks:
            axis.plot([c.low, c.high], [at, at], color=COLOURS[model], linewidth=2)
        points, heights = [c.point for _, c in marks], [at for at, _ in marks]
        axis.plot(points, heights, shape, color=COLOURS[model], label=TITLES[model])
    axis.set_yticks(range(len(shown)), [in_figure(pair) for pair in shown["pair"]])
    axis.set(title="Classes taken for each other", ylim=(len(shown) - 0.5, -0.5))
    axis.set(xlabel="confusion indicator c = P[i,j] + P[j,i] (0 to 2; lower is better), 95 % interval")
    axis.set_xlim(left=-0.02)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    lower = int((shown["difference"] < 0).sum())
    listed = "; ".join(f"{pair} {first} and {second}" for pair, first, second in zip(shown["pair"], *texts))
    return fig, (
        f"Confusion indicator of {len(shown)} pairs for both networks with 95 % intervals; the attention network's is "
        f"lower for {lower} of {len(shown)}. Baseline and SE-IM: {listed}."
    )


def indicator_text(c: Estimate | None, *, signed: bool = False) -> str:
    """``0.268 [0.097, 0.638]``."""
    if c is None:
        return "no test clips"
    sign = "+" if signed else ""
    return f"{c.point:{sign}.3f} [{c.low:{sign}.3f}, {c.high:{sign}.3f}]"


def every_pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """All of `all_pairs` for a reader, a column for each number."""
    columns = {"pair": "pair", "named": "named beforehand"}
    columns |= {f"{k}_{network}": f"{k}, {TITLES[network]}" for network in BOTH for k in ("c", "clips")}
    columns |= {"difference": "difference in c"}
    table = pairs.assign(named=np.where(pairs["named"], "yes", "no"))[list(columns)].rename(columns=columns)
    formats = {columns[f"c_{network}"]: ".3f" for network in BOTH} | {"difference in c": "+.3f"}
    return formatted(table, formats)


# ---- pairs that were picked


def halves(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random half of the groups: bool ``(clips,)``. Whole groups, so that no source video is on both sides."""
    names = np.unique(groups)
    return np.isin(groups, rng.permutation(names)[: len(names) // 2])


def picked_pairs_table(runs: Pairs, *, top: int = 5, repeats: int = 100, seed: int = 0) -> pd.DataFrame:
    """The baseline's worst pairs, picked on one half of the test groups, on that half and on the other.

    Both halves pick in turn, over ``repeats`` random halvings of the same clips; runs of each network are added up.
    Returns the mean confusion indicator c of both networks and the gain, on the clips that picked the pairs and on the
    others; empty without runs.
    """
    if not runs:
        return pd.DataFrame()
    classes, rng, found = len(runs[0][0].classes), np.random.default_rng(seed), []
    # of each network the group, class and label given of every test clip of its runs
    each = [[(r.predictions["group"].to_numpy(str), r.labels, r.scores.argmax(1)) for r in some] for some in zip(*runs)]
    networks = [[np.concatenate(parts) for parts in zip(*some)] for some in each]
    groups = np.unique(networks[0][0])
    top = _picked(top, classes)

    def counted_on(half: np.ndarray, inside: bool) -> tuple[np.ndarray, ...]:
        chosen = [(labels, given, np.isin(group, half) == inside) for group, labels, given in networks]
        return tuple(confusion_counts(labels[of], given[of], classes) for labels, given, of in chosen)

    for _ in range(repeats):
        half = groups[halves(groups, rng)]
        for inside in (True, False):
            with contextlib.suppress(ValueError):  # a half without clips of two classes picks nothing
                found.append(chosen_and_reported(counted_on(half, inside), counted_on(half, not inside), top))
    if not found:
        return pd.DataFrame()
    mean = pd.DataFrame(found).mean()
    rows = []
    for words, name in (("on the clips that picked them", "chosen"), ("on the other clips", "reported")):
        first, second = mean[f"{name}_first"], mean[f"{name}_second"]
        rows.append({"the baseline's worst pairs": words, "baseline": first, "SE-IM": second, "gain": first - second})
    return formatted(pd.DataFrame(rows), {"baseline": ".3f", "SE-IM": ".3f", "gain": "+.3f"})


def _picked(top: int, classes: int) -> int:
    """How many pairs are picked: a third of all at most, else nothing is picked."""
    return max(1, min(top, classes * (classes - 1) // 6))


def picked_caption(runs: Pairs, top: int) -> str:
    """The caption of `picked_pairs_table`."""
    tested = gain_of(runs, is_right)
    clips = f"{counted(runs)}, {tested.clips} clips in {tested.groups} groups"
    count = _picked(top, len(runs[0][0].classes))
    words = f"{count} worst pairs" if count > 1 else "worst pair"
    return f"Mean confusion indicator of the baseline's {words} ({clips})"


def picked_text(picked: pd.DataFrame) -> str:
    """What `picked_pairs_table` says, in two sentences."""
    seeming, left = picked["gain"]
    return (
        f"Picked and reported on the same clips, SE-IM seems to lower c by {seeming:+.3f}; on the other clips, which "
        f"did not pick them, by {left:+.3f}."
    )
