"""Does the head use time? Accuracy with frames in order, shuffled, reversed, and averaged over instead of a 3D head."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.judging import LEVEL, judge_gain
from repro.claims.rules_networks import in_order_against_not
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Estimate
from repro.metrics.text import percent, with_interval
from repro.paper.look_alikes import backwards_pairs
from repro.records.record import Record
from repro.records.scores import backwards_table, gain_of, is_right, share_of
from repro.report.figures import COLOURS
from repro.report.study import Study
from repro.report.svg import in_figure


def asked(study: Study) -> bool:
    """Whether any of its runs was scored without the order of frames."""
    return bool(in_order_against_not(study.records))


def asked_of(study: Study) -> str:
    """Which test clips are asked."""
    told = backwards_pairs(study.records[0].classes)
    return f"{len(told)} pairs of classes that only order tells apart" if told else "all test clips"


def orders_table(studies: Sequence[Study]) -> pd.DataFrame:
    """One row a study, network and order: top-1 with the order of frames, without, and what is lost."""
    return pd.DataFrame(
        {
            "network, frames": name,
            "clips": f"{study.name}, {asked_of(study)}",
            "in order": percent(share_of([ordered for _, ordered in pairs], is_right).point),
            "otherwise": percent(share_of([without for without, _ in pairs], is_right).point),
            "lost with the order [95 %]": with_interval(lost, signed=True),
            "runs": lost.runs,
            "n": f"{lost.clips} clips, {lost.groups} groups",
        }
        for study in studies
        for name, pairs in in_order_against_not(study.records).items()
        for lost in [gain_of(pairs, is_right)]
    )


def answer_text(studies: Sequence[Study]) -> str:
    """What the first study says, a sentence for each network; and that it was not run, without any."""
    if not studies:
        return "**Not run:** no fresh run was scored with its frames in another order."
    study, lines = studies[0], []
    gains = {name: gain_of(pairs, is_right) for name, pairs in in_order_against_not(study.records).items()}
    for model in (BASELINE, ATTENTION):
        found = {name.rpartition(", ")[2]: gain for name, gain in gains.items() if name.startswith(TITLES[model])}
        if found:
            said = "; ".join(f"{name} {with_interval(gain, signed=True)}" for name, gain in found.items())
            clips = next(iter(found.values())).clips
            lines.append(
                f"- **{TITLES[model]}** on {study.name}, {asked_of(study)} ({clips} clips): top-1 with frames in "
                f"order, minus that with frames {said}."
            )
    lost = sum(judge_gain(gain) == "reproduced" for gain in gains.values())
    lines.append(
        f"- **For verdicts** a loss counts where its p is below {LEVEL:g}: {lost} of {len(gains)} comparisons."
    )
    return "\n".join(lines)


def orders_figure(study: Study) -> tuple[Figure, str]:
    """Top-1 of both networks by order of frames with intervals, and the line of a guess; with its alt text."""
    cases: dict[str, dict[str, Estimate]] = {}
    for name, pairs in in_order_against_not(study.records).items():
        network, _, order = name.rpartition(", ")
        own = cases.setdefault(network, {})
        own.setdefault("in order", share_of([b for _, b in pairs], is_right))
        own[order] = share_of([a for a, _ in pairs], is_right)
    fig, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
    orders = list(dict.fromkeys(order for own in cases.values() for order in own))
    for k, (network, own) in enumerate(cases.items()):
        colour = COLOURS[BASELINE if network == TITLES[BASELINE] else ATTENTION]
        for order, share in own.items():
            x = orders.index(order) + 0.16 * (k - 0.5)
            axis.plot([x, x], [100 * share.low, 100 * share.high], color=colour, linewidth=2)
            axis.plot(x, 100 * share.point, "o", color=colour, label=network if order == "in order" else None)
    chance = 1 / len(study.records[0].classes)
    axis.axhline(100 * chance, color="black", linestyle=":", linewidth=1)
    axis.text(0.5, 100 * chance + 1, "one answer for all clips", fontsize=8, ha="center")
    axis.set_xticks(range(len(orders)), orders)
    axis.set(ylim=(0, 100), ylabel="top-1 (%)", title=f"{study.name}: {asked_of(study)}")
    axis.legend(frameon=False, fontsize=8)
    shown = "; ".join(f"{n}, {order} {percent(s.point)}" for n, own in cases.items() for order, s in own.items())
    return fig, f"Top-1 by order of frames on {study.name}, {asked_of(study)}: {shown}."


# ---- pairs of which one class is the other played backwards


def backwards_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Choice inside each backwards pair: share right with its 95 % interval, a point a run; with its alt text."""
    table = backwards_table(records)
    pairs = list(dict.fromkeys(table["pair"]))
    fig, axes = plt.subplots(
        1, len(pairs), figsize=(9, 0.9 + 0.36 * len(table) / len(pairs)), sharey=True, squeeze=False
    )
    for pair, axis in zip(pairs, axes[0], strict=True):
        rows = table[table["pair"] == pair].reset_index(drop=True)
        for at, row in rows.iterrows():
            axis.plot([100 * row["low"], 100 * row["high"]], [at, at], color=COLOURS[row["model"]], linewidth=2)
            axis.plot(100 * row["point"], at, "o", color=COLOURS[row["model"]])
        axis.axvline(50, color="black", linestyle=":", linewidth=1)
        axis.set(title=f"{in_figure(pair)} ({rows['clips'].iloc[0]} clips)", xlabel="right (%), 95 % interval")
        axis.set_xlim(0, 102)
        axis.set_yticks(range(len(rows)), [f"{TITLES[r.model]}, {_place(r)}" for _, r in rows.iterrows()])
    axes[0][0].invert_yaxis()
    fig.tight_layout()
    shown = "; ".join(f"{TITLES[r.model]} {_place(r)} {r.pair}: {percent(r.point)}" for _, r in table.iterrows())
    return fig, f"Share right inside each backwards pair with 95 % intervals. {shown}."


def _place(row: pd.Series) -> str:
    return f"split {row['split']}, seed {row['seed']}"


def backwards_choices(records: Sequence[Record]) -> pd.DataFrame:
    """`backwards_table` for a reader: one row a run and pair; empty where the classes hold no such pair."""
    return pd.DataFrame(
        {
            **row[["network", "split", "seed", "pair"]],
            "right / clips": f"{row['right']} / {row['clips']}",
            "share right [95 %]": f"{percent(row['point'])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]",
        }
        for _, row in backwards_table(records).iterrows()
    )
