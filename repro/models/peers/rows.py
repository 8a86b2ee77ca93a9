"""The rows of Table 6: every network with its own published input, test protocol and published counts.

``networks.toml`` beside this file holds them. A value stands there only with the place where it was read.
"""

import importlib
import inspect
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from repro.files import Many, Written, checked, read_toml
from repro.models import MODELS, build
from repro.paper.fields import once

LISTED = Path(__file__).with_name("networks.toml")
COMMON = {"frames": 16, "size": 224}  # the one input at which networks stand side by side: the paper's
EXCEPTED = "i3d"  # by the paper's own sentences; a claim of its own compares it


class Published(Written):
    """Counts published for a row: ``params`` in millions, ``gmacs`` in 10^9 multiply-adds of one clip, None where none
    was read; each with its source. ``frames``, ``size``, ``classes`` where they were counted at other than the row's;
    ``cause``: why the built network differs beyond rounding, or what the reader should know."""

    params: int | float | None = None
    params_source: str = ""
    gmacs: int | float | None = None
    gmacs_source: str = ""
    frames: int | None = None
    size: int | None = None
    classes: int | None = None
    looked_in: str = ""
    cause: str = ""

    @model_validator(mode="after")
    def _has_its_sources(self) -> Self:
        for count in ("params", "gmacs"):
            if getattr(self, count) is not None and not getattr(self, f"{count}_source"):
                raise ValueError(f"{count} has no source; add {count}_source")
        return self


class Row(Written):
    """A network as Table 6 measures it."""

    name: str
    title: str  # for readers
    group: Literal["ours", "peer", "today"]  # this study's; those that such tables compare with; what one takes today
    factory: str  # ``family.function`` under repro.models.peers, or a name of ``repro.models.MODELS``
    frames: int  # of the published input, with size and classes
    size: int
    classes: int
    fixed: str = ""  # why it cannot take the common input, "" where it can
    flow: int = 0  # optical-flow fields that it takes beside one frame (two-stream)
    clips: int | None = None  # clips and crops: views of a video in its published test, None where it is not stated;
    crops: int | None = None  # then ``protocol`` says what is
    sampling: Literal["segments", "dense"] = "segments"  # over the whole video, or dense with ``stride``
    stride: int = 1
    protocol: str = ""
    protocol_source: str = ""
    accuracy_of: Many[str] = ()  # names of its published accuracies in repro/paper/paper.toml
    key: str = ""  # its work in book/references.bib, "" for none
    named: str = ""  # by which name the paper's text speaks of it, "" where it does not
    said: str = ""  # what number it gives of it outside its tables, and where
    published: Published = Published()

    @property
    def views(self) -> int | None:
        """Clips times crops of a video in the published test; None where they are not stated."""
        return None if self.clips is None or self.crops is None else self.clips * self.crops

    def build(self, *, classes: int | None = None, frames: int | None = None) -> nn.Module:
        """The network, untrained, in evaluation mode; for this number of frames where that is part of it."""
        classes = self.classes if classes is None else classes
        if self.factory in MODELS:
            return build(self.factory, classes=classes).eval()
        family, _, name = self.factory.partition(".")
        make = getattr(importlib.import_module(f"repro.models.peers.{family}"), name)
        options = {"frames": frames} if frames and "frames" in inspect.signature(make).parameters else {}
        return make(classes=classes, **options).eval()

    def inputs(
        self, batch: int = 1, *, frames: int | None = None, size: int | None = None, **options: Any
    ) -> tuple[torch.Tensor, ...]:
        """Clips ``(batch, frames, 3, size, size)``, and flow beside one frame, normally distributed; on the meta device
        without values."""
        frames, size = frames or self.frames, size or self.size
        shapes = [(batch, frames, 3, size, size), *([(batch, self.flow, size, size)] if self.flow else [])]
        return tuple(torch.randn(shape, **options) for shape in shapes)


class NotRebuilt(Written):
    """A method of such tables that has no network here, with the reason."""

    name: str
    why: str
    accuracy_of: Many[str] = ()


class _File(Written):
    networks: Annotated[Many[Row], once("name")] = Field(alias="network")
    not_rebuilt: Many[NotRebuilt] = ()


@cache
def _file(path: Path) -> _File:
    return checked(_File, read_toml(path), str(path))


@cache
def rows(path: Path = LISTED) -> dict[str, Row]:
    """Every row by name, in the file's order. Raises ValueError that names the entry, the field and the mend."""
    return {row.name: row for row in _file(path).networks}


def compared() -> list[str]:
    """The networks that the paper's two are compared with, everywhere: a row a family, I3D apart (`EXCEPTED`).

    Of a family listed at several numbers of frames, the one nearest to the common input's.
    """
    chosen: dict[str, Row] = {}
    for name, row in rows().items():
        if row.group != "peer" or name == EXCEPTED:
            continue
        best = chosen.get(row.factory)
        if best is None or abs(row.frames - COMMON["frames"]) < abs(best.frames - COMMON["frames"]):
            chosen[row.factory] = row
    return [row.name for row in chosen.values()]


def titles(names: Sequence[str]) -> str:
    """The networks' names for readers, the first six of them."""
    shown = ", ".join(rows()[name].title for name in names[:6])
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def not_rebuilt() -> tuple[NotRebuilt, ...]:
    """The methods that are not rebuilt, with reasons."""
    return _file(LISTED).not_rebuilt
