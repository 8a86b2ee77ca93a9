"""Official lists as text: lines and tables with their numbers, and one clear message for a file that is not right."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from repro.files import command


class Listed(NamedTuple):
    """A clip as a list names it: what it is called, and where under ``videos`` it may lie."""

    name: str  # how records and messages call it
    label: int  # counts from 0 within the dataset's classes; -1 where no label is given
    group: str  # clips cut from one source video share a group
    folders: tuple[str, ...]  # folders under ``videos`` that may hold it, tried in turn; "" is ``videos`` itself
    file: str  # its name there; without a video's suffix any container matches
    where: str = ""  # the list and the line that name it, "" where none does


@dataclass(frozen=True)
class Lists:
    """What the lists of one split say, before anything is looked up on the disk."""

    classes: tuple[str, ...]
    train: list[Listed]
    test: list[Listed]
    unused: list[Listed]  # named by the lists, in neither part


class Once(dict[str, str]):
    """Where each clip is listed, in one list or in several."""

    def add(self, name: str, where: str) -> None:
        """Raises ValueError that names both lines where a clip is listed twice."""
        first = self.setdefault(name, where)
        if first != where:
            raise ValueError(f"{where}: {name} is listed twice, first in {first}; remove one line")


LEFT_BY_SYSTEMS = ("@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found")


def is_aside(entry: Path | os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is no part of a dataset: hidden (``._name`` of macOS), left by a disk server or an
    unpacker, or a link that leads nowhere or back up."""
    return entry.name.startswith(".") or entry.name in LEFT_BY_SYSTEMS or leads_nowhere(entry)


def leads_nowhere(entry: Path | os.DirEntry[str]) -> bool:
    """Whether it is a link to nothing, to itself or to a folder above it."""
    if not entry.is_symlink():
        return False
    here, target = os.path.realpath(os.path.dirname(entry)), os.path.realpath(entry)
    return not os.path.exists(entry) or Path(here).is_relative_to(target)


def require_folder(field: str, folder: Path | str) -> None:
    """Raises FileNotFoundError that names the field when the folder is not there."""
    if not Path(folder).is_dir():
        demo = (
            f", or make the demo set ({command('render-demo')})" if Path(folder).parts[:2] == ("data", "demo") else ""
        )
        raise FileNotFoundError(f"{field}: there is no folder {folder}; set {field} to the dataset's own folder{demo}")


def read_lines(path: Path, *, of: str) -> list[tuple[str, str]]:
    """The non-empty lines of a list, each after where it stands ("the/list.txt, line 3"), without spaces at its ends
    (some official lists have them) and Excel's byte-order mark.

    ``of`` is what it belongs to, for the message of the FileNotFoundError: "UCF101's official lists". Raises ValueError
    that names the line that is not UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(f"annotations: there is no file {path}; take {of}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = len(re.findall(rb"\r\n?|\n", error.object[: error.start])) + 1
        byte = f"0x{error.object[error.start]:02x}"
        raise ValueError(f"{path}, line {number}: byte {byte} is not UTF-8; save the list as UTF-8") from None
    return [(f"{path}, line {number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def read_table(path: Path, columns: Sequence[str], *, of: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a comma-separated list with a header, as (where it stands, values by column name).

    ``columns`` must be there; others may be. Raises as :func:`read_lines`, and ValueError for a missing column or a
    row of another length than the header.
    """
    lines = read_lines(path, of=of)

    def values(where: str, line: str) -> list[str]:
        try:  # a row is a line: a quote that is not closed would swallow the rest of the list
            return [value.strip() for value in next(csv.reader([line], skipinitialspace=True, strict=True))]
        except csv.Error as error:
            raise ValueError(f"{where}: not a row of comma-separated values ({error}); mend that line") from None

    header = values(*lines[0]) if lines else []
    for column in columns:
        if column not in header:
            separator = "; values must be separated by commas" if re.search("[;\t]", ",".join(header)) else ""
            needed = f"the header must name {','.join(columns)}{separator}"
            raise ValueError(f"{path}, line 1: no column {column!r}; {needed}")
    for where, line in lines[1:]:
        row = values(where, line)
        if len(row) != len(header):
            raise ValueError(
                f"{where}: {len(row)} values for {len(header)} columns ({','.join(header)}); mend that line"
            )
        yield where, dict(zip(header, row))
