"""The log of a measurement that may be killed: whatever was taken is on disk at once, and is not taken again."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from repro.files import write_whole


class Log:
    """What is measured so far, on disk: one line a timing, and the results of what is no timing.

    identity: what timings must have in common to stand in one record; those of another one are thrown away.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        path = folder / "identity.json"
        if path.is_file() and json.loads(path.read_text()) != identity:
            shutil.rmtree(folder)  # of other code or another machine: not to be mixed
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(identity))
        self.timings = self._lines("timings.jsonl")
        self.results = {entry["name"]: entry for entry in self._lines("results.jsonl")}
        self.runs = self._lines("runs.jsonl")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path, found = self.folder / name, []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # a line that a kill cut short
                    found.append(json.loads(line))
        return found

    def _append(self, name: str, entry: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    @property
    def run(self) -> int:
        """The number of the run that is going on."""
        return len(self.runs) - 1

    def start_run(self, provenance: dict[str, Any]) -> None:
        self.runs.append(provenance)
        self._append("runs.jsonl", provenance)

    def timing(self, section: str, row: dict[str, Any]) -> None:
        entry = {"section": section, "run": self.run} | row
        self.timings.append(entry)
        self._append("timings.jsonl", entry)

    def result(self, name: str, value: Any) -> None:
        self.results[name] = {"name": name, "run": self.run, "value": value}
        self._append("results.jsonl", self.results[name])

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """The result of that name, measured now where it is not there."""
        if name not in self.results:
            self.result(name, measure())
        return self.value(name)

    def done(self, section: str) -> set[tuple[int, str]]:
        return {(entry["round"], entry["case"]) for entry in self.timings if entry["section"] == section}

    def value(self, name: str) -> Any:
        return self.results[name]["value"] if name in self.results else None
