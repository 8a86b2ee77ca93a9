"""What the gates of a trained network do, clip by clip and channel by channel: Equation 4's s."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from repro.data.clips import Clip
from repro.experiment.fields import Experiment
from repro.metrics.gates import gate_values
from repro.models import FusedNet, build, options_of
from repro.report import figures
from repro.report.confusion import halves
from repro.report.examples import inputs
from repro.report.show import formatted

Values = dict[str, np.ndarray]  # s of each gate by unit, (B, channels) for B clips, mean of frames
BATCH = 16  # clips at once


def values_of(network: FusedNet, clips: Sequence[Clip], experiment: Experiment) -> Values:
    """s of each gate for these clips, as the run's network takes them."""
    parts = [gate_values(network, some) for some in inputs(clips, experiment).split(BATCH)]
    return {unit: np.concatenate([part[unit] for part in parts]) for unit in parts[0]}


def before_training(experiment: Experiment, classes: int) -> FusedNet:
    """The network as a run's training starts, from its seed."""
    torch.manual_seed(experiment.seed)
    return build(experiment.model, classes=classes, **experiment.model_options(options_of(experiment.model)))


def raised_channels(
    values: Values, labels: np.ndarray, groups: np.ndarray, classes: tuple[int, int], *, top: int = 5
) -> pd.DataFrame:
    """The gate channels that tell two classes apart most, picked on one half of the groups, reported on the other.

    labels, groups: of the clips. One row a channel: ``unit, channel`` and the mean s of ``first`` and ``second`` class
    on the clips that ``picking`` it and on the ``other`` ones. Empty where a half has no clip of one of the classes.
    """
    half = halves(groups.astype(str), np.random.default_rng(0))
    parts = {
        f"{name}, {words}": (labels == label) & side
        for words, side in (("picking", half), ("other", ~half))
        for name, label in zip(("first", "second"), classes)
    }
    if not all(part.any() for part in parts.values()):
        return pd.DataFrame()
    table = pd.concat(
        [
            pd.DataFrame(
                {"unit": unit, "channel": range(s.shape[1])} | {name: s[part].mean(0) for name, part in parts.items()}
            )
            for unit, s in values.items()
        ],
        ignore_index=True,
    )
    order = (table["first, picking"] - table["second, picking"]).abs().sort_values(ascending=False).index
    return table.loc[order].head(top).reset_index(drop=True)


def raised_table(
    values: Values, clips: Sequence[Clip], pair: tuple[int, int], classes: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """`raised_channels` of two classes for a reader, with its caption."""
    labels, groups = np.array([clip.label for clip in clips]), np.array([clip.group for clip in clips])
    found = raised_channels(values, labels, groups, pair)
    first, second = (classes[k] for k in pair)
    names = {
        f"{name}, {half}": f"s, {own}, {half} half"
        for name, own in (("first", first), ("second", second))
        for half in ("picking", "other")
    }
    found = found.rename(columns=names)
    caption = f"{first} / {second}: the channels that tell them apart most ({int(np.isin(labels, pair).sum())} clips)"
    return formatted(found, dict.fromkeys(names.values(), ".3f")), caption


def gates_text(values: Values, start: Values) -> str:
    """How far the gates are from a constant, trained and at the start, in two sentences."""
    means = np.concatenate([s.mean(0) for s in values.values()])
    between, before = (float(np.mean([s.std(0).mean() for s in each.values()])) for each in (values, start))
    return (
        f"Over these clips every channel's s lies between {means.min():.2f} and {means.max():.2f}: the gates multiply "
        f"their branches by {1 + means.min():.2f} to {1 + means.max():.2f}, and one that learns nothing by about "
        f"1.50. From clip to clip s differs by {between:.4f} (standard deviation, mean of all channels), before the "
        f"training by {before:.4f}."
    )


def gates_table(values: Values) -> pd.DataFrame:
    """What each gate does: channels, mean s, its spread over channels and between clips."""
    table = pd.DataFrame(
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
    )
    numbers = ("mean s", "lowest channel", "highest channel", "sd over channels", "sd between clips")
    return formatted(table, dict.fromkeys(numbers, ".3f"))


def gates_figure(values: Values, start: Values) -> tuple[Figure, str]:
    """s by unit, trained beside untrained, with its alternative text."""
    clips = len(next(iter(values.values())))
    means = "; ".join(f"{unit} {s.mean():.2f}" for unit, s in values.items())
    alt = (
        f"The gate's s in each of {len(values)} units over {clips} test clips: {means}; and how far it differs between "
        "clips; beside the same network before its training."
    )
    return figures.gates_plot(values, start), alt
