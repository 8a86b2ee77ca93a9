"""The study of fast inference: what each backend of ``repro.inference.backends`` gains, and whether it agrees.

    python -m repro.bench.backends

times them alone and files results/backends-<instructions>/cpu.json, which Table 6's page shows.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.data.selection import select_clips
from repro.data.transforms import normalise
from repro.experiment.fields import ATTENTION, BASELINE
from repro.inference.backends import BACKENDS, agreement, eager
from repro.inference.trained import trained
from repro.metrics.speed import measure_speed
from repro.metrics.timings import kept_ratio, quartiles
from repro.models.peers.rows import rows
from repro.records.measure import device_name, measured
from repro.records.record import RESULTS, read_record
from repro.training.network_and_clips import make_dataset

CALIBRATION = 32  # clips
ROUNDS = 20


def compare_backends(networks: dict[str, nn.Module], clip: Tensor, *, repeats: int = ROUNDS) -> dict[str, Any]:
    """Clips/s of two networks on every backend, in interleaved rounds on this machine's CPU.

    networks: by name, the reference first. clip: a batch, float32. Returns under ``variants``, by backend, for each
    network the clips/s (median, quartiles), the seconds it took to prepare (first call included) and its gain over its
    own eager run, and the second network's rate over the first's: medians of paired ratios with 95 % intervals; or the
    ``reason`` why a backend cannot run here.
    """
    first, second = networks
    plain = next(iter(BACKENDS))
    cases: dict[str, Callable[[], object]] = {}
    variants: dict[str, dict[str, Any]] = {}
    for backend, make in BACKENDS.items():
        calls: dict[str, Callable[[], object]] = {}
        variants[backend] = {}
        try:
            for name, network in networks.items():
                clock = time.perf_counter()
                predict = make(network, clip)
                predict(clip)
                variants[backend][name] = {"prepared_in": time.perf_counter() - clock}
                calls[f"{name}, {backend}"] = partial(predict, clip)
            cases |= calls
        except (ImportError, RuntimeError) as error:
            variants[backend] = {"reason": str(error).partition("\n")[0]}
    timings = measure_speed(cases, device="cpu", repeats=repeats, warmup=1, clips_per_call=len(clip))
    rates = quartiles(timings)
    for backend, row in variants.items():
        if "reason" in row:
            continue
        for name in networks:
            case = f"{name}, {backend}"
            row[name] |= {"clips_per_second": rates[case], "gain": kept_ratio(timings, case, f"{name}, {plain}")}
        row["second_over_first"] = kept_ratio(timings, f"{second}, {backend}", f"{first}, {backend}")
    return {"repeats": repeats, "threads": torch.get_num_threads(), "batch": len(clip), "variants": variants}


def measure_backends() -> Path:
    """`compare_backends` of the study's networks at Table 6's own size; files ``results/backends-avx2/cpu.json``.

    ``instructions``: what torch's kernels use of the processor ("AVX2", "AVX512"), on which 16 and 8 bits depend most.
    """
    known = rows()
    networks = {name: known[name].build() for name in (BASELINE, ATTENTION)}
    instructions = torch.backends.cpu.get_cpu_capability()
    with measured(f"backends-{instructions.lower()}", "cpu", device=device_name()) as found:
        found.content |= compare_backends(networks, known[BASELINE].inputs()[0], repeats=5)
        found.content |= {"instructions": instructions}
    return found.path


def compare_logits(
    network: nn.Module, batches: list[Tensor], labels: Sequence[int], calibration: Tensor
) -> dict[str, dict[str, Any]]:
    """By backend, on these clips (float32, one clip a batch): `Agreement` with the eager network, and ``right``, the
    number of clips whose label it finds. ``calibration``: the clips from which int8 takes its ranges."""
    reference = torch.cat([eager(network)(clip) for clip in batches])
    found = {}
    for backend, make in BACKENDS.items():
        try:
            predict = make(network, calibration)
            logits = torch.cat([predict(clip) for clip in batches])
            right = int((logits.argmax(1) == torch.tensor(labels)).sum())
            found[backend] = asdict(agreement(logits, reference)) | {"right": right}
        except (ImportError, RuntimeError) as error:
            found[backend] = {"reason": str(error).partition("\n")[0]}
    return found


def measure_logits(run: str, *, results: Path = RESULTS) -> Path:
    """Compare every backend's logits on the test clips of a trained network; files ``results/<study>/inference.json``.

    run: ``study/run`` of a record whose training was done on this machine. int8 is calibrated on `CALIBRATION` of its
    training clips. Raises FileNotFoundError where its weights are not there.
    """
    record = read_record(Path(results) / run)
    experiment = record.experiment
    with measured(experiment.study, "inference", device=device_name(), results=results) as found:
        network, chosen = trained(experiment, len(record.classes)), select_clips(experiment)
        test, train = chosen.split.test, chosen.split.train
        some = [train[k] for k in np.unique(np.linspace(0, len(train) - 1, CALIBRATION).astype(int))]
        fed, ranges = (
            [normalise(views[k][0][None], experiment.values) for k in range(len(views))]
            for views in (make_dataset(experiment, c, chosen.lengths, record.classes) for c in (test, some))
        )
        logits = compare_logits(network, fed, [clip.label for clip in test], torch.cat(ranges))
        found.content |= {"run": run} | {name: getattr(experiment, name) for name in ("width", "size", "frames")}
        found.content |= {"calibrated_on": len(some), "logits": logits}
    return found.path


if __name__ == "__main__":
    print(measure_backends())
