"""What every notebook and whoever runs one needs: checked parameters, the project's folder, kept failures.

In a notebook, the cell after the parameters calls :func:`start`. From a batch, ``python -m repro.notebook`` runs one by
papermill, after checking the parameters' names against the notebook's own.
"""

import argparse
import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

from repro.experiment.fields import check_names

ROOT = Path(__file__).resolve().parents[1]


def start() -> dict[str, Any]:
    """Check the parameters given to this notebook and go to the project's folder.

    papermill accepts a parameter that the notebook does not declare, and passes ``-p flag false`` as a string: both are
    errors here. Returns the parameters by name.
    Raises ValueError for an unknown name or another type than the default's.
    """
    from IPython import get_ipython

    shell = get_ipython()
    cells = [source for source in shell.user_ns["In"] if source.strip()]
    declared = _assigned(cells[0])
    injected = _assigned(cells[1]) if len(cells) > 1 and cells[1].startswith("# Parameters") else {}
    check_names(injected, list(declared), "parameters")
    for name, value in injected.items():
        default = declared[name]
        numbers = isinstance(value, int | float) and isinstance(default, int | float)
        numbers = numbers and bool not in (type(value), type(default))
        if not (default is None or value is None or numbers or isinstance(value, type(default))):
            raise ValueError(
                f"parameters: {name} is {value!r} where the notebook has {default!r}; "
                "pass parameters in a YAML file (papermill -f params.yaml)"
            )
    os.chdir(ROOT)  # JupyterLab starts a kernel in notebooks/, papermill in the folder it was called from
    return {name: shell.user_ns[name] for name in declared}


def _assigned(source: str) -> dict[str, Any]:
    """The plain assignments of a cell: name to value."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def parameters_of(notebook: Path) -> dict[str, Any]:
    """The parameters that a notebook declares, with their defaults."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", []):
            return _assigned("".join(cell["source"]))
    raise ValueError(f"{notebook}: no cell is tagged 'parameters'")


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    """Run a notebook by papermill. ``output`` appears only when it ran through.

    A notebook that fails is kept beside it as ``<output>.failed.ipynb``.
    Raises ValueError for an unknown parameter (nothing runs) and RuntimeError with the notebook's own error.
    """
    import papermill

    check_names(parameters, list(parameters_of(notebook)), str(notebook))
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    draft = output.with_suffix(".draft.ipynb")
    try:
        papermill.execute_notebook(
            notebook,
            draft,
            parameters,
            cwd=ROOT,
            progress_bar=False,
            stdout_file=sys.stdout,  # a batch log shows how far training is
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # kernels warn that they listen on this machine's own address
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
