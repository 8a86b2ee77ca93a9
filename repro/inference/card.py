"""The model card of an exported network; every number is the record's or counted in the network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from torch import nn

from repro.data.catalogue import CATALOGUE
from repro.data.demo import CLASSES
from repro.data.transforms import VALUES
from repro.experiment.fields import Experiment
from repro.files import size_text
from repro.inference.backends import onnx_session
from repro.metrics.confusion import confusion_counts
from repro.metrics.text import in_markdown, percent, with_interval
from repro.records.questions import CONVERGED, has_converged, learned_nothing, training_top1
from repro.records.record import Record
from repro.records.scores import is_right, share_of
from repro.training.plan import size_of

CARD = "README.md"
MOST_CONFUSED = 3
PAPER = (1.0, 16, 224)  # width, frames, pixels


def card_text(record: Record, network: nn.Module, files: Sequence[Path], onnx: Path | None = None) -> str:
    """Markdown with a head of YAML, as model hubs read it; with an ``onnx`` file of ``files`` how to run that."""
    experiment, top1 = record.experiment, share_of([record], is_right)
    dataset = f"{experiment.dataset}, split {experiment.split}"
    head = {
        "license": "mit" if _is_free(record) else "other",
        "library_name": "repro",
        "pipeline_tag": "video-classification",
        "tags": ["action-recognition", "reproducibility"],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": record.name,
                "results": [
                    {
                        "task": {"type": "video-classification"},
                        "dataset": {"name": dataset, "type": experiment.layout},
                        "metrics": [{"type": "accuracy", "value": round(top1.point, 4)}],
                    }
                ],
            }
        ],
    }
    clips, made = record.data["clips"], record.provenance
    size = size_of(network, experiment)
    rows = {
        "Trained on": f"{clips['train']:,} clips of {len(record.classes)} classes: {dataset}",
        "Starts from": _start(record),
        "Training": _training(experiment),
        "Input": _input(experiment),
        "Test": f"top-1 **{with_interval(top1)}** (95 % interval; {top1.clips:,} clips of {top1.groups:,} sources, one "
        "run); chance "
        f"{percent(1 / len(record.classes))}",
        "At the end of training": f"top-1 {percent(training_top1(record))} on its training clips",
        "Size": f"{size.parameters:,} parameters, {size.multiply_adds / 1e9:.2f} GMACs a clip",
        "Made by": f"commit {made['commit'][:12]}, {made['device']}, torch {made['libraries']['torch']}, "
        f"{made['started'][:10]}",
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    listed = "\n".join(f"- `{path.name}`: {size_text(path.stat().st_size)}" for path in files)
    limits = "\n".join(f"- {text}" for text in _limits(record))
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip()}
---

# {experiment.title}: {record.name}

{experiment.remark}

| | |
|---|---|
{table}

Classes, in the order of its outputs: {", ".join(in_markdown(name) for name in record.classes)}.

## What it cannot do

{limits}

## Use

Where the study's module `repro` is installed, with this folder in place of FOLDER:

```sh
repro predict clip.mp4 --weights FOLDER
repro online --source 0 --weights FOLDER
```

```python
from repro.inference.predict import predict
print(predict(["clip.mp4"], weights="FOLDER"))
```

{listed}
{_onnx(onnx) if onnx else ""}
## Licence

{_licence(record)}
"""


def _onnx(path: Path) -> str:
    """What the file takes and gives, and how to run it, as the file itself says."""
    session = onnx_session(path)
    (fed,), (given,) = session.get_inputs(), session.get_outputs()
    takes, gives = (", ".join(map(str, port.shape)) for port in (fed, given))  # "batch" where it may be any number
    one = tuple(size if isinstance(size, int) else 1 for size in fed.shape)
    return f"""
`{path.name}` takes `{fed.name}`, float32 ({takes}): clips as the line Input says; it gives `{given.name}`, float32
({gives}): logits of the classes. With clips of zeros:

```python
import numpy, onnxruntime
session = onnxruntime.InferenceSession("FOLDER/{path.name}")
print(session.run(["{given.name}"], {{"{fed.name}": numpy.zeros({one}, "float32")}})[0])
```
"""


def _start(record: Record) -> str:
    started = []
    for each in record.data.get("start", []):
        source = Path(each["source"])  # of a file its own name: where it lay concerns nobody else
        started.append(f"{each['part']}: {source.name if source.is_absolute() else each['source']}")
    return "; ".join(started) or "random weights"


def _training(experiment: Experiment) -> str:
    text = f"{experiment.epochs} epochs, SGD, learning rate {experiment.learning_rate:g} ({experiment.schedule})"
    text += f", {experiment.effective_batch} clips a step, dropout {experiment.dropout:g}, seed {experiment.seed}"
    chosen = experiment.rate_chosen_by
    return f"{text}; the rate was chosen by the validation clips of {chosen}" if chosen else text


def _input(experiment: Experiment) -> str:
    values = VALUES[experiment.values]
    order, size, short = "BGR" if values.bgr else "RGB", experiment.size, round(experiment.size * 256 / 224)
    return (
        f"{experiment.frames} frames, one of each of as many equal parts of the clip ({experiment.sampling}), the "
        f"short side made {short} pixels, of it the middle {size}x{size}, "
        f"{order}, minus {values.mean} over {values.deviation} for values of 0 to {255 // values.scale:g}"
    )


def _limits(record: Record) -> list[str]:
    experiment, classes = record.experiment, record.classes
    limits = [
        f"It answers with one of its {len(classes)} classes whatever it sees; its scores were not calibrated.",
        "It is one training run: another seed gives other weights and another accuracy.",
    ]
    if (experiment.width, experiment.frames, experiment.size) != PAPER:
        limits.append(
            f"It has ×{experiment.width:g} of the paper's width and sees {experiment.frames} frames of "
            f"{experiment.size} pixels (the paper: 16 of 224): its accuracy says nothing of the paper's."
        )
    if not has_converged(record):
        limits.append(
            f"Its training ended before it knew its training clips ({percent(training_top1(record))}; converged means "
            f"{percent(CONVERGED, 0)})."
        )
    if learned_nothing(record):
        limits.append("**It learned nothing**: one answer to every clip would be right as often.")
    counts = confusion_counts(record.labels, record.scores.argmax(1), len(classes))
    wrong = counts - np.diag(np.diag(counts))
    worst = [np.unravel_index(place, wrong.shape) for place in wrong.argsort(axis=None)[::-1][:MOST_CONFUSED]]
    pairs = [
        f"{in_markdown(classes[i])} taken for {in_markdown(classes[j])} ({wrong[i, j]} of {counts[i].sum()})"
        for i, j in worst
        if wrong[i, j]
    ]
    if pairs:
        limits.append(f"Wrong most often: {'; '.join(pairs)}.")
    return limits


def _licence(record: Record) -> str:
    experiment = record.experiment
    known = [each for each in CATALOGUE.values() if each.title.casefold() in experiment.dataset.casefold()]
    texts = ["Code and card: MIT, as the study."]
    if _is_free(record):
        texts.append("The clips were rendered by the study and are MIT too, and so are these weights.")
    for dataset in known:
        texts.append(f"Clips of {dataset.title}: {dataset.licence}. Whether that binds weights, their user must check.")
    if not known and not _is_free(record):
        texts.append("The terms of the clips that it was trained on are not known to this study: ask their owner.")
    if started := _start(record) if record.data.get("start") else "":
        texts.append(f"It starts from weights of others ({started}), whose terms and training data count too.")
    return " ".join(texts)


def _is_free(record: Record) -> bool:
    """Trained from random weights on clips that this study renders."""
    return set(record.classes) <= set(CLASSES) and not record.data.get("start")
