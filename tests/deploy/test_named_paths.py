"""Every path and module of this repository that a page, a docstring or a comment names exists."""

import ast
import importlib.util
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "db|deploy|messages|outbox|stripe_client|tests|workers"
# A folder ends with a slash and a file has a suffix, so that `and/or` and `read/write` are not taken for paths.
PATH = re.compile(rf"(?<![\w./-])((?:{PACKAGES})/(?:[\w-]+/)*(?:[\w-]+\.(?:[a-z]+\.)*[a-z]+\b|(?<=/)))(?![\w*{{<])")
MODULE = re.compile(rf"-m ((?:{PACKAGES})(?:\.\w+)+)")
# Written by commands and ignored by git.
GENERATED = ("deploy/secrets/",)
# The changelog and decisions name files as they were at the time.
HISTORY = ("CHANGELOG.md", "deploy/decisions/")


@cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).exists()]


def prose(source: str) -> str:
    """The docstrings and comments of a Python file."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return "\n".join([*comments, *docstrings])


def missing_paths(text: str) -> list[str]:
    named = {found for found in PATH.findall(text) if not found.startswith(GENERATED)}
    return sorted(name for name in named if not (ROOT / name).exists())


def missing_modules(text: str) -> list[str]:
    return sorted(name for name in set(MODULE.findall(text)) if not is_module(name))


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its package does not exist
        return False


PAGES = [name for name in tracked() if name.endswith(".md") and not name.startswith(HISTORY)]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_module_named_in_a_page_exists(page: str) -> None:
    text = (ROOT / page).read_text()

    assert (missing_paths(text), missing_modules(text)) == ([], [])


def test_every_path_and_module_named_in_a_docstring_or_comment_exists() -> None:
    wrong = {}
    for name in tracked():
        if name.endswith(".py"):
            text = prose((ROOT / name).read_text())
            if missing := [*missing_paths(text), *missing_modules(text)]:
                wrong[name] = missing

    assert wrong == {}


def test_a_path_that_is_none_is_found() -> None:
    text = "see workers/charge.py and deploy/nowhere/, not read/write; `python -m workers.nothing.at_all`"

    assert missing_paths(text) == ["deploy/nowhere/", "workers/charge.py"]
    assert missing_modules(text) == ["workers.nothing.at_all"]
    assert missing_paths("workers/payments/charge.py, deploy/runbooks/, db/<domain>/views.py") == []
    assert sum(len(PATH.findall((ROOT / page).read_text())) for page in PAGES) > 150
