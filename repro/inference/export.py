"""A trained network as a folder for others: weights, what it is fed, a model card, on request an ONNX file."""

import os
import shutil
import stat
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from repro.inference.backends import EXACT, agreement, eager, export_onnx, onnx_predictor
from repro.inference.card import CARD, card_text
from repro.inference.trained import CONFIG, TENSORS, Trained, config_text, find_trained, read_exported, record_of
from repro.records.record import RESULTS
from repro.training.run_folder import WORK

ONNX = "model.onnx"


def export(run: str, to: Path, *, onnx: bool = False, results: Path = RESULTS, work: Path = WORK) -> Path:
    """Write the folder ``to``, whole or not at all; ``weights=to`` takes it back wherever a network is asked for.

    It holds model.safetensors, config.json, README.md (the model card, whose numbers come from the run's record) and,
    with ``onnx``, model.onnx: normalised float32 clips ``(B, N, 3, size, size)``, any B, to logits. What was written is
    read again, and must be the same network, before it gets its name.

    Raises FileExistsError where ``to`` holds something, ImportError where ONNX's packages are lacking, and as
    :func:`repro.inference.trained.find_trained`.
    """
    to = Path(to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise FileExistsError(f"to: {to} holds something already; name a new folder, or take it away first")
    trained, record = find_trained(run, results=results, work=work), record_of(run, results)
    draft = to.with_name(f".{to.name}.{os.getpid()}.draft")
    try:
        draft.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in trained.network.state_dict().items()}, draft / TENSORS)
        os.chmod(draft / TENSORS, stat.S_IMODE(draft.stat().st_mode) & 0o666)  # safetensors closes it to others
        (draft / CONFIG).write_text(config_text(record, draft / TENSORS), encoding="utf-8")
        if onnx:
            _write_onnx(trained, draft / ONNX)
        text = card_text(record, trained.network, sorted(draft.iterdir()), draft / ONNX if onnx else None)
        (draft / CARD).write_text(text, encoding="utf-8")
        tensors = read_exported(draft).network.state_dict()
        if not all(torch.equal(value, tensors[name]) for name, value in trained.network.state_dict().items()):
            raise ValueError(f"{trained.name}: what was written is not the network that was read; try another disk")
        if to.exists():
            to.rmdir()  # empty
        draft.rename(to)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return to


def _write_onnx(trained: Trained, path: Path) -> None:
    """Write it and run it on noise, another number of clips: the logits are the network's own."""
    export_onnx(trained.network, _noise(trained, 2), path, any_batch=True)
    clips = _noise(trained, 3)
    found = agreement(onnx_predictor(path)(clips), eager(trained.network)(clips))
    if found.difference > EXACT:
        raise ValueError(
            f"{path.name}: differs from the network by {found.difference:.1%} of its largest logit; export without ONNX"
        )


def _noise(trained: Trained, clips: int) -> Tensor:
    experiment = trained.experiment
    shape = (clips, experiment.frames, 3, experiment.size, experiment.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
