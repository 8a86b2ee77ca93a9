"""What every notebook and whoever runs one needs: checked parameters, the project's folder, kept failures.

In a notebook, the cell after the parameters calls :func:`start`. From a batch, ``python -m repro.notebook`` runs one by
papermill, after checking the parameters' names against the notebook's own.
"""

import argparse
import ast
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repro.experiment.fields import check_names

ROOT = Path(__file__).resolve().parents[1]
INJECTED = "# Parameters\n"  # the first line of the cell in which papermill passes parameters


def start() -> dict[str, Any]:
    """Check the parameters given to this notebook and go to the project's folder.

    papermill accepts a parameter that the notebook does not declare, and passes ``-p flag false`` as a string: both are
    errors here. Cells may have been run in any order, and again. Returns the parameters by name.
    Raises ValueError for an unknown name or another type than the default's.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise ValueError("start: this is no kernel; run the notebook in JupyterLab, VS Code or by papermill")
    history = shell.user_ns["In"]
    declared = declared_in(history)
    injected = injected_in(history)
    check_names(injected, list(declared), "parameters")
    for name, value in injected.items():
        if not _fits(value, declared[name]):
            raise ValueError(
                f"parameters: {name} is {value!r} where the notebook has {declared[name]!r}; "
                "pass parameters in a YAML file (papermill -f params.yaml)"
            )
    os.chdir(ROOT)  # JupyterLab starts a kernel in notebooks/, papermill in the folder it was called from
    return {name: shell.user_ns[name] for name in declared}


def declared_in(history: Sequence[str]) -> dict[str, Any]:
    """The parameters of the notebook that these cells were run in, with the values of its cell.

    history: sources of the cells, in the order in which they were run, which is any order in JupyterLab, and cells of
    the user's own among them. The parameters cell is one that assigns what the tagged cell of one of the project's
    notebooks does, the first such cell as it was run last; in a notebook of the user's own, the first that does nothing
    but assign plain values.
    Raises ValueError where there is none.
    """
    plain = [found for source in history if not source.startswith(INJECTED) and (found := assigned(source))]
    if not plain:
        raise ValueError("parameters: run the cell that sets them, at the notebook's top, before this one")
    known = [set(_tagged(path) or ()) for path in (ROOT / "notebooks").glob("*.ipynb")]
    first = next((found for found in plain if set(found) in known), None)
    return plain[0] if first is None else next(found for found in reversed(plain) if found.keys() == first.keys())


def injected_in(history: Sequence[str]) -> dict[str, Any]:
    """What papermill's own cell among these set, in its latest run; empty without one."""
    return next((assigned(source) for source in reversed(history) if source.startswith(INJECTED)), {})


def _fits(value: Any, default: Any) -> bool:
    """Whether a parameter is of its default's type; whole and real numbers go for one another, flags do not."""
    if default is None or value is None:
        return True
    if bool in (type(value), type(default)):
        return type(value) is type(default)
    numbers = isinstance(value, int | float) and isinstance(default, int | float)
    return numbers or isinstance(value, type(default))


def assigned(source: str) -> dict[str, Any]:
    """Name to value, where a cell does nothing but assign plain values to names; empty for any other cell."""
    found: dict[str, Any] = {}
    try:
        for node in ast.parse(source).body:
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                return {}
            found[node.targets[0].id] = ast.literal_eval(node.value)
    except (SyntaxError, ValueError):  # a magic, or a value that is computed
        return {}
    return found


def parameters_of(notebook: Path) -> dict[str, Any]:
    """The parameters that a notebook declares, with their defaults. Raises ValueError where no cell is tagged so."""
    if (found := _tagged(notebook)) is None:
        raise ValueError(f"{notebook}: no cell is tagged 'parameters'")
    return found


def _tagged(notebook: Path) -> dict[str, Any] | None:
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    tagged = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return next((assigned("".join(cell["source"])) for cell in tagged), None)


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    """Run a notebook by papermill. ``output`` appears only when it ran through.

    A notebook that fails is kept beside it as ``<output>.failed.ipynb``.
    Raises ValueError for an unknown parameter (nothing runs) and RuntimeError with the notebook's own error.
    """
    # half the time that papermill takes to import: a grammar of web addresses for jsonschema, which no notebook needs
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from traitlets.config import Config

    check_names(parameters, list(parameters_of(notebook)), str(notebook))
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    draft = output.with_suffix(".draft.ipynb")
    # Sockets, not ports: a port is chosen before the kernel takes it, so of several kernels that start at once one may
    # die without a word (papermill's issue 511). In /tmp, for a socket's path may have 107 letters.
    sockets = f"{'/tmp' if os.access('/tmp', os.W_OK) else tempfile.gettempdir()}/repro-{uuid.uuid4().hex[:16]}"
    try:
        papermill.execute_notebook(
            notebook,
            draft,
            parameters,
            cwd=ROOT,
            progress_bar=False,
            stdout_file=sys.stdout,  # a batch log shows how far training is
            kernel_name="python3",
            config=Config({"KernelManager": {"transport": "ipc", "ip": sockets}}),
            extra_arguments=["--log-level=CRITICAL"],  # kernels warn that they listen here, and show what Ctrl-C broke
        )
    except papermill.PapermillExecutionError as error:
        draft.replace(failed)
        raise RuntimeError(f"{notebook} failed: {error.ename}: {error.evalue}\nkept: {failed}") from None
    failed.unlink(missing_ok=True)
    draft.replace(output)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.notebook", description="Run one notebook by papermill.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("parameters", type=json.loads, help="the parameters as one JSON object")
    arguments = parser.parse_args()
    try:
        execute(arguments.notebook, arguments.output, arguments.parameters)
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{arguments.notebook}: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
