"""What servers and containers withhold: a folder to write into, a home, a name, open files; what Slurm leaves."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import yaml

from repro.data.clips import read_split
from repro.data.manifest import build_manifest
from repro.files import best_effort, whole
from repro.training.behaviour import todays_digest

ROOT = Path(__file__).parents[1]
NOBODY = 54321  # no passwd entry has this number


def as_nobody(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """``repro ...`` in this checkout by a user without name, home or right to write here, 128 open files allowed."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TMPDIR": str(folder), **environment}
    command = [sys.executable, "-m", "repro.cli", *arguments]
    options = {"cwd": ROOT, "env": own, "capture_output": True, "text": True, "preexec_fn": few_files}
    return subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], check=False, **options)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
def test_training_and_predicting_from_a_checkout_that_cannot_be_written(tmp_path):
    try:
        subprocess.run([sys.executable, "-c", ""], user=NOBODY, group=NOBODY, extra_groups=[], check=True)
    except PermissionError:
        pytest.skip(f"{sys.executable} is closed to other users here")
    home = Path(f"/tmp/repro-nobody-{os.getpid()}")  # pytest's own folders are closed to others
    home.mkdir()
    try:
        data = tiny.write_ucf101(home / "set", frames=8)
        os.chmod(home, 0o777)
        parameters = tiny.experiment(
            data, epochs=1, frames=4, workers=2, study="s", run="r", accelerator="cpu"
        ).to_dict()
        (home / "p.yaml").write_text(yaml.safe_dump(parameters))
        places = ["--results", str(home / "results"), "--work", str(home / "runs")]
        slurm = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "77", "SLURM_LOCALID": "0"}
        trained = as_nobody(home, "train", str(home / "p.yaml"), *places, SLURM_NODELIST="n1", **slurm)
        assert trained.returncode == 0, trained.stderr
        assert (home / "results" / "s" / "r" / "record.json").is_file()
        clip = next((home / "set" / "videos").rglob("*.avi"))
        found = as_nobody(home, "predict", str(clip), "--to", str(home / "t.csv"), *places, SLURM_NTASKS="")
        assert found.returncode == 0 and str(clip) in found.stdout, found.stderr
        assert "Traceback" not in trained.stderr + found.stderr
    finally:
        shutil.rmtree(home)


def cannot_write(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system", "build")


def test_caches_are_best_effort(tmp_path, monkeypatch, capsys):
    clips = read_split(tiny.experiment(tiny.write_ucf101(tmp_path / "set"))).train
    expected = build_manifest(clips)
    digest = todays_digest()
    monkeypatch.setattr(Path, "mkdir", cannot_write)
    monkeypatch.setattr("repro.data.manifest.CACHE", tmp_path / "none" / "counts.parquet")
    assert build_manifest(clips).equals(expected)
    monkeypatch.setattr("repro.training.digest.digest", lambda: digest)
    assert todays_digest(tmp_path / "none") == digest
    said = capsys.readouterr().err
    assert said.count("cannot be written, so it is found out anew each time") == 2 and "counts.parquet" in said


def test_a_full_disk_is_no_reason_to_go_on(tmp_path):
    with pytest.raises(OSError, match="the disk is full"), best_effort(tmp_path / "a"), whole(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("there", [True, False])
def test_make_finds_a_home_where_there_is_none(tmp_path, there):
    """Snakemake, Jupyter and uv write into it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    command = ["make", "--silent", "--eval", 'show: ; @echo "$$HOME|$$UV_NO_CACHE"', "show"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(own) if there else "/nonexistent"}
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    made = tmp_path / "build" / "home"
    assert shown.stdout.strip() == (f"{own}|" if there else f"{made}|1") and made.is_dir() != there


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
def test_make_finds_a_name_for_who_has_none():
    """Snakemake asks for it."""
    show = ["--file", "-", "--silent", "--eval", 'show: ; @echo "$$USER"', "show"]
    options = {"env": {"PATH": "/usr/bin:/bin", "HOME": "/"}, "cwd": "/", "capture_output": True, "text": True}
    options |= {"input": (ROOT / "Makefile").read_text(), "check": True}
    named = subprocess.run(["make", *show], **options)
    nameless = subprocess.run(["make", *show], user=NOBODY, group=NOBODY, extra_groups=[], **options)
    assert (named.stdout.strip(), nameless.stdout.strip()) == ("", "nobody")


def test_runs_are_made_again_once_each(tmp_path):
    """Deleted are those that are as git has them: called once more it goes on, and no other run is touched."""

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    def again(snakemake, run="a/*"):
        command = ["make", "--no-print-directory", "-o", "setup", "again", f"RUN={run}", f"SNAKEMAKE={snakemake}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    shutil.copy(ROOT / "Makefile", tmp_path)
    runs = [tmp_path / "results" / name for name in ("a/x", "a/y", "b/x")]
    for run in runs:
        run.mkdir(parents=True)
        (run / "record.json").write_text("recorded")
        (tmp_path / "build" / "runs" / run.relative_to(tmp_path / "results")).mkdir(parents=True)
    git("init", "-q")
    git("add", "results")
    git("commit", "-qm", "made")
    assert again("false").returncode == 2 and all(run.exists() for run in runs), "a profile that makes none of them"
    made = again("echo")
    assert made.stdout.split()[-2:] == ["results/a/x/record.json", "results/a/y/record.json"]
    assert [run.exists() for run in runs] == [False, False, True] and not (tmp_path / "build/runs/a/x").exists()
    runs[0].mkdir()
    (runs[0] / "record.json").write_text("made again")
    (tmp_path / "build/runs/a/y").mkdir()  # stopped
    assert again("echo").returncode == 0 and runs[0].exists() and (tmp_path / "build/runs/a/y").exists()
    gone = again("echo", "c/x")
    assert gone.returncode == 2 and "git has no results/c/x/record.json" in gone.stderr
