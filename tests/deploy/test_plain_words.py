"""Public documents speak the field's English: none uses a word of our old dialect (tests/plain_words.py lists them)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from deploy.cli import app
from tests import plain_words
from tests.plain_words import DIALECT, Sentence

ROOT = Path(__file__).parents[2]
PRODUCT = ("messages", "db", "stripe_client", "outbox", "workers")
Reader = Callable[[Path], Iterator[Sentence]]
# Glob below the repository -> who reads its prose.
DOCUMENTS: dict[str, Reader] = {
    "deploy/docs/*.json": plain_words.of_json,
    "deploy/docs/schemas/*.json": plain_words.of_json,
    "deploy/docs/*.md": plain_words.of_markdown,
    "README.md": plain_words.of_markdown,
    "CONTRIBUTING.md": plain_words.of_markdown,
    "deploy/runbooks/*.md": plain_words.of_markdown,
    "deploy/prometheus/rules.yaml": plain_words.of_rules,
    "outbox/ops/console/templates/*.html": plain_words.of_template,
    "outbox/ops/console/**/*.py": plain_words.of_texts,
    "outbox/ops/*/show.py": plain_words.of_texts,
    "outbox/ops/*/decide.py": plain_words.of_texts,
    "outbox/ops/*.py": plain_words.of_texts,
    "outbox/requests/**/*.py": plain_words.of_texts,
    "db/operators/requests.py": plain_words.of_texts,
    "outbox/ops/payments/timeline*.py": plain_words.of_texts,
    "outbox/ops/dead_letters/explanations.py": plain_words.of_texts,
    "outbox/ops/dead_letters/tables.py": plain_words.of_texts,
    "outbox/ops/labels.py": plain_words.of_texts,
    "workers/verify/*.py": plain_words.of_texts,
    "deploy/doctor.py": plain_words.of_texts,
    "deploy/grafana/*.py": plain_words.of_texts,
}


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_no_public_document_uses_a_word_of_the_old_dialect(pattern: str) -> None:
    files = sorted(ROOT.glob(pattern))
    sentences = [sentence for file in files for sentence in DOCUMENTS[pattern](file)]

    assert len(sentences) > 0, "nothing was read"
    findings = plain_words.dialect_in(iter(sentences))
    assert findings == [], "\n".join(finding.replace(f"{ROOT}/", "") for finding in findings)


def test_no_log_line_uses_a_word_of_the_old_dialect() -> None:
    files = [file for package in PRODUCT for file in (ROOT / package).rglob("*.py")]
    sentences = [sentence for file in files for sentence in plain_words.of_log_lines(file)]

    assert len(sentences) > 100, "the log lines are not found"
    findings = plain_words.dialect_in(iter(sentences))
    assert findings == [], "\n".join(findings)


def test_no_help_of_a_command_uses_a_word_of_the_old_dialect() -> None:
    sentences = list(plain_words.of_command(typer.main.get_command(app), "fleet"))

    assert len(sentences) > 200, "the commands are not walked"
    findings = plain_words.dialect_in(iter(sentences))
    assert findings == [], "\n".join(findings)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("a.json", '{\n  "description": "The wish is a row."\n}', plain_words.of_json),
        ("a.md", "# Title\n\nA letter comes back.", plain_words.of_markdown),
        ("a.md", "```\nfleet dlq list  # letters that died\n```", plain_words.of_markdown),
        ("a.html", '<p title="{{ name }} is told">{{ letter.kind }}</p>', plain_words.of_template),
        ("a.html", '{{ parts.button("let it go") }}', plain_words.of_template),
        ("a.yaml", "summary: '{{ $value }} groups stand still'", plain_words.of_rules),
        ("a.py", 'raise LeaveError(1, f"There is no letter {name}.")', plain_words.of_texts),
        ("a.py", 'logger.opt(exception=error).error("the book refused {}", name)', plain_words.of_log_lines),
    ],
)
def test_the_dialect_is_found_in_each_kind_of_document(name: str, text: str, read: Reader, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    findings = plain_words.dialect_in(read(tmp_path / name))

    assert findings
    assert all(f"{name}:" in finding for finding in findings)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("a.json", '{\n  "description": "A dead letter with the field `wish_id`."\n}', plain_words.of_json),
        ("a.md", "```\nfleet dlq show LETTER --wish\n```\nDead letters are replayed.", plain_words.of_markdown),
        ("a.html", '<a href="/letters/{{ letter.id }}">Dead letter {{ letter.wish }}</a>', plain_words.of_template),
    ],
)
def test_names_of_the_wire_and_of_code_are_no_prose(name: str, text: str, read: Reader, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    assert plain_words.dialect_in(read(tmp_path / name)) == []


def test_each_word_of_the_dialect_has_a_term_to_use_instead() -> None:
    assert all(pattern and instead for pattern, instead in DIALECT)
    assert len({pattern for pattern, _ in DIALECT}) == len(DIALECT)
