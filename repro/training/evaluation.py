"""A network's scores of the test clips: as they are, with their frames in another order, with its gates held still.

The altered scores cost no training and answer what an accuracy alone cannot: does the head use the order of frames (the
paper's section 4.3), and does a gate do more than multiply by a constant (Equation 4)?
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from repro.data.batches import Batches
from repro.data.loaders import ClipDataset, test_loader
from repro.data.parallel import deaf_to_ctrl_c
from repro.experiment.fields import Experiment
from repro.files import progress
from repro.metrics.gates import gates_fixed, gates_of, gates_seen
from repro.models.fused import FrameAverageHead
from repro.paper.look_alikes import named_pairs
from repro.records.record import check_whole_split
from repro.training.processes import Place, gathered
from repro.training.recogniser import Recogniser

GATE_FIXED = "gates fixed"


@dataclass(frozen=True)
class Evaluation:
    """What a record keeps of the test clips; see :mod:`repro.records.record`."""

    predictions: pd.DataFrame  # clip, label, group, logit_<class>
    altered: dict[str, np.ndarray]  # logits (clips, classes) by what was altered
    gates: list[dict[str, Any]]  # a row a unit; see gates_rows


def evaluate(
    recogniser: Recogniser, dataset: ClipDataset, classes: Sequence[str], experiment: Experiment, place: Place
) -> Evaluation:
    """Score every clip once in the test view (a centre crop of the segments' middle frames), each process its share.

    A network with a 3D head is also given each clip's frames shuffled and reversed; one with gates is also run with
    every channel's s held at its mean over these clips. Rows are in the dataset's order, on every process.
    Raises ValueError when clips scored are not clips listed, or a score is not finite.
    """
    blind = isinstance(recogniser.network.head, FrameAverageHead)
    scores, seen = _run(recogniser, dataset, experiment, place, () if blind else tuple(ORDERS))
    if seen:
        means = {unit: s.mean(0) for unit, s in seen.items()}
        with gates_fixed(recogniser.network, means):
            scores[GATE_FIXED] = _run(recogniser, dataset, experiment, place)[0][""]
    clips = dataset.clips
    table = pd.DataFrame(
        {"clip": [c.name for c in clips], "label": [c.label for c in clips], "group": [c.group for c in clips]}
    )
    logits = pd.DataFrame(scores.pop("").numpy(), columns=[f"logit_{name}" for name in classes])
    return Evaluation(
        table.join(logits),
        {name: values.numpy() for name, values in scores.items()},
        gates_rows(seen, table["label"].to_numpy(), classes),
    )


def gates_at_start(
    recogniser: Recogniser, dataset: ClipDataset, classes: Sequence[str], experiment: Experiment, place: Place
) -> list[dict[str, Any]]:
    """The gates' rows on these clips before the first step; empty for a network without gates."""
    if not gates_of(recogniser.network):
        return []
    seen = _run(recogniser, dataset, experiment, place, title="gates before training, test clips")[1]
    return gates_rows(seen, np.array([clip.label for clip in dataset.clips]), classes)


@torch.inference_mode()
def _run(
    recogniser: Recogniser,
    dataset: ClipDataset,
    experiment: Experiment,
    place: Place,
    orders: Sequence[str] = (),
    *,
    title: str = "test",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Logits ``(clips, classes)`` by order of frames, "" the clip's own, and s ``(clips, channels)`` by gated unit."""
    recogniser.eval()
    loader = test_loader(dataset, **loading(experiment, place))
    own: list[tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]] = []
    # a compiled network does not call hooks that were added since
    with torch.compiler.set_stance("force_eager") if experiment.compile else contextlib.nullcontext():
        for clips, _, indices in on_device(loader, f"{experiment.run}: {title}", place):
            with gates_seen(recogniser.network, clips.shape[1]) as seen:
                logits = {"": recogniser(clips).cpu()}
            names = [dataset.clips[int(index)].name for index in indices]
            logits |= {order: recogniser(in_order(clips, order, names)).cpu() for order in orders}
            own.append((indices, logits, {unit: s.cpu() for unit, s in seen.items()}))
    parts = [part for process in gathered(own) for part in process]
    indices = torch.cat([part[0] for part in parts])
    check_whole_split(
        pd.Series([dataset.clips[int(index)].name for index in indices]), len(dataset), where="evaluation"
    )
    by_clip = indices.argsort()
    logits, gates = ({k: torch.cat([p[i][k] for p in parts])[by_clip] for k in parts[0][i]} for i in (1, 2))
    finite = torch.stack([values.isfinite().all(1) for values in logits.values()]).all(0)
    if not finite.all():
        first = dataset.clips[int((~finite).nonzero()[0])].name
        raise ValueError(f"{first}: a score is not finite; the network has diverged: lower the learning rate")
    return logits, gates


# ---- frames in another order


def _shuffled(frames: int, name: str) -> np.ndarray:
    """An order drawn from the clip's name, never the clip's own where there are two frames or more."""
    rng, own = np.random.default_rng(zlib.crc32(name.encode())), np.arange(frames)
    while frames > 1:
        order = rng.permutation(frames)
        if not np.array_equal(order, own):
            return order
    return own


ORDERS: dict[str, Callable[[int, str], np.ndarray]] = {
    "shuffled": _shuffled,
    "reversed": lambda frames, _name: np.arange(frames)[::-1].copy(),
}
"""The order of N frames by its name, given N and the clip's name: int ``(N,)``."""


def in_order(clips: Tensor, order: str, names: Sequence[str]) -> Tensor:
    """Clips ``(B, N, ...)`` of these names with their frames in one of :data:`ORDERS`."""
    places = torch.from_numpy(np.stack([ORDERS[order](clips.shape[1], name) for name in names])).to(clips.device)
    return clips[torch.arange(len(clips), device=clips.device)[:, None], places]


# ---- gates


def gates_rows(seen: dict[str, Tensor], labels: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row a gated unit, of s ``(clips, channels)``, the mean over a clip's frames.

    ``unit``, ``channels``; ``mean`` of s; ``lowest`` and ``highest`` channel (means over clips); ``sd_channels`` of
    those means; ``sd_clips``: over clips, mean of the channels; ``look_alikes``: how far the mean s of two classes that
    look alike are apart, mean over channels and named pairs (None without such a pair).
    """
    pairs = named_pairs(classes)
    rows: list[dict[str, Any]] = []
    for unit, values in seen.items():
        s = values.numpy()
        means = s.mean(0)
        apart = [np.abs(s[labels == i].mean(0) - s[labels == j].mean(0)).mean() for i, j in pairs]
        row = {
            "mean": means.mean(),
            "lowest": means.min(),
            "highest": means.max(),
            "sd_channels": means.std(),
            "sd_clips": s.std(0).mean(),
            "look_alikes": np.mean(apart) if apart else None,
        }
        numbers = {name: None if value is None else round(float(value), 6) for name, value in row.items()}
        rows.append({"unit": unit, "channels": s.shape[1]} | numbers)
    return rows


# ---- batches


def loading(experiment: Experiment, place: Place) -> dict[str, Any]:
    """How loaders deal out clips."""
    options = {"batch_size": experiment.batch_size, "workers": experiment.workers or 0, "prefetch": experiment.prefetch}
    return options | {"rank": place.rank, "processes": place.processes}


def on_device(loader: DataLoader, title: str, place: Place) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """A loader's batches: clips and labels on the device, indices on the CPU; progress is said."""
    with progress(cast(Batches, loader.batch_sampler).clips, title) as advance:
        with deaf_to_ctrl_c() if loader.num_workers else contextlib.nullcontext():
            batches = iter(loader)
        for clips, labels, indices in batches:
            yield clips.to(place.device, non_blocking=True), labels.to(place.device, non_blocking=True), indices
            advance(len(labels) * place.processes)
