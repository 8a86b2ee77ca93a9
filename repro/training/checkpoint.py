"""A checkpoint of a run: written whole or not at all, and read only when it is sound and of this network."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repro.files import write_whole
from repro.models.start import read_tensors

PARTS = ("state_dict", "optimiser", "schedule", "scaler", "history")  # of a checkpoint


def read_checkpoint(path: Path, recogniser: nn.Module) -> dict[str, Any]:
    """A checkpoint for this module, on the CPU: ``state_dict``, ``optimiser``, ``schedule``, ``scaler``, ``history``.

    Raises ValueError that names the file, what is wrong and the mend.
    """
    mend = f"put a copy of it back, or delete the folder {path.parent} to train again from the first epoch"
    try:
        content = read_tensors(path)
        if absent := [name for name in PARTS if name not in content]:
            raise ValueError(f"it has no {absent[0]}: another program, or another version of this one, wrote it")
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path}: this checkpoint cannot be read ({reason}); {mend}") from None
    states = content["state_dict"], recogniser.state_dict()
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in states]
    for name in dict.fromkeys([*shapes[1], *shapes[0]]):
        there, here = (each.get(name, "absent") for each in shapes)
        if there != here:
            raise ValueError(
                f"{path}: a checkpoint of another network: {name.removeprefix('network.')} is {there} there, {here} "
                f"here (head.fc has a row for each class); {mend}"
            )
    return content


def save_whole(content: Any, path: Path) -> None:
    """``torch.save`` that leaves the old file as it is unless the new one is whole. Raises OSError."""
    buffer = io.BytesIO()  # torch's own writer turns a full disk into another error
    torch.save(content, buffer)
    write_whole(path, buffer.getbuffer())
