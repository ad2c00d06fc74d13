"""Requesting a capture or a cancellation: refused with a code, repeated without effect, queued once each time."""

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from messages.ids import PaymentId
from messages.money import Money
from outbox.requests.cancellations import cancel_payment
from outbox.requests.captures import request_capture
from outbox.requests.refusals import RefusedError
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.refunds.scenario import charged


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def held(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant, capture="manual")


def capture(db: Database, payment: Payment, amount: Money | None = None) -> Payment:
    with db.transaction(payment.tenant_id) as tx:
        return request_capture(tx, payment_id=payment.payment_id, amount=amount)


def cancel(db: Database, payment: Payment) -> Payment:
    with db.transaction(payment.tenant_id) as tx:
        return cancel_payment(tx, payment_id=payment.payment_id, reason="order_cancelled", by="test")


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (Money(4201, "eur"), "amount_not_authorized"),
        (Money(0, "eur"), "amount_not_authorized"),
        (Money(100, "usd"), "amount_not_authorized"),
    ],
)
def test_no_more_is_captured_than_is_held(
    db: Database, owner: psycopg.Connection, held: Payment, amount: Money, code: str
) -> None:
    with pytest.raises(RefusedError) as refusal:
        capture(db, held, amount)

    assert refusal.value.code == code
    assert "capture" not in kinds(owner)


def test_a_capture_is_of_one_amount_and_not_beside_a_cancellation(db: Database, held: Payment) -> None:
    capture(db, held, Money(3000, "eur"))
    capture(db, held, Money(3000, "eur"))
    with pytest.raises(RefusedError) as another:
        capture(db, held, Money(2000, "eur"))
    cancel(db, held)
    with pytest.raises(RefusedError) as canceled:
        capture(db, held, Money(3000, "eur"))

    assert (another.value.code, canceled.value.code) == ("capture_already_requested", "being_canceled")


def test_what_is_not_held_is_not_captured(db: Database, tenant: Tenant) -> None:
    with pytest.raises(RefusedError) as refusal:
        capture(db, factories.requested(db, tenant))

    assert refusal.value.code == "not_authorized"


def test_a_payment_is_cancelled_before_its_money_is_taken(
    db: Database, owner: psycopg.Connection, held: Payment
) -> None:
    assert cancel(db, held).state is PaymentState.AUTHORIZED
    assert kinds(owner).count("cancel") == 1


def test_a_payment_whose_money_was_taken_is_refunded_not_cancelled(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    paid = charged(db, gateway, tenant)

    with pytest.raises(RefusedError, match="request a refund instead") as refusal:
        cancel(db, paid)

    assert refusal.value.code == "already_captured"
    assert "cancel" not in kinds(owner)


def test_a_payment_of_nobody_is_unknown(db: Database, held: Payment, owner: psycopg.Connection) -> None:
    neighbour = factories.tenant(owner)

    with db.transaction(neighbour.tenant_id) as tx, pytest.raises(RefusedError) as refusal:
        cancel_payment(tx, payment_id=PaymentId(held.payment_id), reason="order_cancelled", by="test")

    assert refusal.value.code == "payment_unknown"


def kinds(owner: psycopg.Connection) -> list[str]:
    return [kind for (kind,) in owner.execute("SELECT kind FROM outbox").fetchall()]
