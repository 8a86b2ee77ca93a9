"""Every notebook, with the exercises at its end, run in a real JupyterLab by a browser."""

import json
import re
import shutil
from pathlib import Path

import pytest
from lab import kernels, run, serving
from nbformat.v4 import new_code_cell
from tiny import copy_of_repository

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.slow


def exercises_of(notebook: dict) -> list[str]:
    """The blocks of code that a reader is invited to paste."""
    texts = ["".join(c["source"]) for c in notebook["cells"] if "exercises" in c["metadata"].get("tags", [])]
    return [block for text in texts for block in re.findall(r"```python\n(.*?)\n```", text, flags=re.DOTALL)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab's address, on a copy of the repository whose notebooks have their exercises pasted in."""
    folder = copy_of_repository(tmp_path_factory.mktemp("lab") / "repro")
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"] += [new_code_cell(block) for block in exercises_of(notebook)]
        path.write_text(json.dumps(notebook), encoding="utf-8")
    with serving(folder, folder.parent / "lab.log") as address:
        yield address
    shutil.rmtree(folder)  # clips were rendered there


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_and_its_exercises_run_in_jupyterlab(lab, browser, name):
    assert exercises_of(json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8")))
    assert run(browser, lab, f"notebooks/{name}") == []
    assert kernels(lab) == []
