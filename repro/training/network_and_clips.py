"""What a run is made of: its network and the weights that it starts from, its clips by part, as its fields say."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from torch import channels_last

from repro.data.clips import Clip, Split, carve_validation
from repro.data.loaders import ClipDataset
from repro.data.transforms import swap_sides
from repro.experiment.fields import Experiment
from repro.models import build, options_of
from repro.models.fused import FusedNet, check_trainable
from repro.models.start import start
from repro.training.run_folder import WEIGHTS, WORK

# With fewer, torch 2.15 on a CPU corrupts memory in the backward of 1x1 stride-2 convolutions in that layout
CHANNELS_FOR_CHANNELS_LAST = 8


def make_network(experiment: Experiment, classes: int, work: Path = WORK) -> tuple[FusedNet, list[dict]]:
    """The network of an experiment and what it starts from, in the layout that is fastest for it.

    Raises ValueError, OSError as :func:`repro.models.start.start`.
    """
    network = build(experiment.model, classes=classes, **experiment.model_options(options_of(experiment.model)))
    sources = {name: getattr(experiment, name) for name in ("trunk_weights", "head_weights")}
    started = start(network, **sources, start_from=_own_weights(experiment, work))
    if network.trunk.conv1.weight.shape[0] >= CHANNELS_FOR_CHANNELS_LAST:
        # The trunk's convolutions run up to a quarter faster on this layout (CPU and GPU)
        network.trunk.to(memory_format=channels_last)
    return network, started


def _own_weights(experiment: Experiment, work: Path) -> str | None:
    """``start_from`` as a file: study/run of a run that was finished here is its weights."""
    source = experiment.start_from
    if not source or Path(source).is_file():
        return source
    weights = work / source / WEIGHTS
    if weights.is_file():
        return str(weights)
    if weights.parent.is_dir():
        raise FileNotFoundError(f"start_from: run {source} is not finished ({weights} is not there); finish it first")
    raise FileNotFoundError(
        f"start_from: {source!r} is neither a weights file nor a run that was finished in {work}; weights are no part "
        "of a record: train that run here first (delete its record where there is one), or name a file"
    )


def parts_of(split: Split, experiment: Experiment) -> dict[str, tuple[Clip, ...]]:
    """The clips by part: ``train``, ``validation`` (steer schedule and checkpoint, may be none) and ``test``."""
    if experiment.watch == "test":
        return {"train": split.train, "validation": split.test, "test": split.test}
    train, validation = carve_validation(split.train, experiment.validation_fraction, seed=experiment.seed)
    return {"train": train, "validation": validation, "test": split.test}


def make_dataset(
    experiment: Experiment, clips: Sequence[Clip], lengths: pd.Series, classes: Sequence[str]
) -> ClipDataset:
    """The clips as the experiment samples them. ``lengths``: decoded frames by clip name."""
    names = ("frames", "size", "seed", "flip", "sampling", "decoder")
    options = {name: getattr(experiment, name) for name in names} | {"scales": experiment.crop_scales}
    options["mirror_labels"] = swap_sides(classes) if experiment.swap_labels else None
    return ClipDataset(clips, lengths.loc[[clip.name for clip in clips]].tolist(), **options)


def check_shapes(experiment: Experiment, network: FusedNet, clips: int) -> None:
    """Refuse batches that leave a batch norm one value a channel; see :func:`repro.models.fused.check_trainable`."""
    if experiment.batch_norm == "none":
        return
    sizes = {min(experiment.batch_size, clips)}
    if experiment.last_batch == "keep":
        sizes |= {clips % experiment.batch_size} - {0}
    for batch in sizes:
        check_trainable(network, batch=batch, frames=experiment.frames, size=experiment.size)
