"""NOTIFY wakes the relay within milliseconds of a commit; polling is the fallback.

NOTIFY inside a money transaction costs a quarter to a half of the commits (it takes one global lock), so it is sent
after the commit, on a connection of its own, and at most once every few milliseconds however many commits there were. A
notification that is lost costs one poll interval, never a message.
"""

import threading
import time
from typing import Any

import psycopg
from loguru import logger

from db.settings import NOTICE_SILENCE, DatabaseSettings, takes_writes

CHANNEL = "outbox_due"
LISTENER = "fleet-relay-doorbell"
_PAUSE_SECONDS = 0.005
_COUNT_EVERY_SECONDS = 2.0
# pg_stat_activity shows the whole server: relays of another database beside ours do not share our lanes.
_COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
_OPTIONS = "-c statement_timeout=5000 -c timezone=UTC"


class Notifier:
    """Notifies after commits, from a thread of its own; calls in quick succession become one NOTIFY."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._url = settings.database_url.get_secret_value()
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()

    def ring(self) -> None:
        """Something is due; returns at once, and starts the thread at the first call: a process that appends nothing
        has none.
        """
        if self._thread is None:
            self._begin()
        self._wanted.set()

    def close(self) -> None:
        """Stop the thread, waiting at most two seconds; a notification that was not sent is not needed."""
        self._closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _begin(self) -> None:
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._ring_until_closed()
            except psycopg.Error:
                # The relay polls anyway; the next commit rings again.
                time.sleep(0.2)

    def _ring_until_closed(self) -> None:
        with _connect(self._url, "fleet-ringer") as line:
            while self._wanted.wait() and not self._closing:
                self._wanted.clear()
                line.execute("NOTIFY outbox_due")
                if not takes_writes(line):
                    return
                time.sleep(_PAUSE_SECONDS)


class Listener:
    """The relay's side: waits for a notification, and counts the relays that listen. Use it from one thread."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._url = settings.database_url.get_secret_value()
        self._line: psycopg.Connection[tuple[object, ...]] | None = None
        self._count = 1
        self._count_again_at = 0.0

    def wait(self, seconds: float) -> None:
        """Return at a notification, or after `seconds`; while the database cannot be reached, after `seconds`."""
        try:
            for _ in self._connected().notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error as error:
            logger.warning("notifications unavailable, polling: {}", type(error).__name__)
            self.close()
            time.sleep(seconds)

    def relays(self) -> int:
        """How many relays are running, counted every two seconds by their connections; at least one.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        if time.monotonic() >= self._count_again_at:
            self._count_again_at = time.monotonic() + _COUNT_EVERY_SECONDS
            line = self._connected()
            row = line.execute(_COUNT, [LISTENER]).fetchone()
            self._count = max(1, int(str(row[0]))) if row else 1
            if not takes_writes(line):  # nobody rings at a primary of old
                self.close()
        return self._count

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._line is None or self._line.closed:
            self._line = _connect(self._url, LISTENER)
            self._line.execute("LISTEN outbox_due")
        return self._line


def _connect(url: str, application: str) -> psycopg.Connection[tuple[object, ...]]:
    options: dict[str, Any] = {"application_name": application, "options": _OPTIONS, **NOTICE_SILENCE}
    return psycopg.connect(url, autocommit=True, **options)
