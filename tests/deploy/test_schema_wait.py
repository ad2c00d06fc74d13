"""A process of a new version does not start before the database has its schema."""

import psycopg
from pydantic import SecretStr

from db.schema_version import wait_for_schema
from db.settings import DatabaseSettings
from tests.conftest import Book
from tests.meanwhile import meanwhile


def test_a_database_at_this_version_lets_a_process_start_at_once(book: Book) -> None:
    assert wait_for_schema(book.settings, seconds=0) == []


def test_a_missing_migration_holds_the_start_until_it_is_there(book: Book, owner: psycopg.Connection) -> None:
    last = owner.execute("SELECT name, sha256 FROM schema_migrations ORDER BY name DESC LIMIT 1").fetchone()
    assert last is not None
    owner.execute("DELETE FROM schema_migrations WHERE name = %s", [last[0]])

    assert wait_for_schema(book.settings, seconds=0) == [last[0]]

    def migrate_late() -> None:
        owner.execute("INSERT INTO schema_migrations (name, sha256) VALUES (%s, %s)", last)

    with meanwhile(migrate_late):
        assert wait_for_schema(book.settings, seconds=20) == []


def test_a_newer_schema_than_ours_holds_nobody(book: Book, owner: psycopg.Connection) -> None:
    owner.execute("INSERT INTO schema_migrations (name, sha256) VALUES ('9999_of_tomorrow.sql', 'x')")

    assert wait_for_schema(book.settings, seconds=0) == []


def test_a_database_that_is_away_is_said(book: Book) -> None:
    away = DatabaseSettings(
        app_env="test",  # type: ignore[arg-type]
        database_url=SecretStr("postgresql://fleet:secret@127.0.0.1:1/fleet"),
    )

    (said,) = wait_for_schema(away, seconds=0)

    assert said.startswith("the database is away")
