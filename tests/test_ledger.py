"""The ledger on the pages: every entry is on a chapter, every chapter links to it, effects come from records."""

import ast
from pathlib import Path

import nbformat
import pytest
from made import demo_record

from repro.experiment.fields import ATTENTION, BASELINE
from repro.experiment.profile import read_profile
from repro.paper.cells import load
from repro.report import ledger
from repro.report.ablations import variants
from repro.report.ledger import CHOICES, ledger_figure, measured_points
from repro.report.pages import KINDS

ROOT = Path(__file__).parents[1]
PAPER = load()


def linked() -> dict[str, str]:
    """The kind of page whose points a notebook shows, by notebook."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else ():
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "show_points":
                    found[path.stem] = node.args[0].value
    return found


def test_every_entry_is_referenced_from_every_chapter_it_touches():
    kinds = {Path(kind.source).stem: kind.name for kind in KINDS}
    named = {chapter for a in PAPER.assumptions for chapter in a.chapters}
    assert all(a.chapters for a in PAPER.assumptions) and named <= set(kinds.values())
    assert set(linked().values()) == named
    assert all(kinds[stem] == kind for stem, kind in linked().items())


def test_the_ablations_that_measure_an_entry_are_in_the_profile():
    profile = read_profile(ROOT / "profiles" / "rendered-choices.yaml")
    groups = {experiment.study.removeprefix(f"{ledger.CHOICES}-") for experiment in profile.experiments}
    assert {group for a in PAPER.assumptions for group in a.ablations} <= groups


def test_points_link_to_their_entries(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(ledger, "say", lambda text, folded: said.extend([text, folded]))
    ledger.show_points("online")
    text, folded = said
    assert folded == f"What the text leaves open here: {text.count('- [')} points of the ledger"
    assert "- [Which online sampling of ref. 12" in text and "(ledger.html#ledger-online-sampling)" in text
    with pytest.raises(ValueError, match="chapters: no entry of the ledger names 'runs'"):
        ledger.show_points("runs")


def test_an_entry_has_its_readings_its_reason_and_what_was_measured():
    entry, said = PAPER.assumption("equation-4"), ["gate: se: top-1 -1.0 points"]
    assert ledger.entry_title(3, entry, said) == f"3. {entry.point} {entry.taken} (measured)"
    assert ledger.entry_title(12, PAPER.assumption("batch-size"), []) == "12. Batch size: 64 (open)"
    text = ledger.entry_text(entry, said)
    assert text.startswith('<span id="ledger-equation-4"></span>\n')
    assert text.count("**Taken here:** ") == 1 and text.endswith("- gate: se: top-1 -1.0 points")
    assert ("Not run: " in ledger.entry_text(entry)) is bool(entry.ablations)


def test_an_effect_is_measured_where_it_is_recorded_and_only_there(tmp_path):
    entry = PAPER.assumption("equation-4").model_copy(update={"ablations": ("gate-vector", "gate-se")})
    reference = [demo_record(tmp_path, model=ATTENTION, study="ref", seed=seed) for seed in (0, 1)]
    reference += [demo_record(tmp_path, model=BASELINE, study="ref", seed=seed, wrong=range(90)) for seed in (0, 1)]
    plain = variants(reference, [])
    assert ledger.effects(entry, plain) == [] and ledger.status(entry, []) == "open"
    assert "trained for 0 of them." in ledger.answer_text(PAPER, plain)
    study = f"{ledger.CHOICES}-gate-se"
    others = [demo_record(tmp_path, model=ATTENTION, gate="se", wrong=range(12), study=study, seed=s) for s in (0, 1)]
    found = variants(reference, others)
    (line,) = ledger.effects(entry, found)
    assert line.startswith("gate: se: top-1 -10.0 points [") and "2 pairs: lower (on made clips, width ×0.25)" in line
    assert ledger.status(entry, [line]) == "measured"
    paper = PAPER.model_copy(update={"assumptions": (PAPER.assumptions[0], entry)})
    assert "trained for 1 of them. Most was moved by *What does f" in ledger.answer_text(paper, found)
    table = ledger.points_table(paper, found)
    assert table["state"][0] == "measured" and str(table["point"][0]) == entry.point
    assert table["another reading: top-1"][1] == "–"


POINTS = load().assumptions


@pytest.fixture
def found(tmp_path):
    """Two other readings of Equation 4 and one of the gate's start, three seeds each, 12, 36, 60 of 120 clips wrong."""
    runs = [demo_record(tmp_path, study="ref", seed=seed, wrong=range(6)) for seed in (0, 1, 2)]
    others = [
        demo_record(tmp_path, study=f"{CHOICES}-{group}", seed=seed, wrong=range(wrong), **fields)
        for group, wrong, fields in (
            ("gate-se", 12, {"gate": "se"}),
            ("gate-closed", 60, {"gate_bias": -4.0}),
            ("gate-vector", 36, {"gate": "se_im_vector"}),
            ("frames-4", 36, {"frames": 4}),  # of no open point
        )
        for seed in (0, 1, 2)
    ]
    return variants(runs, others)


def test_measured_points_by_size_of_effect(found):
    assert [(a.id, v.title) for a, v in measured_points(POINTS, found)] == [
        ("se-gate-start", "gate bias: -4.0"), ("equation-4", "gate: se im vector"), ("equation-4", "gate: se"),
    ]  # fmt: skip
    assert measured_points(POINTS, []) == []


def test_the_figure_has_a_row_a_reading(found):
    fig, alt = ledger_figure(measured_points(POINTS, found))
    axis, beside = fig.axes
    points = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"]
    assert points == pytest.approx([-45, -25, -5])
    assert beside.get_yticklabels()[0].get_text() == "gate bias: -4.0, 3 seeds"
    assert "At which value does the gate start? (gate bias: -4.0): -45.0 points [" in alt
