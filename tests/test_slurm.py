"""tests/slurm-one-node.sh: what it refuses, and a study through Snakemake's Slurm executor where Slurm is up."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "slurm-one-node.sh"


def call(*arguments, **variables):
    env = os.environ | variables
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=600, check=False, env=env)


def refusal(*arguments, **variables):
    done = call(*arguments, **variables)
    assert done.returncode == 1 and not done.stdout
    return done.stderr


@pytest.fixture
def bare(tmp_path):
    """A PATH that has neither Slurm nor anything that could change the machine, and whose id names a chosen user."""
    for tool in ("bash", "dirname", "env", "grep", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool))

    def path(user: int = 0) -> str:
        (tmp_path / "id").write_text(f"#!/usr/bin/env bash\necho {user}\n")
        (tmp_path / "id").chmod(0o755)
        return str(tmp_path)

    return path


def test_the_script_parses():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_without_a_command_it_explains_itself():
    done = call()
    assert done.returncode == 2
    assert "run profiles/demo.yaml" in done.stdout and not done.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_services_need_root(bare, command):
    said = refusal(command, PATH=bare(user=1000))
    assert said == f"slurm-one-node: '{command}' starts and stops system services: run it as root\n"


@pytest.mark.parametrize("command", ["up", "down"])
def test_another_slurm_stays_as_it_is(bare, command, tmp_path):
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=theirs\n")
    said = refusal(command, PATH=bare(), SLURM_CONF=str(conf))
    assert said.startswith(f"slurm-one-node: {conf} is another Slurm's configuration and stays as it is")
    assert conf.read_text() == "ClusterName=theirs\n"


def test_a_run_needs_a_profile():
    assert refusal("run").startswith("slurm-one-node: run needs a profile")
    assert refusal("run", "profiles/nowhere.yaml") == "slurm-one-node: there is no profile profiles/nowhere.yaml\n"


def test_a_run_needs_slurm(bare, tmp_path):
    said = refusal("run", "profiles/demo.yaml", PATH=bare())
    assert said == "slurm-one-node: there is no Slurm here (sinfo): 'up' installs one\n"
    (tmp_path / "timeout").symlink_to(shutil.which("timeout"))
    (tmp_path / "sinfo").symlink_to(shutil.which("false"))
    said = refusal("run", "profiles/demo.yaml", PATH=bare())
    assert said == "slurm-one-node: Slurm does not answer (sinfo): 'up' starts it on this machine\n"


@pytest.mark.slow
def test_the_smoke_study_through_slurm(tmp_path):
    if os.environ.get("REPRO_SLURM") != "1":  # starting one changes the machine, so a test does not
        pytest.skip("REPRO_SLURM is not 1: after tests/slurm-one-node.sh up, REPRO_SLURM=1 runs a study through Slurm")
    if not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("sinfo does not work here: tests/slurm-one-node.sh up starts a Slurm")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    command = [tmp_path / "tests" / "slurm-one-node.sh", "run", "tests/smoke.yaml", "runs"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False, env=env)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = done.stdout + done.stderr
    assert said.count("has been submitted with SLURM jobid") == 3  # the clips and two runs
    assert len(list((tmp_path / "results" / "smoke").glob("*/record.json"))) == 2
