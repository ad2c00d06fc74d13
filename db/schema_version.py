"""Does the database have the schema of this version? Asked before a process starts, by its own login.

    fleet schema wait --seconds 600

So a roll-out waits until the migration job is done, and the old processes go on meanwhile. A database that has seen
more than this version ships is fine: it was rolled back, or a newer version starts beside it.
"""

import time

import psycopg
from loguru import logger

from db.migrate import pending
from db.settings import NOTICE_SILENCE, DatabaseSettings

LOOK_SECONDS = 1.0


def wait_for_schema(settings: DatabaseSettings, *, seconds: float) -> list[str]:
    """Return [] when nothing is missing, or after `seconds` the missing migrations, or why the database could not be
    asked.
    """
    deadline = time.monotonic() + seconds
    strs: list[str] = []
    while missing := _missing(settings):
        if missing != strs:
            logger.info("waiting for the schema: {}", ", ".join(missing))
            strs = missing
        if time.monotonic() >= deadline:
            return missing
        time.sleep(LOOK_SECONDS)
    return []


def _missing(settings: DatabaseSettings) -> list[str]:
    url = settings.database_url.get_secret_value()
    try:
        with psycopg.connect(url, autocommit=True, application_name="fleet-schema", **NOTICE_SILENCE) as connection:  # type: ignore[arg-type]
            return pending(connection)
    except psycopg.errors.InsufficientPrivilege:  # before migration 0040, which this version ships
        return ["0040_who_sees_the_schema.sql"]
    except psycopg.OperationalError as error:
        return [f"the database is away ({type(error).__name__})"]
