"""A network with its weights, wherever they are: a run of this machine, a file, or a folder that was exported."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from repro.experiment.fields import Experiment
from repro.files import Written, checked, command
from repro.metrics.text import percent, with_interval
from repro.models import build, options_of
from repro.models.start import file_digest, load_network, read_weights
from repro.records.compare import deciding_fields
from repro.records.questions import has_converged, training_top1
from repro.records.record import RESULTS, Record, read_record
from repro.records.scores import is_right, share_of
from repro.training.run_folder import WEIGHTS, WORK

CONFIG, TENSORS, FORM = "config.json", "model.safetensors", 1  # of an exported folder


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode, on the CPU, and what it is fed."""

    name: str  # study/run
    network: nn.Module
    experiment: Experiment
    classes: tuple[str, ...]  # in the order of its outputs
    tested: str = ""  # how it did on its test clips


def find_trained(
    run: str | None = None, weights: Path | None = None, *, results: Path = RESULTS, work: Path = WORK
) -> Trained:
    """The network of a run, with the weights that its training left in ``work``; by default the run last finished.

    Args:
        run: ``STUDY/RUN`` of a record under ``results``.
        weights: a file of that run's weights, if they are elsewhere; or a folder that ``repro export`` wrote, which
            says itself what it is.

    Raises FileNotFoundError where record or weights are not there, ValueError where they do not fit.
    """
    if weights is not None and Path(weights).is_dir():
        if run:
            raise ValueError(f"run: the folder {weights} says itself which run it is; leave run away")
        return read_exported(Path(weights))
    if weights is not None and not Path(weights).exists():
        raise FileNotFoundError(
            f"weights: {weights}: there is no such file or folder; name a run's weights, or what `repro export` wrote"
        )
    if run is None:
        if weights is not None:
            raise ValueError(
                f"weights: {weights} does not say which classes it knows; name its record by run, or the folder that "
                "`repro export` wrote"
            )
        run = _newest(results, work)
    record = record_of(run, results)
    if weights is None:
        network = trained(record.experiment, len(record.classes), work=work)
    else:
        network = network_of(record.experiment, len(record.classes), read_weights(weights))
    return Trained(record.name, network, record.experiment, record.classes, tested_text(record))


def tested_text(record: Record) -> str:
    """How a run did on its test clips, and whether it had learned those of its training."""
    top1 = share_of([record], is_right)
    late = "" if has_converged(record) else f"; of its training clips {percent(training_top1(record))}, not yet learned"
    return f"{with_interval(top1)} of {top1.clips:,} test clips right{late}"


def record_of(run: str, results: Path = RESULTS) -> Record:
    """The record ``STUDY/RUN``. Raises FileNotFoundError that names the nearest ones where there is none."""
    if not (results / run / "record.json").is_file():
        known = sorted(str(path.parent.relative_to(results)) for path in results.glob("*/[!.]*/record.json"))
        near = difflib.get_close_matches(run, known, n=3, cutoff=0.4) or known[:3]
        raise FileNotFoundError(f"run: there is no record {results / run}; the nearest: {', '.join(near) or 'none'}")
    return read_record(results / run)


def _newest(results: Path, work: Path) -> str:
    """The run that finished last of those with weights in ``work`` and a record."""
    weights = sorted(work.glob(f"*/[!.]*/{WEIGHTS}"), key=lambda path: path.stat().st_mtime)
    runs = ["/".join(path.parts[-3:-1]) for path in weights]
    found = [run for run in runs if (results / run / "record.json").is_file()]
    if not found:
        raise FileNotFoundError(
            f"run: no network was trained on this machine (no {WEIGHTS} in {work}): `make book` trains three in some "
            f"15 minutes, `{command('train params.yaml')}` one; or name a folder that `repro export` wrote as weights"
        )
    return found[-1]


def weights_of(experiment: Experiment, work: Path = WORK) -> Path:
    """Where the training of a run on this machine leaves its weights."""
    return Path(work) / experiment.study / experiment.run / WEIGHTS


def trained(experiment: Experiment, classes: int, *, work: Path = WORK) -> nn.Module:
    """The network of a run that was finished on this machine, with its weights; raises as :func:`find_trained`."""
    weights = weights_of(experiment, work)
    if not weights.is_file():
        raise FileNotFoundError(
            f"run: there are no weights {weights}; records hold none: delete its record, then train it"
        )
    return network_of(experiment, classes, read_weights(weights))


def network_of(experiment: Experiment, classes: int, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network that a run trains, with these weights of it, in evaluation mode. ValueError where they do not fit."""
    network = build(experiment.model, classes=classes, **experiment.model_options(options_of(experiment.model)))
    if left := list(load_network(network, weights).not_loaded):
        raise ValueError(f"weights: {left[0]} is missing; these are of another network, or of other classes")
    return network.eval()


# ---- exported folders


class _Config(Written):
    """config.json of an exported folder."""

    form: Literal[FORM]  # type: ignore[valid-type]
    name: str
    experiment: dict[str, Any]
    classes: list[str] = Field(min_length=1)
    tested: str = ""
    sha256: str


def config_text(record: Record, tensors: Path) -> str:
    """What config.json says."""
    content = {
        "form": FORM,
        "name": record.name,
        "experiment": deciding_fields(record.experiment),
        "classes": list(record.classes),
        "tested": tested_text(record),
        "sha256": file_digest(tensors),
    }
    return json.dumps(content, indent=1) + "\n"


def read_exported(folder: Path) -> Trained:
    """What ``repro export`` wrote. Raises FileNotFoundError, ValueError that names the file and the mend."""
    config, tensors = folder / CONFIG, folder / TENSORS
    for path in (config, tensors):
        if not path.is_file():
            raise FileNotFoundError(f"weights: {folder} is no folder that `repro export` wrote: it has no {path.name}")
    try:
        content = checked(_Config, json.loads(config.read_text(encoding="utf-8")), "")
        experiment = Experiment.from_mapping(content.experiment)
    except ValueError as error:
        raise ValueError(f"{config}: {error}; export the run again") from None
    if file_digest(tensors) != content.sha256:
        raise ValueError(f"{tensors}: is not the file that {CONFIG} names (its sha256 differs); copy the folder again")
    network = network_of(experiment, len(content.classes), read_weights(tensors))
    return Trained(content.name, network, experiment, tuple(content.classes), content.tested)
