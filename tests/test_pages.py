"""The table of pages: what stands in it, and what a profile's pages read."""

import json
import re
import shutil
from pathlib import Path

import pytest
from made import both_networks

from repro.experiment.profile import make_profile, read_profile
from repro.records import freshness
from repro.report.pages import KINDS, ROOT_PAGE, TRAIN, pages_of, placed

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {kind.source: kind for kind in (TRAIN, *KINDS) if kind.source.endswith(".ipynb")}


def of(profile: str) -> dict:
    return {page.name: page for page in pages_of(read_profile(ROOT / profile))}


@pytest.fixture
def bare(tmp_path, monkeypatch) -> Path:
    """A project's folder with two studies of made runs, of the rendered clips and of others, and no clips."""
    rendered = {"videos": "data/demo/videos", "annotations": "data/demo/annotations", "data_hash": "rendered"}
    both_networks(tmp_path / "results", study="rendered", **rendered)
    others = {"videos": "data/ucf101-3/videos", "data_hash": "others"}
    both_networks(tmp_path / "results", study="others", **others)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- the table


def test_every_notebook_and_chapter_stands_in_the_table_once():
    sources = [kind.source for kind in (TRAIN, *KINDS)]
    found = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")]
    assert sorted(sources) == sorted(path.relative_to(ROOT).as_posix() for path in found)
    assert len({kind.name for kind in KINDS}) == len(KINDS) and ROOT_PAGE == "answer"
    parts = [kind.part for kind in KINDS]
    assert parts == sorted(parts, key=parts.index), "the pages of a part stand together"


@pytest.mark.parametrize("kind", (TRAIN, *KINDS), ids=lambda kind: kind.name)
def test_a_heading_is_the_sources_own(kind):
    text = (ROOT / kind.source).read_text(encoding="utf-8")
    if kind.source.endswith(".ipynb"):
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    assert next(line for line in text.splitlines() if line.startswith("# ")) == f"# {kind.title}"


def test_notebooks_that_texts_name_are_there():
    texts = [ROOT / "README.md", *(ROOT / "book").glob("*.md")]
    named = {name for path in texts for name in re.findall(r"\b\d\d_\w+\.ipynb", path.read_text(encoding="utf-8"))}
    assert named <= {Path(source).name for source in NOTEBOOKS}


def test_a_page_is_found_by_its_name():
    assert placed("gate").title == "Table 7: with and without the gate"
    with pytest.raises(ValueError, match="page speed: the book has no place for it; pages are named: answer, reading"):
        placed("speed")


def test_the_papers_tables_and_figures_each_have_a_page():
    titles = " ".join(kind.title for kind in KINDS)
    figures = ("Figures 2 to 4", "Figure 5", "Table 8, Figure 1", "Tables 4 and 5")
    for word in (*figures, *(f"Table {k}" for k in (1, 2, 3, 6, 7, 8))):
        assert word in titles, word


# ---- the pages of a profile


def test_a_page_comes_after_what_it_shows(bare):
    pages = of("profiles/demo.yaml")
    drawn, own = "data/demo/demo.json", "results/demo/res34_se_im_net-split1-seed0/record.json"
    for name in ("data", "look-alikes", "online"):  # the clips of a recorded study are those that this profile renders
        assert drawn in pages[name].reads and pages[name].at_hand["clips of rendered"], name
        assert not pages[name].at_hand["clips of others"], name
    measured = [f"results/demo/{name}" for name in ("online.json", "timeline.json", "timeline.parquet")]
    assert list(pages["online"].makes) == measured
    assert set(measured[1:]) <= set(pages["ledger"].reads) and not set(measured) & set(pages["online"].reads)
    assert "results/demo/online.json" in pages["answer"].reads
    for name in ("answer", "gate", "choices", "ledger", "runs", "online"):
        assert own in pages[name].reads and any("results/others/" in path for path in pages[name].reads), name
    assert all(page.reads[0] == page.kind.source for page in pages.values())
    assert list(pages) == [kind.name for kind in KINDS if kind.source.endswith(".ipynb")]


def test_the_choices_of_any_profile_come_after_its_runs():
    runs = {f"results/{e.study}/{e.run}/record.json" for e in read_profile(ROOT / "profiles/gpu.yaml").experiments}
    assert runs <= set(of("profiles/gpu.yaml")["choices"].reads)


def test_the_measurements_that_a_page_shows_are_read(bare, monkeypatch):
    monkeypatch.chdir(ROOT)
    pages = of("profiles/demo.yaml")
    for name, file in (
        ("data", "datasets/lists.json"),
        ("data", "ucf101-3/decoding.json"),
        ("complexity", "table6/cpu.json"),
        ("complexity", "rendered/inference.json"),
        ("complexity", "backends-avx2/cpu.json"),
        ("answer", "table6/cpu.parquet"),
    ):
        assert f"results/{file}" in pages[name].reads, name


def test_a_page_that_shows_what_may_be_absent_is_another_one_without(bare):
    assert not of("profiles/demo.yaml")["look-alikes"].at_hand["weights of others"]
    weights = bare / "build" / "runs" / "others" / "res34_se_im_net-split1-seed0" / "weights.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    there = of("profiles/demo.yaml")["look-alikes"].at_hand
    assert there["weights of others"] and not there["clips of others"]
    # what the profile itself makes counts as there: nothing changes by its being made
    assert there["clips of demo"] and there["weights of demo"]


def sets(profile: str) -> dict[str, str]:
    return {each["study"]: each["if_missing"] for each in of(profile)["data"].parameters["sets"]}


def test_the_clips_of_several_studies_are_shown_once_the_profiles_own_first(bare):
    assert sets("profiles/demo.yaml") == {"demo": "error", "others": "note"}
    assert sets("profiles/ucf101-3.yaml") == {"ucf101-3-scratch": "error", "rendered": "note", "others": "note"}


def test_the_same_clips_in_another_folder_are_shown_once_and_those_of_no_evidence_not_at_all(bare):
    both_networks(bare / "results", study="theirs", videos="elsewhere", data_hash="others")
    both_networks(bare / "results", study="choice", role="ablation", videos="elsewhere", data_hash="x")
    assert sets("profiles/demo.yaml").keys() == {"demo", "others"}


def test_a_page_has_its_profiles_parameters_and_takes_a_machine_where_it_measures(bare):
    values = {"study": "s", "runs": [{"models": ["res34_se_im_net"], "splits": [1], "seeds": [0]}]}
    with pytest.raises(ValueError, match=r"pages: unknown name 'complexiti'; did you mean 'complexity'\?"):
        pages_of(make_profile(values | {"pages": {"complexiti": {}}}))
    pages = {page.name: page for page in pages_of(make_profile(values | {"pages": {"online": {"clips_per_class": 2}}}))}
    parameters = {"study": "s", "run": "res34_se_im_net-split1-seed0", "clips_per_class": 2}
    assert pages["online"].parameters == parameters
    assert pages["online"].kind.alone and not pages["runs"].kind.alone


def test_a_record_that_cannot_be_read_is_named(bare):
    path = bare / "results" / "others" / "res34_se_im_net-split1-seed0" / "record.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"res34_se_im_net-split1-seed0/record\.json: this record cannot be read"):
        of("profiles/demo.yaml")


# ---- stale pages


@pytest.mark.parametrize("file", ["models/peers/networks.toml", "data/catalogue.toml", "report/ledger.py"])
def test_an_edit_of_the_package_makes_pages_stale(tmp_path, monkeypatch, file):
    shutil.copytree(ROOT / "repro", tmp_path / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(freshness, "__file__", str(tmp_path / "repro" / "records" / "freshness.py"))
    before = freshness.sources_state()
    path = tmp_path / "repro" / file
    path.write_bytes(path.read_bytes() + b"\n# edited\n")
    assert freshness.sources_state() != before
