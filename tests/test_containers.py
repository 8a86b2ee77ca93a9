"""Dockerfile, .binder and codemeta.json: what they name is there, and says what the rest of the repository says."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def minor(text: str) -> str:
    return re.search(r"3\.\d+", text)[0]


def test_python_is_one_that_the_study_runs_on():
    dockerfile, runtime = (ROOT / "Dockerfile").read_text(), (ROOT / ".binder" / "runtime.txt").read_text()
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    for text in (re.search("FROM (.*)", dockerfile)[1], runtime):
        assert minor(text) in ("3.11", "3.12", "3.13")
    assert minor(runtime) == minor((ROOT / "environment.yml").read_text())


def test_the_commands_of_the_container_are_makes_own():
    text = (ROOT / "Dockerfile").read_text()
    targets = re.findall(r"make (\w+)", text) + re.findall(r'"make", "(\w+)"', text)
    assert {"setup", "book"} <= set(targets)
    for target in targets:
        if target != "rm":
            subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
    assert text.index("USER reader") < text.index("RUN make setup"), "nothing runs as root that need not"


def test_the_container_gets_every_file_that_git_knows():
    ignored = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    for path in tracked:
        assert not any(path == name or path.startswith(f"{name}/") for name in ignored), path


def test_binder_installs_the_lock_and_this_folder():
    binder = ROOT / ".binder"
    (line,) = [line for line in (binder / "requirements.txt").read_text().splitlines() if line[0] != "#"]
    assert line.startswith("-r "), "in this form Binder brings the whole repository first"
    assert (binder / line.split()[1]).resolve() == ROOT / "requirements.lock"
    post = binder / "postBuild"
    assert post.stat().st_mode & 0o111 and "--no-deps" in post.read_text() and "--editable ." in post.read_text()
    subprocess.run(["bash", "-n", post], check=True)


def test_codemeta_says_what_pyproject_and_the_citation_say():
    meta = json.loads((ROOT / "codemeta.json").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    for name in ("name", "version", "description"):
        assert meta[name] == PROJECT[name]
    assert meta["version"] == citation["version"] and meta["keywords"] == citation["keywords"]
    assert meta["license"].endswith(f"/{citation['license']}") and citation["license"] == PROJECT["license"]
    assert PROJECT["requires-python"] in meta["runtimePlatform"]
    assert citation["references"][0]["doi"] in meta["referencePublication"]["id"]
