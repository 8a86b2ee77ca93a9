"""Table 6, measured: what every network costs and how fast it runs, side by side in one run on one machine.

``measure`` fills ``results/table6/<device>.json`` (counts, peaks, provenance of each run) and, beside it, a table of
every single timing. ``repro table6`` calls it. A measurement is a list of sections, each of cases that take turns in
every round:

- ``network``: every row of :mod:`repro.models.peers.rows`, one clip, float32 and bfloat16, plain eager PyTorch;
- with ``full``: ``common`` (every row that can take it at 16 frames of 224 pixels), ``batch`` (more clips a call),
  ``frames`` (4 to 64 frames), ``pipeline`` (a video file to a label), ``views`` (whole test protocols of two networks,
  to check the derived rates), ``layers`` (where the time goes within the study's networks) and ``variants``
  (:mod:`repro.bench.backends`).

Float32 is no TF32 here. Each timing is written as soon as it is taken. A killed measurement goes on with what is
missing; timings of two runs are told apart by their run. A case that does not fit into memory, or does not run, says so
and the rest go on.
"""

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from repro.bench.backends import ROUNDS as BACKEND_ROUNDS
from repro.bench.backends import compare_backends
from repro.bench.cases import BATCHES, DTYPES, Case, Running, cases_of
from repro.bench.counts import counts_of
from repro.bench.log import Log
from repro.files import only_one, progress
from repro.metrics.memory import available_memory
from repro.metrics.peak import exact_float32, float32_of, measure_bandwidth, measure_peak
from repro.metrics.speed import layer_seconds, measure_speed
from repro.metrics.timings import TIMING_COLUMNS
from repro.models.peers.rows import Row, rows
from repro.records.measure import device_name, write_measurement
from repro.records.provenance import make_provenance
from repro.records.record import RESULTS
from repro.records.table6 import STUDY

WORK = Path("build/table6")
REFERENCE = "resnet34_3dres18"  # in every group of cases that take turns, so that groups and runs can be compared
ROUNDS = {"network": 5, "common": 5, "batch": 3, "frames": 3, "pipeline": 3, "views": 2}
OURS = ("resnet34_3dres18", "res34_se_im_net")
FITS = 0.8  # of the memory that is free, for the networks of one group
EFFICIENCY = 0.45  # of the measured peak, for the estimate of a measurement's length


def measure(
    *,
    device: str = "cpu",
    full: bool = False,
    names: Sequence[str] | None = None,
    precisions: Sequence[str] = tuple(DTYPES),
    clip: Path | None = None,
    results: Path = RESULTS,
    work: Path = WORK,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure, or go on measuring, and file the record; returns its path.

    device: "cpu" or "cuda". full: all sections, not ``network`` alone. names: of rows, all of them if None; the
    reference is always among them. clip: the video file of the pipeline; without one that section is left out. Raises
    ValueError for an unknown row, device or a clip that is no file, and BlockingIOError where another process measures
    this device.
    """
    known = rows()
    if names and (unknown := [name for name in names if name not in known]):
        raise ValueError(f"networks: {unknown[0]!r} is not one of {', '.join(known)}")
    if clip is not None and not Path(clip).is_file():
        raise ValueError(f"clip: {clip} is not a video file; name one")
    if device not in BATCHES or (device == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"device: {device!r} cannot be used here; cpu{', cuda' * torch.cuda.is_available()} can")
    chosen = [name for name in known if not names or name in names or name == REFERENCE]
    sections = ["network"]
    if full:
        sections += ["common", "batch", "frames", *(["pipeline"] if clip else []), "views"]
    clock = time.monotonic()
    say("Counting every network")
    counts = counts_of(chosen, full=True)
    provenance = make_provenance() | {"device": device_name(device)}
    work.mkdir(parents=True, exist_ok=True)
    with only_one(work / f"{device}.lock"), exact_float32():
        log = Log(work / device, _identity(provenance, counts, clip))
        log.start_run(provenance)
        if log.run:
            say(f"Going on: {len(log.timings)} timings are there from before; this is run {log.run + 1}")
        on = torch.device(device)
        peaks = _measure_peaks(log, on, precisions)
        todo = {section: cases_of(section, device, chosen, precisions) for section in sections}
        say(f"This will take about {_minutes(todo, counts, peaks, full)} minutes, minus what is done already")
        for section, cases in todo.items():
            _time_section(section, cases, log, on, clip)
        if full:
            _look_inside([name for name in OURS if name in chosen], log, on, say)
        log.runs[-1]["seconds"] = round(time.monotonic() - clock, 1)
        return _file(log, counts, device, full, clip, results)


def _measure_peaks(log: Log, device: torch.device, precisions: Sequence[str]) -> dict[str, float]:
    """FLOP/s at most, by precision; the memory's bandwidth is logged beside them."""

    def peak(precision: str) -> dict[str, Any]:
        found = measure_peak(device, {"fp32": "32-true", "bf16": "bf16-true"}[precision], seconds=4.0)
        return {"flops": found.flops, "case": found.case}

    peaks = {each: log.once(f"peak {each}", partial(peak, each))["flops"] for each in precisions}
    log.once("bandwidth", lambda: measure_bandwidth(device))
    return peaks


def _look_inside(ours: Sequence[str], log: Log, device: torch.device, say: Callable[[str], None]) -> None:
    """Where the time goes within the study's networks, and how much faster other backends run them on a CPU."""
    for name in ours:
        log.once(f"layers {name}", partial(layer_shares, rows()[name], device))
    if "variants" not in log.results and device.type == "cpu" and len(ours) == len(OURS):
        say("Fast backends for the study's networks")
        networks = {name: rows()[name].build() for name in ours}
        log.result("variants", compare_backends(networks, rows()[ours[0]].inputs()[0]))


def _time_section(section: str, cases: list[Case], log: Log, device: torch.device, clip: Path | None) -> None:
    """Time what is missing of a section, in groups that fit into memory, the reference in each of them."""
    done, repeats = log.done(section), ROUNDS[section]
    missing = [case for case in cases if any((r, case.name) not in done for r in range(repeats))]
    missing = [case for case in missing if log.value(_left_out(case)) is None]
    for number, group in enumerate(_groups(missing, cases, device, clip, log)):
        running: dict[Case, Running] = {}
        with progress(len(group) * (1 + repeats), f"{section}, group {number + 1}", "call") as advance:
            for case in group:
                try:
                    running[case] = Running(case, device, clip)
                    running[case]()  # builds, picks kernels: the warm-up
                except (RuntimeError, ValueError) as error:  # out of memory, or an operator that the device lacks
                    log.result(_left_out(case), str(error).partition("\n")[0] or type(error).__name__)
                    running.pop(case, None)
                advance()
            by_clips: dict[int, dict[str, Callable[[], object]]] = {}
            for case, call in running.items():
                by_clips.setdefault(case.batch, {})[case.name] = call
            for clips, some in by_clips.items():

                def keep(row: dict[str, Any], number: int = number) -> None:
                    log.timing(section, {"group": number} | row)
                    advance()

                # the reference was timed by an earlier group or run: here it is timed anew, beside these
                before = {(r, name) for r, name in done if not name.startswith(f"{REFERENCE}, ")}
                measure_speed(
                    some, device=device, repeats=repeats, warmup=0, clips_per_call=clips, done=before, keep=keep
                )
        for each in running.values():
            each.release()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _left_out(case: Case) -> str:
    return f"left out: {case.section}: {case.name}"


def _groups(
    missing: list[Case], cases: list[Case], device: torch.device, clip: Path | None, log: Log
) -> Iterator[list[Case]]:
    """Cases that fit into memory together: what all keep and the largest call; the reference's are in each group."""
    references = [case for case in cases if case.row == REFERENCE]
    budget = FITS * available_memory(device)

    def need(group: list[tuple[int, int]]) -> int:
        return sum(kept for kept, _ in group) + max((call for _, call in group), default=0)

    base = [Running(case, device, clip).memory() for case in references]
    group, needs = list(references), list(base)
    for case in missing:
        if case in references:
            continue
        own = Running(case, device, clip).memory()
        if (alone := need([*base, own])) > budget:
            reason = f"does not fit: {alone / 1e9:.1f} GB are needed, {budget / 1e9:.1f} GB of the free memory are used"
            log.result(_left_out(case), reason)
            continue
        if need([*needs, own]) > budget:
            yield group
            group, needs = list(references), list(base)
        group.append(case)
        needs.append(own)
    if len(group) > len(references) or any(case in missing for case in references):
        yield group


def layer_shares(row: Row, device: torch.device) -> list[dict[str, Any]]:
    """Seconds of one clip within the parts of one of the study's networks, by round."""
    torch.manual_seed(0)
    network, inputs = row.build().to(device), row.inputs(device=device)
    parts = {}
    for name, part in network.named_modules():
        where = name.split(".")
        if isinstance(part, nn.Conv2d):
            parts[name] = f"trunk, {where[1] if where[1] != 'conv1' else 'stem'}: convolutions"
        elif isinstance(part, nn.BatchNorm2d):
            parts[name] = "trunk: batch norm"
        elif where[-1] == "gate":
            parts[name] = "gates"
        elif where[0] == "head" and len(where) == 2 and where[1].startswith("stage"):
            parts[name] = f"head, {where[1]}"
    outermost = {k: part for k, part in parts.items() if not any(k.startswith(f"{other}.") for other in parts)}

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return network(*inputs)

    found = layer_seconds(network, outermost, call, device=device)
    return json.loads(found.to_json(orient="records"))


def _identity(provenance: dict, counts: dict, clip: Path | None) -> dict[str, Any]:
    """What timings must have in common to stand in one record."""
    code = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted([*(folder / "models").rglob("*.py"), *(folder / "bench").glob("*.py")]):
        code.update(path.read_bytes())
    same = {name: provenance[name] for name in ("device", "processor", "libraries", "python")}
    same |= {"code": code.hexdigest()[:16], "counts": counts, "clip": str(clip), "rounds": ROUNDS}
    return json.loads(json.dumps(same))


def _minutes(todo: dict, counts: dict, peaks: dict[str, float], full: bool) -> int:
    """Of the whole measurement, from multiply-adds and the measured peak."""
    seconds = 60.0  # counting, building
    for section, cases in todo.items():
        for case in cases:
            entry = counts[case.row]
            pixels = (case.frames or entry["frames"]) * (case.size or entry["size"]) ** 2
            macs = entry["multiply_adds"] * case.batch * case.views * pixels / (entry["frames"] * entry["size"] ** 2)
            seconds += (1 + ROUNDS[section]) * 2 * macs / (EFFICIENCY * peaks[case.precision])
    if full:
        seconds += 120 + 16 * (BACKEND_ROUNDS + 2) * 2 * counts[REFERENCE]["multiply_adds"] / peaks["fp32"]
    return max(1, round(seconds / 60))


def _file(log: Log, counts: dict, device: str, full: bool, clip: Path | None, results: Path) -> Path:
    """Write the record from what is on disk."""
    left_out = [name for name in log.results if name.startswith("left out: ")]
    content = {
        "device": device,
        "full": full,
        "threads": torch.get_num_threads(),
        "float32": float32_of(torch.device(device)),
        "rounds": ROUNDS,
        "clip": clip.name if clip else None,
        "reference": REFERENCE,
        "runs": log.runs,
        "networks": counts,
        "left_out": {name.removeprefix("left out: "): log.value(name) for name in left_out},
    }
    content |= {name: log.value(name) for name in log.results if name not in left_out}
    timings = pd.DataFrame(log.timings, columns=["section", "run", "group", *TIMING_COLUMNS])
    return write_measurement(STUDY, device, content, provenance=log.runs[-1], table=timings, results=results)
