"""Draws the rooms of ``repro`` and which room imports which: ``python tests/rooms.py`` writes book/_static/rooms.svg.

The order is that of the contract in pyproject.toml, the words are the first lines of the rooms' own docstrings, the
arrows are the imports. An arrow that a chain of others implies is left out, as in a Hasse diagram.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "book" / "_static" / "rooms.svg"
WIDTH, HEIGHT, GAP, MARGIN, LANE = 620, 40, 18, 16, 14  # pixels; a lane is a column for vertical arrows

Edges = set[tuple[str, str]]


def order() -> list[str]:
    """The rooms from the ground up, as import-linter is told: a room may import those before it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [name.strip().removeprefix("repro.") for layer in reversed(layers) for name in layer.split("|")]


def imports(rooms: list[str]) -> Edges:
    """(room, room that it imports), wherever in a module the import stands."""
    found = set()
    for file in (ROOT / "repro").rglob("*.py"):
        room = file.relative_to(ROOT / "repro").with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {(room, name.split(".")[1]) for name in names if name.startswith("repro.")}
    return {(a, b) for a, b in found if a != b and {a, b} <= set(rooms)}


def without_implied(edges: Edges, rooms: list[str]) -> Edges:
    """The edges that no chain of the others replaces; of those against the order, which import-linter reports, all."""
    reach: dict[str, set[str]] = {}
    kept = set()
    for place, room in enumerate(rooms):
        known = {b for a, b in edges if a == room and b in rooms[:place]}
        kept |= {(room, b) for b in known if not any(b in reach[other] for other in known)}
        reach[room] = known.union(*(reach[b] for b in known))
    return kept | {(a, b) for a, b in edges if rooms.index(a) < rooms.index(b)}


def docstring(room: str) -> str:
    """The first line of a room's docstring, a module's up to the colon."""
    path = ROOT / "repro" / room
    text = ast.get_docstring(
        ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    )
    line = (text or "").partition("\n")[0]
    return line if path.is_dir() else line.partition(":")[0]


def drawn(rooms: list[str], edges: Edges) -> str:
    """The picture as SVG. Neighbours are joined by a short arrow, others by one through a lane on the right."""
    top = {room: MARGIN + place * (HEIGHT + GAP) for place, room in enumerate(rooms)}
    parts, lanes = [], []  # lanes: where each one is taken, as (from, to)
    for a, b in sorted(edges, key=lambda edge: (abs(top[edge[0]] - top[edge[1]]), edge)):
        if top[a] - top[b] == HEIGHT + GAP:
            x = MARGIN + 60
            parts.append(f'<path d="M{x} {top[a]}V{top[b] + HEIGHT + 2}"/>')
            continue
        start, end = min(top[a], top[b]), max(top[a], top[b]) + HEIGHT
        against = ' class="against"' if top[a] < top[b] else ""
        lane = next((k for k, taken in enumerate(lanes) if all(e <= start or s >= end for s, e in taken)), len(lanes))
        lanes += [[]] if lane == len(lanes) else []
        lanes[lane].append((start, end))
        x, right = MARGIN + WIDTH + LANE * (lane + 1), MARGIN + WIDTH
        leaves, arrives = top[a] + HEIGHT // 2 - 8, top[b] + HEIGHT // 2 + 8
        parts.append(f'<path{against} d="M{right} {leaves}H{x}V{arrives}H{right + 2}"/>')
    for room in rooms:
        y, folder = top[room], (ROOT / "repro" / room).is_dir()
        parts.append(f'<rect x="{MARGIN}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>')
        name = f"{room}/" if folder else f"{room}.py"
        parts.append(f'<text class="name" x="{MARGIN + 12}" y="{y + 25}">{name}</text>')
        parts.append(f'<text x="{MARGIN + 120}" y="{y + 25}">{escape(docstring(room))}</text>')
    width, height = 2 * MARGIN + WIDTH + LANE * (len(lanes) + 1), 2 * MARGIN + len(rooms) * (HEIGHT + GAP) - GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12.5" role="img">\n'
        "<title>The rooms of repro; an arrow goes from a room to one that it imports</title>\n"
        "<style>rect{fill:#f3f6fa;stroke:#5b7083}path{fill:none;stroke:#5b7083;stroke-width:1.4;marker-end:url(#tip)}"
        ".against{stroke:#c0392b;stroke-dasharray:4 3}"
        ".name{font-weight:bold;font-family:monospace;font-size:13.5px}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#5b7083;stroke:none;marker-end:none"/></marker></defs>\n'
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def picture() -> str:
    rooms = order()
    return drawn(rooms, without_implied(imports(rooms), rooms))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
