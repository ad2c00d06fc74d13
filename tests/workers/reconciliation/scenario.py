"""Reconciliation as tests run it: up to this very second, and what it has found."""

from datetime import UTC, datetime

import psycopg
import pytest

from db.reconciliation import case_views
from db.reconciliation.cases import Case
from db.session import Database
from messages.reconciliation import ReconcileDue
from stripe_client.gateway import Gateway
from tests import waiting
from workers.reconciliation.reconcile import reconcile


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither grace nor patience."""
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("RECONCILE_GRACE_SECONDS", "0")
    monkeypatch.setenv("RECONCILE_AUTO_FIX_SECONDS", "0")


def reconcile_now(db: Database, gateway: Gateway, owner: psycopg.Connection, *, until: str = "2 seconds") -> None:
    """One run over the last hour; its end is rounded up, because Stripe's times are whole seconds."""
    begin_run(owner, "rolling", until=until)
    reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), db, gateway)


def begin_run(owner: psycopg.Connection, span: str, *, until: str) -> None:
    """A run over the last hour. The fleet's own scheduler may have one of this span under way, and there is never more
    than one: then wait for its end.
    """

    def begun() -> bool:
        inserted = owner.execute(
            "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until) "
            "VALUES (%s, now() - interval '1 hour', now() + %s::interval, now() - interval '1 hour') "
            "ON CONFLICT (span) WHERE state = 'running' DO NOTHING",
            [span, until],
        )
        return inserted.rowcount == 1

    waiting.until(begun, seconds=60)


def cases_of(db: Database) -> list[Case]:
    with db.ops_transaction() as tx:
        return case_views.find(tx, state=None)
