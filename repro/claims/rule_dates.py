"""When each rule last came to decide otherwise, so that a reader sees which rules were written after their records.

``rule_dates.toml`` holds for each claim ``since``, the time of the last change to what its rule decides, and ``code``,
a digest of the rule's code and of the rules' own functions that it calls, docstrings left out. A test compares ``code``
with the code as it is: whoever edits a rule must come here, and renews ``since`` unless only words or names changed.

    python -m repro.claims.rule_dates        # the entries that no longer fit
"""

import ast
import hashlib
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

MODULES = ("judging", "rules_networks", "rules_costs", "rules_paper")
NAMED = (ast.Name, ast.Attribute)
FILE = Path(__file__).with_name("rule_dates.toml")


@dataclass(frozen=True)
class Dated:
    """since: with its time zone. code: 12 hexadecimal digits."""

    since: datetime
    code: str


def read(path: Path = FILE) -> dict[str, Dated]:
    """The entries by claim. Raises ValueError that names the file and the entry for one that is not whole."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        dated = {id: Dated(entry["since"], entry["code"]) for id, entry in entries.items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: {error}; each entry is [claim], since = 2026-01-31T12:00:00Z, code = '...'"
        ) from None
    for id, entry in dated.items():
        if not isinstance(entry.since, datetime) or entry.since.tzinfo is None:
            raise ValueError(f"{path}: {id}: since: {entry.since} is no time with its zone; write 2026-01-31T12:00:00Z")
    return dated


DATES = read()


def codes() -> dict[str, str]:
    """The digest of every rule's code as it is now, by claim."""
    parts: dict[str, ast.stmt] = {}
    for module in MODULES:
        tree = ast.parse(FILE.with_name(f"{module}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                parts[node.name] = node
            elif isinstance(node, ast.ClassDef):  # its methods, as a rule names them: evidence.alike
                parts |= {f".{part.name}": part for part in node.body if isinstance(part, ast.FunctionDef)}
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                parts[node.targets[0].id] = node
    found = {}
    for node in parts.values():
        for id in _claims(node, parts):
            used = _used(node, parts)
            text = "\n".join(_plain(part) for _, part in sorted(used.items()))
            found[id] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def _claims(node: ast.stmt, parts: dict[str, ast.stmt]) -> list[str]:
    """The claims that a function is the rule of, as its decorator names them."""
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "rule":
            ids = []
            for argument in decorator.args:
                if isinstance(argument, ast.Starred):  # @rule(*TABLE): the names are the table's keys
                    argument = parts[argument.value.id].value
                    ids += [key.value for key in argument.keys]
                else:
                    ids.append(argument.value)
            return ids
    return []


def _used(node: ast.stmt, parts: dict[str, ast.stmt]) -> dict[str, ast.stmt]:
    """The node and what it names of the rules' modules, again and again."""
    found, left = {}, [node]
    while left:
        part = left.pop()
        name = getattr(part, "name", None) or part.targets[0].id
        if name in found:
            continue
        found[name] = part
        named = [n.id if isinstance(n, ast.Name) else f".{n.attr}" for n in ast.walk(part) if isinstance(n, NAMED)]
        left += [parts[name] for name in named if name in parts]
    return found


def _plain(node: ast.stmt) -> str:
    """A statement without docstrings and decorators, as text that formatting does not change."""
    node = ast.parse(ast.unparse(node)).body[0]
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            part.decorator_list = []
            if part.body and isinstance(part.body[0], ast.Expr) and isinstance(part.body[0].value, ast.Constant):
                part.body = part.body[1:] or [ast.Pass()]
    return ast.dump(node)


if __name__ == "__main__":
    for claim, code in codes().items():
        if claim not in DATES or DATES[claim].code != code:
            print(f'[{claim}]\ncode = "{code}"\n')
