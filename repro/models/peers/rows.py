"""The rows of Table 6: every network with its own published input, test protocol and published counts.

``networks.toml`` beside this file holds them. A value stands there only with the place where it was read.
"""

import importlib
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repro.models import MODELS, build

LISTED = Path(__file__).with_name("networks.toml")
GROUPS = ("ours", "peer", "today")
"""The study's own networks; those that such tables compare with; what one would take today."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Counts published for a row: ``params`` in millions, ``gmacs`` in 10^9 multiply-adds of one clip, None where none
    was read; each with its source. ``frames``, ``size``, ``classes`` where they were counted at other than the row's;
    ``cause``: why the built network differs beyond rounding, or what the reader should know."""

    params: float | None = None
    params_source: str = ""
    gmacs: float | None = None
    gmacs_source: str = ""
    frames: int | None = None
    size: int | None = None
    classes: int | None = None
    looked_in: str = ""
    cause: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network as Table 6 measures it.

    name: of the row. title: for readers. factory: ``family.function`` under repro.models.peers, or a name of
    ``repro.models.MODELS``. frames, size, classes: the published input. flow: optical-flow fields that it takes beside
    one frame (two-stream). clips, crops: views of a video in its published test, None where it is not stated; then
    ``protocol`` says what is. sampling: "segments" over the whole video or "dense" with ``stride``. accuracy_of: names
    of its published accuracies in repro/paper/paper.toml. key: its work in book/references.bib, "" for none.
    """

    name: str
    title: str
    group: str
    factory: str
    frames: int
    size: int
    classes: int
    flow: int = 0
    clips: int | None = None
    crops: int | None = None
    sampling: str = "segments"
    stride: int = 1
    protocol: str = ""
    protocol_source: str = ""
    accuracy_of: tuple[str, ...] = ()
    key: str = ""
    published: Published = field(default_factory=Published)

    @property
    def views(self) -> int | None:
        """Clips times crops of a video in the published test; None where they are not stated."""
        return None if self.clips is None or self.crops is None else self.clips * self.crops

    def build(self, *, classes: int | None = None) -> nn.Module:
        """The network, untrained, in evaluation mode."""
        classes = self.classes if classes is None else classes
        if self.factory in MODELS:
            return build(self.factory, classes=classes).eval()
        family, _, name = self.factory.partition(".")
        return getattr(importlib.import_module(f"repro.models.peers.{family}"), name)(classes=classes).eval()

    def shapes(self, batch: int = 1, *, frames: int | None = None, size: int | None = None) -> tuple[tuple, ...]:
        """Shapes of the inputs: clips ``(batch, frames, 3, size, size)``, and flow beside one frame."""
        frames, size = frames or self.frames, size or self.size
        clips = (batch, frames, 3, size, size)
        return (clips, (batch, self.flow, size, size)) if self.flow else (clips,)

    def inputs(self, batch: int = 1, *, frames=None, size=None, **options: Any) -> tuple[torch.Tensor, ...]:
        """Inputs of these shapes, normally distributed; on the meta device without values."""
        return tuple(torch.randn(shape, **options) for shape in self.shapes(batch, frames=frames, size=size))


@dataclass(frozen=True, kw_only=True)
class NotRebuilt:
    """A method of such tables that has no network here, with the reason."""

    name: str
    why: str
    accuracy_of: tuple[str, ...] = ()


@cache
def rows(path: Path = LISTED) -> dict[str, Row]:
    """Every row by name, in the file's order. Raises ValueError that names the entry, the field and the mend."""
    found: dict[str, Row] = {}
    for entry in _entries(path, "network"):
        row = _made(Row, entry, path)
        if row.name in found or row.group not in GROUPS:
            problem = "stands twice" if row.name in found else f"has group {row.group!r}; use {', '.join(GROUPS)}"
            raise ValueError(f"{path}: network {row.name!r} {problem}")
        found[row.name] = row
    return found


@cache
def not_rebuilt(path: Path = LISTED) -> tuple[NotRebuilt, ...]:
    """The methods that are not rebuilt, with reasons."""
    return tuple(_made(NotRebuilt, entry, path) for entry in _entries(path, "not_rebuilt"))


def _entries(path: Path, kind: str) -> list[dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get(kind, [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not readable as TOML: {error}; mend that line") from None


def _made(kind, entry: dict[str, Any], path: Path):
    known = {each.name for each in fields(kind)}
    where = f"{path}: {entry.get('name', 'an entry')}"
    if unknown := set(entry) - known:
        raise ValueError(f"{where}: unknown field {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    entry = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    if isinstance(entry.get("published"), dict):
        entry["published"] = _made(Published, entry["published"], path)
        for count in ("params", "gmacs"):
            if getattr(entry["published"], count) is not None and not getattr(entry["published"], f"{count}_source"):
                raise ValueError(f"{where}: published {count} has no source; add {count}_source")
    try:
        return kind(**entry)
    except TypeError as error:
        raise ValueError(f"{where}: {str(error).partition('() ')[2]}") from None
