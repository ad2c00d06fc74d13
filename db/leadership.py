"""One process of several does a job that must run once: the one whose connection holds an advisory lock.

When the leader dies its connection ends, and the lock with it; the next process that asks gets it. There is no lease to
renew. For a moment two may believe they lead, so the job itself must be harmless twice.
"""

from typing import Any

import psycopg

from db.settings import NOTICE_SILENCE, DatabaseSettings, takes_writes

_OPTIONS = "-c statement_timeout=5000 -c timezone=UTC"


class Leadership:
    """Ask `held` each time before the work. `name` is the lock: processes of the same name compete."""

    def __init__(self, settings: DatabaseSettings, name: str) -> None:
        self._url = settings.database_url.get_secret_value()
        self._name = name
        self._line: psycopg.Connection[tuple[object, ...]] | None = None
        self._held = False

    def held(self) -> bool:
        """True while this process leads; it never waits for the lock, and connects again when its connection was lost.

        Raises:
            psycopg.Error: the database cannot be reached, or became read-only; leadership is given up first.
        """
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
