"""What a profile's runs will cost, before any of them starts: the table of ``repro plan`` and of Snakemake's dry run.

Clips are counted in the official lists where they are at hand, else taken from the catalogue. Arithmetic is counted;
hours are those counts at the speed of a training step and of reading a clip measured on this machine, of a step alone
where the clips are not at hand.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from repro.data.catalogue import CATALOGUE
from repro.data.clips import read_split
from repro.data.decode import count_frames
from repro.data.demo import demo_counts
from repro.data.folder import NoSuchSplit
from repro.data.parallel import cores
from repro.experiment.fields import TITLES, Experiment
from repro.experiment.profile import PROFILES, read_profile
from repro.experiment.protocols import protocol_of
from repro.metrics.memory import available_memory
from repro.metrics.peak import training_flops
from repro.metrics.text import time_text
from repro.models import build, options_of
from repro.training.network_and_clips import make_dataset
from repro.training.plan import CPU, PROBE_CLIPS, Plan, Size, reading_seconds, size_of, step_seconds

READING_FIELDS = ("videos", "frames", "size", "sampling", "decoder")
UNKNOWN = "unknown"
OF_THE_NETWORK = ("model", "width", "gate", "reduction", "head_stride", "frames", "size", "precision")
NETWORK_FIELDS = (*OF_THE_NETWORK, "threads", "devices")  # which decide how long a step takes


@dataclass(frozen=True)
class Clips:
    """Clips of one run by part, and where they were counted: "lists", "demo set" or "catalogue"; else what is missing,
    in words, and parts of which only those without clips are known."""

    parts: dict[str, int]
    source: str
    missing: str = ""


def count_clips(experiment: Experiment, demo_set: Mapping[str, Any] | None = None) -> Clips:
    """The clips of a run; some are missing where neither its lists are at hand nor the catalogue knows them.

    demo_set: the profile's, which may still have to be rendered; then in proportion to the run's classes.
    Raises NoSuchSplit where there are lists of others.
    """
    try:
        split = read_split(experiment, check=False)
        train, test, source = len(split.train), len(split.test), "lists"
    except NoSuchSplit:
        raise
    except (OSError, ValueError) as error:
        known = CATALOGUE.get(experiment.layout)
        if demo_set and Path(demo_set["root"]) in Path(experiment.annotations).parents:
            names = ("clips_per_class", "clips_per_group", "training_groups")
            options = {name: demo_set[name] for name in names if name in demo_set}
            train, test, classes = demo_counts(**options, split=experiment.split)
            of = len(experiment.classes) if experiment.classes else classes
            train, test, source = train * of // classes, test * of // classes, "demo set"
        elif known and not experiment.classes and f"split {experiment.split}: train" in known.counts:
            train, test = (known.counts[f"split {experiment.split}: {part}"] for part in ("train", "test"))
            source = "catalogue"
        else:
            steered = experiment.watch == "test" or experiment.validation_fraction > 0
            return Clips({"train": 0, "validation": int(steered), "test": 0}, "not at hand", str(error))
    if experiment.watch == "test":
        return Clips({"train": train, "validation": test, "test": test}, source)
    validation = round(train * experiment.validation_fraction)
    return Clips({"train": train - validation, "validation": validation, "test": test}, source)


def seconds_to_read(experiment: Experiment) -> float | None:
    """Seconds that a training clip takes in one process, of a few spread over the list; None where none can be read."""
    try:
        split = read_split(experiment, check=False)
        some = split.train[:: max(1, len(split.train) // PROBE_CLIPS)][:PROBE_CLIPS]
        lengths = pd.Series({clip.name: count_frames(clip.path, decoder=experiment.decoder) for clip in some})
        return reading_seconds(make_dataset(experiment, some, lengths, split.classes))
    except (OSError, ValueError):  # said in full when the run starts
        return None


def cost_table(
    experiments: Sequence[Experiment],
    *,
    demo_set: Mapping[str, Any] | None = None,
    device: torch.device | None = None,
) -> pd.DataFrame:
    """One row for all runs of a study with one network and one protocol.

    Columns: study, network, protocol, runs, training clips (the largest run's) and where they were counted, epochs,
    steps an epoch, GMACs a clip, PFLOP of all runs, GB of memory a device, GB of disk of all runs, what is missing
    (else ""); with a ``device`` hours of all runs there, milliseconds of a training step and of reading, a clip each
    (NaN where no clips are at hand), and loader processes a device. PFLOP and hours are NaN where something is missing.
    Raises as :func:`count_clips`.
    """
    sizes: dict[str, tuple[Size, float | None]] = {}
    reading: dict[str, float | None] = {}
    rows: dict[tuple, dict] = {}
    free = available_memory(device or torch.device("cpu"))
    for experiment in experiments:
        clips = count_clips(experiment, demo_set)
        key = str([getattr(experiment, name) for name in NETWORK_FIELDS])
        if key not in sizes:
            network = build(experiment.model, classes=400, **experiment.model_options(options_of(experiment.model)))
            if device:
                what = f"{TITLES[experiment.model]}, {experiment.frames} frames of {experiment.size} pixels"
                print(f"repro: measuring a training step of {what} ...", file=sys.stderr, flush=True)
            seconds = step_seconds(experiment, network, device) if device else None
            sizes[key] = size_of(network, experiment), seconds
        size, seconds = sizes[key]
        place = (experiment.study, TITLES[experiment.model], protocol_of(experiment))
        row = rows.setdefault(
            place,
            {"study": place[0], "network": place[1], "protocol": place[2], "runs": 0, "training clips": 0}
            | {"counted in": "not at hand", "epochs": experiment.epochs, "steps an epoch": 0}
            | {"GMACs a clip": size.multiply_adds / 1e9, "PFLOP": 0.0, "GB a device": 0.0, "GB of disk": 0.0}
            | {"missing": ""}
            | ({"hours": 0.0, "ms a clip": 0.0, "ms to read": math.nan, "loaders": 0} if device else {}),
        )
        row["runs"] += 1
        row["missing"] = row["missing"] or clips.missing
        parts, source = clips.parts, str([getattr(experiment, name) for name in READING_FIELDS])
        if device and not clips.missing and source not in reading:
            reading[source] = seconds_to_read(experiment)
        load = reading.get(source)
        name = CPU if device and device.type == "cpu" else ""
        plan = Plan(experiment, parts, size, name, free, seconds, load or 0.0, max(1, cores() // experiment.devices))
        row["GB a device"] = max(row["GB a device"], plan.memory / 1e9)
        row["GB of disk"] += plan.disk / 1e9
        if parts["train"] > row["training clips"]:
            row |= {"training clips": parts["train"], "counted in": clips.source, "steps an epoch": plan.steps}
        # scoring takes a forward pass, a third of a training step
        passes = (parts["train"] + parts["validation"] / 3) * experiment.epochs + parts["test"] / 3
        row["PFLOP"] += math.nan if row["missing"] else training_flops(size.multiply_adds) * passes / 1e15
        if seconds is not None:
            scoring = parts["test"] / 3 * seconds / plan.processes
            hours = ((plan.epoch_seconds or 0.0) * experiment.epochs + scoring) / 3600
            row["hours"] += math.nan if row["missing"] else hours
            row["ms a clip"] = 1e3 * seconds
            if not clips.missing:
                row |= {"ms to read": 1e3 * load if load else math.nan, "loaders": plan.workers}
    return pd.DataFrame(rows.values())


def cost_text(
    experiments: Sequence[Experiment], *, demo_set: Mapping[str, Any] | None = None, measure: bool | None = None
) -> str:
    """The table and its sum as text for a terminal; hours where ``measure``, by default where there is a GPU."""
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu") if (has_gpu if measure is None else measure) else None
    table = cost_table(experiments, demo_set=demo_set, device=device)
    formats = {"GMACs a clip": ".1f", "GB a device": ".1f"}
    formats |= {"GB of disk": ",.1f", "ms a clip": ".1f", "ms to read": ".1f"}
    shown = {name: (lambda value, f=f: format(value, f)) for name, f in formats.items() if name in table}
    texts = table.drop(columns="missing")
    for name, form in {"training clips": ",d", "steps an epoch": "d", "PFLOP": ",.1f"}.items():
        unknown = table["training clips"].eq(0) if form.endswith("d") else table[name].isna()
        texts[name] = [UNKNOWN if u else format(value, form) for u, value in zip(unknown, table[name], strict=True)]
    if device:
        texts["hours"] = [_time(value) for value in table["hours"]]
        texts = texts.rename(columns={"hours": "time"})
    lines = [texts.to_string(index=False, formatters=shown, na_rep="-")]
    total = (
        f"{table['runs'].sum()} runs, {_sum(table['PFLOP'], ',.0f')} PFLOP, {table['GB of disk'].sum():,.0f} GB of disk"
    )
    if device:
        name = torch.cuda.get_device_name() if device.type == "cuda" else "this machine's CPU"
        said = _time(table["hours"].sum(min_count=1))
        more = "more than " if table["hours"].isna().any() and not table["hours"].isna().all() else ""
        total += f", {more}{said} on {name} (from a training step each, measured now, and the reading of a few clips "
        total += "where they are at hand)"
        lines += slow_reading(table)
    if len(absent := table.loc[table["counted in"] == "catalogue", "study"]):
        total += f". Lists not at hand for {', '.join(dict.fromkeys(absent))}: taken from the catalogue"
    if demo_set is None:
        absent_videos = {e.videos: e.study for e in experiments if not Path(e.videos).is_dir()}
        lines += [f"{study}: videos: there is no folder {videos} yet" for videos, study in absent_videos.items()]
    lacking = table[table["missing"] != ""].drop_duplicates(["study", "missing"])
    lines += [f"{row.study}: its clips' number is {UNKNOWN}. {row.missing}" for row in lacking.itertuples()]
    return "\n".join([*lines, total])


def _time(hours: float) -> str:
    """Of these hours; NaN is unknown."""
    return f"{UNKNOWN} hours" if math.isnan(hours) else time_text(3600 * hours)


def _sum(column: pd.Series, form: str) -> str:
    """The sum of what is known of a column."""
    if column.isna().all():
        return UNKNOWN
    return f"{'more than ' * bool(column.isna().any())}{column.sum():{form}}"


def slow_reading(table: pd.DataFrame) -> list[str]:
    """A line for each study whose devices would wait for clips, with what feeds one."""
    found = []
    for row in table.drop_duplicates("study").to_dict("records"):
        if row["ms to read"] > row["ms a clip"] * cores():
            needed = -(-row["ms to read"] // row["ms a clip"])
            found.append(
                f"{row['study']}: {needed:.0f} cores that read clips would feed one device, {cores()} are here; frame "
                "caches are read sooner (repro prepare --frames)"
            )
    return found


@cache
def group_costs(path: Path = PROFILES / "paper.yaml") -> dict[str, tuple[int, float]]:
    """Runs and PFLOP of a profile by group, both networks together; {} where the profile is not at hand."""
    if not path.is_file():
        return {}
    profile = read_profile(path)
    by_study = cost_table(profile.experiments).groupby("study")[["runs", "PFLOP"]].sum()
    return {
        study.removeprefix(f"{profile.study}-"): (int(n), float(pflop)) for study, n, pflop in by_study.itertuples()
    }
