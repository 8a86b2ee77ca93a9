"""The notebooks: what is stored, what their parameters are, and what a slip or a missing folder does."""

import ast
import dataclasses
import importlib
import inspect
import io
import json
import re
import subprocess
import sys
import tokenize
import types
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from made import both_networks
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from repro import notebook
from repro.experiment.fields import Experiment
from repro.paper import cells as paper
from repro.report.pages import KINDS, TRAIN
from repro.training.behaviour import todays_digest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF = {kind.name: ROOT / kind.source for kind in (TRAIN, *KINDS)}
PAPER = OF["paper"]


def cells_of(path) -> list[dict]:
    return json.loads(Path(path).read_text(encoding="utf-8"))["cells"]


def text_of(path) -> str:
    """Everything that the notebook's cells printed or displayed."""
    outputs = [output for cell in cells_of(path) for output in cell.get("outputs", [])]
    parts = []
    for output in outputs:
        data = output.get("data", {})
        parts += [data.get("text/markdown", ""), data.get("text/html", ""), output.get("text", "")]
    return "\n".join("".join(part) for part in parts)


# ---------------------------------------- as stored


def test_the_notebooks_are_numbered():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{k:02d}" for k in range(1, len(NOTEBOOKS) + 1)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_stored(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    for cell in cells_of(path):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_parameters_cell_comes_first_and_explains_itself(path):
    cells = cells_of(path)
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert tagged == [first]
    source = "".join(first["source"])
    names = notebook.parameters_of(path)
    assert names
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT and token.line.split()[0] != "#"}
    lines = source.splitlines()
    for name in names:
        (at,) = [k for k, line in enumerate(lines, start=1) if line.startswith(f"{name} = ")]
        assert at in commented, f"{path.name}: {name} has no comment"
    second = [cell for cell in cells if cell["cell_type"] == "code"][1]
    assert "start()" in "".join(second["source"]), "the parameters are checked before anything runs"


def test_the_training_notebook_has_the_experiments_fields():
    default = Experiment()
    fields = {f.name: getattr(default, f.name) for f in dataclasses.fields(Experiment)} | {"run": ""}
    parameters = notebook.parameters_of(OF["train"])
    assert list(parameters) == list(fields)  # in the same order
    assert parameters == fields
    assert {n: type(v) for n, v in parameters.items()} == {n: type(v) for n, v in fields.items()}
    # and the same words of explanation
    wanted = dict(re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(Experiment), flags=re.M))
    source = "".join(next(c for c in cells_of(OF["train"]) if c["cell_type"] == "code")["source"])
    assert dict(re.findall(r"^(\w+) = .*?  # (.*)$", source, flags=re.M)) == wanted


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_takes_from_the_package_is_there(path):
    """Seen in a second, where running the notebook takes one, and only with all its data."""
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "code"))
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("repro"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                if inspect.ismodule(found := getattr(module, alias.name)):
                    modules[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in modules:
            assert hasattr(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


# ---------------------------------------- refused before anything runs


def test_execute_refuses_an_unknown_parameter(tmp_path):
    with pytest.raises(ValueError, match=r"_paper.ipynb: unknown name 'sorce'; did you mean 'source'\?"):
        notebook.execute(PAPER, tmp_path / "folder" / "out.ipynb", {"sorce": "x"})
    assert list(tmp_path.iterdir()) == []


def test_the_runner_prints_the_message_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["repro.notebook", str(PAPER), str(tmp_path / "out.ipynb"), '{"sorce": "x"}'])
    assert notebook.main() == 1
    error = capsys.readouterr().err
    assert "did you mean 'source'?" in error and error.count("\n") == 1


def test_a_notebook_without_parameters_is_named(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("x = 1")]), tmp_path / "bare.ipynb")
    with pytest.raises(ValueError, match=r"bare.ipynb: no cell is tagged 'parameters'"):
        notebook.execute(tmp_path / "bare.ipynb", tmp_path / "out.ipynb", {})


# ---------------------------------------- run


def small(folder: Path, *sources: str) -> Path:
    """A notebook that takes a second: parameters, start, and ``sources``."""
    parameters = 'flag = True  # yes or no\nname = "a"  # text\nnumber = 1  # whole\nrate = 0.5  # real\n'
    path = folder / "small.ipynb"
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(s) for s in ("from repro.notebook import start\nprint(start())", *sources)]
    nbformat.write(
        new_notebook(
            cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
        ),
        path,
    )
    return path


def papermill(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "papermill", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def test_plain_papermill_refuses_an_unknown_parameter(tmp_path):
    done = papermill(PAPER, tmp_path / "out.ipynb", "-p", "sorce", "x")
    assert done.returncode != 0
    assert "unknown name 'sorce'; did you mean 'source'?" in done.stderr


def test_plain_papermill_refuses_a_string_for_a_flag(tmp_path):
    done = papermill(small(tmp_path), tmp_path / "out.ipynb", "-p", "flag", "false")
    assert done.returncode != 0
    assert "flag is" in done.stderr and "papermill -f params.yaml" in done.stderr


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """The page on the paper, run by plain papermill from notebooks/, as a terminal in JupyterLab would."""
    out = tmp_path_factory.mktemp("page") / "out.ipynb"
    done = papermill(PAPER.name, out, "--cwd", ".", cwd=ROOT / "notebooks")
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_a_notebook_runs_from_its_own_folder(page):
    shown = text_of(page)
    assert "The paper&#39;s eight tables" in shown and "71.85 %" in shown and "not stated in the text" in shown
    assert (
        shown.count("<table") == 14
    )  # the list, eight tables, Tables 4 and 5 by dataset beside peers, 7 and 8 beside runs
    assert "not run: needs HMDB51 and a GPU" in shown and "not run: needs Something-Something v1 and a GPU" in shown
    assert shown.count("**Taken here:**") == len(paper.load().assumptions) > 30


def test_a_failure_is_kept_and_the_earlier_page_too(tmp_path):
    out = tmp_path / "pages" / "out.ipynb"
    stop = small(tmp_path, 'if name == "bad":\n    raise RuntimeError("the disk is full; free some space")')
    notebook.execute(stop, out, {"flag": False, "number": 3, "rate": 1})
    before = out.read_bytes()
    assert "'flag': False" in text_of(out)
    with pytest.raises(RuntimeError, match="the disk is full; free some space") as caught:
        notebook.execute(stop, out, {"name": "bad"})
    kept = out.with_name("out.failed.ipynb")
    assert str(kept) in str(caught.value) and "small.ipynb failed: RuntimeError" in str(caught.value)
    assert out.read_bytes() == before
    errors = [o for cell in cells_of(kept) for o in cell.get("outputs", []) if o["output_type"] == "error"]
    assert errors[-1]["evalue"] == "the disk is full; free some space"
    notebook.execute(stop, out, {})
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.ipynb"]  # a good run clears the failure


# ---------------------------------------- run in this process


@pytest.fixture
def shown(monkeypatch):
    """A function: all that a notebook shows with these parameters.

    Its cells run in this process, so what notebooks import is imported once. A kernel of their own they have in
    tests/test_study.py and above.
    """

    def run(path: Path, parameters: dict) -> str:
        shell = InteractiveShell.instance(
            user_module=types.ModuleType("notebook"), config=Config(HistoryManager={"enabled": False})
        )
        try:
            sources = ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "code"]
            injected = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())])
            with capture_output() as seen:
                for source in [sources[0], injected, *sources[1:]]:
                    shell.run_cell(source, store_history=True).raise_error()
        finally:
            InteractiveShell.clear_instance()
        texts = [output.data.get("text/markdown", "") + output.data.get("text/html", "") for output in seen.outputs]
        return "\n".join([*texts, seen.stdout])

    monkeypatch.chdir(ROOT)  # start() changes to it: back afterwards
    return run


def test_clips_that_are_not_there_stop_the_page_or_are_noted(shown):
    gone = {"videos": "nowhere/videos"}
    with pytest.raises(FileNotFoundError, match="videos: there is no folder nowhere/videos; set videos to"):
        shown(OF["data"], gone)
    noted = gone | {"if_missing": "note"}
    text = shown(OF["data"], noted | {"study": "no-such-study"})
    assert "not at hand on this machine" in text and "nowhere/videos" in text and "What could spoil" not in text
    text = shown(OF["data"], noted | {"study": "ucf101-3"})
    assert "The audit is as recorded at" in text and "394 clips, 73,478 decoded frames" in text


def test_lists_that_are_not_at_hand_are_shown_as_last_counted(shown):
    text = shown(OF["datasets"], {"annotations": {"ucf101": "nowhere"}})
    assert "Differences: **0**. Not counted: Kinetics-400." in text and "13,320" in text


@pytest.mark.parametrize("page", ["accuracy", "confusion"])
def test_a_study_that_is_not_there_is_said_to_be_not_run(shown, page):
    assert "**Not run:** `results/no-such-study` holds no record" in shown(OF[page], {"study": "no-such-study"})


def test_runs_without_a_record(shown, tmp_path):
    assert "**Not run:**" in shown(OF["runs"], {"results": str(tmp_path / "results")})


def test_one_choice_at_a_time_without_runs(shown):
    text = shown(OF["ablations"], {"study": "no-such"})
    assert "**Not run:** no run of `results/no-such-...` has a partner" in text and "`bgr_slip`: not run." in text


def test_forensics_of_the_paper_and_of_another(shown):
    text = shown(OF["forensics"], {})
    assert "No whole split gives the number of UCF101 and HMDB51" in text
    assert "3485 of 3780 (listed: 3783)" in text and "1095 of 1524 (listed: 1530)" in text
    other = {"reported": {"A": "50.0", "B": "25.0"}, "listed": {"A": [10], "B": [8]}, "largest_batch": 3}
    assert "No whole split" not in shown(OF["forensics"], other)


def test_claims_without_and_with_records(shown, tmp_path):
    text = shown(OF["claims"], {"results": str(tmp_path / "none")})
    # Without records: what is settled by construction, and the published accuracies beside the stated ones
    assert "main point: **not testable**" in text and "(2 by construction)" in text and "Not run." in text
    assert "Accuracies are those of" not in text

    both_networks(tmp_path / "some", digest=todays_digest(ROOT / "build" / "behaviour"))
    text = shown(OF["claims"], {"results": str(tmp_path / "some")})
    assert "4 on made clips" in text and "main point: **reproduced" in text and "+41.7 points" in text
