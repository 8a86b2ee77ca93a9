"""The table of pages: what stands in it, what a profile's pages read, and that README lists the notebooks of it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from repro.experiment.profile import make_profile, read_profile
from repro.records import freshness
from repro.report.pages import KINDS, ROOT_PAGE, TRAIN, heading_of, pages_of, placed

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {kind.source: kind for kind in (TRAIN, *KINDS) if kind.source.endswith(".ipynb")}


def of(profile: str) -> dict:
    return {page.name: page for page in pages_of(read_profile(ROOT / profile))}


@pytest.fixture
def bare(tmp_path, monkeypatch) -> Path:
    """A project's folder with two recorded studies and no clips."""
    for study in ("demo-seeds", "ucf101-3"):
        shutil.copytree(ROOT / "results" / study, tmp_path / "results" / study)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- the table


def test_every_notebook_and_chapter_stands_in_the_table_once():
    sources = [kind.source for kind in (TRAIN, *KINDS)]
    found = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")]
    assert sorted(sources) == sorted(path.relative_to(ROOT).as_posix() for path in found)
    assert len({kind.name for kind in KINDS}) == len(KINDS) and ROOT_PAGE == "claims"
    parts = [kind.part for kind in KINDS]
    assert parts == sorted(parts, key=parts.index), "the pages of a part stand together"


@pytest.mark.parametrize("kind", (TRAIN, *KINDS), ids=lambda kind: kind.name)
def test_a_heading_is_the_sources_own(kind):
    text = (ROOT / kind.source).read_text(encoding="utf-8")
    if kind.source.endswith(".ipynb"):
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    assert next(line for line in text.splitlines() if line.startswith("# ")) == f"# {kind.title}"


def test_readme_lists_the_notebooks_of_the_table():
    lines = [f"- `{Path(source).name}`: {NOTEBOOKS[source].title}" for source in sorted(NOTEBOOKS)]
    text = "\n".join(lines)
    assert text in (ROOT / "README.md").read_text(encoding="utf-8"), f"README's list of notebooks should be:\n{text}"


def test_notebooks_that_texts_name_are_there():
    texts = [ROOT / "README.md", *(ROOT / "book").glob("*.md")]
    named = {name for path in texts for name in re.findall(r"\b\d\d_\w+\.ipynb", path.read_text(encoding="utf-8"))}
    assert named <= {Path(source).name for source in NOTEBOOKS}


def test_a_pages_name_says_its_kind_and_study():
    assert [(kind.name, study) for kind, study in map(placed, ("paper", "data-ucf101-3"))] == [
        ("paper", ""),
        ("data", "ucf101-3"),
    ]
    assert heading_of("confusion-demo") == "Look-alike actions · demo" and heading_of("runs") == "Appendix: every run"
    for name in ("speed", "data", "paper-demo"):
        with pytest.raises(ValueError, match=rf"page {name}: the book has no place for it; .* data-<study>, "):
            placed(name)


# ---- the pages of a profile


def test_a_page_comes_after_what_it_shows(bare):
    pages = of("profiles/demo.yaml")
    rendered, own = "data/demo/demo.json", "results/demo/res34_se_im_net-split1-seed0/record.json"
    # the clips of a recorded study are those that this profile renders
    for name in ("data-demo", "accuracy-demo", "accuracy-demo-seeds", "confusion-demo-seeds", "online-demo"):
        assert rendered in pages[name].reads and pages[name].at_hand["clips"], name
    assert rendered not in pages["accuracy-ucf101-3"].reads and not pages["accuracy-ucf101-3"].at_hand["clips"]
    assert (
        pages["online-demo"].makes == ("results/demo/online.json",)
        and "results/demo/online.json" in pages["claims"].reads
    )
    for name in ("claims", "ablations", "paper", "runs", "accuracy-demo", "online-demo"):
        assert own in pages[name].reads, name
    assert all(page.reads[0] == page.kind.source for page in pages.values())


def test_the_ablations_of_any_profile_come_after_its_runs():
    runs = {f"results/{e.study}/{e.run}/record.json" for e in read_profile(ROOT / "profiles/gpu.yaml").experiments}
    assert runs <= set(of("profiles/gpu.yaml")["ablations"].reads)


def test_the_measurements_that_a_page_shows_are_read(bare, monkeypatch):
    monkeypatch.chdir(ROOT)
    pages = of("profiles/demo.yaml")
    for name, file in (
        ("datasets", "datasets/lists.json"),
        ("datasets", "ucf101-3/decoding.json"),
        ("complexity", "table6/cpu.json"),
        ("complexity", "ucf101-3/inference.json"),
        ("claims", "table6/cpu.parquet"),
        ("data-ucf101-3", "ucf101-3/audit.parquet"),
    ):
        assert f"results/{file}" in pages[name].reads, name


def test_every_page_that_shows_what_may_be_absent_is_another_one_without(bare):
    assert of("profiles/demo.yaml")["confusion-ucf101-3"].at_hand == {"clips": False, "weights": False}
    weights = bare / "build" / "runs" / "ucf101-3" / "res34_se_im_net-split1-seed0" / "weights.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert of("profiles/demo.yaml")["confusion-ucf101-3"].at_hand == {"clips": False, "weights": True}
    # what the profile itself makes counts as there: nothing changes by its being made
    assert of("profiles/demo.yaml")["confusion-demo"].at_hand == {"clips": True, "weights": True}


def test_one_page_on_the_clips_of_several_studies_the_profiles_own_first(bare):
    assert {"data-demo", "data-ucf101-3"} == {name for name in of("profiles/demo.yaml") if name.startswith("data-")}
    pages = of("profiles/ucf101-3.yaml")
    assert {"data-demo-seeds", "data-ucf101-3"} == {name for name in pages if name.startswith("data-")}
    assert pages["data-ucf101-3"].parameters["if_missing"] == "error"
    assert pages["data-demo-seeds"].parameters["if_missing"] == "note"


def test_the_same_clips_in_another_folder_are_shown_once(bare):
    record = bare / "results" / "ucf101-3" / "resnet34_3dres18-split1-seed0" / "record.json"
    text = record.read_text(encoding="utf-8")
    assert "/ucf101-3/videos" in text
    record = bare / "results" / "theirs" / "run" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text(text.replace("/ucf101-3/videos", "/elsewhere"), encoding="utf-8")
    pages = of("profiles/demo.yaml")
    assert {"accuracy-theirs", "accuracy-ucf101-3"} <= pages.keys()
    assert len({"data-theirs", "data-ucf101-3"} & pages.keys()) == 1


def test_a_study_that_is_no_evidence_has_no_pages_of_its_own(bare):
    pages = of("profiles/ablation.yaml")
    assert "accuracy-demo-seeds" in pages and not any(name.startswith("accuracy-ablation") for name in pages)


def test_a_page_has_its_profiles_parameters_and_takes_a_machine_where_it_measures(bare):
    values = {"study": "s", "runs": [{"models": ["res34_se_im_net"], "splits": [1], "seeds": [0]}]}
    pages = {page.name: page for page in pages_of(make_profile(values | {"pages": {"online": {"clips_per_class": 2}}}))}
    assert pages["online-s"].parameters == {
        "study": "s",
        "run": "res34_se_im_net-split1-seed0",
        "clips_per_class": 2,
    }
    assert pages["online-s"].kind.alone and not pages["runs"].kind.alone


def test_parameters_of_a_page_that_does_not_exist_are_refused(bare):
    values = {"study": "s", "runs": [{"models": ["res34_se_im_net"], "splits": [1], "seeds": [0]}]}
    with pytest.raises(ValueError, match=r"pages: unknown name 'complexiti'; did you mean 'complexity'\?"):
        pages_of(make_profile(values | {"pages": {"complexiti": {}}}))


def test_a_record_that_cannot_be_read_is_named(bare):
    path = bare / "results" / "ucf101-3" / "res34_se_im_net-split1-seed0" / "record.json"
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
