"""How much of each room the last ``make test COVERAGE=1`` ran, a row a room, and which messages were never raised.

Counted are the lines that the tests' own processes ran; what ran in a notebook's kernel or in Snakemake is not.
"""

import ast
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import coverage

REPRO = Path(__file__).resolve().parents[1] / "repro"


def room_of(file: Path) -> str:
    """The room of a module, or the module itself where it lies at the root."""
    return file.relative_to(REPRO).parts[0]


def table(counts: dict[str, tuple[int, int]]) -> str:
    """Lines of code and how many of them ran, by room, and the sum."""
    rows = [*sorted(counts.items()), ("all", tuple(map(sum, zip(*counts.values()))))]
    lines = [f"{'room':<14}{'lines':>8}{'run':>8}"]
    lines += [f"{room:<14}{all_lines:>8,}{ran / max(all_lines, 1):>8.0%}" for room, (all_lines, ran) in rows]
    return "\n".join(lines)


def raised_at(source: str) -> list[int]:
    """The lines at which a module raises an error with a message of its own."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise))
    return sorted(node.lineno for node in nodes if isinstance(node.exc, ast.Call) and node.exc.args)


def never_raised(file: Path, missing: Collection[int]) -> list[str]:
    """Those of them that did not run: ``path:line``."""
    return [f"{file.relative_to(REPRO)}:{line}" for line in raised_at(file.read_text()) if line in missing]


def main() -> None:
    data = coverage.Coverage()
    data.combine()
    lines, missed, raises, silent = Counter(), Counter(), 0, []
    for file in sorted(REPRO.rglob("*.py")):
        _, statements, _, missing, _ = data.analysis2(str(file))
        lines[room_of(file)] += len(statements)
        missed[room_of(file)] += len(missing)
        raises += len(raised_at(file.read_text()))
        silent += never_raised(file, set(missing))
    print(table({room: (lines[room], lines[room] - missed[room]) for room in lines if lines[room]}))
    print(f"{raises - len(silent)} of {raises} messages of errors were raised; not: {', '.join(silent) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
