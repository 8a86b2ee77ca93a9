"""One experiment: the fields that a profile, a notebook's parameters cell and the command line share.

Unknown keys and wrong types are errors. Where the paper's text gives a value it is the default; the rest is an entry
in the ledger of assumptions (``repro/paper.toml``).
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
}
"""The networks by the names that code and readers use; ``repro.models.MODELS`` builds them."""
LAYOUTS = ("ucf101", "hmdb51", "something_v1", "kinetics400", "folder")  # read by repro.data.layouts.LAYOUTS
DECODERS = ("opencv", "torchcodec", "decord", "pyav")  # called by repro.data.decode
SAMPLINGS = ("paper_text", "eco_pytorch")  # defined by repro.data.sampling.POLICIES


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
    trunk_weights: str | None = None  # file with torchvision's ResNet-34 state dict; None: from scratch

    # input
    frames: int = 16  # segments N; paper, section 4.1
    size: int = 224  # pixels a side after cropping; gives the paper's 7x7 maps
    sampling: str = "paper_text"  # which frames: paper_text, or eco_pytorch as ref. 12's code with its defects
    crop_scales: list[float] = field(default_factory=lambda: [1.0, 0.875, 0.75, 0.66])  # of the short side; ref. 12
    flip: bool = True  # mirror images in training; where left and right are labels, off or with swap_labels
    swap_labels: bool = False  # a mirror image of "left" is labelled "right"; not mirrored where no such class is

    # optimisation
    seed: int = 0  # training seed: weights, order, augmentation
    epochs: int = 40  # not stated in the text; ECO-pytorch's default
    batch_size: int = 16  # not stated in the text
    learning_rate: float = 0.001  # paper, section 4.1
    momentum: float = 0.9  # value not stated in the text
    weight_decay: float = 0.0005  # value not stated in the text
    nesterov: bool = False  # not stated in the text
    schedule: str = "plateau"  # plateau: the paper's; cosine: to zero over the epochs, for short budgets
    saturate: int = 5  # plateau: epochs without a better validation top-1 before the rate is divided by 10
    clip_gradient: float = 50.0  # largest gradient norm; paper, section 4.1
    validation_fraction: float = 0.1  # share of training groups set aside for the schedule; 0 with cosine

    # machine: these do not change a result beyond rounding
    threads: int = 0  # CPU threads of the network; 0: all. Summation order, so the last digits, depend on it
    workers: int = 0  # loader processes
    precision: str = "32-true"  # Lightning's names: 32-true, bf16-mixed, 16-mixed

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for name in (f.name for f in dataclasses.fields(self)):
            object.__setattr__(self, name, _typed(name, getattr(self, name), hints[name]))
        for name in ("width", "reduction", "frames", "size", "epochs", "batch_size", "learning_rate", "saturate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be more than 0")
        check_names([self.model], list(TITLES), "model")
        allowed = {"layout": LAYOUTS, "decoder": DECODERS, "sampling": SAMPLINGS, "unusable": ("error", "leave_out")}
        allowed["schedule"] = ("plateau", "cosine")
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not one of {', '.join(values)}")
        if self.layout == "something_v1" and self.flip and not self.swap_labels:
            raise ValueError(
                "flip: left and right are labels of Something-Something; set flip: false or swap_labels: true"
            )
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(f"validation_fraction: {self.validation_fraction} must be in 0 to 1")
        if self.schedule == "plateau" and self.validation_fraction == 0:
            raise ValueError(
                "validation_fraction: the plateau schedule watches validation clips, so it must be more than 0 "
                "(the test split is never used for that)"
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


MACHINE_FIELDS = ("threads", "workers", "precision")
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
