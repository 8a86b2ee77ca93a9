"""``repro doctor``: what it finds missing, on made machines, and that its next command is the right one."""

import ast
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_cli import call

from repro.training import doctor

ROOT = Path(__file__).parents[1]


def test_a_sound_machine(monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, "doctor")
    assert status == 0 and out.splitlines()[-1].startswith("next: make book (renders clips,")
    assert out.endswith("for real data: repro doctor profiles/hmdb51.yaml\n")
    for name in ("Python 3.", "OpenCV ", "reads video", "reads AV1", "GPU: ", "memory: ", "libraries: all "):
        assert name in out
    (line,) = [line for line in out.splitlines() if line.startswith("HMDB51")]
    assert "there is no folder /data/hmdb51/videos (hmdb51.yaml, paper.yaml, server.yaml); " in line
    assert "repro prepare hmdb51 --root /data/hmdb51 --audit, or set videos and annotations" in line


def imported_by_the_study() -> set[str]:
    """Names of the libraries that the module's files and the notebooks' cells import."""
    sources = [path.read_text() for path in (ROOT / "repro").rglob("*.py")]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        sources += ["".join(cell["source"]) for cell in cells]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"repro"}


def test_every_library_that_the_study_imports_is_tried():
    code = "import sys; from repro.training import doctor; print([f.text for f in doctor.libraries() if f.fault])"
    code += "; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    faults, tried = run.stdout.splitlines()[-2:]
    assert faults == "[]"
    needed = imported_by_the_study()
    assert {"torch", "yaml", "pandas", "IPython"} <= needed and len(needed) > 20
    assert needed <= set(tried.split()), "libraries that break the study and pass doctor"
    assert {"pyarrow", "jupyter_book", "snakemake", "av"} <= set(tried.split())
    assert not {"pytest", "playwright", "onnxruntime"} & set(tried.split()), "what only tests and exports need"


@pytest.mark.parametrize(
    "module, name", [("pyarrow", "pyarrow"), ("torch", "torch"), ("yaml", "pyyaml"), ("jupyter_book", "jupyter-book")]
)
def test_a_library_that_does_not_import(monkeypatch, capsys, module, name):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    status, out, _ = call(monkeypatch, capsys, "doctor")
    assert status == 1 and f"{name} does not import" in out and out.endswith("next: make setup\n")


def test_a_library_of_another_version(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["pyarrow>=9999"])
    (finding,) = doctor.libraries()
    assert finding.fault and "is not >=9999" in finding.text
    monkeypatch.setattr(doctor, "requires", lambda _: ["no-such-library>=1"])
    (finding,) = doctor.libraries()
    assert finding.fault and "no-such-library is not installed; `make setup`" in finding.text


def test_a_small_container(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 26, 0, 1 << 26))
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (128, 128))
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    text = "\n".join(finding.text for finding in doctor.machine())
    for said in ("--shm-size", "ulimit -n", "this folder cannot be written", "need a HOME", "git is not here"):
        assert said in text


def test_a_profile_beside_its_plan(tmp_path, monkeypatch, capsys):
    text = (ROOT / "profiles" / "hmdb51.yaml").read_text().replace("/data/hmdb51", str(tmp_path))
    (tmp_path / "p.yaml").write_text(text)
    status, out, _ = call(monkeypatch, capsys, "doctor", tmp_path / "p.yaml")
    assert (
        status == 0 and f"there is no folder {tmp_path}/videos (p.yaml); repro prepare hmdb51 --root {tmp_path}" in out
    )
    assert "of memory a device are needed" in out and "of disk are needed" in out
    assert out.rstrip().endswith(f"next: repro prepare hmdb51 --root {tmp_path} --audit")
    assert "ucf101-3" not in out, "the other profiles are not asked about"
    for name in ("videos", "annotations"):
        (tmp_path / name).mkdir()
    _, out, _ = call(monkeypatch, capsys, "doctor", tmp_path / "p.yaml")
    assert f"HMDB51 is in {tmp_path} (p.yaml)" in out and f"next: repro plan {tmp_path}/p.yaml" in out
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    _, out, _ = call(monkeypatch, capsys, "doctor", tmp_path / "p.yaml")
    assert "0.0 GB are free: free some" in out


def test_a_profile_that_is_not_there(monkeypatch, capsys):
    status, _, err = call(monkeypatch, capsys, "doctor", "nowhere.yaml")
    assert status == 1 and "there is no profile nowhere.yaml" in err


def test_without_the_packages_own_metadata(monkeypatch):
    def gone(_):
        raise importlib.metadata.PackageNotFoundError("repro")

    monkeypatch.setattr(doctor, "requires", gone)
    (finding,) = doctor.libraries()
    assert finding.fault and "repro is not installed" in finding.text


@pytest.mark.parametrize("said, status, expected", [
    ("NVIDIA T4, 470.82\\n", 0, "NVIDIA T4 is here, but torch 9.9 cannot use it with driver 470.82: update the driver"),
    ("", 0, ""),
    ("no driver", 9, ""),
])  # fmt: skip
def test_a_gpu_whose_driver_is_too_old_is_named(tmp_path, monkeypatch, said, status, expected):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{said}'\nexit {status}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert doctor._unused_driver(SimpleNamespace(__version__="9.9")) == expected
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._unused_driver(SimpleNamespace(__version__="9.9")) == ""


def test_a_profile_that_is_not_understood_is_a_line_and_the_rest_goes_on(tmp_path):
    faulty, good = tmp_path / "typo.yaml", tmp_path / "good.yaml"
    text = "study: good\nremark: Good.\nfields: {dataset: mine, videos: no/videos, annotations: no/lists}\n"
    text += "runs: [{models: [resnet34_3dres18], splits: [1], seeds: [0]}]\n"
    good.write_text(text)
    faulty.write_text(text.replace("dataset: mine", "lerning_rate: 1"))
    typo, missing = doctor.datasets([faulty, good])
    assert typo.fault and f"{faulty}: " in typo.text and "lerning_rate" in typo.text
    assert not missing.fault and "mine: there is no folder no/videos (good.yaml)" in missing.text
    with pytest.raises(ValueError, match="lerning_rate"):
        list(doctor.datasets([faulty]))


def test_a_set_that_several_profiles_share_is_one_line_with_one_command(tmp_path, monkeypatch):
    profiles = [Path("profiles") / name for name in ("demo.yaml", "gpu.yaml", "rendered.yaml")]
    profiles = [path.resolve() for path in profiles]
    monkeypatch.chdir(tmp_path)
    lines = [finding.text for finding in doctor.datasets(profiles) if "not rendered yet" in finding.text]
    assert len(lines) == 2 and lines[0].endswith("in data/demo (demo.yaml, rendered.yaml); `make book` does")
    assert "data/demo-large (gpu.yaml); `make book PROFILE=" in lines[1]
