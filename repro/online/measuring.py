"""A run's own network on its test clips, streamed: measured and filed once, however often the page is made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from repro.data.clips import Clip, first_of_each_class, read_split
from repro.inference.trained import Trained, trained, weights_of
from repro.records.freshness import sources_state
from repro.records.measure import Measurement, device_name, measured, read_measurements
from repro.records.record import Record

Recognise = Callable[[Trained, list[Clip]], tuple[dict[str, Any], pd.DataFrame | None]]
"""From a network and clips to what is filed: content and table."""


def measure_once(
    record: Record, name: str, clips_per_class: int | None, recognise: Recognise, *, results: Path, work: Path
) -> Measurement:
    """File what ``recognise`` finds of the first test clips of each class (None: all) under the run's study.

    What is filed already of this very run, by this code (by any, where the run's weights are not here), is returned
    instead. Raises as :func:`repro.inference.trained.trained`.
    """
    experiment = record.experiment
    of = {"run": record.name, "started": record.provenance["started"], "clips_per_class": clips_per_class}
    content = read_measurements(name, results).get(experiment.study, {})
    filed = content.get("of", {})
    of["code"] = sources_state() if weights_of(experiment, work).is_file() else filed.get("code")
    if filed == of:
        provenance = content.pop("provenance")
        return Measurement(results / experiment.study / f"{name}.json", provenance["device"], provenance, content)
    network = trained(experiment, len(record.classes), work=work)
    clips = list(read_split(experiment).test)
    if clips_per_class is not None:
        clips = first_of_each_class(clips, clips_per_class)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with measured(experiment.study, name, device=device_name(device), results=results) as found:
        content, found.table = recognise(Trained(record.name, network, experiment, record.classes), clips)
        found.content |= content | {"of": of}
    return found
