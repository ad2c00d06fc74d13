"""Pages for people: every link leads somewhere, and a function that a link names is defined in the file behind it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.faults.points import CRASH_POINTS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "deploy").rglob("*.md"))]
README_LINES = 150
LARGEST_PICTURE_BYTES = 200_000
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')
IN_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
OUR_PATH = re.compile(
    r"`((?:messages|db|stripe_client|outbox|workers|deploy|tests)/[\w./-]+?\.(?:py|md|json|yaml|sql|sh|sol))`"
)


def _links(page: Path) -> Iterator[tuple[str, str]]:
    """(text, target) of each link; what stands in code is an example, but a link's own text may be code."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return ((found[1], found[2]) for found in LINK.finditer(text))


def _broken(page: Path, target: str) -> str:
    """Why a link leads nowhere, or nothing. Addresses of other hosts are not asked."""
    if re.match(r"[a-z]+:", target):
        return ""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.is_relative_to(ROOT):
        return f"{target} leaves the repository"
    if not file.exists():
        return f"there is no {target}"
    return f"{path} has no heading {anchor}" if anchor and anchor not in _anchors(file) else ""


@cache
def _anchors(page: Path) -> frozenset[str]:
    """As code hosts make them of headings, and those written out."""
    text = page.read_text()
    titles = (title.lower().replace("`", "") for title in HEADING.findall(text))
    return frozenset(
        [*(re.sub(r"[^\w -]", "", title).strip().replace(" ", "-") for title in titles), *ANCHOR.findall(text)]
    )


@cache
def _names(file: Path) -> frozenset[str]:
    """What a module defines at its top level, and the methods of its classes as Class.method."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [why for _, target in _links(page) if (why := _broken(page, target))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_function_that_a_link_names_is_defined_there(page: Path) -> None:
    named = [
        (text.strip("`"), (page.parent / target).resolve())
        for text, target in _links(page)
        if re.fullmatch(r"`[\w.]+`", text) and target.endswith(".py") and "/" not in text
    ]

    assert [f"{file.name} defines no {name}" for name, file in named if name not in _names(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert [path for path in OUR_PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


def test_the_walk_through_one_payment_names_what_it_walks_through() -> None:
    named = {text for text, _ in _links(ROOT / "deploy" / "docs" / "one-payment.md") if text.startswith("`")}

    assert len(named) > 25


def test_the_walk_through_one_payment_names_crash_points_that_there_are() -> None:
    text = (ROOT / "deploy" / "docs" / "one-payment.md").read_text()
    points = set(re.findall(r"`(\w+\.(?:before|after)_\w+)`", text))

    assert len(points) > 10
    assert points <= CRASH_POINTS


def test_a_link_that_leads_nowhere_is_found() -> None:
    readme = ROOT / "README.md"

    assert _broken(readme, "deploy/docs/nowhere.md") == "there is no deploy/docs/nowhere.md"
    assert _broken(readme, "deploy/docs/settings.md#nothing") == "deploy/docs/settings.md has no heading nothing"
    assert _broken(readme, "../elsewhere.md") == "../elsewhere.md leaves the repository"
    assert _broken(readme, "deploy/docs/settings.md#stripe-rate-limit") == ""


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    readme = ROOT / "README.md"
    pictures = [ROOT / target for _, target in _links(readme) if target.endswith((".png", ".svg"))]

    assert len(readme.read_text().splitlines()) <= README_LINES
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > LARGEST_PICTURE_BYTES] == []
