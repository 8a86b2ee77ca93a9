"""The study as its users run it: Snakemake over a tiny profile in a copy of the repository, up to the browser."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import audit  # tests/browser.py

from repro.records.record import read_record

ROOT = Path(__file__).parents[1]
RUNS = [f"{model}-split1-seed0" for model in ("resnet34_3dres18", "res34_se_im_net")]

TWINS = ("results/demo-tuned/", "results/pretrained-ucf101-3/")

pytestmark = pytest.mark.slow


def snakemake(folder: Path, *targets: str, profile: str = "tests/smoke.yaml", timeout: int = 1800):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", profile, "--nolock"]
    return subprocess.run(
        [*command, "--rerun-incomplete", *targets],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A copy of the tracked and new files, with the smoke study run to the book.

    Without two recorded studies, whose pages are made as those of demo-seeds and ucf101-3 are: a minute.
    """
    folder = tmp_path_factory.mktemp("study")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(TWINS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder


def test_every_run_leaves_a_whole_record(study):
    for run in RUNS:
        record = read_record(study / "results" / "smoke" / run)
        assert len(record.predictions) == record.data["clips"]["test"] == 8  # 4 classes, 1 of 3 groups, 2 clips each
        assert len(record.history) == 2


def test_the_book_opens_offline_without_a_fault(study, browser):
    html = study / "book" / "_build" / "html"
    names = {path.stem for path in html.glob("*.html")}
    expected = {"index", "runs", "paper", "complexity", "datasets", "data-smoke"}
    assert expected | {"accuracy-smoke", "confusion-smoke", "online-smoke"} <= names
    assert audit(html, browser) == []


def test_a_recorded_study_is_shown_without_its_clips(study):
    html = (study / "book" / "_build" / "html" / "data-ucf101-3.html").read_text()
    assert "The clips are not at hand on this machine" in html
    assert "104" in (study / "book" / "_build" / "html" / "accuracy-ucf101-3.html").read_text()


def test_nothing_changed_runs_nothing(study):
    done = snakemake(study)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_an_edited_docstring_retrains_nothing_and_a_changed_rule_does(study):
    def to_train() -> int:
        done = snakemake(study, "--dry-run", "runs")
        assert done.returncode == 0, done.stderr
        counts = [line.split() for line in (done.stdout + done.stderr).splitlines()]
        return next((int(words[1]) for words in counts if len(words) == 2 and words[0] == "train"), 0)

    path = study / "repro" / "optim.py"
    source = path.read_text()
    try:
        path.write_text(source.replace("SGD with momentum", "Plain SGD with momentum"))
        assert path.read_text() != source and to_train() == 0
        path.write_text(source.replace("lr=experiment.learning_rate", "lr=2 * experiment.learning_rate"))
        assert path.read_text() != source and to_train() == 2
    finally:
        path.write_text(source)


def test_a_killed_study_goes_on(study):
    """Records removed, the run killed in the middle of training, started again: the same predictions."""
    record = study / "results" / "smoke" / RUNS[0]
    before = read_record(record).predictions
    shutil.rmtree(record)
    shutil.rmtree(study / "build" / "runs" / "smoke" / RUNS[0])
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--configfile",
        "tests/smoke.yaml",
        "--nolock",
        "runs",
    ]
    running = subprocess.Popen(
        command,
        cwd=study,
        env={**os.environ, "PYTHONPATH": str(study)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    checkpoint = study / "build" / "runs" / "smoke" / RUNS[0] / "last.ckpt"
    for _ in range(1200):
        if checkpoint.is_file() or running.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(running.pid, 9)
    running.wait()
    assert checkpoint.is_file()
    done = snakemake(study, "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_record(record).predictions.equals(before)


def test_a_failed_notebook_is_kept_and_named_at_the_end(study, tmp_path):
    profile = tmp_path / "broken.yaml"
    text = (study / "tests" / "smoke.yaml").read_text()
    profile.write_text(text.replace("study: smoke", "study: broken").replace("classes: [Pick,", "classes: [Peck,"))
    done = snakemake(study, f"results/broken/{RUNS[0]}/record.json", profile=str(profile))
    assert done.returncode != 0
    assert "'Peck' is not a class of" in done.stderr
    assert list((study / "build" / "runs" / "broken").glob("*.failed.ipynb"))
    assert not (study / "results" / "broken").exists()


def test_an_unknown_field_in_a_profile_is_refused(study, tmp_path):
    profile = tmp_path / "misspelt.yaml"
    profile.write_text((study / "tests" / "smoke.yaml").read_text().replace("epochs:", "epocs:"))
    done = snakemake(study, "--dry-run", profile=str(profile))
    assert done.returncode != 0
    assert "did you mean 'epochs'?" in done.stdout + done.stderr


def test_measurements_carry_provenance(study):
    measured = json.loads((study / "results" / "smoke" / "online.json").read_text())
    assert measured["provenance"]["processor"] and measured["provenance"]["started"]
