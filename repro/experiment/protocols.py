"""Training protocols by name, and the habits of published code that can be switched on one by one.

A protocol is nothing but values of :class:`repro.experiment.fields.Experiment` fields:

- *sound*, the default of every field: schedule and checkpoint are steered by clips set aside from the training list by
  whole groups; the test list is scored once, after the last epoch, every clip of it.
- ``paper_text``: what the paper's section 4.1 says, and for each point that it leaves open the reading that the ledger
  of assumptions (``repro/paper/paper.toml``) takes.
- ``as_published_code``: ``paper_text`` with every habit of ECO-pytorch (mzolfaghari/ECO-pytorch at b175e7c), the code
  that the paper's protocol points to (ref. 12). It is here to be measured, not to be used.

A profile names one as ``protocol``, and single :data:`HABITS` as ``habits``; ``repro protocol NAME`` prints the fields.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.experiment.fields import Experiment
from repro.files import check_names


@dataclass(frozen=True)
class Habit:
    """One thing that published code does otherwise."""

    fields: Mapping[str, Any]  # what switches it on
    text: str  # what the code does
    sound: str  # what is done otherwise
    ledger: tuple[str, ...]  # ids of the entries of the ledger of assumptions that it belongs to


HABITS: dict[str, Habit] = {
    "test_steers": Habit(
        {"watch": "test", "validation_fraction": 0.0},
        "the learning rate falls, and the kept checkpoint is chosen, by top-1 on the test list that is then reported",
        "clips set aside from the training list by whole groups steer both",
        ("schedule-validation-set",),
    ),
    "last_batch_dropped": Habit(
        {"last_batch": "drop"},
        "the last batch of every epoch is left out of training and of the validation accuracy, full or not",
        "every clip counts",
        ("dropped-batch",),
    ),
    "bgr_slip": Habit(
        {"values": "eco_pytorch_resnet"},
        "a ResNet trunk is fed BGR values of 0 to 255 minus 0.485, 0.456, 0.406, where its ImageNet weights expect RGB "
        "of 0 to 1 minus that mean, over its deviation",
        "RGB of 0 to 1, ImageNet's mean and deviation",
        ("input-normalisation",),
    ),
    "sides_mirrored": Habit(
        {"flip": True, "swap_labels": False, "mirror_sides": True},
        "Something-Something is mirrored with probability 0.5 and the label stays, so that half of the clips labelled "
        "left show right",
        "no mirroring where left and right are labels",
        ("flip",),
    ),
    "first_frame_repeated": Habit(
        {"sampling": "eco_pytorch"},
        "segments are F // N frames long, so that up to N - 1 frames at the end are never seen in training, and a clip "
        "of N frames or fewer is its first frame N times at test time",
        "segments cover the clip, short clips repeat frames evenly",
        ("test-sampling", "short-clips"),
    ),
    "clipped_after_step": Habit(
        {"clipping": "after_step"},
        "the gradient is clipped after the optimiser's step, when it has no effect any more",
        "clipping at a norm of 50, before the step",
        ("clipping-order",),
    ),
    "biases_faster": Habit(
        {"parameter_groups": "eco_pytorch"},
        "biases learn at twice the rate and without decay, batch norms without decay",
        "one rate and one decay for all",
        ("weight-decay",),
    ),
}
"""The habits of ECO-pytorch that matter and can be switched on alone. Not copied, since they change nothing that is
trained for more than some steps or cannot happen here: running_var starts at 0 in batch norms without weights (it is
near 1 after 40 batches), frame folders of 4 digits, an optimiser lost on resuming."""

PAPER_TEXT: dict[str, Any] = {
    # stated in section 4.1
    "frames": 16,
    "dropout": 0.5,
    "learning_rate": 0.001,
    "schedule": "plateau",
    "saturate": 5,
    "clip_gradient": 50.0,
    # open in the text: readings taken, see the ledger
    "size": 224,
    "batch_size": 16,
    "accumulate": 4,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "nesterov": True,
    "epochs": 40,
    "gate": None,
    "reduction": 16,
    "gate_bias": 0.0,
    "head_stride": [2, 2, 2],
    "crop_scales": [1.0, 0.875, 0.75, 0.66],
    "sampling": "paper_text",
    "values": "imagenet",
    "last_batch": "keep",
    "clipping": "before_step",
    "parameter_groups": "one",
    "batch_norm": "all",
    "watch": "validation",
    "validation_fraction": 0.1,
}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "sound": {},
    "paper_text": PAPER_TEXT,
    "as_published_code": PAPER_TEXT
    | {
        name: value
        for key, habit in HABITS.items()
        if key != "sides_mirrored"  # concerns Something-Something alone: see fields_of
        for name, value in habit.fields.items()
    },
}
SIDED_LAYOUTS = ("something_v1",)  # left and right are labels


def fields_of(protocol: str = "sound", habits: Sequence[str] = (), *, layout: str = "ucf101") -> dict[str, Any]:
    """The fields that a protocol and single habits set, for a dataset of this layout.

    On Something-Something, where left and right are labels, ``as_published_code`` includes ``sides_mirrored`` and the
    other protocols do not mirror; ``sides_mirrored`` elsewhere is an error, since nothing there has a side.
    Raises ValueError for an unknown name.
    """
    check_names([protocol], list(PROTOCOLS), "protocol")
    check_names(habits, list(HABITS), "habits")
    fields = dict(PROTOCOLS[protocol])
    if layout in SIDED_LAYOUTS:
        fields |= HABITS["sides_mirrored"].fields if protocol == "as_published_code" else {"flip": False}
    elif "sides_mirrored" in habits:
        raise ValueError(f"habits: sides_mirrored concerns datasets whose labels have sides, not layout {layout}")
    for name in habits:
        fields |= HABITS[name].fields
    return fields


def as_yaml(protocol: str, habits: Sequence[str] = (), *, layout: str = "ucf101") -> str:
    """The fields as lines of a YAML file, each habit with what it does."""
    fields = fields_of(protocol, habits, layout=layout)
    lines = [f"# protocol {protocol}{''.join(f' + {name}' for name in habits)}", f"layout: {layout}"]
    lines += [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    on = habits_of(Experiment.from_mapping({"layout": layout} | fields))
    return "\n".join([*lines, *(f"# {name}: {HABITS[name].text}" for name in on)]) + "\n"


def habits_of(experiment: Experiment) -> list[str]:
    """The habits that an experiment's fields amount to."""
    values = experiment.to_dict()
    return [name for name, habit in HABITS.items() if all(values[k] == v for k, v in habit.fields.items())]


def protocol_of(experiment: Experiment) -> str:
    """In a few words for a table: ``sound``, or the habits switched on and other values of their fields."""
    found = habits_of(experiment)
    usual, values = Experiment().to_dict(), experiment.to_dict()
    named = {field for name in found for field in HABITS[name].fields}
    unsound = ("watch", "last_batch", "values", "mirror_sides", "sampling", "clipping", "parameter_groups")
    found += [f"{field} {values[field]}" for field in unsound if values[field] != usual[field] and field not in named]
    wanted = [name for name in HABITS if name != "sides_mirrored" or experiment.layout in SIDED_LAYOUTS]
    if not found:
        return "sound"
    return "as published code" if found == wanted else "sound but " + ", ".join(found)
