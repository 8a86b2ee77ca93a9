"""Starting a network from weights: where they come from, which of them fit, and a report of everything that did not.

Sources: torchvision's ResNet-34 (He et al. 2016, ref. 14; ImageNet) for the trunk, its r3d_18 (Tran et al. 2018;
Kinetics-400) for the 3D head, and networks of ours. Nothing is skipped in silence: see :class:`LoadReport`.
"""

import hashlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from repro.models.fused import FusedNet, ResNet18Head3d, ResNet34Trunk

OUR_PREFIX = "network."  # of every name in our checkpoints
NOT_IN_FILE = "not in the file"
NO_GATES_IN_FILE = "no gates in the file"
ANOTHER_SHAPE = "another shape"
NO_SUCH_TENSOR = "no such tensor here"
WHOLE_NETWORK = "a whole network of ours belongs in start_from"
NO_GATES = {".gate.": "no gates here"}
CLASSIFIER = ("head.fc.weight", "head.fc.bias")
MET_BY_OTHER_MAPS = ("stage1.0.conv1.weight", "stage1.0.downsample.0.weight")
"""The head's only convolutions on the trunk's maps: 512 channels in, where r3d_18's have 64."""


# --- the report ---


@dataclass(frozen=True)
class LoadReport:
    """What some weights gave to a module; with reasons its tensors that got none, and those of the file left over."""

    loaded: tuple[str, ...]
    not_loaded: dict[str, str]
    unused: dict[str, str]

    def __str__(self) -> str:
        parts = [f"loaded {len(self.loaded)} of {len(self.loaded) + len(self.not_loaded)} tensors"]
        for title, reasons in (("not loaded", self.not_loaded), ("unused", self.unused)):
            kinds = _by_reason({name: reason.split(":")[0] for name, reason in reasons.items()})  # without the shapes
            parts += [f"{title} {len(names)}: {kind} ({_names(names)})" for kind, names in kinds.items()]
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """For a record: three counts, and the names that were left out, grouped by reason."""
        return {
            "loaded": len(self.loaded),
            "not_loaded": len(self.not_loaded),
            "unused": len(self.unused),
            "not_loaded_by_reason": _by_reason(self.not_loaded),
            "unused_by_reason": _by_reason(self.unused),
        }


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    return groups


def _names(names: Iterable[str]) -> str:
    found = list(names)
    return (", ".join(found[:3]) + (", ..." if len(found) > 3 else "")) or "nothing"


# --- reading ---


def read_weights(source: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict, on the CPU; nothing in a file is executed.

    Args:
        source: a ``.safetensors`` file; a ``torch.save`` file of a state dict; a checkpoint of ours (names
            lose their ``network.``); or the name of torchvision weights, such as ``ResNet34_Weights.IMAGENET1K_V1`` or
            ``R3D_18_Weights.KINETICS400_V1``, downloaded once into torch's cache.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, one that is not weights, or a name that torchvision does not know.
        OSError: the download failed (the message says which file to put where), or the file cannot be opened.
    """
    path = Path(source)
    if not path.exists() and re.fullmatch(r"\w+_Weights\.\w+", str(source)):
        return _read_torchvision(str(source))
    if not path.is_file():
        kind = "a folder, not a file" if path.is_dir() else "no such file"
        raise FileNotFoundError(
            f"{source}: {kind} (looked for {path.absolute()}); name a .safetensors or torch.save file, or torchvision "
            "weights such as ResNet34_Weights.IMAGENET1K_V1"
        )
    return _read_file(path)


def _read_file(path: Path) -> dict[str, Tensor]:
    path.open("rb").close()  # no permission to read: Python's message says so and names the file
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = read_tensors(path)
    except UnpicklingError:  # its message advises to let the file execute code
        raise ValueError(
            f"{path}: not a file of tensors alone; write the network's state_dict() with torch.save or safetensors"
        ) from None
    except Exception as error:
        raise ValueError(
            f"{path}: cannot be read as weights ({path.stat().st_size:,} bytes): damaged, cut short or another kind of "
            "file; fetch or copy it again"
        ) from error
    return _checked(found, path)


def read_tensors(path: Path) -> Any:
    """``torch.load`` of tensors and plain values alone, checksums included; it raises a dozen types for a bad file."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"  # torch's files before 1.6 are not
    if is_zip:
        with zipfile.ZipFile(path) as archive:  # torch.load leaves the checksums unread, and damage in the numbers
            for entry in archive.infolist():
                if entry.CRC:  # 0: torch wrote no checksums
                    archive.read(entry)  # raises BadZipFile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol of files that are refused anyway
        return torch.load(path, map_location="cpu", weights_only=True)


def _checked(found: Any, source: str | Path) -> dict[str, Tensor]:
    """The state dict in what a reader returned."""
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
        others = [name for name in found if not str(name).startswith(OUR_PREFIX)]
        if others:
            raise ValueError(
                f"{source}: a training checkpoint, but not one of ours ({others[0]} does not start with {OUR_PREFIX}); "
                "write the network's state_dict() into a file of its own"
            )
        found = {name.removeprefix(OUR_PREFIX): tensor for name, tensor in found.items()}
    if not isinstance(found, Mapping) or not found:
        what = f"a {type(found).__name__}" if found != {} else "nothing"
        raise ValueError(f"{source}: holds {what}, not a state dict of named tensors; write the network's state_dict()")
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            kind = type(value).__name__
            raise ValueError(f"{source}: {name!r} is a {kind}, not a tensor; write the network's state_dict() alone")
    return dict(found)


def _read_torchvision(name: str) -> dict[str, Tensor]:
    import torchvision  # here, since importing it takes longer than reading a file

    try:
        weights = torchvision.models.get_weight(name)
    except (KeyError, ValueError):
        known = "ResNet34_Weights.IMAGENET1K_V1, R3D_18_Weights.KINETICS400_V1"
        why = f"torchvision {torchvision.__version__} has no weights of this name; name a file, or weights as {known}"
        raise ValueError(f"{name}: {why}") from None
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if place.is_file():  # torch checks the hash in its name when it downloads it, not when a person put it there
        expected = torch.hub.HASH_REGEX.search(place.name)
        digest = file_digest(place)
        if expected and not digest.startswith(expected.group(1)):
            raise ValueError(
                f"{place}: its sha256 starts with {digest[: len(expected.group(1))]}, not with {expected.group(1)} as "
                "its name says: damaged, cut short or another file; delete it and fetch it again"
            )
        return _read_file(place)
    try:
        found = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: what arrived has another hash
        raise OSError(
            f"{name}: the download failed ({error}); fetch {weights.url} on a machine with network access and put it "
            f"at {place}, or give that file's own path here"
        ) from error
    return _checked(found, name)


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """16 hex digits of a sha256 over names, dtypes, shapes and bytes in name order, whatever the kind of file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


# --- loading ---


def load_trunk(trunk: ResNet34Trunk, state: Mapping[str, Tensor]) -> LoadReport:
    """Load torchvision's ResNet-34 state dict (or one with its names) into a trunk of width 1.

    Gates keep their initial values, since no ImageNet weights exist for them.
    Raises ValueError when no weight matches by name, or when a tensor of the same name has another shape.
    """
    return _load(
        trunk,
        state,
        unused={"fc.": "the trunk ends before the classifier"} | NO_GATES,
        needed=lambda _name, reason: reason.startswith(ANOTHER_SHAPE),
        mend="only ResNet-34's weights fit (conv1.weight, layer1.0.conv1.weight, ...), and torchvision's only a trunk "
        f"of width 1; {WHOLE_NETWORK}",
    )


def load_head(head: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Load torchvision's r3d_18 state dict into a 3D head of width 1, where shapes match.

    The first unit's ``conv1`` and projection take the trunk's 512 channels in place of 64 and keep their initial
    values, and so does the classifier unless it has 400 classes.

    Raises ValueError for a head without convolutions (frame averaging), and when a convolution other than those two is
    not in the file or has another shape: another width, or another network than r3d_18.
    """
    if not isinstance(head, ResNet18Head3d):
        raise ValueError(
            f"a {type(head).__name__} has no convolutions that could take r3d_18's weights; leave head_weights out, "
            "or choose a network with the 3D head"
        )
    # r2plus1d_18 and mc3_18 share names with r3d_18: without this, their batch norms would arrive and little else
    convolutions = {name for name, weight in head.named_parameters() if weight.ndim == 5} - set(MET_BY_OTHER_MAPS)
    before_the_head = "the 2D trunk stands in its place"
    return _load(
        head,
        state,
        rename=_head_name,
        unused={"stem.": before_the_head, "layer1.": before_the_head},
        needed=lambda name, _reason: name in convolutions,
        mend=f"only r3d_18's weights fit, and only a head of width 1; {WHOLE_NETWORK}",
    )


def _head_name(name: str) -> str:
    """``layer2.0.conv1.0.weight`` of r3d_18 is the head's ``stage1.0.conv1.weight``, and ``conv1.1`` its ``bn1``."""
    name = re.sub(r"^layer([234])\.", lambda match: f"stage{int(match[1]) - 1}.", name)
    name = re.sub(r"^(stage\d\.\d\.)conv([12])\.0\.", r"\1conv\2.", name)
    return re.sub(r"^(stage\d\.\d\.)conv([12])\.1\.", r"\1bn\2.", name)


def load_network(network: FusedNet, state: Mapping[str, Tensor]) -> LoadReport:
    """Load the state dict of one of our networks into another, which may differ in classes, gates or head.

    With another class count the classifier keeps its initial values; so do gates that the file lacks.
    Raises ValueError when no weight matches by name, or when another tensor than the classifier's has another shape:
    the file is of another width, or its gates have another reduction.
    """
    return _load(
        network,
        state,
        unused=NO_GATES,
        needed=lambda name, reason: reason.startswith(ANOTHER_SHAPE) and name not in CLASSIFIER,
        mend="only weights of our networks fit (trunk.conv1.weight, ...), of the same width and gate reduction; "
        "torchvision's belong in trunk_weights or head_weights",
    )


def _load(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    unused: Mapping[str, str],
    needed: Callable[[str, str], bool],
    mend: str,
    rename: Callable[[str], str] = str,
) -> LoadReport:
    """Copy what fits, or nothing.

    ``rename``: from the file's names to the module's. ``unused``: part of a name -> why the module has no such tensor.
    ``needed``: whether a tensor must not be left out, given its name and the reason why it would be. ``mend``: what
    fits, for the message where nothing does or something needed does not.
    """
    found, own = _names(state), module.state_dict()
    state = {rename(name): tensor for name, tensor in state.items()}
    not_loaded = {}
    for name, tensor in own.items():
        if name not in state:
            not_loaded[name] = NO_GATES_IN_FILE if ".gate." in name else NOT_IN_FILE
        elif state[name].shape != tensor.shape:
            not_loaded[name] = f"{ANOTHER_SHAPE}: {tuple(state[name].shape)} there, {tuple(tensor.shape)} here"
    left = {
        name: next((reason for part, reason in unused.items() if part in name), NO_SUCH_TENSOR)
        for name in state
        if name not in own
    }
    loaded = tuple(name for name in own if name not in not_loaded)
    if wrong := [name for name, reason in not_loaded.items() if needed(name, reason)]:
        raise ValueError(
            f"{len(wrong)} tensors do not fit, first {wrong[0]}: {not_loaded[wrong[0]]}; {mend}; found {found}"
        )
    if not {name for name, _ in module.named_parameters()}.intersection(loaded):  # a batch norm's counter is no weight
        raise ValueError(f"no tensor of this state dict fits by name; {mend}; found {found}")
    module.load_state_dict({name: state[name] for name in loaded}, strict=False)
    return LoadReport(loaded, not_loaded, left)


# --- starting ---


def start(
    network: FusedNet,
    *,
    trunk_weights: str | PathLike[str] | None = None,
    head_weights: str | PathLike[str] | None = None,
    start_from: str | PathLike[str] | None = None,
) -> list[dict[str, Any]]:
    """Give a freshly built network its first weights, print a line for each source, and return what a record keeps.

    Each is a source (see :func:`read_weights`): of ResNet-34's weights, of r3d_18's, of one of our own networks'.
    Returns for each ``part`` (network, trunk or head), ``source``, ``digest`` (:func:`weights_digest` of the
    whole file) and :meth:`LoadReport.to_dict`; nothing given is a random start.
    Raises what :func:`read_weights` and the loaders raise, with the field's name before the message, and ValueError
    for ``start_from`` together with another source.
    """
    if start_from and (trunk_weights or head_weights):
        other = "trunk_weights" if trunk_weights else "head_weights"
        raise ValueError(f"start_from: gives weights to the whole network, {other} to a part of it; set one of the two")
    Loader = Callable[[Any, Mapping[str, Tensor]], LoadReport]
    sources: list[tuple[str, str | PathLike[str] | None, str, Loader, nn.Module]] = [
        ("start_from", start_from, "network", load_network, network),
        ("trunk_weights", trunk_weights, "trunk", load_trunk, network.trunk),
        ("head_weights", head_weights, "head", load_head, network.head),
    ]
    entries = []
    for field, source, part, load, module in sources:
        if not source:
            continue
        try:
            state = read_weights(source)
            report = load(module, state)
        except (ValueError, OSError) as error:
            raise type(error)(f"{field}: {error}") from error
        print(f"{field} {source}: {report}", flush=True)
        entries.append({"part": part, "source": str(source), "digest": weights_digest(state), **report.to_dict()})
    return entries
