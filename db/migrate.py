"""Forward-only migrations: plain SQL files, applied in order, each in a transaction, under one advisory lock.

Two migrators at once are harmless: the second waits and finds nothing to do. A file that was edited after it was
applied is refused, because the database it describes no longer exists anywhere. There is no way back: a release that is
rolled back runs on the newer schema.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import psycopg
from loguru import logger

from db.settings import MigrationSettings
from messages.runtime.settings import SettingsError, load, stop_the_start

ADVISORY_LOCK = 0x666C6565  # "flee": any fixed number that nothing else in this database locks

_BOOKKEEPING = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name       text PRIMARY KEY,
        sha256     text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""


class MigrationError(Exception):
    """The database and the files disagree; the sentence says about what."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file. `fingerprint` is the SHA-256 of its text, in hex, as it is stored when it was applied."""

    name: str
    statements: str

    @property
    def fingerprint(self) -> str:
        return sha256(self.statements.encode()).hexdigest()


def main() -> None:
    """`fleet migrate`: apply what is missing as the schema's owner, and log the names."""
    try:
        (settings,) = load(MigrationSettings)
    except SettingsError as error:
        stop_the_start(error)
    applied = migrate(settings.migration_database_url.get_secret_value())
    logger.info("migrated: {}", ", ".join(applied) if applied else "nothing to do")


def migrate(url: str) -> list[str]:
    """Apply what is missing; returns the names applied.

    Raises:
        MigrationError: an applied file was edited, or the server is older than PostgreSQL 18, or not in UTF-8.
        psycopg.Error: a file failed; it left no trace.
    """
    with psycopg.connect(url, autocommit=True, application_name="fleet-migrate") as connection:
        if connection.info.server_version < 180000:
            raise MigrationError("PostgreSQL 18 or newer is needed: the book uses its uuidv7()")
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            # With SQL_ASCII texts come back as bytes: nothing is decoded, and every message becomes a dead letter.
            raise MigrationError(f"the database is {encoding}: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0")
        connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        connection.execute(_BOOKKEEPING)
        return [migration.name for migration in shipped() if _apply(connection, migration)]


def shipped() -> list[Migration]:
    """The migrations of this release, in order."""
    folder = files("db") / "migrations"
    found = (path for path in folder.iterdir() if path.name.endswith(".sql"))
    return [Migration(path.name, path.read_text()) for path in sorted(found, key=lambda path: path.name)]


def pending(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Names of shipped migrations that this database has not seen."""
    objects = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if objects is None or not objects[0]:
        return [migration.name for migration in shipped()]
    seen = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
    return [migration.name for migration in shipped() if migration.name not in seen]


def _apply(connection: psycopg.Connection[tuple[object, ...]], migration: Migration) -> bool:
    row = connection.execute("SELECT sha256 FROM schema_migrations WHERE name = %s", [migration.name]).fetchone()
    if row is not None:
        if row[0] != migration.fingerprint:
            raise MigrationError(f"{migration.name} was edited after it was applied; write a new migration instead")
        return False
    with connection.transaction():
        connection.execute(migration.statements.encode())
        connection.execute(
            "INSERT INTO schema_migrations (name, sha256) VALUES (%s, %s)", [migration.name, migration.fingerprint]
        )
    return True
