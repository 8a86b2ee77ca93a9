"""Notebooks opened in a real JupyterLab and run to their end, as somebody who clicks "Run All Cells" would.

    python tests/lab.py [FOLDER] [--screenshots DIR] [NOTEBOOK ...]

`serving` starts JupyterLab for a copy of the repository; `run` opens one notebook there in a browser and lists what
went wrong: cells that stopped with an error, cells that were not run, messages in the browser's console.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from browser import launched

TOKEN = "a-test"
CODE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = [...panel.content.model.cells].filter(cell => cell.type === "code");
    return {
        busy: panel.sessionContext.session?.kernel?.status !== "idle",
        cells: cells.map(cell => ({
            run: cell.executionCount !== null || !cell.sharedModel.source.trim(),
            error: [...Array(cell.outputs.length).keys()].map(k => cell.outputs.get(k).toJSON())
                .filter(output => output.output_type === "error").map(output => `${output.ename}: ${output.evalue}`),
        })),
    };
}"""
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"  # a kernel keeps 1.2 GB
OPEN = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.context?.isReady && panel.sessionContext?.session?.kernel?.status === "idle"
}"""


@contextmanager
def serving(folder: Path, log: Path) -> Iterator[str]:
    """JupyterLab's address, serving ``folder`` with the Python that runs this; its messages go to ``log``.

    Raises RuntimeError where it does not answer within two minutes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root"]
    command += [
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
    ]
    env = os.environ | {"PYTHONPATH": str(folder)}  # the copy's own module, whichever is installed
    with log.open("w") as out, subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={TOKEN}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(address: str, log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"JupyterLab does not answer: {log.read_text()[-2000:]}")


def run(browser, address: str, notebook: str, *, seconds: float = 600, screenshot: Path | None = None) -> list[str]:
    """Open a notebook (its path under the served folder), run all of its cells, list what went wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{notebook}: in the browser: {error}"))
        page.goto(f"{address}/lab/tree/{notebook}?token={TOKEN}&reset", wait_until="domcontentloaded")
        page.wait_for_function(OPEN, timeout=120_000)
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        end, found = time.monotonic() + seconds, page.evaluate(CODE)
        while not _ended(found) and time.monotonic() < end:
            page.wait_for_timeout(500)
            found = page.evaluate(CODE)
        if screenshot:
            page.screenshot(path=screenshot)
        problems += [
            f"{notebook}: cell {k}: {error}" for k, cell in enumerate(found["cells"]) for error in cell["error"]
        ]
        if not problems and not _ended(found):
            waiting = [k for k, cell in enumerate(found["cells"]) if not cell["run"]]
            problems.append(f"{notebook}: code cells {waiting} were not run after {seconds:.0f} s")
        page.evaluate(SHUT_DOWN)
    finally:
        context.close()
    return problems


def kernels(address: str) -> list[str]:
    """The kernels that are at work there."""
    with urlopen(f"{address}/api/kernels?token={TOKEN}", timeout=60) as answer:
        return [kernel["id"] for kernel in json.load(answer)]


def _ended(found: dict) -> bool:
    """Whether all cells were run, or one stopped with an error, and the kernel rests."""
    stopped = any(cell["error"] for cell in found["cells"])
    return not found["busy"] and (stopped or all(cell["run"] for cell in found["cells"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Run notebooks in JupyterLab, in a browser.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[1], help="the repository")
    parser.add_argument("notebooks", nargs="*", help="paths under the folder (default: all)")
    parser.add_argument("--screenshots", type=Path, help="folder for a picture of each at its end")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    names = arguments.notebooks or [f"notebooks/{path.name}" for path in sorted((folder / "notebooks").glob("*.ipynb"))]
    problems = []
    with launched() as browser, serving(folder, Path("/tmp/lab.log")) as address:
        for name in names:
            picture = arguments.screenshots and arguments.screenshots / f"{Path(name).stem}.png"
            begin = time.monotonic()
            problems += run(browser, address, name, screenshot=picture)
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    print("\n".join(problems) or "no problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
