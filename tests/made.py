"""Made records and measurements: given who is right about which clip, what would the tables and verdicts say?"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.experiment.fields import Experiment
from repro.models.peers.rows import compared, rows
from repro.records.record import Record, write_record
from repro.records.table6 import Measured

DIGEST = {"sampling": [1.0, 2.0], "network resnet34_3dres18": [3.0]}
DEMO = ("Wave", "Clap", "Drink", "Eat", "Fencing", "Sword", "Cartwheel", "FlicFlac", "Sit", "Stand", "Pick", "Put")
SMALL = {"schedule": "cosine", "validation_fraction": 0.0, "width": 0.25, "frames": 8, "size": 64, "epochs": 2}
FULL = {"schedule": "plateau", "validation_fraction": 0.1, "width": 1.0, "frames": 16, "size": 224, "epochs": 40}
PROVENANCE = {
    "commit": "0123456789abcdef",
    "uncommitted_changes": False,
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 90.0,
    "device": "CPU, 1 thread(s)",
    "processor": "Made 1",
    "cores": 2,
    "system": "Linux",
    "python": "3.11",
    "libraries": {"torch": "2.0"},
}


def logits(predicted, classes: int) -> np.ndarray:
    """Scores ``(clips, classes)`` whose largest is the ``predicted`` class: 2 there, 0 elsewhere."""
    return 2.0 * np.eye(classes)[np.asarray(predicted)]


def labels_of(classes: int, per_class: int) -> np.ndarray:
    return np.repeat(np.arange(classes), per_class)


def record(
    results: Path,
    *,
    classes=("A", "B", "C"),
    labels,
    scores,
    groups=None,
    data_hash="made",
    digest=None,
    provenance=None,
    history=None,
    **fields: Any,
) -> Record:
    """A record folder with these true classes and scores; clips are named by number, one group a clip by default."""
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=float)
    table = pd.DataFrame({"clip": [f"clip{k:05d}.avi" for k in range(len(labels))], "label": labels})
    table["group"] = table["clip"] if groups is None else [str(group) for group in groups]
    table = table.join(pd.DataFrame(scores, columns=[f"logit_{name}" for name in classes]))
    if history is None:
        epochs = fields.get("epochs", SMALL["epochs"])
        loss, top1 = np.linspace(1.5, 0.5, epochs), np.linspace(0.25, 1.0, epochs)
        history = pd.DataFrame({"epoch": range(epochs), "train_loss": loss, "train_top1": top1})
    return write_record(
        experiment=Experiment(**{"study": "made", "dataset": "made clips", **SMALL, **fields}),
        classes=tuple(classes),
        data={"hash": data_hash, "clips": {"train": 10, "test": len(labels)}},
        provenance=PROVENANCE if provenance is None else provenance,
        digest=DIGEST if digest is None else digest,
        history=history,
        predictions=table,
        results=results,
    )


def predicted(results: Path, labels, guesses=None, *, classes=None, **fields: Any) -> Record:
    """A record of which each clip's largest score is that of the class in ``guesses``; None: all right.

    classes: names, or None for as many as there are labels.
    """
    labels = np.asarray(labels)
    names = [f"class{k:02d}" for k in range(labels.max() + 1)] if classes is None else classes
    scores = logits(labels if guesses is None else guesses, len(names))
    return record(results, classes=names, labels=labels, scores=scores, **fields)


def demo_record(results: Path, *, wrong=(), to_partner=(), per_class: int = 10, **fields: Any) -> Record:
    """A record on the demo set's classes: all right, but clips ``wrong`` (taken for the class two on) and
    ``to_partner`` (taken for the look-alike)."""
    labels = labels_of(len(DEMO), per_class)
    guesses = labels.copy()
    guesses[list(wrong)] = (labels[list(wrong)] + 2) % len(DEMO)
    guesses[list(to_partner)] ^= 1
    return predicted(results, labels, guesses, classes=DEMO, **fields)


def both_networks(
    results: Path, wrong_first=range(60), wrong_second=range(10), *, seeds=(0, 1), kind="wrong", **fields
):
    """Runs of both networks on the demo set's classes for every seed, with these clips wrong: a clear gain."""
    return [
        demo_record(results, model=model, seed=seed, **{kind: list(wrong)}, **fields)
        for seed in seeds
        for model, wrong in (("resnet34_3dres18", wrong_first), ("res34_se_im_net", wrong_second))
    ]


def trained(results: Path, seed: int, *, by=None, **fields: Any) -> Record:
    """A record whose scores are one training's, or what ``by`` makes of those of seeds 0 and 1."""
    labels = labels_of(len(DEMO), 10)

    def scores(seed):
        shared, own = (np.random.default_rng(s).normal(size=(len(labels), len(DEMO))) for s in (99, seed))
        return shared + own + logits(labels, len(DEMO))  # networks err alike

    made = scores(seed) if by is None else by(scores(0), scores(1))
    return record(results, classes=DEMO, labels=labels, scores=made, seed=seed, **{"layout": "folder"} | fields)


def backwards_scores(labels, right) -> np.ndarray:
    """Scores on ``DEMO`` that get the class right, or within its pair wrong where ``right`` is False."""
    labels = np.asarray(labels)
    return logits(np.where(right, labels, labels ^ 1), len(DEMO))


# Parameters in M, GMACs, depth, seconds a clip; the input is the row's own. Every network compared with is heavier and
# slower than the study's.
TABLE6 = {
    "resnet34_3dres18": (55.6, 62.3, 46, 0.50),
    "res34_se_im_net": (55.761196, 62.31, 46, 0.50),
    **{name: (78.4, 99.0, 50, 0.90) for name in compared()},
    "i3d": (12.7, 111.2, 22, 1.00),
}


def counts(networks=None, *, common=None) -> dict[str, dict[str, Any]]:
    """What ``repro.bench.counts.counts_of`` finds in full, with round numbers; networks as for `table6`.

    common: {row: GMACs at the common input}, those at its own where it is not given.
    """
    networks, found = TABLE6 if networks is None else networks, {}
    for name, (parameters, gmacs, depth, _) in networks.items():
        row, operations = rows()[name], round(gmacs * 1e9)
        there = {"parameters": round(parameters * 1e6), "multiply_adds": round((common or {}).get(name, gmacs) * 1e9)}
        found[name] = {
            "frames": row.frames, "size": row.size, "classes": row.classes, "flow": row.flow,
            "parameters": round(parameters * 1e6), "multiply_adds": operations, "multiply_adds_by_hooks": operations,
            "depth": depth, "layers": depth, "activations": 10_000_000,
            "memory": {"fp32": 300_000_000, "bf16": 150_000_000},
            "common": None if row.fixed else there,
        }  # fmt: skip
    return found


def table6(networks=None, *, rounds: int = 3, device: str = "cpu", **content: Any) -> Measured:
    """What `repro table6` files, with round numbers: every network takes its seconds in each round, twice as fast in
    bf16. networks: {row: (M, GMACs, depth, seconds or one number a round, None: does not fit)}."""
    networks = TABLE6 if networks is None else networks
    timings, left_out = [], {}
    for name, (_, _, _, seconds) in networks.items():
        for precision, scale in (("fp32", 1.0), ("bf16", 0.5)):
            case = f"{name}, {precision}, batch 1"
            if seconds is None:
                left_out[f"network: {case}"] = "does not fit: 9.0 GB are needed, 2.0 GB of the free memory are used"
                continue
            taken = seconds if isinstance(seconds, tuple) else rounds * (seconds,)
            timings += [("network", 0, 0, k, 0, case, scale * s, 1) for k, s in enumerate(taken)]
    made = {
        "device": device, "full": False, "threads": 1, "rounds": {"network": rounds}, "clip": None,
        "float32": "products ieee, convolutions ieee", "reference": "resnet34_3dres18", "runs": [PROVENANCE],
        "networks": counts(networks), "left_out": left_out,
        "peak fp32": {"flops": 2e11, "case": "made"}, "peak bf16": {"flops": 4e11, "case": "made"}, "bandwidth": 2e10,
        "provenance": PROVENANCE,
    }  # fmt: skip
    columns = ["section", "run", "group", "round", "position", "case", "seconds", "clips"]
    return Measured(device, made | content, pd.DataFrame(timings, columns=columns))


def counted(networks=None, *, common=None, **options: Any) -> dict[str, Any]:
    """Evidence of counts and of a Table 6 measurement with these networks (M, GMACs, depth, seconds) instead of
    TABLE6's."""
    networks = TABLE6 | (networks or {})
    return {"counts": counts(networks, common=common), "table6": {"cpu": table6(networks, **options)}}


def variants(**seconds: float | tuple[float, float, float]) -> dict[str, Any]:
    """What ``repro.bench.backends.compare_backends`` finds of both networks: seconds a clip by runtime ("OpenVINO,
    fp32"), or seconds at the quartiles and the median, the fast one first."""
    found = {}
    for name, given in seconds.items():
        fast, middle, slow = given if isinstance(given, tuple) else (given,) * 3
        rates = {"clips_per_second": {"q75": 1 / fast, "median": 1 / middle, "q25": 1 / slow}}
        found[name] = {"resnet34_3dres18": rates, "res34_se_im_net": rates}
    return {"variants": found | {"missing, fp32": {"reason": "not here"}}}


def online(*, told=(45, 50), **changes: Any) -> dict[str, Any]:
    """What the page on online recognition files. told: of so many clips of drink and eat so many are told apart, each
    clip a group of its own; None where the run knows no such classes."""
    pair = None
    if told is not None:
        names = [f"clip{k}" for k in range(told[1])]
        value, classes = [float(k < told[0]) for k in range(told[1])], [("drink", "eat")[k % 2] for k in range(told[1])]
        pair = {"clip": names, "group": names, "class": classes, "value": value}
    content = {
        "run": "res34_se_im_net-split1-seed0",
        "dataset": "made clips",
        "width": 1.0,
        "size": 224,
        "frames": 16,
        "clips": 100,
        "top1": 0.5,
        "top1_whole_clip": 0.6,
        "decisions": 300,
        "frames_per_second": 30.0,
        "drink_eat": pair,
        "provenance": PROVENANCE,
    }
    return content | changes
