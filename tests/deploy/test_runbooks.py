"""Runbooks are read at three in the morning: each `fleet ...` in them, and in other pages, exists with its options."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "deploy" / "runbooks").glob("*.md")),
    *sorted((ROOT / "deploy" / "docs").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
]
IN_CODE = re.compile(r"```.*?\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[;&(]|\$ )\s*((?:\.venv/bin/)?fleet(?: [^;#\n]+)?)", re.MULTILINE)


def commands(page: Path) -> list[str]:
    """What stands in code and begins with `fleet`; comments, prompts and answers are not of it."""
    code = [block or inline for block, inline in IN_CODE.findall(page.read_text())]
    return [found.strip() for text in code for found in COMMAND.findall(text)]


def spelled_out(words: list[str]) -> Iterator[list[str]]:
    """`list|show ID` is two commands."""
    for chosen in product(*(word.split("|") if not word.startswith("-") else [word] for word in words)):
        yield list(chosen)


def complaint(words: list[str]) -> str:
    """Why the command line would refuse these words, or nothing."""
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if word not in {"--local", "..."}]
    while hasattr(command, "commands"):
        if not rest:
            return ""
        name, *rest = rest
        if name not in command.commands:
            return f"there is no {name!r}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.partition("=")[0].strip("[],") for word in rest if word.strip("[").startswith("-") and word != "-"]
    unknown = [option for option in given if option not in known | {"--help"}]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_exists(page: Path) -> None:
    wrong = {}
    for line in commands(page):
        for words in spelled_out(re.sub(r"[\"'][^\"']*[\"']", "X", line).split()[1:]):
            if (why := complaint(words)) != "":
                wrong[line] = why
    assert wrong == {}


def test_a_command_that_is_none_is_found() -> None:
    assert complaint(["pause", "everything"]) == "there is no 'everything'"
    assert complaint(["pause", "add", "--for-ever"]) == "add has no --for-ever"
    assert complaint(["--local", "pause", "add", "--all-tenants", "--reason", "WHY"]) == ""
    assert sum(len(commands(page)) for page in PAGES) > 100
