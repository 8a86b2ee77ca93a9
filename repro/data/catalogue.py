"""The real datasets by name: what each holds, where it comes from, its terms and known traps.

``catalogue.toml`` beside this file holds the values and their sources; this file says what they mean and checks them.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from repro.files import Many, Written, check_names, checked, read_toml

FILE = Path(__file__).with_suffix(".toml")


class Archive(Written):
    """One file that a dataset is distributed as, or several of a pattern, looked for in ROOT and ROOT/archives."""

    part: Literal["videos", "annotations"]  # where its content goes
    file: str  # name, or pattern of names
    kind: Literal["rar", "rar of rars", "zip", "tar", "tar in parts", "file"]  # tar: gzip or not; file: taken as it is
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


class Dataset(Written):
    """What a dataset is and how it is distributed."""

    name: str  # as in ``repro prepare NAME``; in the file the entry's head
    title: str
    layout: str  # one of repro.data.clips.LAYOUTS
    licence: str
    homepage: str
    citation: str
    how: str  # how to get it where the official address does not do
    lists: Many[str]  # patterns; a folder that has a file for each is the annotations folder
    folders: Many[str]  # names that the archives and common copies give the folder of clips
    list_folders: Many[str]  # the same for the folder of lists
    traps: Many[str]
    counts: dict[str, int]  # quantity -> number; the quantities of compare()
    archives: Many[Archive]

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
    named = {name: {"name": name} | dict(values) for name, values in read_toml(path).items()}
    return checked(dict[str, Dataset], named, str(path))


CATALOGUE: dict[str, Dataset] = load()


def dataset(name: str) -> Dataset:
    """The dataset called ``name``. Raises ValueError with the nearest name."""
    check_names([name], list(CATALOGUE), "dataset")
    return CATALOGUE[name]


def compare(name: str, found: Mapping[str, int]) -> list[Row]:
    """Set counted numbers (:func:`repro.data.counts.count_lists`) against the catalogue's: a row for each quantity of
    the catalogue. Raises ValueError for a dataset, or a quantity of ``found``, that is not in it."""
    counts = dataset(name).counts
    check_names(found, list(counts), f"{name}, quantity")
    return [
        Row(quantity, number, found.get(quantity), found[quantity] == number if quantity in found else None)
        for quantity, number in counts.items()
    ]
