"""The real datasets by name: what each holds, where it comes from, its terms and known traps.

``catalogue.toml`` beside this file holds the values and their sources; this file says what they mean and checks them.
:func:`compare` sets what was counted in lists and files against it: the report's Table 2.
"""

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from repro.experiment.fields import check_names

FILE = Path(__file__).with_suffix(".toml")
KINDS = ("rar", "rar of rars", "zip", "tar", "tar in parts", "file")
"""What an archive is: ``tar`` with or without gzip; ``tar in parts``: one tar.gz cut into the files of a pattern;
``file``: not an archive, taken as it is."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file that a dataset is distributed as, or several of a pattern, looked for in ROOT and ROOT/archives."""

    part: str  # "videos" or "annotations": where its content goes
    file: str  # name, or pattern of names
    kind: str  # one of KINDS
    url: str = ""  # official address; "" where there is none for everybody, or index has them
    index: str = ""  # official address of a text file with an address a line
    sha256: str = ""  # "": recorded on first use in ROOT/checksums.json
    bytes: int  # size, about; see source
    unpacked: int  # size of the content taken, about; see source
    source: str  # where sum and sizes come from
    holds: str  # what is inside, in words
    takes: str  # suffix of the files taken; others stay inside
    keep: int  # how many last parts of an inner path are kept: 2 for <class>/<clip>, 1 for <file>
    replaces: bool = False  # its files take the place of others with the same YouTube id (Kinetics only)

    @property
    def asked(self) -> bool:
        """No official address: it has to be asked for."""
        return not (self.url or self.index)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a dataset is and how it is distributed."""

    name: str  # as in ``repro prepare NAME``
    title: str
    layout: str  # one of repro.data.clips.LAYOUTS
    licence: str
    homepage: str
    citation: str
    how: str  # how to get it where the official address does not do
    lists: tuple[str, ...]  # patterns; a folder that has a file for each is the annotations folder
    folders: tuple[str, ...]  # names that the archives and common copies give the folder of clips
    list_folders: tuple[str, ...]  # the same for the folder of lists
    traps: tuple[str, ...]
    counts: Mapping[str, int]  # quantity -> number; the quantities of compare()
    archives: tuple[Archive, ...]

    def of(self, part: str) -> tuple[Archive, ...]:
        """The archives that "videos" or "annotations" come from."""
        return tuple(archive for archive in self.archives if archive.part == part)


class Row(NamedTuple):
    """One line of the comparison. ``found`` and ``agrees`` are None where a quantity was not counted."""

    quantity: str
    catalogue: int
    found: int | None
    agrees: bool | None


@functools.cache
def load(path: Path = FILE) -> dict[str, Dataset]:
    """The datasets by name. Raises ValueError that names the file, the dataset and the field."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    return {name: _dataset(path, name, values) for name, values in data.items()}


def _dataset(path: Path, name: str, values: dict[str, Any]) -> Dataset:
    archives = [
        _built(Archive, f"{path}, {name}.archives {number}", entry)
        for number, entry in enumerate(values.get("archives", []), start=1)
    ]
    for archive in archives:
        if archive.kind not in KINDS or archive.part not in ("videos", "annotations"):
            raise ValueError(f"{path}, {name}, {archive.file}: kind is one of {', '.join(KINDS)}; part: see Archive")
    entry = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return _built(Dataset, f"{path}, {name}", entry | {"name": name, "archives": tuple(archives)})


def _built(kind: type, where: str, values: dict[str, Any]):
    fields = {field.name: field for field in dataclasses.fields(kind)}
    check_names(values, list(fields), where)
    missing = [n for n, field in fields.items() if field.default is dataclasses.MISSING and n not in values]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing; repro/data/catalogue.py says what it means")
    return kind(**values)


CATALOGUE: dict[str, Dataset] = load()


def dataset(name: str) -> Dataset:
    """The dataset called ``name``. Raises ValueError with the nearest name."""
    check_names([name], list(CATALOGUE), "dataset")
    return CATALOGUE[name]


def compare(name: str, found: Mapping[str, int]) -> list[Row]:
    """Set counted numbers against the catalogue's: a row for each quantity of the catalogue, in its order.

    Args:
        name: a dataset of the catalogue.
        found: quantity -> number, as :func:`repro.data.counts.count_lists` counts them; others are left out.

    Raises:
        ValueError: the dataset, or a quantity of ``found``, is not in the catalogue.
    """
    counts = dataset(name).counts
    check_names(found, list(counts), f"{name}, quantity")
    return [
        Row(quantity, number, found.get(quantity), found[quantity] == number if quantity in found else None)
        for quantity, number in counts.items()
    ]
