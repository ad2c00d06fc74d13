"""Who refers to whom among our functions, read from the source: names are resolved by each file's own imports."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Function:
    """A function at the top of a module, with what it names, all by full names (`workers.shares.share.share`)."""

    name: str
    module: str
    is_actor: bool
    refers_to: frozenset[str]
    returns: frozenset[str]


@dataclass
class CallGraph:
    """The functions of some modules (name -> source)."""

    sources: Mapping[str, str]

    @cached_property
    def functions(self) -> dict[str, Function]:
        found = [function for module, source in self.sources.items() for function in _functions(module, source)]
        return {function.name: function for function in found}

    @property
    def actors(self) -> set[str]:
        """The modules that register an actor."""
        return {function.module for function in self.functions.values() if function.is_actor}

    def reached_from(self, name: str) -> set[str]:
        """Everything that a function refers to, itself or through others."""
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            function = self.functions.get(waiting.pop())
            new = function.refers_to - reached if function else frozenset()
            reached |= new
            waiting += new
        return reached


def sources_of(*rooms: str) -> dict[str, str]:
    paths = [path.relative_to(ROOT) for room in rooms for path in sorted(Path(ROOT, room).rglob("*.py"))]
    return {".".join(path.with_suffix("").parts): (ROOT / path).read_text() for path in paths}


def _functions(module: str, source: str) -> Iterator[Function]:
    tree = ast.parse(source)
    names = _imports(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = f"{module}.{node.name}"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            decorators = frozenset().union(*(_named(decorator, names) for decorator in node.decorator_list))
            yield Function(
                names[node.name],
                module,
                "workers.runtime.actor.actor" in decorators,
                frozenset().union(*(_named(statement, names) for statement in node.body)),
                _named(node.returns, names) if node.returns else frozenset(),
            )


def _imports(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _named(tree: ast.AST, names: Mapping[str, str]) -> frozenset[str]:
    """Full names of what a piece of source refers to; called or passed on makes no difference."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            found.add(names[node.id])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            found.add(f"{names[node.value.id]}.{node.attr}")
    return frozenset(found)
