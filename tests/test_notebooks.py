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
PAPER = OF["ledger"]


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
    with pytest.raises(ValueError, match=r"_ledger.ipynb: unknown name 'sorce'; did you mean 'source'\?"):
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
    """The ledger's page, run by plain papermill from notebooks/, as a terminal in JupyterLab would."""
    out = tmp_path_factory.mktemp("page") / "out.ipynb"
    done = papermill(PAPER.name, out, "--cwd", ".", cwd=ROOT / "notebooks")
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_a_notebook_runs_from_its_own_folder(page):
    shown = text_of(page)
    assert "The paper&#39;s eight tables" in shown and "71.85 %" in shown and "– is not stated in the text" in shown
    assert shown.count("<table") == 10  # the points, the list of tables, eight tables
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
    gone = {"study": "no-such-study", "dataset": "gone clips", "videos": "nowhere/videos"}
    with pytest.raises(FileNotFoundError, match="videos: there is no folder nowhere/videos; set videos to"):
        shown(OF["data"], {"sets": [gone]})
    recorded = gone | {"study": "ucf101-3", "dataset": "three classes", "if_missing": "note"}
    text = shown(OF["data"], {"sets": [gone | {"if_missing": "note"}, recorded], "annotations": {"ucf101": "nowhere"}})
    assert "not at hand on this machine" in text and "nowhere/videos" in text
    assert "The audit is as recorded at" in text and "394 clips, 73,478 decoded frames" in text
    # lists that are not at hand are shown as last counted
    assert "in **0** of their numbers (not counted: Kinetics-400)" in text and "13,320" in text


@pytest.mark.parametrize("page", ["gate", "look-alikes", "training", "reading", "runs", "statistics"])
def test_without_a_record_a_page_says_so(shown, page, tmp_path):
    parameters = {"results": str(tmp_path / "results")} | ({"studies": 10} if page == "statistics" else {})
    assert f"**Not run:** `{tmp_path}/results` holds no fresh record" in shown(OF[page], parameters)


def test_one_choice_at_a_time_and_time_without_runs(shown, tmp_path):
    none = {"results": str(tmp_path / "results")}
    text = shown(OF["choices"], none)
    assert "**Not run:** `snakemake runs --configfile profiles/rendered-choices.yaml`" in text
    assert "`bgr_slip`: not run." in text
    assert "**Not run:** no fresh run was scored with its frames in another order" in shown(OF["time"], none)


def test_online_recognition_without_a_network_with_gates(shown):
    assert "**Not run:** the book's profile trains no network with gates." in shown(
        OF["online"], {"study": "", "run": ""}
    )


def test_pages_with_runs(shown, tmp_path):
    """Made runs of both networks and one choice: what each page says first."""
    digest = todays_digest(ROOT / "build" / "behaviour")
    both_networks(tmp_path, kind="to_partner", digest=digest, remark="Made.")
    both_networks(tmp_path, study="rendered-choices-times-1.5", role="ablation", gate="times_1.5", digest=digest)
    here = {"results": str(tmp_path)}
    text = shown(OF["gate"], here)
    assert "**The gate recognises more clips of each set.** With gates minus without: Made clips **+41.7" in text
    assert "gates minus that constant " in text
    text = shown(OF["look-alikes"], here | {"clips_of_pairs": 1})
    assert "with gates the confusion of look-alikes is lower for " in text
    assert "on the other clips, which did not pick them, by" in text
    text = shown(OF["choices"], here)
    assert "**Is it the gate, or the larger branch?** The branch times a constant in place of the gate: top-1 " in text
    assert "4 of ResNet34" not in text and "All of its runs had learned" in text
    assert "All of its runs had learned their training clips" in shown(OF["training"], here)
    assert "smallest gain" in shown(OF["statistics"], here | {"studies": 10}).lower()
    assert "4 of 4 runs" in shown(OF["reading"], here)


def test_forensics_of_the_paper_and_of_another(shown):
    text = shown(OF["forensics"], {})
    assert "No whole split gives the number of UCF101 and HMDB51" in text
    assert "3485 of 3780 (listed: 3783)" in text and "1095 of 1524 (listed: 1530)" in text
    other = {"reported": {"A": "50.0", "B": "25.0"}, "listed": {"A": [10], "B": [8]}, "largest_batch": 3}
    assert "No whole split" not in shown(OF["forensics"], other)


def test_claims_without_and_with_records(shown, tmp_path):
    text = shown(OF["answer"], {"results": str(tmp_path / "none")})
    # Without records: what is settled by construction, and the published accuracies beside the stated ones
    assert "**Not known yet:** no study here" in text and text.count("By construction") == 2 and "Not run." in text
    assert "Verdicts on accuracy count" not in text

    both_networks(tmp_path / "some", digest=todays_digest(ROOT / "build" / "behaviour"))
    text = shown(OF["answer"], {"results": str(tmp_path / "some")})
    assert "runs on made clips" in text and "+41.7 points [" in text and "The gate recognises more clips" in text
