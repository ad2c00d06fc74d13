"""Who reads which settings class, found in the sources without running anything.

A process of the Procfile reads a class when any module that it imports uses the class outside a type annotation. A
command reads what the module named for it in COMMANDS uses.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROCFILE = ROOT / "Procfile"
ROOMS = ("messages", "db", "stripe_client", "outbox", "workers")
# Commands that are no process of the Procfile: the module that reads a setting for them.
COMMANDS = {
    "db.migrate": "`fleet migrate`",
    "deploy.api_token": "`fleet api token`",
    "deploy.checking": "`fleet verify`",
    "deploy.shipping": "`fleet schema wait`",
    "deploy.tenants": "`fleet tenants`",
    "outbox.ops.session": "operator commands",
    "outbox.ops.queues.show": "operator commands",
    "outbox.ops.dead_letters.decide": "operator commands",
}


def readers(classes: frozenset[str]) -> dict[str, list[str]]:
    """Name of a settings class -> the processes and commands that read it, processes in the order of the Procfile."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in PROCFILE.read_text().splitlines():
        process, _, command = line.partition(": ")
        entry = command.split("python -m ")[1].split()[0]
        for name in sorted(set().union(*(_uses(module, classes) for module in _imported_by(entry)))):
            found[name].append(f"`{process}`")
    for module, command in COMMANDS.items():
        for name in sorted(_uses(module, classes)):
            if command not in found[name]:
                found[name].append(command)
    return found


def _file(name: str) -> Path | None:
    """The file of a module of ours; None for what is no module."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


@cache
def _imports(name: str) -> frozenset[str]:
    """Modules of ours that a module imports, wherever in its text."""
    found: set[str] = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(each for each in found if each.split(".")[0] in ROOMS and _file(each) is not None)


def _imported_by(entry: str) -> set[str]:
    """The module itself and all of ours that it imports, directly or not. A package starts with its __main__."""
    reached: set[str] = set()
    waiting = [f"{entry}.__main__" if _file(f"{entry}.__main__") else entry]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imports(name)
    return reached


def _uses(name: str, classes: frozenset[str]) -> set[str]:
    """Settings classes that a module passes on or makes; one that only a type annotation names is not read there."""
    return {node.id for node in _evaluated(_tree(name)) if node.id in classes}


def _evaluated(node: ast.AST) -> Iterator[ast.Name]:
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "bases"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name):
                yield child
            if isinstance(child, ast.AST):
                yield from _evaluated(child)


@cache
def _tree(name: str) -> ast.Module:
    file = _file(name)
    if file is None:
        raise LookupError(f"there is no module {name}: COMMANDS or the Procfile names one that has moved")
    return ast.parse(file.read_text())
