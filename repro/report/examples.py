"""Test clips of confused pairs as pictures, with what in them speaks for their class.

torch, captum and the readers of clips are imported where they are used: pages that show no clip need none of them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import softmax

from repro.data.clips import Clip, read_split
from repro.data.decode import count_frames
from repro.data.transforms import normalise
from repro.experiment.fields import ATTENTION, BASELINE, TITLES, Experiment
from repro.records.record import Record
from repro.records.scores import is_right
from repro.report.confusion import BOTH
from repro.report.figures import frame_strip
from repro.report.study import Study

if TYPE_CHECKING:
    from torch import Tensor

    from repro.models.fused import FusedNet

CASES = ("only SE-IM right", "only the baseline right", "both wrong", "both right")
SHORT = {BASELINE: "baseline", ATTENTION: "SE-IM"}
TOLERANCE = 0.01  # of the largest recorded score: weights that differ by more are not the recorded run's


def clips_at_hand(record: Record) -> dict[str, Clip]:
    """A run's test clips by their names in its record; empty where not all of them are on this machine."""
    try:
        found = {clip.name: clip for clip in read_split(record.experiment).test}
    except FileNotFoundError:
        return {}
    return found if found.keys() >= set(record.predictions["clip"]) else {}


def first_at_hand(studies: Sequence[Study]) -> tuple[Study, dict[str, Clip]] | None:
    """The first of the studies whose test clips are on this machine, with those clips; None without one."""
    return next(((study, clips) for study in studies if (clips := clips_at_hand(study.pairs[0][0]))), None)


# ---- confused pairs


def example_clips(pair: tuple[Record, Record], classes: tuple[int, int]) -> pd.DataFrame:
    """Clips of two classes, right and wrong: for each of `CASES` the first of the test list.

    pair: one run of each network on the same clips. A clip counts as wrong where it was taken for the other of the two
    classes, so that errors of another kind are left out. Columns ``clip, label, case`` and, for each network,
    ``said_<network>`` (the class with the largest score) and ``true_``, ``other_`` (softmax probabilities of the clip's
    own class and of the other).
    """
    first, second = pair
    place = pd.Index(second.predictions["clip"]).get_indexer(pd.Index(first.predictions["clip"]))  # of the same clip
    labels, scores = first.labels, (first.scores, second.scores[place])
    right = is_right(first).astype(int), is_right(second)[place].astype(int)
    case = np.array(CASES)[np.array([[2, 0], [1, 3]])[right]]
    table = pd.DataFrame({"clip": first.predictions["clip"], "label": labels})
    table["case"] = pd.Categorical(case, CASES, ordered=True)
    inside = np.isin(labels, classes)
    others, rows = np.where(labels == classes[0], classes[1], classes[0]), np.arange(len(labels))
    for network, values in zip(BOTH, scores):
        shares = softmax(values, axis=1)
        table[f"said_{network}"] = values.argmax(1)
        table[f"true_{network}"], table[f"other_{network}"] = shares[rows, labels], shares[rows, others]
        inside &= np.isin(values.argmax(1), classes)
    found = table[inside].sort_values("case", kind="stable")
    return found.groupby("case", observed=True).head(1).reset_index(drop=True)


def view(clip: Clip, experiment: Experiment) -> "Tensor":
    """The clip as a run scored it: uint8 ``(N, 3, size, size)``."""
    from repro.data.loaders import ClipDataset

    e = experiment
    clips = ClipDataset([clip], [count_frames(clip.path)], frames=e.frames, size=e.size, sampling=e.sampling)
    return clips[0][0]


def inputs(clips: Sequence[Clip], experiment: Experiment) -> "Tensor":
    """The clips as the network of a run takes them: float ``(B, N, 3, size, size)``."""
    import torch

    return torch.stack([normalise(view(clip, experiment), experiment.values) for clip in clips])


def are_recorded(networks: Mapping[str, "FusedNet"], pair: tuple[Record, Record], clips: Mapping[str, Clip]) -> bool:
    """Whether networks, by name, give the scores that the records hold, tried on the first two clips.

    The weights of a later training of the same name would explain other scores than those recorded.
    """
    import torch

    for run in pair:
        first = run.predictions.head(2)
        recorded = run.scores[: len(first)]
        with torch.no_grad():
            batch = inputs([clips[name] for name in first["clip"]], run.experiment)
            now = networks[run.experiment.model](batch).numpy()
        if np.abs(now - recorded).max() / np.abs(recorded).max() > TOLERANCE:
            return False
    return True


def recorded_networks(pair: tuple[Record, Record], clips: Mapping[str, Clip]) -> dict[str, "FusedNet"]:
    """The trained networks of two recorded runs by name; none where their weights are not on this machine."""
    from repro.inference.trained import trained

    try:
        networks = {run.experiment.model: cast("FusedNet", trained(run.experiment, len(run.classes))) for run in pair}
    except FileNotFoundError:
        return {}
    return networks if are_recorded(networks, pair, clips) else {}


def examples_figure(
    examples: pd.DataFrame,
    pair: tuple[Record, Record],
    clips: Mapping[str, Clip],
    networks: Mapping[str, "FusedNet"],
    title: str,
) -> tuple[Figure, str]:
    """The frames of `example_clips`, with each network's Grad-CAM for the clip's own class laid over them.

    networks: of both runs by name; without any, the frames alone. title: of the two classes. Returns the figure with
    its alternative text.
    """
    experiment, classes = pair[0].experiment, pair[0].classes
    rows: list[tuple[str, np.ndarray, np.ndarray | None]] = []
    for _, row in examples.iterrows():
        frames, own = view(clips[row["clip"]], experiment), classes[row["label"]]
        pixels = frames.permute(0, 2, 3, 1).numpy()
        if not networks:
            rows.append((f"{own},\n{row['case']}", pixels, None))
            continue
        from repro.metrics.gradcam import gradcam_maps

        for model in BOTH:
            maps = gradcam_maps(networks[model], normalise(frames, experiment.values), row["label"])
            rows.append((f"{own}, {row['case']}:\n{SHORT[model]}", pixels, maps))
    alt = (
        f"Test clips of {title}, {experiment.frames} frames each: "
        + "; ".join(f"{row['clip']} ({row['case']})" for _, row in examples.iterrows())
        + (", with what speaks for their class in each network laid over them." if networks else ".")
    )
    return gradcam_plot(rows), alt


def gradcam_plot(rows: Sequence[tuple[str, np.ndarray, np.ndarray | None]]) -> Figure:
    """Frames of clips with Grad-CAM maps laid over them, a row a clip and network.

    rows: label, frames uint8 RGB ``(N, H, W, 3)``, maps ``(N, h, w)`` from 0 to 1 or None for plain frames.
    """
    fig = frame_strip([(name, frames) for name, frames, _ in rows])
    axes = np.array(fig.axes).reshape(len(rows), -1)
    for (_, frames, maps), line in zip(rows, axes, strict=True):
        height, breadth = frames.shape[1:3]
        for axis, each in zip(line, maps if maps is not None else (), strict=False):
            # each cell covers its part of the frame; opaque where it speaks for the class, clear where not
            axis.imshow(
                np.ones_like(each),
                cmap="autumn",
                vmin=0,
                vmax=1.6,
                alpha=0.65 * each,
                extent=(-0.5, breadth - 0.5, height - 0.5, -0.5),
                interpolation="bilinear",
            )
    return fig


def examples_table(examples: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """What both networks say of `example_clips`, one row a clip."""
    rows = []
    for _, row in examples.iterrows():
        line = {"clip": row["clip"], "case": row["case"]}
        for model in BOTH:
            line[f"{TITLES[model]} says"] = classes[row[f"said_{model}"]]
            line[f"{TITLES[model]}: own / other class"] = (
                f"{100 * row[f'true_{model}']:.0f} % / {100 * row[f'other_{model}']:.0f} %"
            )
        rows.append(line)
    return pd.DataFrame(rows)
