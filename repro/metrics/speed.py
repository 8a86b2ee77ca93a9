"""Speed of several cases side by side: interleaved, synchronised timings (``repro.metrics.timings`` sums them up).

Machines drift (heat, other work) by more than the differences of interest. So each round runs every case once, in a new
order, and two cases are compared by their ratio within a round. Rates are clips per second.
"""

import contextlib
import functools
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

    cases: by name; a call processes `clips_per_call` clips. device: "cpu" or a CUDA device, where they run. clock:
    seconds, monotonic. done: (round, case) that an earlier, killed measurement has already; they are left out, and a
    case of which nothing is left is not called at all. keep: called with each timing at once, as a dictionary.

    Returns a row a timing, in the order measured: round (0-based), position (in the round's seeded order), case,
    seconds, clips. What a case raises (out of memory, say) passes through: try each case alone first.
    """
    device = torch.device(device)
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
    call: runs the module once; it is called once untimed first. Returns rows round, part, seconds, with the part "the
    rest" for what lies outside. Waiting for a GPU at each border makes the sum longer than an undisturbed call.
    """
    device = torch.device(device)
    spent: dict[str, float] = {}
    started: dict[str, float] = {}

    def enter(name: str, *_: object) -> None:
        _synchronise(device)
        started[name] = clock()

    def leave(name: str, *_: object) -> None:
        _synchronise(device)
        spent[parts[name]] = spent.get(parts[name], 0.0) + clock() - started[name]

    rows = []
    call()
    with contextlib.ExitStack() as hooks:
        for name in parts:
            part = module.get_submodule(name)
            hooks.callback(part.register_forward_pre_hook(functools.partial(enter, name)).remove)
            hooks.callback(part.register_forward_hook(functools.partial(leave, name)).remove)
        for number in range(repeats):
            spent.clear()
            whole = seconds_of(call, device, clock)
            rows += [(number, name, seconds) for name, seconds in spent.items()]
            rows.append((number, "the rest", whole - sum(spent.values())))
    return pd.DataFrame(rows, columns=["round", "part", "seconds"])


def seconds_of(
    call: Callable[[], object], device: torch.device, clock: Callable[[], float] = time.perf_counter, *, times: int = 1
) -> float:
    """Of so many calls, waiting for the GPU before and after: the only place where a case is timed."""
    _synchronise(device)
    start = clock()
    for _ in range(times):
        call()
    _synchronise(device)
    return clock() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.cuda.is_initialized():  # declared as "cpu", but something in this process uses the GPU
        torch.cuda.synchronize()
