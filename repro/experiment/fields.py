"""One experiment: the fields that a profile, a notebook's parameters cell and the command line share.

Each field declares its role, from which ``repro.records.compare`` says which runs may be put together:

- ``Result``: it decides the result beyond rounding;
- ``Filing``: where the run is filed, where its clips lie and what readers are told;
- ``Machine``: the same result to rounding, sooner or later.

Unknown names and wrong types are errors. Where the paper's text gives a value it is the default; the rest is an entry
in the ledger of assumptions (``repro/paper/paper.toml``).
"""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from repro.files import check_names, fault_text

BASELINE, ATTENTION = "resnet34_3dres18", "res34_se_im_net"  # the paper's two networks
CONTROL = "resnet34_frame_average"  # the same trunk without a 3D head
TEMPORAL = "res34_se_im_ta_net"  # the paper's future work, no network of the paper's
TITLES = {
    BASELINE: "ResNet34-3DRes18",
    ATTENTION: "Res34-SE-IM-Net",
    CONTROL: "ResNet-34, frames averaged",
    TEMPORAL: "Res34-SE-IM-Net, temporal attention",
}
"""The networks by the names that code and readers use; ``repro.models.MODELS`` builds them."""

T = TypeVar("T")
Result = Annotated[T, "result"]
Filing = Annotated[T, "filing"]
Machine = Annotated[T, "machine"]

Positive = Annotated[T, Field(gt=0, allow_inf_nan=False)]
From0 = Annotated[T, Field(ge=0, allow_inf_nan=False)]
Width = Annotated[float, Field(ge=1 / 64, allow_inf_nan=False)]  # of 64 channels one is left
Share = Annotated[T, Field(ge=0, lt=1)]
Role = Literal["main", "ablation", "tuning"]
Layout = Literal["ucf101", "hmdb51", "something_v1", "kinetics400", "folder"]  # read by repro.data.layouts.LAYOUTS
Decoder = Literal["opencv", "pyav"]  # called by repro.data.decode
Sampling = Literal["paper_text", "eco_pytorch"]  # defined by repro.data.sampling.POLICIES
Values = Literal["imagenet", "eco_pytorch", "eco_pytorch_resnet"]  # defined by repro.data.transforms.VALUES
Unusable = Literal["error", "leave_out"]
LastBatch = Literal["keep", "drop_partial", "drop"]
Schedule = Literal["plateau", "cosine"]
Clipping = Literal["before_step", "after_step"]
Groups = Literal["one", "eco_pytorch"]
BatchNorm = Literal["all", "first", "none"]
Steers = Literal["validation", "test"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Accelerator = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class Experiment:
    """Everything that decides a run's result, and where it is filed."""

    # where it is filed
    study: Filing[str] = "adhoc"  # folder under results/
    run: Filing[str] = ""  # folder under the study; empty: model-split-seed
    role: Filing[Role] = "main"  # what the study is for: main is evidence for the claims; ablation, tuning
    remark: Filing[str] = ""  # printed wherever the results are shown: what the clips are, what is not the paper's

    # data
    dataset: Filing[str] = "the demo set"  # name shown to readers
    layout: Result[Layout] = "ucf101"  # ucf101, hmdb51, something_v1, kinetics400; folder: your own
    videos: Filing[str] = "data/demo/videos"  # folder with the clips, or with their frame caches
    annotations: Filing[str] = "data/demo/annotations"  # folder with the official split files
    classes: Result[list[str] | None] = None  # a subset by name; None: all
    split: Result[Positive[int]] = 1  # official split, 1 to 3; the seed where a folder of your own has no split file
    unusable: Result[Unusable] = "error"  # listed clips that are missing or do not decode: error; leave_out
    decoder: Result[Decoder] = "opencv"  # of video files: opencv, as in the paper; AV1 is read by pyav in any case

    # network
    model: Result[str] = "res34_se_im_net"  # see repro.models.MODELS
    width: Result[Width] = 1.0  # channels relative to the paper's; 1 is the paper
    gate: Result[str | None] = None  # gate of the SE-IM network (repro.models.blocks.GATES); None: the network's own
    reduction: Result[Positive[int]] = 16  # the gate's ratio r
    gate_bias: Result[Annotated[float, Field(allow_inf_nan=False)]] = 0.0  # start value of the gate's last bias
    head_stride: Result[list[int]] = dataclasses.field(default_factory=lambda: [2, 2, 2])  # time, height, width
    dropout: Result[Share[float]] = 0.5  # paper, section 4.1
    trunk_weights: Result[str | None] = None  # a file or ResNet34_Weights.IMAGENET1K_V1; None: from scratch
    head_weights: Result[str | None] = None  # a file or R3D_18_Weights.KINETICS400_V1; shapes that match
    start_from: Result[str | None] = None  # an own network: study/run of a finished run, or a weights file

    # input
    frames: Result[Positive[int]] = 16  # segments N; paper, section 4.1
    size: Result[Annotated[int, Field(ge=64)]] = 224  # pixels a side after cropping; gives the paper's 7x7 maps
    sampling: Result[Sampling] = "paper_text"  # eco_pytorch: frames as ref. 12's code takes them, defects too
    values: Result[Values] = "imagenet"  # imagenet: RGB, normalised; the others: ref. 12's BGR slips
    crop_scales: Result[list[float]] = dataclasses.field(default_factory=lambda: [1.0, 0.875, 0.75, 0.66])  # ref. 12
    flip: Result[bool] = True  # mirror images in training; where left and right are labels, off or with swap_labels
    swap_labels: Result[bool] = False  # a mirror image of "left" is labelled "right"
    mirror_sides: Result[bool] = False  # ref. 12's code: mirrored, and still labelled "left"

    # optimisation
    seed: Result[From0[int]] = 0  # training seed: weights, order, augmentation
    epochs: Result[Positive[int]] = 40  # not stated in the text; ECO-pytorch's default
    batch_size: Result[Positive[int]] = 16  # clips a forward pass, over all devices; not stated in the text
    accumulate: Result[Positive[int]] = 1  # forward passes a step: the effective batch is batch_size x accumulate
    last_batch: Result[LastBatch] = "keep"  # keep; drop_partial; drop: always, as ref. 12's code does
    learning_rate: Result[Positive[float]] = 0.001  # paper, section 4.1
    rate_chosen_by: Result[str | None] = None  # the tuning study whose validation clips chose each network's rate
    momentum: Result[Share[float]] = 0.9  # value not stated in the text
    weight_decay: Result[From0[float]] = 0.0005  # value not stated in the text
    nesterov: Result[bool] = False  # not stated in the text
    schedule: Result[Schedule] = "plateau"  # plateau: the paper's; cosine: to zero over the epochs, for short budgets
    saturate: Result[Positive[int]] = 5  # plateau: epochs without a better top-1 before the rate falls
    clip_gradient: Result[Positive[float]] = 50.0  # largest gradient norm; paper, section 4.1
    clipping: Result[Clipping] = "before_step"  # before_step; after_step as ref. 12's code does, which clips nothing
    parameter_groups: Result[Groups] = "one"  # eco_pytorch: biases faster, they and norms without decay
    batch_norm: Result[BatchNorm] = "all"  # layers whose statistics are trained: all; first (partial BN, ref. 7); none
    precision: Result[Precision] = "32-true"  # of matrix products; a GPU's convolutions are then TF32, torch's default
    validation_fraction: Result[Share[float]] = 0.1  # share of training groups set aside for the schedule; cosine: 0
    watch: Result[Steers] = "validation"  # steers schedule and checkpoint; test: unsound, as ref. 12's code

    # machine: these do not change a result beyond rounding
    threads: Machine[From0[int]] = 0  # CPU threads; 0: all. Summation order, so the last digits, depend on it
    workers: Machine[From0[int] | None] = None  # loader processes; None: as many as keep reading off the clock
    prefetch: Machine[Positive[int]] = 2  # batches that each loader process prepares ahead
    accelerator: Machine[Accelerator] = "auto"  # auto: a GPU where there is one; cpu; cuda
    devices: Machine[Positive[int]] = 1  # GPUs (or CPU processes) of a node; each takes its share of batch_size
    nodes: Machine[Positive[int]] = 1  # machines; more than one is started by srun or torchrun
    compile: Machine[bool] = False  # torch.compile trunk and head; minutes at the start

    @model_validator(mode="after")
    def _fields_fit(self) -> "Experiment":
        check_names([self.model], list(TITLES), "model")
        if self.mirror_sides and (self.swap_labels or not self.flip):
            raise ValueError("mirror_sides: needs flip: true and no swap_labels, or there is nothing for it to spoil")
        if self.layout == "something_v1" and self.flip and not (self.swap_labels or self.mirror_sides):
            raise ValueError(
                "flip: left and right are labels of Something-Something; set flip: false or swap_labels: true "
                "(mirror_sides: true repeats the published code's fault)"
            )
        if self.schedule == "plateau" and self.validation_fraction == 0 and self.watch == "validation":
            raise ValueError(
                "validation_fraction: validation clips steer the plateau schedule, so it must be more than 0 "
                "(the test split is not used for that)"
            )
        if self.watch == "test" and self.validation_fraction:
            raise ValueError("watch: test clips steer this run, so set none aside: validation_fraction: 0")
        if self.start_from and (self.trunk_weights or self.head_weights):
            raise ValueError("start_from: fills the whole network; leave trunk_weights and head_weights empty")
        processes = self.devices * self.nodes
        if self.batch_size % processes:
            raise ValueError(
                f"batch_size: {self.batch_size} clips cannot be shared evenly by {processes} devices "
                "(devices x nodes); batch_size counts the clips of all devices together"
            )
        if len(self.head_stride) != 3:
            raise ValueError(f"head_stride: {self.head_stride} must be three numbers (time, height, width)")
        if not self.crop_scales or not all(0 < scale <= 1 for scale in self.crop_scales):
            raise ValueError(f"crop_scales: {self.crop_scales} must be shares of the short side, more than 0, up to 1")
        for name in ("study", "run"):
            if any(c in getattr(self, name) for c in "/\\ ") or getattr(self, name).startswith("."):
                raise ValueError(
                    f"{name}: {getattr(self, name)!r} becomes a folder's name: no slashes, spaces, dots first"
                )
        if not self.run:
            object.__setattr__(self, "run", f"{self.model}-split{self.split}-seed{self.seed}")
        return self

    @property
    def effective_batch(self) -> int:
        """Clips a step of the optimiser, over all devices."""
        return self.batch_size * self.accumulate

    @property
    def title(self) -> str:
        """The network as a reader knows it, with its width factor where it is not the paper's."""
        gate = f", gate {self.gate}" if self.gate else ""
        width = f" (width ×{self.width:g})" if self.width != 1 else ""
        return TITLES[self.model] + gate + width

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Experiment":
        """Build from parameters by name. Raises ValueError for an unknown name, with the nearest known one, and for a
        value that the field cannot have."""
        check_names(values, list(ROLES), "fields")
        try:
            return cls(**values)
        except ValidationError as error:
            raise ValueError(fault_text(error) + _how_to_write(error)) from None

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def model_options(self, taken: Sequence[str]) -> dict[str, Any]:
        """The network's options among these fields, for a network that takes the options ``taken``."""
        options = {name: getattr(self, name) for name in taken if name not in ("classes", "gate")}
        if "gate" in taken and self.gate is not None:
            options["gate"] = self.gate
        elif self.gate is not None:
            raise ValueError(f"gate: {self.model} has none; leave it empty or use res34_se_im_net")
        if "head_stride" in options:
            options["head_stride"] = tuple(options["head_stride"])
        return options


ROLES: dict[str, str] = {
    field.name: next(mark for mark in typing.get_args(field.type) if mark in ("result", "filing", "machine"))
    for field in dataclasses.fields(Experiment)
}
"""The role of every field, by name."""


def choices(field: str) -> tuple[str, ...]:
    """The values that a field may have, where they are listed."""
    return typing.get_args(typing.get_type_hints(Experiment)[field])


def _how_to_write(error: ValidationError) -> str:
    """The mend for a value of a wrong type: papermill's ``-p flip false`` passes the string, which must not pass."""
    fault = error.errors()[0]
    if fault["type"] == "list_type" and isinstance(fault["input"], str | int | float):
        return f"; write {fault['loc'][0]}: [{fault['input']}, ...]"
    return "; pass parameters in a YAML file (papermill -f params.yaml)" if fault["type"].endswith("_type") else ""
