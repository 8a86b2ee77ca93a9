"""One experiment: the fields that a profile, a notebook's parameters cell and the command line share.

Unknown keys and wrong types are errors. Where the paper's text gives a value it is the default; the rest is an entry
in the ledger of assumptions (``repro/paper/paper.toml``).
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TITLES = {
    "resnet34_3dres18": "ResNet34-3DRes18",
    "res34_se_im_net": "Res34-SE-IM-Net",
    "resnet34_frame_average": "ResNet-34, frames averaged",
    "res34_se_im_ta_net": "Res34-SE-IM-Net, temporal attention",
}
"""The networks by the names that code and readers use; ``repro.models.MODELS`` builds them."""
LAYOUTS = ("ucf101", "hmdb51", "something_v1", "kinetics400", "folder")  # read by repro.data.layouts.LAYOUTS
DECODERS = ("opencv", "torchcodec", "decord", "pyav")  # called by repro.data.decode
SAMPLINGS = ("paper_text", "eco_pytorch")  # defined by repro.data.sampling.POLICIES
CHOICES = {
    "layout": LAYOUTS,
    "decoder": DECODERS,
    "unusable": ("error", "leave_out"),
    "sampling": SAMPLINGS,
    "values": ("imagenet", "eco_pytorch", "eco_pytorch_resnet"),  # defined by repro.data.transforms.VALUES
    "last_batch": ("keep", "drop_partial", "drop"),
    "schedule": ("plateau", "cosine"),
    "clipping": ("before_step", "after_step"),
    "parameter_groups": ("one", "eco_pytorch"),
    "batch_norm": ("all", "first", "none"),
    "watch": ("validation", "test"),
    "test_crops": (1, 3, 10),
    "precision": ("32-true", "bf16-mixed", "16-mixed"),
    "accelerator": ("auto", "cpu", "cuda"),
    "crop_on": ("cpu", "device"),
}
"""The values of each field that has a few."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a run's result, and where it is filed."""

    # where it is filed
    study: str = "adhoc"  # folder under results/
    run: str = ""  # folder under the study; empty: model-split-seed
    remark: str = ""  # printed wherever the results are shown: what the clips are, what is not the paper's

    # data
    dataset: str = "the demo set"  # name shown to readers
    layout: str = "ucf101"  # how clips and lists lie: ucf101, hmdb51, something_v1, kinetics400, folder (your own)
    videos: str = "data/demo/videos"  # folder with the clips, or with their frame caches
    annotations: str = "data/demo/annotations"  # folder with the official split files
    classes: list[str] | None = None  # a subset by name; None: all
    split: int = 1  # official split, 1 to 3; the seed where a folder of your own has no split file
    unusable: str = "error"  # listed clips that are missing or do not decode: error, or leave_out and say so
    decoder: str = "opencv"  # of video files: opencv, as in the paper; torchcodec, decord or pyav where installed

    # network
    model: str = "res34_se_im_net"  # see repro.models.MODELS
    width: float = 1.0  # channels relative to the paper's; 1 is the paper
    gate: str | None = None  # gate of the SE-IM network (repro.models.blocks.GATES); None: the network's own
    reduction: int = 16  # the gate's ratio r
    gate_bias: float = 0.0  # start value of the gate's last bias
    head_stride: list[int] = field(default_factory=lambda: [2, 2, 2])  # time, height, width of head stages 2 and 3
    dropout: float = 0.5  # paper, section 4.1
    trunk_weights: str | None = None  # torchvision's ResNet-34: a file or ResNet34_Weights.IMAGENET1K_V1; None: scratch
    head_weights: str | None = None  # torchvision's r3d_18 where shapes match: a file or R3D_18_Weights.KINETICS400_V1
    start_from: str | None = None  # one of our own networks: study/run of a finished run here, or a weights file

    # input
    frames: int = 16  # segments N; paper, section 4.1
    size: int = 224  # pixels a side after cropping; gives the paper's 7x7 maps
    sampling: str = "paper_text"  # which frames: paper_text, or eco_pytorch as ref. 12's code with its defects
    values: str = "imagenet"  # imagenet: RGB, normalised; eco_pytorch, eco_pytorch_resnet: ref. 12's BGR slips
    crop_scales: list[float] = field(default_factory=lambda: [1.0, 0.875, 0.75, 0.66])  # of the short side; ref. 12
    flip: bool = True  # mirror images in training; where left and right are labels, off or with swap_labels
    swap_labels: bool = False  # a mirror image of "left" is labelled "right"; not mirrored where no such class is
    mirror_sides: bool = False  # ref. 12's code: mirror Something-Something too and keep "left" for what is now right

    # optimisation
    seed: int = 0  # training seed: weights, order, augmentation
    epochs: int = 40  # not stated in the text; ECO-pytorch's default
    batch_size: int = 16  # clips a forward pass, over all devices; not stated in the text
    accumulate: int = 1  # forward passes a step: the effective batch is batch_size x accumulate
    last_batch: str = "keep"  # partial ones: keep; drop_partial; drop: the last one always, as ref. 12's code does
    learning_rate: float = 0.001  # paper, section 4.1
    momentum: float = 0.9  # value not stated in the text
    weight_decay: float = 0.0005  # value not stated in the text
    nesterov: bool = False  # not stated in the text
    schedule: str = "plateau"  # plateau: the paper's; cosine: to zero over the epochs, for short budgets
    saturate: int = 5  # plateau: epochs without a better validation top-1 before the rate is divided by 10
    clip_gradient: float = 50.0  # largest gradient norm; paper, section 4.1
    clipping: str = "before_step"  # before_step; after_step as ref. 12's code does, which clips nothing
    parameter_groups: str = "one"  # one; eco_pytorch: biases at twice the rate, they and batch norms without decay
    batch_norm: str = "all"  # layers whose statistics are trained: all; first (partial BN, ref. 7); none
    validation_fraction: float = 0.1  # share of training groups set aside for the schedule; 0 with cosine
    watch: str = "validation"  # what steers schedule and checkpoint: validation; test, as ref. 12's code does: unsound

    # evaluation
    test_clips: int = 1  # clips of N frames a video, 1 to 10; the paper's is 1
    test_crops: int = 1  # crops a clip: 1 (centre), 3 (along the longer side), 10 (corners, centre, mirrored)

    # machine: these do not change a result beyond rounding
    threads: int = 0  # CPU threads of the network; 0: all. Summation order, so the last digits, depend on it
    workers: int = 0  # loader processes
    prefetch: int = 2  # batches that each loader process prepares ahead
    precision: str = "32-true"  # Lightning's names: 32-true, bf16-mixed, 16-mixed
    accelerator: str = "auto"  # auto: a GPU where there is one; cpu; cuda
    devices: int = 1  # GPUs (or CPU processes) of a node; each takes its share of batch_size
    nodes: int = 1  # machines; more than one is started by srun or torchrun
    crop_on: str = "cpu"  # where clips are cropped and resized after decoding: cpu (loader processes); device
    compile: bool = False  # torch.compile trunk and head; minutes at the start

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for name in (f.name for f in dataclasses.fields(self)):
            object.__setattr__(self, name, _typed(name, getattr(self, name), hints[name]))
        positive = ("width", "reduction", "frames", "size", "epochs", "batch_size", "learning_rate", "saturate")
        for name in (*positive, "accumulate", "prefetch", "devices", "nodes", "test_clips"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be more than 0")
        check_names([self.model], list(TITLES), "model")
        for name, values in CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not one of {', '.join(map(str, values))}")
        self._check_mirroring()
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(f"validation_fraction: {self.validation_fraction} must be in 0 to 1")
        if self.schedule == "plateau" and self.validation_fraction == 0 and self.watch == "validation":
            raise ValueError(
                "validation_fraction: the plateau schedule watches validation clips, so it must be more than 0 "
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

    def _check_mirroring(self) -> None:
        if self.mirror_sides and (self.swap_labels or not self.flip):
            raise ValueError("mirror_sides: needs flip: true and no swap_labels, or there is nothing for it to spoil")
        if self.layout == "something_v1" and self.flip and not (self.swap_labels or self.mirror_sides):
            raise ValueError(
                "flip: left and right are labels of Something-Something; set flip: false or swap_labels: true "
                "(mirror_sides: true repeats the published code's fault)"
            )
        if self.layout == "something_v1" and self.test_crops == 10:
            raise ValueError("test_crops: 10 mirrors clips, and left and right are labels here; take 1 or 3")
        if self.test_clips > 10:
            raise ValueError(f"test_clips: {self.test_clips} must be 1 to 10")
        if self.test_clips > 1 and self.sampling != "paper_text":
            raise ValueError("test_clips: the published sampling has one clip a video; set sampling: paper_text")
        if self.crop_on == "device" and self.test_clips * self.test_crops > 1:
            raise ValueError("crop_on: several views are cropped on the cpu; set crop_on: cpu")

    @property
    def effective_batch(self) -> int:
        """Clips a step of the optimiser, over all devices."""
        return self.batch_size * self.accumulate

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Experiment":
        """Build from parameters by name. Raises ValueError for an unknown name, with the nearest known one."""
        check_names(values, [f.name for f in dataclasses.fields(cls)], "experiment")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def model_options(self, taken: typing.Sequence[str]) -> dict[str, Any]:
        """The network's options among these fields, for a network that takes the options ``taken``."""
        options = {name: getattr(self, name) for name in taken if name not in ("classes", "gate")}
        if "gate" in taken and self.gate is not None:
            options["gate"] = self.gate
        elif self.gate is not None:
            raise ValueError(f"gate: {self.model} has none; leave it empty or use res34_se_im_net")
        if "head_stride" in options:
            options["head_stride"] = tuple(options["head_stride"])
        return options


MACHINE_FIELDS = (
    "threads", "workers", "prefetch", "precision", "accelerator", "devices", "nodes", "crop_on", "compile"
)  # fmt: skip
FILING_FIELDS = ("study", "run", "remark", "dataset", "videos", "annotations")


def check_names(values: typing.Iterable[str], known: typing.Sequence[str], what: str) -> None:
    """Raise ValueError for the first name in ``values`` that is not ``known``, and say which one is near."""
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{what}: unknown name {name!r}; {hint}")


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value, an int made a float where a float is meant; ValueError for any other mismatch.

    papermill's ``-p flag false`` passes the string: such slips must not pass as true.
    """
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in allowed:
        if kind is type(None) and value is None:
            return value
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if kind is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if kind in (str, bool) and isinstance(value, kind):
            return value
        if typing.get_origin(kind) is list and isinstance(value, list | tuple):
            return [_typed(name, item, typing.get_args(kind)[0]) for item in value]
    one = isinstance(value, str | int | float) and not isinstance(value, bool) and not str(value).startswith("[")
    if one and any(typing.get_origin(kind) is list for kind in allowed):
        raise ValueError(f"{name}: {value!r} is not a list; write {name}: [{value}, ...]")
    names = " or ".join("nothing" if kind is type(None) else getattr(kind, "__name__", str(kind)) for kind in allowed)
    raise ValueError(f"{name}: {value!r} is not {names}; pass parameters in a YAML file (papermill -f params.yaml)")
