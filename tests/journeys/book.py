"""The book as its owner reads it, who sees every tenant; and a database of its own for each fleet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from db.tenants import tenants
from db.tenants.tenants import Tenant
from deploy.local.scenario.events import Publication
from deploy.local.stack.postgres import Postgres


@contextmanager
def new_database(postgres: Postgres, template: str) -> Iterator[str]:
    """A clone of `template`; dropped on leaving, whatever has become of the server meanwhile."""
    name = f"fleet_{uuid4().hex[:12]}"
    with psycopg.connect(postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER fleet_owner STRATEGY file_copy")  # type: ignore[call-overload]
        # Here servers are killed: a commit must have reached the disk, whatever the other tests make do with.
        superuser.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")  # type: ignore[call-overload]
    try:
        yield name
    finally:
        postgres.start()
        with psycopg.connect(postgres.superuser_url("postgres"), autocommit=True) as superuser:
            superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


class Book:
    """Reads, and lets time pass; what the fleet should do it never does."""

    def __init__(self, postgres: Postgres, database: str) -> None:
        self.postgres = postgres
        self.database = database
        self._lock = threading.RLock()
        self._kept: psycopg.Connection[dict[str, Any]] | None = None

    @property
    def owner_url(self) -> str:
        return self.postgres.owner_url(self.database)

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """One connection for all looks, for whoever waits looks thirty times a second; a new one when it has broken."""
        with self._lock:
            if self._kept is None or not _answers(self._kept):
                self._kept = psycopg.connect(self.owner_url, autocommit=True, row_factory=dict_row)
            yield self._kept

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.owner() as owner:
            return owner.execute(statement, values).fetchall()  # type: ignore[call-overload,no-any-return]

    def change(self, statement: str, *values: Any) -> None:
        """Let time pass in the book."""
        with self.owner() as owner:
            owner.execute(statement, values)  # type: ignore[call-overload]

    def hurry(self) -> None:
        """What is due later is due now: the pauses between tries pass."""
        self.change("UPDATE outbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()")

    def register(self, *sellers: Tenant) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            tenants.register(owner, list(sellers))

    def payment_of(self, order: Publication) -> dict[str, Any]:
        (payment,) = self.rows("SELECT * FROM payments WHERE order_id = %s", order.log["order_id"])
        return payment

    def state_of(self, order: Publication) -> str:
        found = self.rows("SELECT state FROM payments WHERE order_id = %s", order.log["order_id"])
        return found[0]["state"] if found else "not accepted"

    def settled(self) -> int:
        return int(self.rows("SELECT count(*) FROM payments WHERE state NOT IN ('requested', 'charging')")[0]["count"])

    def letters(self, words: str) -> list[dict[str, Any]]:
        """Dead letters that hold these words in their payload or their reason."""
        return self.rows("SELECT * FROM dead_letters WHERE concat(payload, reason) LIKE %s", f"%{words}%")

    def end_sessions(self, application: str, state: str = "%") -> int:
        """pg_terminate_backend for the sessions of some of our processes; returns how many."""
        with psycopg.connect(self.postgres.superuser_url(self.database), autocommit=True) as superuser:
            return superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE %s AND state LIKE %s",
                [application, state],
            ).rowcount


def _answers(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("")
    except psycopg.OperationalError:
        return False
    return True
