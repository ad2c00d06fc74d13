"""One of several processes does a thing that one is enough for: whoever holds an advisory lock of its own connection.

When the leader dies its connection ends, and with it the lock; the next who asks has it.
"""

from typing import Any

import psycopg

from db.settings import NOTICE_SILENCE, DatabaseSettings, takes_writes

_OPTIONS = "-c statement_timeout=5000 -c timezone=UTC"


class Leadership:
    """Ask `held` each time before the work. Raises psycopg.Error while the database is away."""

    def __init__(self, settings: DatabaseSettings, name: str) -> None:
        self._url = settings.database_url.get_secret_value()
        self._name = name
        self._line: psycopg.Connection[tuple[object, ...]] | None = None
        self._held = False

    def held(self) -> bool:
        if self._line is None or self._line.closed:
            self._held = False
            options: dict[str, Any] = {"application_name": f"fleet-{self._name}", "options": _OPTIONS, **NOTICE_SILENCE}
            self._line = psycopg.connect(self._url, autocommit=True, **options)
        try:
            self._held = self._still_held() if self._held else self._taken()
            if not takes_writes(self._line):  # the lock of a primary of old; the next one gives it to somebody else
                raise psycopg.OperationalError("this server can only be read")
        except psycopg.Error:
            self.close()
            raise
        return self._held

    def _taken(self) -> bool:
        assert self._line is not None, "held has connected"
        row = self._line.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [self._name]).fetchone()
        return row == (True,)

    def _still_held(self) -> bool:
        """The lock lives as long as this connection does."""
        assert self._line is not None, "held has connected"
        self._line.execute("SELECT 1")
        return True

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line, self._held = None, False
