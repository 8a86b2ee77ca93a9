"""The study as its users run it: `make book` of a tiny profile in a copy of the repository, up to the browser."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import GENERATED, audit  # tests/browser.py
from made import both_networks
from tiny import copy_of_repository

from repro.experiment.profile import read_profile
from repro.files import only_one
from repro.records.record import read_record
from repro.report.pages import KINDS, ROOT_PAGE, pages_of
from repro.training.behaviour import todays_digest

ROOT = Path(__file__).parents[1]
PROFILE = "tests/smoke.yaml"
OTHERS = [f"others/{m}-split1-seed{k}" for k in (0, 1) for m in ("resnet34_3dres18", "res34_se_im_net")]
RUNS = [experiment.run for experiment in read_profile(ROOT / PROFILE).experiments]
SHOWN = ("results/ucf101-3/", "results/table6/", "results/datasets/")  # of what is recorded

pytestmark = pytest.mark.slow


def call(folder: Path, *command: str) -> subprocess.CompletedProcess:
    # as on a machine where nothing but the folder's own .venv is known
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command, cwd=folder, env=env | {"PYTHONPATH": ""}, capture_output=True, text=True, timeout=1800, check=False
    )


def make(folder: Path, *targets: str) -> subprocess.CompletedProcess:
    """make, without bringing .venv up to date."""
    return call(folder, "make", "--old-file=setup", f"PROFILE={PROFILE}", "CORES=2", *targets)


def snakemake_command(folder: Path, *targets: str, profile: str = PROFILE) -> list[str]:
    options = ["--cores", "2", "--configfile", profile, "--nolock", "--rerun-incomplete"]
    return [str(folder / ".venv" / "bin" / "python"), "-m", "snakemake", *options, *targets]


def snakemake(folder: Path, *targets: str, profile: str = PROFILE) -> subprocess.CompletedProcess:
    return call(folder, *snakemake_command(folder, *targets, profile=profile))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A copy of the tracked and new files in a folder with a name as people have them, with the smoke study's book."""
    folder = copy_of_repository(tmp_path_factory.mktemp("study") / "my täst repro", results=SHOWN)
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():  # the packages are those of this Python
        (folder / ".venv" / path.name).symlink_to(path)
    others = {"study": "others", "dataset": "other clips", "videos": "data/others/videos", "epochs": 3}
    both_networks(folder / "results", digest=todays_digest(ROOT / "build" / "behaviour"), **others)
    done = make(folder, "book")
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return folder


def test_every_run_leaves_a_whole_record(study):
    for run in RUNS:
        record = read_record(study / "results" / "smoke" / run)
        assert len(record.predictions) == record.data["clips"]["test"] == 8  # 4 classes, 1 of 3 groups, 2 clips each
        assert len(record.history) == 2


def test_the_book_has_the_pages_of_the_table_and_opens_offline_without_a_fault(study, browser, monkeypatch):
    monkeypatch.chdir(study)
    html = study / "book" / "_build" / "html"
    names = {page.name for page in pages_of(read_profile(PROFILE))}
    names |= {kind.name for kind in KINDS if kind.source.startswith("book/")}
    found = {path.stem for path in html.glob("*.html")}
    assert found - set(GENERATED) == names - {ROOT_PAGE} | {"index"}
    assert audit(html, browser) == []


def test_a_recorded_study_is_shown_without_its_clips(study):
    html = study / "book" / "_build" / "html"
    assert "there is no folder data/others/videos" in (html / "data.html").read_text(encoding="utf-8")
    gate = (html / "gate.html").read_text(encoding="utf-8")
    assert "Other clips" in gate and "+41.7 points" in gate and "A few rendered clips" in gate
    claims = {each["id"]: each for each in json.loads((html / "claims.json").read_text(encoding="utf-8"))}
    assert claims["se-im-beats-baseline"]["verdict"] == "reproduced"  # of the made runs: the smoke runs stopped early
    assert claims["se-im-beats-baseline"]["records"] == OTHERS


def test_nothing_changed_runs_nothing(study):
    done = snakemake(study)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_second_make_book_is_told_to_wait(study):
    with only_one(study / "build" / "lock"):
        done = make(study, "book")
    assert done.returncode != 0 and "build/lock: another process is at this work" in done.stderr


def html_of(study: Path) -> dict[str, str]:
    """The book's pages by name."""
    html = study / "book" / "_build" / "html"
    return {path.name: path.read_text(encoding="utf-8") for path in html.glob("*.html")}


def test_a_second_build_gives_the_same_pages(study):
    first = html_of(study)
    assert make(study, "clean").returncode == 0
    assert not (study / "build" / "pages").exists() and not (study / "book" / "_build").exists()
    done = make(study, "book")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    second = html_of(study)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_an_edited_docstring_retrains_nothing_and_a_changed_rule_does(study):
    def to_train() -> int:
        done = snakemake(study, "--dry-run", "runs")
        assert done.returncode == 0, done.stderr
        counts = [line.split() for line in (done.stdout + done.stderr).splitlines()]
        return next((int(words[1]) for words in counts if len(words) == 2 and words[0] == "train"), 0)

    path = study / "repro" / "training" / "optimiser.py"
    source = path.read_text()
    try:
        path.write_text(source.replace("SGD with momentum", "Plain SGD with momentum"))
        assert path.read_text() != source and to_train() == 0
        path.write_text(source.replace("lr=experiment.learning_rate", "lr=2 * experiment.learning_rate"))
        assert path.read_text() != source and to_train() == 2
    finally:
        path.write_text(source)


@pytest.mark.parametrize("signals, when", [([signal.SIGKILL], "/last.ckpt"), ([signal.SIGINT] * 2, ".draft.ipynb")])
def test_a_study_that_was_stopped_goes_on(study, tmp_path, signals, when):
    """Records removed, the run killed in the middle of training or ended by Ctrl-C, pressed twice, which leaves a plain
    message; started again: the same predictions."""
    record = study / "results" / "smoke" / RUNS[0]
    before = read_record(record).predictions
    shutil.rmtree(record)
    shutil.rmtree(study / "build" / "runs" / "smoke" / RUNS[0])
    (study / "build" / "runs" / "smoke" / f"{RUNS[0]}.ipynb").unlink()
    command = snakemake_command(study, f"results/smoke/{RUNS[0]}/record.json")
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(command, cwd=study, stdout=said, stderr=said, start_new_session=True)
    awaited = study / "build" / "runs" / "smoke" / f"{RUNS[0]}{when}"
    for _ in range(1200):
        if awaited.is_file() or running.poll() is not None:
            break
        time.sleep(0.1)
    assert awaited.is_file()
    for number in signals:
        os.killpg(running.pid, number)
        time.sleep(1)  # while it ends
    assert running.wait(60) != 0
    if signal.SIGINT in signals:
        text = (tmp_path / "said").read_text()
        assert "Traceback" not in text and "The same command goes on from the last finished epoch" in text, text[-3000:]
    done = snakemake(study, "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_record(record).predictions.equals(before)


def test_a_failed_notebook_is_kept_and_named_at_the_end(study, tmp_path):
    profile = tmp_path / "broken.yaml"
    text = (study / "tests" / "smoke.yaml").read_text()
    profile.write_text(text.replace("study: smoke", "study: broken").replace("classes: [Pick,", "classes: [Peck,"))
    old = study / "build" / "runs" / "before" / "x.failed.ipynb"
    old.parent.mkdir(parents=True)
    old.write_text('{"cells": [{"outputs": [{"output_type": "error", "ename": "E", "evalue": "of a run before"}]}]}')
    os.utime(old, (1, 1))
    done = snakemake(study, f"results/broken/{RUNS[0]}/record.json", profile=str(profile))
    assert done.returncode != 0
    assert "classes: unknown name 'Peck'" in done.stderr and "of a run before" not in done.stderr
    assert "Not finished. Mend that first: the same command goes on" in done.stderr
    assert list((study / "build" / "runs" / "broken").glob("*.failed.ipynb"))
    assert not (study / "results" / "broken").exists()


def test_an_unknown_field_in_a_profile_is_refused(study, tmp_path):
    profile = tmp_path / "misspelt.yaml"
    profile.write_text((study / "tests" / "smoke.yaml").read_text().replace("epochs:", "epocs:"))
    done = snakemake(study, "--dry-run", profile=str(profile))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"{profile}: " in said and "did you mean 'epochs'?" in said


def test_measurements_carry_provenance(study):
    measured = json.loads((study / "results" / "smoke" / "online.json").read_text())
    assert measured["provenance"]["processor"] and measured["provenance"]["started"]
