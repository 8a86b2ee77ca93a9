"""The paper as data: what stands in it, what an empty cell says, and the message for every way to break it."""

import os
import re
import warnings
from pathlib import Path

import pytest
from pybtex.database import parse_file
from pybtex.plugin import find_plugin

from repro.models.peers.rows import rows
from repro.paper import cells as room
from repro.paper.cells import NOT_STATED, Cell, load
from repro.paper.fields import Printed

ROOT = Path(__file__).parents[1]
TOML = Path(room.__file__).with_name("paper.toml")
BIB = ROOT / "book" / "references.bib"
TEXT = Path(os.environ.get("REPRO_SHARED_DATA", ROOT / ".." / "shared" / "data")) / ".." / "paper" / "paper.txt"
UNHEADED = {"Abstract", "Introduction", "Results, opening paragraph", "closing section"}


@pytest.fixture(scope="module")
def paper():
    return load()


@pytest.fixture(scope="module")
def text():
    if not TEXT.is_file():
        pytest.skip(f"the paper's text is not at {TEXT}: set REPRO_SHARED_DATA to the data folder beside it")
    return _plain(TEXT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def works():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse_file(BIB, "bibtex").entries


@pytest.fixture
def edited(tmp_path):
    """Loads a copy of paper.toml in which the first `old` below the opening comment is replaced."""

    def load_edited(old, new):
        comment, data = TOML.read_text(encoding="utf-8").split("\n\n", 1)
        assert old in data
        copy = tmp_path / "paper.toml"
        copy.write_text(f"{comment}\n\n{data.replace(old, new, 1)}", encoding="utf-8")
        return load(copy)

    return load_edited


# ---- what it holds


def test_the_stated_accuracies(paper):
    claims = {c.id: c for c in paper.claims}
    assert [claims[f"accuracy-{d}"].text for d in ("hmdb51", "ucf101", "sthv1")] == ["71.85 %", "92.196 %", "36.5 %"]
    row = [paper.table(7).cell("Res34-SE-IM-Net", column).text for column in paper.table(7).columns]
    assert row == ["71.85 %", "92.196 %", "36.5 %"]


def test_a_number_stands_only_where_the_text_states_it(paper):
    for column in paper.table(7).columns:
        assert paper.table(7).cell("ResNet34-3DRes18", column).text == NOT_STATED
    for row in paper.table(6).rows:
        assert [cell.value for cell in row.cells[:4]] == [None] * 4, f"{row.name}: FLOPs, Param, Depth, VPS"
    hyper = {row.name: row.cells[0].text for row in paper.table(3).rows}
    assert {name for name, shown in hyper.items() if shown == NOT_STATED} == {"Batch-size", "Momentum", "Weight-decay"}
    assert (hyper["Num-segments"], hyper["Lr"], hyper["Num-saturate"]) == ("16 frames", "0.001", "5 epochs")


def test_tables_one_to_eight_claims_and_references_are_there(paper):
    assert [table.number for table in paper.tables] == list(range(1, 9))
    assert [reference.number for reference in paper.references] == list(range(1, 25))
    assert all(claim.table in (None, *range(1, 9)) for claim in paper.claims)
    assert all(claim.unit for claim in paper.claims if claim.value is not None)
    assert paper.references[11].key == "zolfaghari2018eco"


def test_quotes_stand_in_the_paper(paper, text):
    missing = [claim.id for claim in paper.claims if _plain(claim.quote) not in text]
    assert not missing


def test_networks_that_table_6_says_are_named_are_named_in_the_text(text):
    named = {row.name: row.named for row in rows().values() if row.named}
    assert named == {"c3d": "C3D", "i3d": "I3D", "two_stream": "two-stream network"}
    assert all(name in text for name in named.values())
    others = ("R(2+1)D", "P3D", "ResNeXt", "TSN", "TRN", "TSM", "ECO-Lite", "Res3D")
    assert not [name for name in others if name in text.partition("Kuehne H")[0]]


def test_captions_and_sections_stand_in_the_paper(paper, text):
    assert not [table.number for table in paper.tables if _plain(f"Table {table.number} {table.caption}") not in text]
    sections = {entry.section for entry in (*paper.claims, *paper.tables)} - UNHEADED
    assert not [section for section in sections if section not in text]


def test_every_number_in_a_table_stands_in_the_paper(paper, text):
    for table in paper.tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if isinstance(cell.value, int | float):
                    assert re.search(rf"(?<![\d.]){re.escape(str(cell.value))}(?![\d])", text), (table.number, column)


def test_references_17_to_23_are_cited_in_table_bodies_only(text):
    body = text[: text.index("Kuehne H, Jhuang H")]
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", body)}
    assert set(range(1, 25)) - cited == set(range(17, 24))


def test_peers_are_found_by_dataset_and_metric(paper):
    assert {peer.dataset for peer in paper.peers(dataset="sthv1")} == {"sthv1"}
    assert {peer.metric for peer in paper.peers(metric="gmacs")} == {"gmacs"}
    assert paper.peers() == paper.all_peers
    assert all(peer.dataset for peer in paper.peers(metric="top1"))
    named = [(p.method, p.dataset, p.metric, p.modality, p.splits) for p in paper.all_peers]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("method", "params", "gmacs"),
    [("ECO-Lite-16", 37.5, 46.5), ("ECO-Full-16", 47.5, 64.4), ("r3d_18", 33.371472, 40.697), ("C3D", 78.41, 38.55)],
)
def test_the_lightweight_rule_has_its_peers(paper, method, params, gmacs):
    of_metric = {metric: {p.method: p.value for p in paper.peers(metric=metric)} for metric in ("params", "gmacs")}
    assert (of_metric["params"][method], of_metric["gmacs"][method]) == (params, gmacs)


def test_a_number_from_memory_is_never_verified(paper):
    for peer in paper.all_peers:
        assert not (peer.verified and "from memory" in peer.source), peer.method
        assert 0 < peer.value <= 100 or peer.metric != "top1", peer.method


def test_the_ledger_takes_one_of_its_readings(paper):
    for assumption in paper.assumptions:
        assert assumption.taken in {reading.name for reading in assumption.readings}
        assert len(assumption.readings) > 1, f"{assumption.id}: a point with one reading is not open"
    head = {reading.name: reading.params for reading in paper.assumption("head-layout").readings}
    assert set(head) == {"A", "A-eco", "A1", "A2", "B", "C", "D"} and head["A"] == 55.6


def test_look_ups_name_what_is_known(paper):
    with pytest.raises(KeyError, match="known: accuracy-hmdb51"):
        paper.claim("accuracy-hmbd51")
    with pytest.raises(KeyError, match="no table 9; known: 1, 2"):
        paper.table(9)
    with pytest.raises(KeyError, match=r"no row of Table 7 'TSN'; known: ResNet34-3DRes18"):
        paper.table(7).cell("TSN", "HMDB51")
    with pytest.raises(KeyError, match=r"no column of Table 7 'hmdb'; known: HMDB51"):
        paper.table(7).cell("Res34-SE-IM-Net", "hmdb")


def test_cell_text():
    assert Cell().text == NOT_STATED == "not stated in the text"
    assert Cell(reason="the PDF prints a dash").text == "the PDF prints a dash"
    assert Cell(value=0, unit="%", source="x").text == "0 %"
    assert Cell(value=Printed("92.10"), unit="%", source="x").text == "92.10 %"
    assert Cell(value="classes", source="x").text == "classes"


# ---- the bibliography


def test_every_key_has_its_work(paper, works):
    keys = {paper.work.key} | {r.key for r in paper.references} | {peer.key for peer in paper.all_peers}
    assert not keys - set(works)
    assert all(re.match(r"[a-z]+\d{4}[a-z]*$", key) for key in works), "keys read firstauthorYEARword"


def test_every_work_can_be_printed_without_a_warning(works):
    style = find_plugin("pybtex.style.formatting", "plain")()
    backend = find_plugin("pybtex.backends", "text")()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        printed = [entry.text.render(backend) for entry in style.format_entries(works.values())]
    assert len(printed) == len(works) and all(re.search(r"(19|20)\d\d", line) for line in printed)


def test_the_papers_slips_are_noted_where_they_are_mended(paper, works):
    for number, slip in ((2, "Somro"), (12, "Brox T (2018)"), (13, "Hang S"), (18, "Al G")):
        assert slip in works[paper.references[number - 1].key].fields["annote"]


# ---- someone with the PDF


def test_a_filled_cell_is_shown(edited):
    filled = edited('"VPS" = {}', '"VPS" = { value = 12.50, unit = "videos/s", source = "Table 6, made up" }')
    cell = filled.table(6).cell("I3D", "VPS")
    assert (cell.value, cell.text, cell.source) == (12.5, "12.50 videos/s", "Table 6, made up")
    assert filled.table(6).cell("I3D", "Depth").text == NOT_STATED


def test_a_filled_cell_takes_its_columns_unit(edited):
    filled = edited(
        '"Something-Something v1" = {}', '"Something-Something v1" = { value = 1.0, source = "Table 5, made up" }'
    )
    assert filled.table(5).cell("ResNet34-3DRes18", "Something-Something v1").text == "1.0 %"


def test_a_row_and_a_column_can_be_added(edited):
    filled = edited(
        'columns = ["(flic-flac, cartwheel)"]\n',
        'columns = ["(flic-flac, cartwheel)", "(wave, clap)"]\n'
        '  [[table.row]]\n  name = "a third"\n  group = "made up"\n'
        '    [table.row.cells]\n    "(wave, clap)" = { value = 0.1, source = "made up" }\n',
    )
    table = filled.table(8)
    assert table.cell("a third", "(wave, clap)").text == "0.1" and table.rows[0].group == "made up"
    assert table.cell("ResNet34-3DRes18", "(wave, clap)").text == NOT_STATED


# ---- faults

VPS = '"VPS" = {}'
FAULTS = [
    (VPS, '"VPS" = { value = 9 }', ["table.6.row.I3D.cells.VPS", "source is missing", "say where"]),
    (VPS, '"VPS" = { source = "x" }', ["cells.VPS", "value is missing", "leave the cell as {}"]),
    (VPS, '"VPS" = { vaule = 9, source = "x" }', ["cells.VPS", "unknown name 'vaule'", "did you mean 'value'"]),
    (VPS, '"VPS" = { value = true, source = "x" }', ["cells.VPS.value", "must be a number, not True"]),
    (VPS, '"VPS" = { value = nan, source = "x" }', ["cells.VPS.value", "must be a finite number"]),
    (VPS, '"VPS" = 9', ["cells.VPS", "should be a valid dictionary"]),
    (VPS, '"Vps" = {}', ["table.6.row", "row 'I3D', cells", "unknown name 'Vps'; known are FLOPs"]),
    ('units = { "HMDB51" =', 'units = { "HMDB" =', ["table.4.units", "unknown name 'HMDB'; did you mean 'HMDB51'"]),
    ('  name = "I3D"', '  name = "Res34-SE-IM-Net"', ["table.4.row", "name 'Res34-SE-IM-Net' stands twice"]),
    ('columns = ["Value"]', 'columns = "Value"', ["table.3.columns", "'Value': input should be a valid tuple"]),
    ("number = 8", "number = 7", ["table: number 7 stands twice", "give one of them another number"]),
    ("number = 8", 'number = "8"', ["table.7.number: '8': input should be a valid integer"]),
    ("value = 71.85\n", 'value = "71.85"\n', ["claim.accuracy-hmdb51.value", "must be a number", "without quotes"]),
    ("value = 71.85\nunit = ", "value = 71.85\ndataset = ", ["Cannot overwrite a value", "mend that line"]),
    ('id = "accuracy-ucf101"', 'id = "accuracy-hmdb51"', ["claim: id 'accuracy-hmdb51' stands twice"]),
    ('title = "the gate costs little"', 'title = " "', ["claim.se-im-costs-little.title: ", "is empty; say it"]),
    ("verified = true", 'verified = "yes"', ["peer.Res3D.verified: 'yes': input should be a valid boolean"]),
    ('metric = "top1"', 'metric = "top-1"', ["peer.Res3D.metric", "'top-1'", "should be 'top1', 'params'"]),
    ('taken = "A"', 'taken = "E"', ["assumption.head-layout", "taken is 'E'", "use one of: A, A-eco, A1"]),
    ('status = "open"', 'status = "done"', ["assumption.head-layout.status", "'done'", "'open' or 'settled'"]),
    ("head_gmacs = 3.67", 'head_gmacs = "3.67"', ["head-layout.readings.A.head_gmacs", "must be a number"]),
    ("[paper]\n", "[papers]\n", ["unknown name 'papers'; did you mean 'paper'"]),
    ('id = "accuracy-hmdb51"', 'id = "accuracy-hmdb51', ["not readable as TOML", "line", "mend that line"]),
]


@pytest.mark.parametrize(("old", "new", "said"), FAULTS, ids=[" ".join(said)[:60] for *_, said in FAULTS])
def test_a_fault_names_file_entry_field_and_mend(edited, tmp_path, old, new, said):
    with pytest.raises(ValueError) as fault:
        edited(old, new)
    message = str(fault.value)
    assert message.startswith(str(tmp_path / "paper.toml"))
    assert not [part for part in said if part not in message], message


def test_an_absent_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere.toml")


def _plain(text):
    return " ".join(text.split())
