"""The study of fast inference: what each backend of ``repro.inference.backends`` gains, and whether it agrees."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from repro.data.selection import select_clips
from repro.data.transforms import normalise
from repro.inference.backends import BACKENDS, agreement, eager
from repro.inference.trained import trained
from repro.metrics.speed import measure_speed
from repro.metrics.timings import paired_ratio, summary
from repro.records.measure import device_name, measured
from repro.records.record import RESULTS, read_record
from repro.training.network_and_clips import make_dataset


def compare_backends(networks: dict[str, nn.Module], clip: Tensor, *, repeats: int = 20) -> dict[str, Any]:
    """Clips/s of two networks on every backend, in interleaved rounds on this machine's CPU.

    networks: {name: network}, the reference first. clip: a batch, float32. Returns under ``variants``, by backend, for
    each network the clips/s (median, quartiles), the seconds it took to prepare (first call included) and its gain over
    its own eager run, and the second network's rate over the first's: medians of paired ratios with 95 % intervals. A
    backend that cannot run here has its ``reason`` instead.
    """
    first, second = networks
    plain = next(iter(BACKENDS))
    cases: dict[str, Callable[[], object]] = {}
    prepared, reasons = {}, {}
    for backend, make in BACKENDS.items():
        try:
            for name, network in networks.items():
                clock = time.perf_counter()
                predict = make(network, clip)
                predict(clip)
                prepared[f"{name}, {backend}"] = time.perf_counter() - clock
                cases[f"{name}, {backend}"] = partial(predict, clip)
        except (ImportError, RuntimeError) as error:
            reasons[backend] = str(error).partition("\n")[0]
            for name in networks:
                cases.pop(f"{name}, {backend}", None)
    timings = measure_speed(cases, device="cpu", repeats=repeats, warmup=1, clips_per_call=len(clip))
    rates = summary(timings)

    def ratio(a: str, b: str) -> dict[str, float]:
        found = paired_ratio(timings, a, b)
        return {"median": found.point, "low": found.low, "high": found.high}

    rows: dict[str, Any] = {}
    for backend in BACKENDS:
        if backend in reasons:
            rows[backend] = {"reason": reasons[backend]}
            continue
        rows[backend] = {"second_over_first": ratio(f"{second}, {backend}", f"{first}, {backend}")}
        for name in networks:
            case = f"{name}, {backend}"
            rows[backend][name] = {
                "clips_per_second": {key: float(rates[key][case]) for key in ("median", "q25", "q75")},
                "prepared_in": prepared[case],
                "gain": ratio(case, f"{name}, {plain}"),
            }
    return {"repeats": repeats, "threads": torch.get_num_threads(), "batch": len(clip), "variants": rows}


def compare_logits(network: nn.Module, batches: list[Tensor]) -> dict[str, dict[str, Any]]:
    """`Agreement` of every backend with the eager network on these clips (float32, one clip a batch), by backend."""
    reference = torch.cat([eager(network)(clip) for clip in batches])
    found = {}
    for backend, make in BACKENDS.items():
        try:
            predict = make(network, batches[0])
            found[backend] = asdict(agreement(torch.cat([predict(clip) for clip in batches]), reference))
        except (ImportError, RuntimeError) as error:
            found[backend] = {"reason": str(error).partition("\n")[0]}
    return found


def measure_logits(run: str, *, results: Path = RESULTS) -> Path:
    """Compare every backend's logits on the test clips of a trained network; files ``results/<study>/inference.json``.

    run: ``study/run`` of a record whose training was done on this machine. Raises FileNotFoundError where its weights
    are not there.
    """
    record = read_record(Path(results) / run)
    experiment = record.experiment
    with measured(experiment.study, "inference", device=device_name(), results=results) as found:
        network, chosen = trained(experiment, len(record.classes)), select_clips(experiment)
        clips = make_dataset(experiment, chosen.split.test, chosen.lengths, record.classes)
        fed = [normalise(clips[k][0][None], experiment.values) for k in range(len(clips))]
        logits = compare_logits(network, fed)
        found.content |= {"run": run, "width": experiment.width, "size": experiment.size, "logits": logits}
    assert found.path is not None  # the content is not empty
    return found.path
