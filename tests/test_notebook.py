"""start(): which cell holds the parameters, whatever was run before it, after it and again."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from repro import notebook
from repro.notebook import ROOT, declared_in, injected_in, parameters_of

NOTEBOOK = next((ROOT / "notebooks").glob("*_look_alikes.ipynb"))
TAGGED = 'results = "demo"  # folder\nmost_pairs = 12\npicked_top = 5\nclips_of_pairs = 3'
START = "from repro.notebook import start\n\nstart()"
INJECTED = '# Parameters\nresults = "demo-seeds"\n'
EDITED = TAGGED.replace("12", "6")


def names(source: str) -> list[str]:
    return list(notebook.assigned(source))


def test_the_cells_here_are_those_of_a_notebook():
    assert names(TAGGED) == list(parameters_of(NOTEBOOK))


@pytest.mark.parametrize("before", [["", "import os"], ["", "%load_ext tensorboard"], ["", "results = 'mine'\nx = 1"]])
def test_a_cell_run_above_the_parameters_does_no_harm(before):
    assert declared_in([*before, TAGGED, START]) == notebook.assigned(TAGGED)


@pytest.mark.parametrize(
    "history, most_pairs, injected",
    [
        (["", TAGGED, START], 12, {}),
        (["", TAGGED, INJECTED, START], 12, {"results": "demo-seeds"}),  # papermill
        (["", TAGGED, INJECTED, START, TAGGED, START], 12, {"results": "demo-seeds"}),
        (["", TAGGED, "results = 'ucf101-3'", START], 12, {}),  # a cell of the user's own, below
        (["", START, TAGGED, START, EDITED, START], 6, {}),  # the cell was edited and run again
        (["", INJECTED, TAGGED, "x = 1", INJECTED.replace("seeds", "tuned"), START], 12, {"results": "demo-tuned"}),
    ],
)
def test_cells_in_any_order_and_again(history, most_pairs, injected):
    assert declared_in(history)["most_pairs"] == most_pairs
    assert injected_in(history) == injected


def test_a_notebook_of_ones_own_has_its_first_plain_cell():
    assert names('"""A text."""') == [] and declared_in(["", "import os", "a = 1", START, "b = 2"]) == {"a": 1}


def test_without_the_parameters_the_message_says_what_to_do():
    with pytest.raises(ValueError, match="run the cell that sets them, at the notebook's top, before this one"):
        declared_in(["", START])


@pytest.fixture
def shell(monkeypatch):
    """Cells run in a kernel's namespace, in the order given: what the last one returns."""
    import IPython

    class Shell:
        def __init__(self):
            self.user_ns = {"In": [""]}

        def run(self, *cells):
            for source in cells:
                self.user_ns["In"].append(source)
                exec(source, self.user_ns)

    found = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: found)
    monkeypatch.chdir(ROOT / "notebooks")  # where JupyterLab starts a kernel
    return found


def test_start_checks_names_and_types_and_goes_to_the_projects_folder(shell):
    shell.run("import os", TAGGED, INJECTED)
    assert notebook.start() == notebook.assigned(TAGGED) | {"results": "demo-seeds"}
    shell.run("import pathlib\nhere = pathlib.Path.cwd()")
    assert shell.user_ns["here"] == ROOT
    shell.run("# Parameters\nmost_pairs = 3.5\n")
    assert notebook.start()["most_pairs"] == 3.5
    shell.run("# Parameters\nmost_pairs = '3'\n")
    with pytest.raises(ValueError, match="most_pairs is '3' where the notebook has 12; pass parameters in a YAML file"):
        notebook.start()
    shell.run("# Parameters\nmost_pairs = True\n")
    with pytest.raises(ValueError, match="most_pairs is True where"):
        notebook.start()
    shell.run("# Parameters\nmost_pair = 3\n")
    with pytest.raises(ValueError, match="unknown name 'most_pair'; did you mean 'most_pairs'"):
        notebook.start()


def test_ctrl_c_in_a_batch_is_one_line(tmp_path):
    """It reaches the kernel, too, whose cell is then at work."""
    sources = ["a = 1", f"import pathlib, time\npathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(60)"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "a.ipynb")
    run = subprocess.Popen(
        [sys.executable, "-m", "repro.notebook", tmp_path / "a.ipynb", tmp_path / "out.ipynb", "{}"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "begun").exists():
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=100)
    assert run.returncode == 130 and err == f"{tmp_path / 'a.ipynb'}: interrupted\n"


def test_start_outside_a_kernel_says_where_a_notebook_runs():
    with pytest.raises(ValueError, match="start: this is no kernel; run the notebook in JupyterLab"):
        notebook.start()


def test_kernels_are_talked_to_by_sockets_of_their_own(tmp_path):
    """Ports are chosen before they are taken: of kernels that start at once one may die (papermill's issue 511)."""
    source = "from ipykernel.connect import get_connection_info\nprint(get_connection_info(unpack=True))"
    tagged = nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"]})
    written = nbformat.v4.new_notebook(cells=[tagged, nbformat.v4.new_code_cell(source)])
    written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(written, tmp_path / "a.ipynb")
    notebook.execute(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {})
    *_, cell = nbformat.read(tmp_path / "b.ipynb", 4).cells
    said = cell.outputs[0].text
    assert "'transport': 'ipc'" in said
    sockets = Path(re.search(r"'ip': '([^']+)'", said)[1])
    assert sockets.name.startswith("repro-") and not list(sockets.parent.glob(f"{sockets.name}*")), "gone with it"
