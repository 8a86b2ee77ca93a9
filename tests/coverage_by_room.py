"""How much of each room the last ``make test COVERAGE=1`` ran: a table with a row a room.

Counted are the lines that the tests' own processes ran; what ran in a notebook's kernel or in Snakemake is not.
"""

import sys
from collections import Counter
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


def main() -> None:
    data = coverage.Coverage()
    data.combine()
    lines, missed = Counter(), Counter()
    for file in sorted(REPRO.rglob("*.py")):
        _, statements, _, missing, _ = data.analysis2(str(file))
        lines[room_of(file)] += len(statements)
        missed[room_of(file)] += len(missing)
    print(table({room: (lines[room], lines[room] - missed[room]) for room in lines if lines[room]}))


if __name__ == "__main__":
    sys.exit(main())
