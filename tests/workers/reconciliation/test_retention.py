"""retention: old rows go only while the book and the bank agree, and only the old ones."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from db import retention
from db.payments.payments import Payment
from db.reconciliation import cases
from db.reconciliation.cases import CaseType
from db.session import Database
from messages.reconciliation import RetentionDue
from tests.workers.conftest import Ledgers
from workers.reconciliation.retention import forget_old

Pay = Callable[..., Payment]
Run = Callable[[], None]


@pytest.fixture
def run(db: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("APP_ENV", "test")
    return lambda: forget_old(RetentionDue(due_at=datetime.now(UTC)), db)


def test_old_rows_go_and_young_ones_stay(
    db: Database, owner: psycopg.Connection, run: Run, pay: Pay, book_of: Ledgers
) -> None:
    pay()
    for days in (1, 89, 91, 200):
        leave_event(owner, days)
    for days in (1, 399, 401):
        leave_failure(owner, days)
    daily_run_done(owner)

    run()

    assert ages(owner, "webhook_inbox", "received_at") == [1, 89]
    assert ages(owner, "message_failures", "failed_at") == [1, 399]
    assert book_of.count("calls") == 1


def test_old_calls_go_with_their_keys_and_the_attempts_stay(
    owner: psycopg.Connection, run: Run, pay: Pay, book_of: Ledgers
) -> None:
    pay()
    pay(payment_method_id="pm_card_threeDSecure2Required")  # still moving
    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - interval '401 days', "
        "settled_at = settled_at - interval '401 days'"
    )
    daily_run_done(owner)

    run()

    assert book_of.count("calls") == 1
    assert book_of.count("payment_attempts") >= 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda owner: None,
        lambda owner: daily_run_done(owner, hours_ago=40),
        lambda owner: (daily_run_done(owner, hours_ago=5), daily_run_under_way(owner)),
    ],
    ids=["no daily run", "an old one", "the last one is not finished"],
)
def test_nothing_goes_before_the_last_daily_run_is_done(
    owner: psycopg.Connection, run: Run, book_of: Ledgers, spoil: Callable[[psycopg.Connection], object]
) -> None:
    leave_event(owner, 200)
    spoil(owner)

    run()

    assert book_of.count("webhook_inbox") == 1


def test_nothing_goes_while_a_case_about_money_is_open_and_a_deadline_is_none(
    db: Database, owner: psycopg.Connection, run: Run, book_of: Ledgers
) -> None:
    leave_event(owner, 200)
    daily_run_done(owner)
    with db.system_transaction() as tx:
        cases.open_case(tx, type=CaseType.DISPUTE_EVIDENCE_DUE, subject="dp_1", details="soon")
        cases.open_case(tx, type=CaseType.AMOUNT_DIFFERS, subject="txn_1", details="off")

    run()
    assert book_of.count("webhook_inbox") == 1
    with db.system_transaction() as tx:
        cases.close_case(tx, type=CaseType.AMOUNT_DIFFERS, subject="txn_1", by="a test", because="it fits")
    run()
    assert book_of.count("webhook_inbox") == 0


def test_what_is_not_settled_or_has_an_open_dead_letter_stays_whatever_its_age(
    owner: psycopg.Connection, run: Run, book_of: Ledgers
) -> None:
    leave_event(owner, 200)
    owner.execute("UPDATE webhook_inbox SET state = 'unmatched', settled_at = NULL")
    message_id = leave_failure(owner, 500)
    owner.execute(
        "INSERT INTO dead_letters (source, message_id, reason, payload, payload_sha256) "
        "VALUES ('worker', %s, 'a reason', '{}', sha256('x'))",
        [message_id],
    )
    daily_run_done(owner)

    run()

    assert (book_of.count("webhook_inbox"), book_of.count("message_failures")) == (1, 1)


def test_only_the_function_may_forget_and_never_what_is_too_young(db: Database, owner: psycopg.Connection) -> None:
    leave_failure(owner, 500)
    daily_run_done(owner)

    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        owner.execute("DELETE FROM message_failures")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.system_transaction() as tx:
        tx.execute("SELECT set_config('fleet.forgetting', 'message_failures', true)")
        tx.execute("DELETE FROM message_failures")
    with pytest.raises(psycopg.errors.RestrictViolation, match="at least 35 days"), db.system_transaction() as tx:
        retention.forget(tx, "webhook_inbox", older_than_days=34, at_most=1)
    with pytest.raises(psycopg.errors.RestrictViolation, match="nothing is ever forgotten"):
        owner.execute("SELECT forget('ledger_entries', 9999, 1)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.ops_transaction() as tx:
        retention.forget(tx, "webhook_inbox", older_than_days=400, at_most=1)


def daily_run_done(owner: psycopg.Connection, hours_ago: float = 1) -> None:
    owner.execute(
        "INSERT INTO reconciliation_runs "
        "(span, state, window_from, window_until, searched_until, started_at, finished_at) "
        "SELECT 'daily', 'done', t - interval '3 days', t, t, t, t "
        "FROM (SELECT now() - make_interval(secs => %s)) x (t)",
        [hours_ago * 3600],
    )


def daily_run_under_way(owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO reconciliation_runs (span, window_from, window_until, searched_until) "
        "VALUES ('daily', now() - interval '3 days', now(), now())"
    )


def leave_event(owner: psycopg.Connection, days: int) -> None:
    owner.execute(
        "INSERT INTO webhook_inbox "
        "(event_id, event_type, livemode, payload, state, occurred_at, received_at, settled_at) "
        "SELECT %s, 'x', false, '{}', 'applied', t, t, t FROM (SELECT now() - make_interval(days => %s)) x (t)",
        [f"evt_{days}", days],
    )


def leave_failure(owner: psycopg.Connection, days: int) -> str:
    message_id = str(uuid4())
    owner.execute(
        "INSERT INTO message_failures "
        "(message_id, run, attempt, kind, verdict, error_class, reason, failed_at) "
        "VALUES (%s, 1, 1, 'charge', 'give_up', 'X', 'a reason', now() - make_interval(days => %s))",
        [message_id, days],
    )
    return message_id


def ages(owner: psycopg.Connection, table: str, column: str) -> list[int]:
    rows = owner.execute(f"SELECT extract(day FROM now() - {column})::int FROM {table} ORDER BY 1")
    return [row[0] for row in rows]
