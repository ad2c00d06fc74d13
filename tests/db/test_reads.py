"""One row is found by its key, however many wait beside it: no partial index of what waits is walked instead."""

from collections.abc import Callable

import psycopg
import pytest

from db import stripe_calls
from db.payments import payments
from db.payments.payments import Payment, PaymentAttempt
from db.session import Database, Tx
from db.tenants.tenants import Tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories

SETTLED, WAITING = 400, 40
TABLES = ("payments", "calls")


def test_claiming_a_payment_reads_no_other(db: Database, tenant: Tenant, waiting: list[Payment]) -> None:
    one = waiting[-1]

    with db.transaction(tenant.tenant_id) as tx:
        read = rows_read(tx, lambda: payments.begin_charging(tx, one.payment_id, platform_fee_minor=0, by="test"))

    assert read["payments"] <= 2


def test_recording_an_answer_reads_only_its_own_payment_and_call(
    db: Database, tenant: Tenant, waiting: list[Payment]
) -> None:
    with db.transaction(tenant.tenant_id) as tx:
        begun = [begin(tx, payment) for payment in waiting]
    one, call = waiting[-1], begun[-1]

    with db.transaction(tenant.tenant_id) as tx:
        read = rows_read(
            tx,
            lambda: stripe_calls.settle(tx, call, answer="Charged", object_id="pi_1", request_id=None),
            lambda: payments.mark_failed(
                tx, one, intent_id="pi_1", reason="no", attempt=PaymentAttempt(call.call_id, "declined"), by="test"
            ),
        )

    assert read["calls"] <= 3  # once more for the attempt's reference
    assert read["payments"] <= 3


@pytest.fixture
def waiting(db: Database, owner: psycopg.Connection, tenant: Tenant) -> list[Payment]:
    """A sale begins: these wait, and when PostgreSQL last looked every payment was settled."""
    assert set(accept(db, some_orders(tenant, SETTLED))) == {OrderOutcome.ACCEPTED}
    owner.execute("UPDATE payments SET state = 'charging', state_by = 'test', platform_fee_minor = 0")
    owner.execute("UPDATE payments SET state = 'failed'")
    owner.execute(
        "INSERT INTO calls (tenant_id, operation, subject_id, generation, idempotency_key, request, outcome, "
        "settled_at) SELECT tenant_id, 'test', payment_id, 1, payment_id, '{}', 'answered', now() FROM payments"
    )
    owner.execute("VACUUM ANALYZE payments, calls")
    assert set(accept(db, some_orders(tenant, WAITING))) == {OrderOutcome.ACCEPTED}
    rows = owner.execute("SELECT payment_id FROM payments WHERE state = 'requested'").fetchall()
    return [factories.reread(db, tenant.tenant_id, payment_id) for (payment_id,) in rows]


def some_orders(of: Tenant, count: int) -> list[IncomingEvent]:
    return [IncomingEvent(factories.event(factories.order(of))) for _ in range(count)]


def begin(tx: Tx, payment: Payment) -> stripe_calls.StripeCall:
    payments.begin_charging(tx, payment.payment_id, platform_fee_minor=0, by="test")
    return stripe_calls.begin(tx, operation="test", subject_id=payment.payment_id, request={})


def rows_read(tx: Tx, *steps: Callable[[], object]) -> dict[str, int]:
    """How many rows of each table the steps fetched, in this transaction."""
    before = _fetched(tx)
    for step in steps:
        step()
    return {table: count - before[table] for table, count in _fetched(tx).items()}


def _fetched(tx: Tx) -> dict[str, int]:
    rows = tx.execute(
        "SELECT relname, coalesce(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_xact_user_tables "
        "WHERE relname = ANY (%s)",
        [list(TABLES)],
    ).fetchall()
    return dict.fromkeys(TABLES, 0) | dict(rows)
