"""Scores for every clip of a split, in the test view: one centre crop of the N segment centres, or several views."""

import lightning as L
import pandas as pd
import torch
from torch.utils.data import DataLoader

from repro.data.loaders import ClipDataset
from repro.records.record import check_whole_split
from repro.training.processes import gathered


def predict(trainer: L.Trainer, recogniser: L.LightningModule, loader: DataLoader) -> pd.DataFrame:
    """Score every clip of the loader's dataset once, each process its share.

    Returns, on every process, one row a clip in the dataset's order: ``clip, label, group, logit_0 ...`` (float32).
    Raises ValueError when clips scored are not clips listed, or a score is not finite.
    """
    dataset: ClipDataset = loader.dataset
    recogniser.scored.clear()
    trainer.test(recogniser, loader, verbose=False)
    scored = [pair for part in gathered(recogniser.scored) for pair in part]
    indices = torch.cat([index for index, _ in scored])
    logits = torch.cat([scores for _, scores in scored])
    if not logits.isfinite().all():
        first = dataset.clips[int(indices[~logits.isfinite().all(1)][0])].name
        raise ValueError(f"{first}: a score is not finite; the network has diverged: lower the learning rate")
    order = indices.argsort()
    clips = [dataset.clips[int(i)] for i in indices[order]]
    table = pd.DataFrame(
        {"clip": [c.name for c in clips], "label": [c.label for c in clips], "group": [c.group for c in clips]}
    )
    check_whole_split(table["clip"], len(dataset), where="evaluation")
    return table.join(pd.DataFrame(logits[order].numpy()).add_prefix("logit_"))
