"""What the paper says, cell by cell, with sources.

`paper.toml` beside this file holds every claim, table, published peer, open point and reference of

    Chen L, Liu R, Zhou D, Yang X, Zhang Q (2020) Fused behavior recognition model based on attention mechanism.
    Vis. Comput. Ind. Biomed. Art 3:7, CC BY 4.0.

`load()` reads it into the models below, which are its schema: a field's name there is its name here, or its alias. A
value that the paper's text does not state is never filled from memory: its cell is empty and reads `NOT_STATED`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PlainValidator, ValidationInfo, field_validator, model_validator

from repro.files import Many, Written, check_names, checked, read_toml
from repro.paper.fields import Names, Number, Printed, Words, number, once, with_unit

NOT_STATED = "not stated in the text"
T = TypeVar("T")


# ---- the paper's tables


class Cell(Written):
    """One cell of one of the paper's tables: a number or words as the paper states them, None where it does not."""

    value: Annotated[float | str | None, PlainValidator(lambda v: v if isinstance(v, str) else number(v))] = None
    unit: str = ""  # as printed: "%", "M", "videos/s"; the column's where the cell says none
    source: str = ""  # where in the paper the value stands
    reason: str = NOT_STATED  # why an empty cell is empty

    @property
    def text(self) -> str:
        """The value with its unit, or the reason why there is none."""
        return self.reason if self.value is None else with_unit(self.value, self.unit)

    @model_validator(mode="after")
    def _has_its_source(self) -> Self:
        if self.value is None and (self.source or self.unit):
            raise ValueError("value is missing beside a source or unit; add the value, or leave the cell as {}")
        if self.value is not None and not self.source:
            raise ValueError("source is missing; say where the value stands, as in source = 'Table 6, PDF page 8'")
        return self


class Row(Written):
    """One row of a table, with a cell for each of the table's columns."""

    name: Words
    group: str = ""  # the block of rows that it stands in
    by_column: dict[str, Cell] = Field({}, alias="cells")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """In the order of the table's columns."""
        return tuple(self.by_column.values())


class Table(Written):
    """One of the paper's Tables 1-8."""

    number: int
    caption: Words
    section: Words
    layout: Words  # how much of the rows and columns the text itself states
    note: str = ""
    columns: Names
    units: dict[str, str] = Field({})  # by column
    rows: Annotated[Many[Row], once("name")] = Field(alias="row")

    @field_validator("units")
    @classmethod
    def _of_columns(cls, units: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        check_names(units, info.data.get("columns", list(units)), "")
        return units

    @field_validator("rows")
    @classmethod
    def _with_every_cell(cls, rows: tuple[Row, ...], info: ValidationInfo) -> tuple[Row, ...]:
        """Cells that the file leaves out are empty; a number takes its column's unit where it has none of its own."""
        if "columns" not in info.data or "units" not in info.data:
            return rows  # at fault themselves, which is said
        units, filled = info.data["units"], []
        for row in rows:
            check_names(row.by_column, info.data["columns"], f"row {row.name!r}, cells")
            cells = {column: row.by_column.get(column, Cell()) for column in info.data["columns"]}
            for column, cell in cells.items():
                if isinstance(cell.value, int | float) and not cell.unit:
                    cells[column] = cell.model_copy(update={"unit": units.get(column, "")})
            filled.append(row.model_copy(update={"by_column": cells}))
        return tuple(filled)

    def cell(self, row: str, column: str) -> Cell:
        """The cell at a row's name and a column's name. KeyError, listing the known names, where there is none."""
        cells = _pick(self.rows, "name", row, f"row of Table {self.number}").by_column
        if column not in cells:
            raise KeyError(f"no column of Table {self.number} {column!r}; known: {', '.join(self.columns)}")
        return cells[column]


# ---- what it claims, and what others published


class Claim(Written):
    """A statement of the paper to be tested."""

    id: Words
    title: Words  # the same in a few words, for lists
    quote: Words  # copied from the paper, equal to its text up to whitespace
    section: Words  # the heading that the quote stands under
    statement: Words  # one sentence, what is to be tested
    value: Number | None = None  # the number claimed
    unit: str = ""
    dataset: str = ""  # "hmdb51", "ucf101", "sthv1" or ""
    table: int | None = None  # the number of the table that carries the claim

    @property
    def text(self) -> str:
        """The claimed number with its unit; "" for a claim without a number."""
        return "" if self.value is None else with_unit(self.value, self.unit)


class Peer(Written):
    """One number published for another network (or counted here, where `source` says so)."""

    method: Words
    metric: Literal["top1", "params", "gmacs", "speed"]  # %, M, GMAC of one forward pass, videos/s
    value: Number
    unit: Words
    source: Words  # what was read
    verified: bool  # False where nobody here has read it in a source that says it: to be shown with that remark only
    key: Words  # its work in book/references.bib
    dataset: str = ""  # "hmdb51", "ucf101", "sthv1"; "" where the number does not depend on one
    input: str = ""  # with what follows the protocol, "" where the source does not say
    modality: str = ""
    pretraining: str = ""
    splits: str = ""
    note: str = ""

    @property
    def printed(self) -> str:
        """The value as published, trailing zeros kept."""
        return str(self.value)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return with_unit(self.value, self.unit)


# ---- what it leaves open


class Reading(Written):
    """One way to read an open point, with its counts (N = 16 frames of 224x224, 51 classes) where it has them."""

    name: Words
    text: Words
    params: Number | None = None  # M
    gmacs: Number | None = None  # 10^9 multiply-adds a clip
    head_params: Number | None = None
    head_gmacs: Number | None = None
    way: str = ""  # its name among those that `repro.bench.online_row` compares


class Assumption(Written):
    """One entry of the ledger: a detail that the paper's text leaves open, and what this study does about it."""

    id: Words
    point: Words
    where: Words  # section, equation or table
    readings: Annotated[Many[Reading], once("name")]
    taken: Words  # the name of the reading taken
    why: Words
    expected: Words  # the effect expected of the others, or "not measured" where nothing here could
    status: Literal["open", "settled"]  # other readings are possible; the text or arithmetic leaves only one
    chapters: Names  # the kinds of the report's pages that rest on it
    ablations: Names = ()  # the groups of profiles/rendered-choices.yaml that run another reading

    @model_validator(mode="after")
    def _takes_one_of_its_readings(self) -> Self:
        names = [reading.name for reading in self.readings]
        if self.taken not in names:
            raise ValueError(f"taken is {self.taken!r}; use one of: {', '.join(names)}")
        return self


# ---- all of it


class Reference(Written):
    """Entry `number` of the paper's list of 24 references and its key in book/references.bib."""

    number: int
    key: Words


class Work(Written):
    """The paper's bibliographic data. `number` is the article's, `key` its entry in book/references.bib."""

    key: Words
    title: Words
    authors: Names
    journal: Words
    volume: int
    number: int
    year: int
    doi: Words
    licence: Words
    source: Words


class Paper(Written):
    """The paper and what it says, in the file's order."""

    work: Work = Field(alias="paper")
    claims: Annotated[Many[Claim], once("id")] = Field(alias="claim")
    tables: Annotated[Many[Table], once("number")] = Field(alias="table")
    assumptions: Annotated[Many[Assumption], once("id")] = Field(alias="assumption")
    references: Annotated[Many[Reference], once("number")] = Field(alias="reference")
    all_peers: Many[Peer] = Field(alias="peer")

    def claim(self, id: str) -> Claim:
        """The claim of this id. KeyError, listing the known ids, where there is none."""
        return _pick(self.claims, "id", id, "claim")

    def table(self, number: int) -> Table:
        """The paper's Table `number` (1-8). KeyError, listing the known numbers, where there is none."""
        return _pick(self.tables, "number", number, "table")

    def assumption(self, id: str) -> Assumption:
        """The ledger's entry of this id. KeyError, listing the known ids, where there is none."""
        return _pick(self.assumptions, "id", id, "assumption")

    def peers(self, *, dataset: str | None = None, metric: str | None = None) -> tuple[Peer, ...]:
        """The peers of a dataset, a metric, both or neither, in the file's order; () where there is none."""
        return tuple(p for p in self.all_peers if dataset in (None, p.dataset) and metric in (None, p.metric))


def load(path: Path | None = None) -> Paper:
    """The paper's data: `paper.toml` beside this module unless `path` names another file.

    Raises OSError where the file cannot be read and ValueError, naming the file, the entry, the field and the mend,
    for broken TOML and for whatever the models refuse.
    """
    path = Path(__file__).with_name("paper.toml") if path is None else Path(path)
    return checked(Paper, read_toml(path, parse_float=Printed), str(path))


def _pick(entries: tuple[T, ...], field: str, value: Any, what: str) -> T:
    for entry in entries:
        if getattr(entry, field) == value:
            return entry
    raise KeyError(f"no {what} {value!r}; known: {', '.join(str(getattr(entry, field)) for entry in entries)}")
