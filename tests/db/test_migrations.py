"""Migrations: forward only, each once, under one lock, and never edited."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db import migrate as migrations
from db.migrate import Migration, MigrationError, migrate, pending, shipped
from deploy.local.stack.stack import Stack


def test_migrating_twice_is_nothing_the_second_time(bare_url: str) -> None:
    first = migrate(bare_url)

    second = migrate(bare_url)

    assert first == [migration.name for migration in shipped()]
    assert second == []


def test_two_migrators_at_once_apply_each_file_once(bare_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = [future.result() for future in [pool.submit(migrate, bare_url) for _ in range(2)]]

    assert sorted(applied, key=len) == [[], [migration.name for migration in shipped()]]


def test_a_file_that_was_edited_after_it_was_applied_is_refused(bare_url: str) -> None:
    migrate(bare_url)
    edited = shipped()[0].name
    with psycopg.connect(bare_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_migrations SET sha256 = 'another' WHERE name = %s", [edited])

    with pytest.raises(MigrationError, match=f"{edited} was edited"):
        migrate(bare_url)


def test_a_file_that_fails_leaves_no_trace_and_the_ones_before_it_stay(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration("9999_broken.sql", "CREATE TABLE half_done (id integer); SELECT 1 / 0;")
    monkeypatch.setattr(migrations, "shipped", lambda: [*shipped(), broken])

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(bare_url)

    with psycopg.connect(bare_url, autocommit=True) as connection:
        assert pending(connection) == ["9999_broken.sql"]
        assert connection.execute("SELECT to_regclass('half_done')").fetchone() == (None,)


def test_a_bare_database_waits_for_every_file(bare_url: str) -> None:
    with psycopg.connect(bare_url) as connection:
        assert pending(connection) == [migration.name for migration in shipped()]


def test_a_database_that_is_not_in_utf8_is_refused_before_anything_is_written(bare_url: str, stack: Stack) -> None:
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(
            "CREATE DATABASE old_letters OWNER fleet_owner"
            " ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
    url = bare_url.rpartition("/")[0] + "/old_letters"
    try:
        with pytest.raises(MigrationError, match="the database is SQL_ASCII"):
            migrate(url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,)
    finally:
        with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
            superuser.execute("DROP DATABASE old_letters WITH (FORCE)")
