"""reconcile over many lines: a killed run goes on behind its last page, and a million lines need no more memory."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from deploy.local.stripe.process import EmulatorProcess
from messages.reconciliation import ReconcileDue
from messages.runtime.crash_points import VARIABLE
from messages.statement_lines import BankLine
from stripe_client.gateway import Gateway
from tests.conftest import ROOT, Book
from workers.reconciliation import reconcile as reconciliation_reconcile
from workers.reconciliation.reconcile import reconcile

Pay = Callable[..., Payment]

ONE_RUN = """
from datetime import UTC, datetime
from db.session import Database
from db.settings import DatabaseSettings
from messages.reconciliation import ReconcileDue
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.reconciliation.reconcile import reconcile
reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), Database(DatabaseSettings(), application="test"),
          Gateway(StripeSettings()))
"""


def test_a_run_that_is_killed_goes_on_behind_its_last_page(
    book: Book,
    pay: Pay,
    owner: psycopg.Connection,
    stripe_server: EmulatorProcess,
    stripe_control: EmulatorControl,
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: pay(), range(120)))
    begin_run(owner)
    environment = {
        "PATH": os.environ["PATH"],
        "APP_ENV": "test",
        "DATABASE_URL": book.fleet_url,
        "STRIPE_SECRET_KEY": "sk_test_tests12345",
        "STRIPE_API_BASE": stripe_server.base_url,
        VARIABLE: str(tmp_path),
    }
    (tmp_path / "reconcile.step_done").touch()

    killed, finished = (
        subprocess.run([sys.executable, "-c", ONE_RUN], env=environment, cwd=ROOT, check=False) for _ in range(2)
    )

    assert (killed.returncode, finished.returncode) == (-signal.SIGKILL, 0)
    assert last_run(owner) == ("done", 120, 0)
    asked = [one for one in stripe_control.requests() if one["path"] == "/v1/balance_transactions"]
    assert len(asked) == 2  # a page each


def test_a_hundred_thousand_lines_need_no_more_memory_than_a_page(
    db: Database, gateway: Gateway, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setattr(reconciliation_reconcile.balance_transactions, "list_lines", a_long_statement)
    begin_run(owner)
    owner.execute("UPDATE reconciliation_runs SET window_from = now() - interval '1 minute', searched_until = now()")

    tracemalloc.start()
    reconcile(ReconcileDue(span="rolling", due_at=datetime.now(UTC)), db, gateway)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert last_run(owner) == ("done", LINES, 0)
    assert peak < 16 * 1024 * 1024


LINES, PAGE = 100_000, 1_000


def a_long_statement(_gateway: Gateway, **_window: Any) -> Iterator[list[BankLine]]:
    """More lines than the emulator could hold, each of which needs no journal: what came in was all fee."""
    now = datetime.now(UTC)
    for start in range(0, LINES, PAGE):
        yield [
            BankLine(f"txn_{number:08}", "charge", "charge", f"ch_{number:08}", 30, 30, 0, "eur", now, now)
            for number in range(start, start + PAGE)
        ]


def begin_run(owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until) "
        "VALUES ('rolling', now() - interval '1 hour', now() + interval '2 seconds', now() - interval '1 hour')"
    )


def last_run(owner: psycopg.Connection) -> tuple[Any, ...]:
    row = owner.execute("SELECT state, lines, mismatches FROM reconciliation_runs").fetchone()
    assert row is not None
    return row
