"""tools/slurm-one-node.sh: what it refuses, and a study through Snakemake's Slurm executor where Slurm is up."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro.processes import environment

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "slurm-one-node.sh"


def call(*arguments, path: str | None = None):
    env = os.environ | ({"PATH": path} if path else {})
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=600, check=False, env=env)


def test_without_a_command_it_explains_itself():
    done = call()
    assert done.returncode == 2
    assert "run profiles/demo.yaml" in done.stdout and not done.stderr


def test_a_profile_that_is_not_there():
    done = call("run", "profiles/nowhere.yaml")
    assert done.returncode == 1
    assert done.stderr == "slurm-one-node: there is no profile profiles/nowhere.yaml\n"


def test_without_slurm_it_says_what_to_do(tmp_path):
    for tool in ("bash", "dirname", "sed", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = call("run", "profiles/demo.yaml", path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "slurm-one-node: there is no Slurm here: 'up' installs one\n"


@pytest.mark.parametrize("tasks, several", [("1", False), ("2", True)])
def test_a_slurm_job_of_one_task_is_a_plain_process(monkeypatch, tasks, several):
    for name, value in {"NTASKS": tasks, "PROCID": "0", "JOB_ID": "7", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", tasks)
    assert environment().creates_processes_externally is several


@pytest.mark.slow
def test_the_smoke_study_through_slurm(tmp_path):
    """Where Slurm is up (REPRO_SLURM=1): starting one is a change to the machine that a test does not make."""
    if os.environ.get("REPRO_SLURM") != "1":
        pytest.skip("REPRO_SLURM is not 1: tools/slurm-one-node.sh up, then REPRO_SLURM=1, runs a study through Slurm")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    command = [tmp_path / "tools" / "slurm-one-node.sh", "run", "tests/smoke.yaml", "runs"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=env)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "has been submitted with SLURM jobid" in done.stdout + done.stderr
    assert len(list((tmp_path / "results" / "smoke").glob("*/record.json"))) == 2
