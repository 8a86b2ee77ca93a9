"""CONTRIBUTING.md: its picture is that of the imports, its steps add what they say."""

import os
import re
import shutil
import subprocess
import sys

import rooms
import yaml
from rooms import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# What each part of the text says to edit: (file, what stands there, what is put in its place; "" is the file's end)
STEPS = {
    "A dataset.": [
        (
            "repro/data/layouts.py",
            "LAYOUTS = {\n",
            "def read_mine(_videos: Path, annotations: Path, split: int) -> Lists:\n"
            "    lines = read_lines(annotations / 'mine.txt', of='mine')\n"
            "    clips = [Listed(line, 0, line, ('Wave',), line) for _, line in lines]\n"
            "    return Lists(('Wave',), clips[1:], clips[:1], [])\n\n\n"
            "LAYOUTS = {\n    'mine': Layout(read_mine, 2),\n",
        ),
        ("repro/experiment/fields.py", "Layout = Literal[", "Layout = Literal['mine', "),
    ],
    "A network.": [
        (
            "repro/models/fused.py",
            "",
            "\n\ndef my_net(*, classes: int, width: float = 1.0) -> FusedNet:\n"
            "    return resnet34_frame_average(classes=classes, width=width, dropout=0.0)\n",
        ),
        ("repro/models/__init__.py", "    FusedNet,\n", "    FusedNet,\n    my_net,\n"),
        ("repro/models/__init__.py", "FACTORIES = (", "FACTORIES = (my_net, "),
        ("repro/experiment/fields.py", "TITLES = {\n", "TITLES = {\n    'my_net': 'MyNet',\n"),
        (
            "repro/models/peers/networks.toml",
            "",
            '\n[[network]]\nname = "theirs"\ntitle = "Theirs"\ngroup = "peer"\n'
            'factory = "res3d.r3d_18"\nframes = 8\nsize = 64\nclasses = 3\n',
        ),
    ],
    "A claim.": [
        (
            "repro/paper/paper.toml",
            "[[claim]]\n",
            '[[claim]]\nid = "mine"\ntitle = "t"\nquote = "q"\nsection = "Abstract"\nstatement = "s"\n\n[[claim]]\n',
        ),
        (
            "repro/claims/rules_published.py",
            "",
            '\n\n@rule("mine", runs="none", since="2026-01-31T12:00:00Z")\n'
            "def mine(claim: Claim, evidence: Evidence) -> Verdict:\n"
            '    return Verdict(claim, "reproduced", "test", "evidence", "settle")\n',
        ),
    ],
    "A page.": [
        (
            "repro/report/pages.py",
            "KINDS = (\n",
            "KINDS = (\n    Kind('mine', 'notebooks/99_mine.ipynb', 'Mine', 'Experiments'),\n",
        ),
    ],
}
LOOK = """
from pathlib import Path
from repro.claims.verdicts import judge
from repro.claims.judging import Evidence
from repro.data.clips import read_split
from repro.experiment.fields import Experiment
from repro.experiment.profile import read_profile
from repro.models import build
from repro.models.peers.rows import rows
from repro.paper.cells import load
from repro.report.pages import pages_of

mine = Experiment(layout="mine", videos="v", annotations=".", model="my_net", width=0.125)
assert [clip.name for clip in read_split(mine, check=False).train] == ["b.avi"]
assert type(build("my_net", classes=2, width=0.125)).__name__ == "FusedNet"
assert rows()["theirs"].build().training is False
assert judge(load().claim("mine"), None).outcome == "reproduced"
assert "mine" in [page.name for page in pages_of(read_profile(Path("profiles/demo.yaml")))]
print("all there")
"""


def part(title: str) -> str:
    """The text under one bold title."""
    return TEXT.partition(f"**{title}**")[2].partition("\n\n**")[0]


def test_the_picture_is_that_of_the_imports():
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), (
        "draw it again: .venv/bin/python tests/rooms.py"
    )


def test_an_arrow_that_others_imply_is_left_out_and_one_against_the_order_is_not():
    edges = {("c", "b"), ("b", "a"), ("c", "a"), ("a", "c")}
    assert rooms.without_implied(edges, ["a", "b", "c"]) == {("c", "b"), ("b", "a"), ("a", "c")}


def test_the_steps_add_what_they_say(tmp_path):
    for folder in ("repro", "profiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for title, edits in STEPS.items():
        for file, old, new in edits:
            assert f"`{file}`" in part(title), f"{title} does not name {file}"
            path = tmp_path / file
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{file} has no {old!r} any more: change the step here and in CONTRIBUTING.md"
            path.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
    (tmp_path / "mine.txt").write_text("a.avi\nb.avi\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "all there\n", done.stderr


def test_what_is_decided_where_is_there():
    table = TEXT.partition("## Where it is decided")[2].partition("##")[0]
    named = 0
    for row in table.splitlines():
        names: list[str] = []
        for word in re.findall("`([^`]+)`", row):
            if not word.endswith(".py"):
                names.append(word)
                continue
            text = (ROOT / word).read_text(encoding="utf-8")
            for name in names:
                assert re.search(rf"(def|class) {name}\b", text), f"{word} has no {name}"
            named += len(names)
            names = []
        assert not names, row
    assert named > 15


def test_a_commit_is_checked_as_make_lint_does():
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint: setup\n")[2].partition("\n\n")[0]
    commands = [line.replace("$(V) -m", "").replace(".venv/bin/", "").split() for line in lint.splitlines()]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    hooks = [
        hook["entry"].replace(".venv/bin/", "").replace(" --force-exclude", "").split() for hook in repository["hooks"]
    ]
    assert repository["repo"] == "local" and hooks == commands


def test_github_runs_what_must_pass_on_stand_ins():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"].values()
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert "REPRO_SHARED_DATA" in job["env"] and "tests/stand_ins.py" in commands and commands.endswith(".ci/run")
