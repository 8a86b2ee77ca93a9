"""What the paper says, cell by cell, with sources.

`paper.toml` beside this file holds every claim, table, published peer, open point and reference of

    Chen L, Liu R, Zhou D, Yang X, Zhang Q (2020) Fused behavior recognition model based on attention mechanism.
    Vis. Comput. Ind. Biomed. Art 3:7, CC BY 4.0.

`load()` reads that file into frozen dataclasses. A value that the paper's text does not state is never filled from
memory: its cell is empty and reads `NOT_STATED`. Every fault in the file is a `ValueError` that names the file, the
entry, the field and the mend.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

NOT_STATED = "not stated in the text"

METRICS = ("top1", "params", "gmacs", "speed")
"""What a peer's value measures: top-1 accuracy (%), parameters (M), multiply-adds of one forward pass (GMAC),
speed (videos/s)."""

STATUSES = ("open", "settled")
"""State of an assumption. open: a reading is taken, others are possible. settled: the text or arithmetic leaves only
one. Whether the effect of another reading is measured follows from the records (`repro.report.ledger`)."""


@dataclass(frozen=True)
class Cell:
    """One cell of one of the paper's tables.

    value: the number (float or int) or words (str) as the paper states them; None when its text does not.
    printed: the value as written in the file, trailing zeros kept ("92.10" is four significant digits, 92.1 is three).
    unit: the unit as printed ("%", "M", "videos/s"), "" for none. source: where in the paper the value stands.
    reason: why an empty cell is empty.
    """

    value: float | int | str | None = None
    printed: str = ""
    unit: str = ""
    source: str = ""
    reason: str = NOT_STATED

    @property
    def text(self) -> str:
        """The value with its unit, or the reason why there is none (`NOT_STATED` unless the file says otherwise)."""
        return self.reason if self.value is None else _with_unit(self.printed, self.unit)


@dataclass(frozen=True)
class Row:
    """One row of a table: its name, the group it stands in ("" for none) and a cell for each of the table's columns."""

    name: str
    group: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """One of the paper's Tables 1-8. `layout` says how much of the rows and columns the text itself states."""

    number: int
    caption: str
    section: str
    layout: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def cell(self, row: str, column: str) -> Cell:
        """The cell at a row's name and a column's name. KeyError, listing the known names, where there is none."""
        cells = _pick(self.rows, "name", row, f"row of Table {self.number}").cells
        if column not in self.columns:
            raise KeyError(f"no column of Table {self.number} {column!r}; known: {', '.join(self.columns)}")
        return cells[self.columns.index(column)]


@dataclass(frozen=True)
class Claim:
    """A statement of the paper to be tested.

    title: the same in a few words, for lists. quote: words copied from the paper, equal to its text up to whitespace.
    section: the heading they stand under.
    statement: one sentence, what is to be tested. value, printed, unit: the number claimed, None where there is none.
    dataset: "hmdb51", "ucf101", "sthv1" or "". table: the number of the table that carries the claim, or None.
    """

    id: str
    title: str
    quote: str
    section: str
    statement: str
    value: float | int | None = None
    printed: str = ""
    unit: str = ""
    dataset: str = ""
    table: int | None = None

    @property
    def text(self) -> str:
        """The claimed number with its unit; "" for a claim without a number."""
        return "" if self.value is None else _with_unit(self.printed, self.unit)


@dataclass(frozen=True)
class Peer:
    """One number published for another network (or counted here, where `source` says so).

    metric: one of `METRICS`. value, unit: the number in %, M, GMAC or videos/s. dataset: "hmdb51", "ucf101", "sthv1",
    or "" where the number does not depend on one. input, modality, pretraining, splits: the protocol, "" where the
    source does not say. source: what was read. verified: False where nobody on this project has read the number in a
    source that says it; show such a number only with that remark. key: its work in book/references.bib.
    """

    method: str
    metric: str
    value: float | int
    printed: str
    unit: str
    source: str
    verified: bool
    key: str
    dataset: str = ""
    input: str = ""
    modality: str = ""
    pretraining: str = ""
    splits: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The value with its unit."""
        return _with_unit(self.printed, self.unit)


@dataclass(frozen=True)
class Reading:
    """One way to read an open point. The numbers, where a reading has them, were counted (N = 16 frames of 224x224,
    51 classes): params and head_params in millions, gmacs and head_gmacs in 10^9 multiply-adds a clip."""

    name: str
    text: str
    params: float | int | None = None
    gmacs: float | int | None = None
    head_params: float | int | None = None
    head_gmacs: float | int | None = None


@dataclass(frozen=True)
class Assumption:
    """One entry of the ledger: a detail that the paper's text leaves open, and what this study does about it.

    where: section, equation or table. readings: the ways to read it. taken: the name of the reading taken. why: the
    reason. expected: the effect expected of the others, or "not measured" where nothing here could. status: one of
    `STATUSES`. chapters: the kinds of the report's pages that rest on it. ablations: the groups of
    profiles/ablation.yaml that run another reading.
    """

    id: str
    point: str
    where: str
    readings: tuple[Reading, ...]
    taken: str
    why: str
    expected: str
    status: str
    chapters: tuple[str, ...]
    ablations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """Entry `number` of the paper's list of 24 references and its key in book/references.bib."""

    number: int
    key: str


@dataclass(frozen=True)
class Paper:
    """The paper: its bibliographic data and what it says. `number` is the article's, `key` its entry in
    book/references.bib."""

    key: str
    title: str
    authors: tuple[str, ...]
    journal: str
    volume: int
    number: int
    year: int
    doi: str
    licence: str
    source: str
    claims: tuple[Claim, ...]
    tables: tuple[Table, ...]
    all_peers: tuple[Peer, ...]
    assumptions: tuple[Assumption, ...]
    references: tuple[Reference, ...]

    def claim(self, id: str) -> Claim:
        """The claim of this id. KeyError, listing the known ids, where there is none."""
        return _pick(self.claims, "id", id, "claim")

    def table(self, number: int) -> Table:
        """The paper's Table `number` (1-8). KeyError, listing the known numbers, where there is none."""
        return _pick(self.tables, "number", number, "table")

    def assumption(self, id: str) -> Assumption:
        """The ledger's entry of this id. KeyError, listing the known ids, where there is none."""
        return _pick(self.assumptions, "id", id, "assumption")

    def reference(self, number: int) -> Reference:
        """Entry `number` (1-24) of the paper's reference list. KeyError where there is none."""
        return _pick(self.references, "number", number, "reference")

    def peers(self, *, dataset: str | None = None, metric: str | None = None) -> tuple[Peer, ...]:
        """The peers of a dataset, a metric, both or neither, in the file's order; () where there is none."""
        return tuple(
            peer
            for peer in self.all_peers
            if (dataset is None or peer.dataset == dataset) and (metric is None or peer.metric == metric)
        )


def load(path: str | Path | None = None) -> Paper:
    """Reads and checks the paper's data: `paper.toml` beside this module unless `path` names another file.

    Raises OSError where the file cannot be read and ValueError, naming the file, the entry, the field and the mend,
    for broken TOML, an unknown or missing field, a wrong type, a duplicate id, a value without a source or an unknown
    table.
    """
    path = Path(path) if path is not None else Path(__file__).with_name("paper.toml")
    try:
        # Decimal keeps the digits as printed: 92.10 must not turn into 92.1
        data = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as TOML in UTF-8: {error}; mend that line") from error

    file = _Entry(data, f"{path}", "file")
    head = file.entry("paper", "[paper]")
    tables = _unique((_table(entry) for entry in file.entries("table", "number")), "number", path, "table")
    numbers = tuple(table.number for table in tables)
    paper = Paper(
        key=head.words("key"),
        title=head.words("title"),
        authors=head.names("authors"),
        journal=head.words("journal"),
        volume=head.whole("volume"),
        number=head.whole("number"),
        year=head.whole("year"),
        doi=head.words("doi"),
        licence=head.words("licence"),
        source=head.words("source"),
        claims=_unique((_claim(entry, numbers) for entry in file.entries("claim", "id")), "id", path, "claim"),
        tables=tables,
        all_peers=_distinct_peers([_peer(entry) for entry in file.entries("peer", "method")], path),
        assumptions=_unique(
            (_assumption(entry) for entry in file.entries("assumption", "id")), "id", path, "assumption"
        ),
        references=_unique(
            (_reference(entry) for entry in file.entries("reference", "number")), "number", path, "reference"
        ),
    )
    head.finish()
    file.finish()
    return paper


class _Entry:
    """A TOML table being read: takes one field after the other and complains of what is missing, wrong or left over."""

    def __init__(self, data: Any, path: str, name: str):
        self.path, self.name = path, name
        if not isinstance(data, dict):
            raise ValueError(f"{path}: {name}: must be a table of fields; write it as the other entries are written")
        self.data = dict(data)
        self.known: list[str] = []

    def fault(self, field: str, problem: str, mend: str) -> ValueError:
        return ValueError(f"{self.path}: {self.name}: field {field!r} {problem}; {mend}")

    def raw(self, field: str, required: bool, mend: str = "") -> Any:
        self.known.append(field)
        if field not in self.data and required:
            raise self.fault(field, "is missing", mend or f"add a line '{field} = ...'")
        return self.data.pop(field, None)

    def words(self, field: str, required: bool = True) -> str:
        value = self.raw(field, required)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.fault(field, f"must be text, not {value!r}", "put it between quotes")
        if required and not value.strip():
            raise self.fault(field, "is empty", "say it in a few words")
        return value

    def choice(self, field: str, allowed: Iterable[str]) -> str:
        value = self.words(field)
        if value not in allowed:
            raise self.fault(field, f"is {value!r}", f"use one of: {', '.join(allowed)}")
        return value

    def names(self, field: str) -> tuple[str, ...]:
        value = self.raw(field, required=True)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
            raise self.fault(field, f"must be a list of names, not {value!r}", f'write {field} = ["a", "b"]')
        if len(set(value)) < len(value):
            raise self.fault(field, "names something twice", "give each one a name of its own")
        return tuple(value)

    def whole(self, field: str, required: bool = True) -> int | None:
        value = self.raw(field, required)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.fault(field, f"must be a whole number, not {value!r}", "write it without quotes and point")
        return value

    def flag(self, field: str) -> bool:
        value = self.raw(field, required=True)
        if not isinstance(value, bool):
            raise self.fault(field, f"must be true or false, not {value!r}", "write it without quotes")
        return value

    def number(self, field: str, required: bool = True) -> tuple[float | int | None, str]:
        """The number and the way it is written."""
        value = self.raw(field, required)
        if value is None:
            return None, ""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.fault(field, f"must be a number, not {value!r}", "write it without quotes")
        if isinstance(value, Decimal) and not value.is_finite():
            raise self.fault(
                field, f"must be a finite number, not {value}", "leave the field out where nothing is known"
            )
        return (float(value) if isinstance(value, Decimal) else value), str(value)

    def entry(self, field: str, name: str, required: bool = True) -> "_Entry":
        value = self.raw(field, required, mend=f"add a section [{field}]")
        return _Entry({} if value is None else value, self.path, name)

    def entries(self, field: str, label: str) -> list["_Entry"]:
        value = self.raw(field, required=True, mend=f"add an entry; each one starts with [[{field}]]")
        if not isinstance(value, list):
            raise self.fault(field, "must be a list of entries", f"start each one with [[{field}]]")
        prefix = "" if self.name == "file" else f"{self.name}, "
        found = []
        for place, data in enumerate(value, start=1):
            given = data.get(label) if isinstance(data, dict) else None
            found.append(_Entry(data, self.path, f"{prefix}{field} {place if given is None else repr(given)}"))
        return found

    def finish(self) -> None:
        for field in self.data:
            raise self.fault(field, "is unknown", f"rename it or take it out; known fields: {', '.join(self.known)}")


def _cell(entry: _Entry, unit: str) -> Cell:
    if isinstance(entry.data.get("value"), str):
        value = printed = entry.words("value")
    else:
        value, printed = entry.number("value", required=False)
    cell = Cell(
        value=value,
        printed=printed,
        unit=entry.words("unit", required=False) or (unit if printed and not isinstance(value, str) else ""),
        source=entry.words("source", required=False),
        reason=entry.words("reason", required=False) or NOT_STATED,
    )
    entry.finish()
    if cell.value is None and (cell.source or cell.unit):
        raise entry.fault("value", "is missing beside a source or unit", "add the value, or leave the cell as {}")
    if cell.value is not None and not cell.source:
        raise entry.fault("source", "is missing", "say where the value stands, as in source = 'Table 6, PDF page 8'")
    return cell


def _table(entry: _Entry) -> Table:
    columns = entry.names("columns")
    units = entry.entry("units", f"{entry.name}, units", required=False)
    unit_of = {column: units.words(column, required=False) for column in columns}
    units.finish()
    rows = []
    for row in entry.entries("row", "name"):
        cells = row.entry("cells", f"{row.name}, cells", required=False)
        rows.append(
            Row(
                name=row.words("name"),
                group=row.words("group", required=False),
                cells=tuple(
                    _cell(cells.entry(column, f"{row.name}, cell {column!r}", required=False), unit_of[column])
                    for column in columns
                ),
            )
        )
        cells.finish()
        row.finish()
    table = Table(
        number=entry.whole("number"),
        caption=entry.words("caption"),
        section=entry.words("section"),
        layout=entry.words("layout"),
        columns=columns,
        rows=_unique(rows, "name", entry.path, f"row of {entry.name}"),
        note=entry.words("note", required=False),
    )
    entry.finish()
    return table


def _claim(entry: _Entry, tables: tuple[int, ...]) -> Claim:
    value, printed = entry.number("value", required=False)
    claim = Claim(
        id=entry.words("id"),
        quote=entry.words("quote"),
        section=entry.words("section"),
        title=entry.words("title"),
        statement=entry.words("statement"),
        value=value,
        printed=printed,
        unit=entry.words("unit", required=value is not None),
        dataset=entry.words("dataset", required=False),
        table=entry.whole("table", required=False),
    )
    entry.finish()
    if claim.table is not None and claim.table not in tables:
        raise entry.fault("table", f"is {claim.table}", f"use the number of a [[table]] here: {tables}")
    return claim


def _peer(entry: _Entry) -> Peer:
    value, printed = entry.number("value")
    peer = Peer(
        method=entry.words("method"),
        metric=entry.choice("metric", METRICS),
        value=value,
        printed=printed,
        unit=entry.words("unit"),
        source=entry.words("source"),
        verified=entry.flag("verified"),
        key=entry.words("key"),
        dataset=entry.words("dataset", required=False),
        input=entry.words("input", required=False),
        modality=entry.words("modality", required=False),
        pretraining=entry.words("pretraining", required=False),
        splits=entry.words("splits", required=False),
        note=entry.words("note", required=False),
    )
    entry.finish()
    if peer.metric == "top1" and not peer.dataset:
        raise entry.fault(
            "dataset", "is missing beside metric 'top1'", "say on which dataset, as in dataset = 'ucf101'"
        )
    return peer


def _reading(entry: _Entry) -> Reading:
    reading = Reading(
        name=entry.words("name"),
        text=entry.words("text"),
        params=entry.number("params", required=False)[0],
        gmacs=entry.number("gmacs", required=False)[0],
        head_params=entry.number("head_params", required=False)[0],
        head_gmacs=entry.number("head_gmacs", required=False)[0],
    )
    entry.finish()
    return reading


def _assumption(entry: _Entry) -> Assumption:
    readings = _unique(
        (_reading(reading) for reading in entry.entries("readings", "name")),
        "name",
        entry.path,
        f"reading of {entry.name}",
    )
    assumption = Assumption(
        id=entry.words("id"),
        point=entry.words("point"),
        where=entry.words("where"),
        readings=readings,
        taken=entry.choice("taken", tuple(reading.name for reading in readings)),
        why=entry.words("why"),
        expected=entry.words("expected"),
        status=entry.choice("status", STATUSES),
        chapters=entry.names("chapters"),
        ablations=entry.names("ablations") if "ablations" in entry.data else (),
    )
    entry.finish()
    return assumption


def _reference(entry: _Entry) -> Reference:
    reference = Reference(number=entry.whole("number"), key=entry.words("key"))
    entry.finish()
    return reference


def _unique(entries: Iterable, field: str, path: str | Path, what: str) -> tuple:
    entries = tuple(entries)
    seen = set()
    for entry in entries:
        value = getattr(entry, field)
        if value in seen:
            raise ValueError(
                f"{path}: {what} {value!r}: field {field!r} stands twice; give one of them another {field}"
            )
        seen.add(value)
    return entries


def _distinct_peers(peers: list[Peer], path: Path) -> tuple[Peer, ...]:
    seen = set()
    for peer in peers:
        same = (peer.method, peer.dataset, peer.metric, peer.modality, peer.splits)
        if same in seen:
            raise ValueError(
                f"{path}: peer {peer.method!r}: fields 'method', 'dataset', 'metric', 'modality' and 'splits' stand "
                "twice together; take one of the two out, or say in 'splits' or 'method' what differs"
            )
        seen.add(same)
    return tuple(peers)


def _pick(entries: tuple, field: str, value: Any, what: str) -> Any:
    for entry in entries:
        if getattr(entry, field) == value:
            return entry
    raise KeyError(f"no {what} {value!r}; known: {', '.join(str(getattr(entry, field)) for entry in entries)}")


def _with_unit(printed: str, unit: str) -> str:
    return f"{printed} {unit}" if unit else printed
