"""The behaviour digest of edited copies of the package: `python tests/mutants.py FOLDER ...` prints a list of them.

Each folder holds a `repro`. What it imports from elsewhere takes seconds and is imported once, with the package as it
is; each copy has a process forked from there, two at a time.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import torch

import repro.training.digest  # noqa: F401

torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1)  # imports torch._dynamo, which takes longest
torch.set_num_threads(1)  # threads that had run would not be there in a forked process
AT_ONCE = 2


def start(folder: str, answer: Path) -> int:
    """A process that writes the copy's digest, or the error that it ended with."""
    child = os.fork()
    if child:
        return child
    try:
        for name in [name for name in sys.modules if name.partition(".")[0] == "repro"]:
            del sys.modules[name]
        sys.path.insert(0, folder)
        from repro.training import digest

        assert digest.__file__.startswith(folder), digest.__file__
        answer.write_text(json.dumps(digest.digest()))
    except BaseException as error:
        answer.write_text(json.dumps(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)


with tempfile.TemporaryDirectory() as place:
    answers = [Path(place) / str(k) for k in range(len(sys.argv) - 1)]
    running: set[int] = set()
    for folder, answer in zip(sys.argv[1:], answers):
        if len(running) == AT_ONCE:
            running.remove(os.wait()[0])
        running.add(start(folder, answer))
    while running:
        running.remove(os.wait()[0])
    print(json.dumps([json.loads(answer.read_text()) for answer in answers]))
