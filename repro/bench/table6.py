"""Table 6, measured: what every network costs and how fast it runs, side by side in one run on one machine.

``measure`` fills ``results/table6/<device>.json`` (counts, peaks, provenance of each run) and, beside it, a table of
every single timing. ``repro profile`` calls it. A measurement is a list of sections, each of cases that take turns in
every round:

- ``network``: every row of :mod:`repro.models.peers.rows`, one clip, float32 and bfloat16, plain eager PyTorch;
- with ``full``: ``batch`` (more clips a call), ``frames`` (4 to 64 frames), ``pipeline`` (a video file to a label),
  ``views`` (whole test protocols of two networks, to check the derived rates), ``layers`` (where the time goes within
  the study's networks) and ``variants`` (:mod:`repro.bench.backends`).

Each timing is written as soon as it is taken. A killed measurement goes on with what is missing; timings of two runs
are told apart by their run. A case that does not fit into memory, or does not run, says so and the rest go on.
"""

import gc
import hashlib
import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch import nn

from repro.bench.backends import compare_variants
from repro.data.decode import count_frames, read_frames
from repro.data.sampling import test_frames
from repro.data.transforms import normalise, test_view
from repro.files import progress
from repro.metrics.complexity import complexity
from repro.metrics.memory import available_memory, inference_memory
from repro.metrics.peak import measure_bandwidth, measure_peak
from repro.metrics.speed import layer_seconds, measure_speed
from repro.metrics.timings import COLUMNS
from repro.models.peers.rows import Row, rows
from repro.records.record import RESULTS, make_provenance, write_measurement

STUDY = "table6"  # folder under results/
WORK = Path("build/table6")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
REFERENCE = "resnet34_3dres18"  # in every group of cases that take turns, so that groups and runs can be compared
ROUNDS = {"network": 5, "batch": 3, "frames": 3, "pipeline": 3, "views": 2}
BATCHES = {"cpu": (2, 4), "cuda": (4, 16, 64)}
FRAMES = (4, 8, 16, 32, 64)
BY_FRAMES = ("resnet34_3dres18", "res34_se_im_net", "eco_lite-16", "tsm_resnet50-16")
BY_VIEWS = ("c3d", "tsn_bn_inception")
OURS = ("resnet34_3dres18", "res34_se_im_net")
VARIANT_ROUNDS = 20
FITS = 0.8  # of the memory that is free, for the networks of one group
WORKSPACE = 1.5  # times what a call needs: libraries copy weights and maps into layouts of their own
EFFICIENCY = 0.45  # of the measured peak, for the estimate of a measurement's length
FLOW_SHORT_SIDE = 256


@dataclass(frozen=True)
class Case:
    """One thing to time: a row at a precision, batch, number of frames, over so many views."""

    section: str
    row: str
    precision: str
    batch: int = 1
    frames: int | None = None  # other than the row's
    views: int = 1

    @property
    def name(self) -> str:
        """As in the table of timings."""
        parts = [self.row, self.precision, f"batch {self.batch}"]
        parts += [f"{self.frames} frames"] if self.frames else []
        parts += [f"{self.views} views"] if self.views > 1 else []
        return ", ".join(parts)

    @property
    def clips(self) -> int:
        """Clips of a call; a video of several views is one."""
        return self.batch


def cases_of(section: str, device: str, names: Sequence[str], precisions: Sequence[str]) -> list[Case]:
    """The cases of a section, for these rows and precisions."""
    known, single = rows(), Case(section, "", "fp32")
    if section in ("network", "pipeline"):
        return [replace(single, row=name, precision=p) for name in names for p in precisions]
    if section == "batch":
        sizes = BATCHES[device]
        return [replace(single, row=n, precision=p, batch=b) for n in names for p in precisions for b in sizes]
    if section == "frames":
        return [replace(single, row=name, frames=n) for name in BY_FRAMES if name in names for n in FRAMES]
    chosen = [name for name in BY_VIEWS if name in names and (known[name].views or 1) > 1]
    views = [replace(single, row=name, views=known[name].views) for name in chosen]
    return views + [replace(single, row=name) for name in chosen]  # and one view beside it


def counts_of(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Counts of every row at its own input on the meta device; memory in bytes by precision."""
    found = {}
    for name in names:
        row = rows()[name]
        with torch.device("meta"):
            network, inputs = row.build(), row.inputs()
        counted = complexity(network, inputs)
        memory = {}
        for precision, dtype in DTYPES.items():
            memory[precision] = inference_memory(network.to(dtype), tuple(value.to(dtype) for value in inputs))
        found[name] = {
            "frames": row.frames, "size": row.size, "classes": row.classes, "flow": row.flow,
            "parameters": counted.parameters,
            "multiply_adds": counted.multiply_adds,
            "multiply_adds_by_hooks": counted.multiply_adds_by_hooks,
            "depth": counted.depth,
            "activations": counted.activations,
            "memory": memory,
        }  # fmt: skip
    return found


class Running:
    """A case ready to be called: the network is built at the first call, and let go of by `release`."""

    def __init__(self, case: Case, device: torch.device, clip: Path | None) -> None:
        self.case, self.device, self.clip = case, device, clip
        self.call: Callable[[], object] | None = None

    def __call__(self) -> object:
        if self.call is None:
            self.call = self._make()
        with torch.inference_mode():
            return self.call()

    def release(self) -> None:
        self.call = None

    def _make(self) -> Callable[[], object]:
        case, row, dtype = self.case, rows()[self.case.row], DTYPES[self.case.precision]
        torch.manual_seed(0)
        network = row.build().to(self.device, dtype)
        if case.section == "pipeline":
            length = count_frames(self.clip)  # known beforehand, as the loader knows it
            return lambda: label_of(network, row, self.clip, length, self.device, dtype)
        inputs = row.inputs(case.batch, frames=case.frames, device=self.device, dtype=dtype)
        if case.views > 1:
            return lambda: sum(network(*inputs) for _ in range(case.views))
        return lambda: network(*inputs)

    def memory(self) -> tuple[int, int]:
        """Bytes, estimated: what the case keeps while others are called, and what its call needs besides."""
        row, dtype = rows()[self.case.row], DTYPES[self.case.precision]
        with torch.device("meta"):
            network = row.build().to(dtype)
            inputs = row.inputs(self.case.batch, frames=self.case.frames, dtype=dtype)
        kept = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers(), *inputs))
        return kept, round(WORKSPACE * (inference_memory(network, inputs) - kept))


def label_of(
    network: nn.Module, row: Row, clip: Path, length: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> int:
    """A video file to a label: decode, sample, resize, crop, normalise, network. One clip, one centre crop.

    A dense clip is taken from the middle of the video; a shorter video repeats its last frame. Two-stream takes the
    middle frame and the flow between the frames that follow it (OpenCV's DIS, at a short side of 256 pixels): its
    authors' methods (Brox, TV-L1) are not part of OpenCV's main package.
    """
    frames = read_frames(clip, np.minimum(sampled(row, length), length - 1))
    inputs = [normalise(_tensor(test_view(frames[: row.frames], row.size), device)).to(dtype)]
    if row.flow:
        inputs.append(_flow(frames, row).to(device, dtype))
    return int(network(*inputs).argmax())


def sampled(row: Row, length: int) -> np.ndarray:
    """Frame numbers that one view of a video reads, from 0, ascending; past the end where the video is too short."""
    if row.flow:
        return length // 2 + np.arange(row.flow // 2 + 1)
    if row.sampling == "segments":
        return test_frames(length, row.frames)
    start = max(0, (length - row.frames * row.stride) // 2)
    return start + row.stride * np.arange(row.frames)


def _tensor(frames: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2)[None].to(device)


def _flow(frames: np.ndarray, row: Row) -> torch.Tensor:
    """``(1, 2 * pairs, size, size)``: x and y of each pair of frames in turn, clipped to 20 pixels, in -1 to 1."""
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    scale = FLOW_SHORT_SIDE / min(frames.shape[1:3])
    size = tuple(max(FLOW_SHORT_SIDE, round(side * scale)) for side in frames.shape[2:0:-1])
    grey = [cv2.cvtColor(cv2.resize(frame, size), cv2.COLOR_RGB2GRAY) for frame in frames]
    top, left = (size[1] - row.size) // 2, (size[0] - row.size) // 2
    planes = []
    for first, second in itertools.pairwise(grey):
        flow = method.calc(first, second, None)[top : top + row.size, left : left + row.size]
        planes += [np.clip(flow[..., axis], -20, 20) / 20 for axis in (0, 1)]
    return torch.from_numpy(np.stack(planes))[None]


class Log:
    """What is measured so far, on disk: one line a timing, and the results of what is no timing."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        path = folder / "identity.json"
        if path.is_file() and json.loads(path.read_text()) != identity:
            shutil.rmtree(folder)  # of other code or another machine: not to be mixed
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(identity))
        self.timings = self._lines("timings.jsonl")
        self.results = {entry["name"]: entry for entry in self._lines("results.jsonl")}
        self.runs = self._lines("runs.jsonl")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path, found = self.folder / name, []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # a line that a kill cut short
                    found.append(json.loads(line))
        return found

    def _append(self, name: str, entry: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def start_run(self, provenance: dict[str, Any]) -> int:
        self.runs.append(provenance)
        self._append("runs.jsonl", provenance)
        return len(self.runs) - 1

    def timing(self, section: str, run: int, row: dict[str, Any]) -> None:
        entry = {"section": section, "run": run} | row
        self.timings.append(entry)
        self._append("timings.jsonl", entry)

    def result(self, name: str, value: Any, run: int) -> None:
        self.results[name] = {"name": name, "run": run, "value": value}
        self._append("results.jsonl", self.results[name])

    def done(self, section: str) -> set[tuple[int, str]]:
        return {(entry["round"], entry["case"]) for entry in self.timings if entry["section"] == section}

    def value(self, name: str) -> Any:
        return self.results[name]["value"] if name in self.results else None


def measure(
    *,
    device: str = "cpu",
    full: bool = False,
    names: Sequence[str] | None = None,
    precisions: Sequence[str] = tuple(DTYPES),
    clip: Path | None = None,
    rounds: dict[str, int] | None = None,
    results: Path = RESULTS,
    work: Path = WORK,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure, or go on measuring, and file the record; returns its path.

    device: "cpu" or "cuda". full: all sections, not ``network`` alone. names: of rows, all of them if None; the
    reference is always among them. clip: the video file of the pipeline; without one that section is left out. rounds:
    other numbers of rounds by section. Raises ValueError for an unknown row, device or a clip that is no file.
    """
    known = rows()
    if names and (unknown := [name for name in names if name not in known]):
        raise ValueError(f"networks: {unknown[0]!r} is not one of {', '.join(known)}")
    if clip is not None and not Path(clip).is_file():
        raise ValueError(f"clip: {clip} is not a video file")
    if device not in BATCHES or (device == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"device: {device!r} cannot be used here; cpu{', cuda' * torch.cuda.is_available()} can")
    chosen = [name for name in known if not names or name in names or name == REFERENCE]
    on, rounds = torch.device(device), ROUNDS | (rounds or {})
    clock = time.monotonic()
    say("Counting every network")
    counts = counts_of(chosen)
    provenance = make_provenance() | {"device": device_name(on)}
    log = Log(Path(work) / device, _identity(provenance, counts, clip, rounds))
    run = log.start_run(provenance)
    if run:
        say(f"Going on: {len(log.timings)} timings are there from before; this is run {run + 1}")
    for precision in precisions:
        if log.value(f"peak {precision}") is None:
            peak = measure_peak(on, {"fp32": "32-true", "bf16": "bf16-true"}[precision], seconds=4.0)
            log.result(f"peak {precision}", {"flops": peak.flops, "case": peak.case}, run)
    if log.value("bandwidth") is None:
        log.result("bandwidth", measure_bandwidth(on), run)
    sections = ["network"]
    if full:
        sections += ["batch", "frames", *(["pipeline"] if clip else []), "views"]
    todo = {section: cases_of(section, device, chosen, precisions) for section in sections}
    peaks = {p: log.value(f"peak {p}")["flops"] for p in precisions}
    say(f"This will take about {_minutes(todo, rounds, counts, peaks, full)} minutes, less what is done already")
    for section, cases in todo.items():
        _time_section(section, cases, rounds[section], log, run, on, clip)
    if full:
        ours = [name for name in OURS if name in chosen]
        for name in ours:
            if log.value(f"layers {name}") is None:
                log.result(f"layers {name}", layer_shares(known[name], on), run)
        if log.value("variants") is None and device == "cpu" and len(ours) == 2:
            say("Ways to run the study's networks faster")
            networks = {name: known[name].build() for name in ours}
            found = compare_variants(networks, known[ours[0]].inputs()[0], repeats=VARIANT_ROUNDS)
            log.result("variants", found, run)
    log.runs[run]["seconds"] = round(time.monotonic() - clock, 1)
    return _file(log, counts, device, full, rounds, clip, results)


def _time_section(
    section: str, cases: list[Case], repeats: int, log: Log, run: int, device: torch.device, clip: Path | None
) -> None:
    """Time what is missing of a section, in groups that fit into memory, the reference in each of them."""
    done = log.done(section)
    missing = [case for case in cases if any((r, case.name) not in done for r in range(repeats))]
    missing = [case for case in missing if log.value(_left_out(case)) is None]
    for number, group in enumerate(_groups(missing, cases, device, clip, log, run)):
        running, calls = {}, {}
        with progress(len(group) * (1 + repeats), f"{section}, group {number + 1}", "call") as advance:
            for case in group:
                try:
                    running[case] = Running(case, device, clip)
                    running[case]()  # builds, picks kernels: the warm-up
                    calls[case.name] = running[case]
                except (RuntimeError, ValueError) as error:  # out of memory, or an operator that the device lacks
                    log.result(_left_out(case), str(error).partition("\n")[0] or type(error).__name__, run)
                    running.pop(case, None)
                advance()
            by_clips: dict[int, dict[str, Running]] = {}
            for case in running:
                by_clips.setdefault(case.clips, {})[case.name] = calls[case.name]
            for clips, some in by_clips.items():

                def keep(row, number=number):
                    log.timing(section, run, {"group": number} | row)
                    advance()

                # the reference was timed by an earlier group or run: here it is timed anew, beside these
                before = {(r, name) for r, name in done if not _is_reference(name)}
                measure_speed(
                    some, device=device, repeats=repeats, warmup=0, clips_per_call=clips, done=before, keep=keep
                )
        for each in running.values():
            each.release()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _is_reference(name: str) -> bool:
    return name.startswith(f"{REFERENCE}, ")


def _left_out(case: Case) -> str:
    return f"left out: {case.section}: {case.name}"


def _groups(
    missing: list[Case], cases: list[Case], device: torch.device, clip: Path | None, log: Log, run: int
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
            log.result(_left_out(case), reason, run)
            continue
        if need([*needs, own]) > budget:
            yield group
            group, needs = list(references), list(base)
        group.append(case)
        needs.append(own)
    if len(group) > len(references) or any(case in missing for case in references):
        yield group


def layer_shares(row: Row, device: torch.device, *, repeats: int = 5) -> list[dict[str, Any]]:
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
    parts = {name: part for name, part in parts.items() if not _within(name, parts)}

    def call():
        with torch.inference_mode():
            return network(*inputs)

    found = layer_seconds(network, parts, call, device=device, repeats=repeats)
    return json.loads(found.to_json(orient="records"))


def _within(name: str, parts: dict[str, str]) -> bool:
    return any(name.startswith(f"{other}.") for other in parts)


def device_name(device: torch.device) -> str:
    """As records name it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"


def _identity(provenance: dict, counts: dict, clip: Path | None, rounds: dict[str, int]) -> dict[str, Any]:
    """What timings must have in common to stand in one record."""
    code = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted([*(folder / "models").rglob("*.py"), folder / "bench" / "backends.py", Path(__file__)]):
        code.update(path.read_bytes())
    same = {name: provenance[name] for name in ("device", "processor", "libraries", "python")}
    same |= {"code": code.hexdigest()[:16], "counts": counts, "clip": str(clip), "rounds": rounds}
    return json.loads(json.dumps(same))


def _minutes(todo: dict, rounds: dict[str, int], counts: dict, peaks: dict[str, float], full: bool) -> int:
    """Of the whole measurement, from multiply-adds and the measured peak."""
    seconds = 60.0  # counting, building
    for section, cases in todo.items():
        for case in cases:
            entry = counts[case.row]
            macs = entry["multiply_adds"] * case.batch * case.views * (case.frames or entry["frames"]) / entry["frames"]
            seconds += (1 + rounds[section]) * 2 * macs / (EFFICIENCY * peaks[case.precision])
    if full:
        seconds += 120 + 16 * (VARIANT_ROUNDS + 2) * 2 * counts[REFERENCE]["multiply_adds"] / peaks["fp32"]
    return max(1, round(seconds / 60))


def _file(
    log: Log, counts: dict, device: str, full: bool, rounds: dict[str, int], clip: Path | None, results: Path
) -> Path:
    """Write the record from what is on disk."""
    left_out = [name for name in log.results if name.startswith("left out: ")]
    content = {
        "device": device,
        "full": full,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "clip": clip.name if clip else None,
        "reference": REFERENCE,
        "runs": log.runs,
        "networks": counts,
        "left_out": {name.removeprefix("left out: "): log.value(name) for name in left_out},
    }
    content |= {name: log.value(name) for name in log.results if name not in left_out}
    timings = pd.DataFrame(log.timings, columns=["section", "run", "group", *COLUMNS])
    return write_measurement(STUDY, device, content, provenance=log.runs[-1], table=timings, results=results)
