"""Speed of several cases side by side: interleaved, synchronised timings (``repro.metrics.timings`` sums them up).

Machines drift (heat, other work) by more than the differences of interest. So each round runs every case once, in a new
order, and two cases are compared by their ratio within a round. Rates are clips per second.
"""

import contextlib
import random
import time
from collections.abc import Callable, Collection

import pandas as pd
import torch
from torch import nn

from repro.metrics.timings import TIMING_COLUMNS


def measure_speed(
    cases: dict[str, Callable[[], object]],
    *,
    device: str | torch.device,
    repeats: int = 20,
    warmup: int = 2,
    clips_per_call: int = 1,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    done: Collection[tuple[int, str]] = (),
    keep: Callable[[dict[str, object]], None] = lambda timing: None,
) -> pd.DataFrame:
    """Time every case `repeats` times after `warmup` untimed rounds.

    cases: {name: callable without arguments}, which processes `clips_per_call` clips. device: "cpu" or a CUDA device,
    where the callables run. clock: seconds, monotonic. done: (round, case) that an earlier, killed measurement has
    already; they are left out, and a case of which nothing is left is not called at all. keep: called with each timing
    at once, a dictionary of the columns below, so that a kill loses one timing only.

    Returns a DataFrame with one row for each timing, in the order measured: round (0-based), position (in the round's
    seeded order), case, seconds, clips. Raises ValueError for no cases, counts out of range, a device that cannot be
    synchronised, or a clock too coarse for a case. What a case raises (out of memory, say) passes through: try each
    case alone first.
    """
    device = torch.device(device)
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"cannot synchronise device {device}: cpu or cuda is needed")
    if not cases or repeats < 1 or warmup < 0 or clips_per_call < 1:
        raise ValueError(f"nothing to time: {len(cases)} cases, {repeats=}, {warmup=}, {clips_per_call=}")
    shuffle, rows = random.Random(seed).shuffle, []
    unfinished = {name for name in cases if any((number, name) not in done for number in range(repeats))}
    for number in range(-warmup, repeats):
        order = list(cases)
        shuffle(order)
        for position, name in enumerate(order):
            if name not in unfinished or (number, name) in done:
                continue
            seconds = seconds_of(cases[name], device, clock)
            if number < 0:
                continue
            if seconds <= 0:
                raise ValueError(f"the clock did not advance during {name!r}: take more clips a call")
            rows.append(dict(zip(TIMING_COLUMNS, (number, position, name, seconds, clips_per_call))))
            keep(rows[-1])
    return pd.DataFrame(rows, columns=TIMING_COLUMNS)


def layer_seconds(
    module: nn.Module,
    parts: dict[str, str],
    call: Callable[[], object],
    *,
    device: str | torch.device,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> pd.DataFrame:
    """Where the time of a call goes: the seconds spent within submodules.

    parts: {dotted name of a submodule: name to add its time under}; submodules of one another must not both be given.
    call: runs the module once; it is called once untimed first. Returns a DataFrame with one row for each round and
    name, columns round, part, seconds, and the part "the rest" for what lies outside. Waiting for a GPU at each border
    makes the sum longer than an undisturbed call. Raises ValueError for an unknown or nested submodule.
    """
    device = torch.device(device)
    modules = dict(module.named_modules())
    for name in parts:
        if name not in modules:
            raise ValueError(f"parts: {name!r} is not a submodule of {type(module).__name__}")
        if any(name.startswith(f"{other}.") for other in parts):
            raise ValueError(f"parts: {name!r} lies within another part; its time would count twice")
    spent: dict[str, float] = {}
    started: dict[str, float] = {}

    def enter(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            _synchronise(device)
            started[name] = clock()

        return hook

    def leave(name: str, part: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            _synchronise(device)
            spent[part] = spent.get(part, 0.0) + clock() - started[name]

        return hook

    rows = []
    call()
    with contextlib.ExitStack() as hooks:
        for name, part in parts.items():
            hooks.callback(modules[name].register_forward_pre_hook(enter(name)).remove)
            hooks.callback(modules[name].register_forward_hook(leave(name, part)).remove)
        for number in range(repeats):
            spent.clear()
            whole = seconds_of(call, device, clock)
            rows += [(number, part, seconds) for part, seconds in spent.items()]
            rows.append((number, "the rest", whole - sum(spent.values())))
    return pd.DataFrame(rows, columns=["round", "part", "seconds"])


def seconds_of(call: Callable[[], object], device: torch.device, clock: Callable[[], float]) -> float:
    """The only place where a case is called: no timing without waiting for the GPU before and after."""
    _synchronise(device)
    start = clock()
    call()
    _synchronise(device)
    return clock() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.cuda.is_initialized():  # declared as "cpu", but something in this process uses the GPU
        torch.cuda.synchronize()
