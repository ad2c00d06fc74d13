"""Reconciliation as tests run it: up to this very second, and what it has found."""

from datetime import UTC, datetime

import psycopg
import pytest

from db.reconciliation import case_views
from db.reconciliation.cases import Case
from db.session import Database
from messages.reconciliation import ReconcileDue
from stripe_client.gateway import Gateway
from workers.reconciliation.reconcile import reconcile


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither grace nor patience."""
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("RECONCILE_GRACE_SECONDS", "0")
    monkeypatch.setenv("RECONCILE_AUTO_FIX_SECONDS", "0")


def reconcile_now(db: Database, gateway: Gateway, owner: psycopg.Connection, *, until: str = "2 seconds") -> None:
    """One run over the last hour; its end is rounded up, because Stripe's times are whole seconds."""
    owner.execute(
        "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until) "
        "VALUES ('rolling', now() - interval '1 hour', now() + %s::interval, now() - interval '1 hour')",
        [until],
    )
    reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), db, gateway)


def cases_of(db: Database) -> list[Case]:
    with db.ops_transaction() as tx:
        return case_views.find(tx, state=None)
