"""sweep, for money that goes back: wishes that were left are carried out, and what a person must see is a case."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from db.payments.states import PaymentState
from db.reconciliation import case_views
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import PaymentLookupRequested
from messages.sweeps import SweepDue
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.refunds.scenario import asked, charged, lookup, message, wish_to_cancel, wish_to_capture
from workers.payments.cancel import cancel
from workers.payments.look_up import lookup as look_up_payment
from workers.refunds.look_up import refund_lookup
from workers.refunds.refund import refund
from workers.sweep import sweep

Sweep = Callable[[], list[str]]


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def swept(db: Database, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Every message is lost and an hour goes by; then the sweep runs, and says what kinds of messages it appended."""
    monkeypatch.setenv("APP_ENV", "test")

    def run() -> list[str]:
        owner.execute("DELETE FROM outbox")
        for table in ("payments", "refunds"):
            owner.execute(f"UPDATE {table} SET state_since = state_since - interval '1 hour'")
        owner.execute("UPDATE refunds SET created_at = created_at - interval '1 hour'")
        owner.execute("UPDATE payments SET cancel_requested_at = cancel_requested_at - interval '1 hour'")
        sweep(SweepDue(due_at=datetime.now(UTC)), db)
        return [row[0] for row in owner.execute("SELECT kind FROM outbox ORDER BY kind").fetchall()]

    return run


def open_cases(db: Database) -> list[str]:
    with db.system_transaction() as tx:
        return [case.type for case in case_views.find(tx)]


def test_a_refund_whose_message_was_lost_is_sent_after_all(
    db: Database, gateway: Gateway, tenant: Tenant, swept: Sweep
) -> None:
    asked(db, charged(db, gateway, tenant))

    assert swept() == ["refund"]
    assert swept() == []  # it was woken a moment ago


def test_a_pending_refund_is_looked_up(db: Database, gateway: Gateway, tenant: Tenant, swept: Sweep) -> None:
    wanted = asked(db, charged(db, gateway, tenant, payment_method_id="pm_card_pendingRefund"))
    refund(message(wanted), db, gateway)

    assert swept() == ["refund_lookup"]


def test_wishes_that_were_left_are_carried_out(db: Database, gateway: Gateway, tenant: Tenant, swept: Sweep) -> None:
    wish_to_capture(db, charged(db, gateway, tenant, capture="manual"))
    for order in ({"capture": "manual"}, {"payment_method_id": "pm_card_visa_chargeDeclined"}):
        wish_to_cancel(db, charged(db, gateway, tenant, **order))
    wish_to_cancel(db, factories.requested(db, tenant))

    assert swept() == ["cancel", "cancel", "cancel", "capture"]


def test_a_hold_that_has_ended_is_looked_up_and_one_that_ends_soon_is_a_case_until_it_is_captured(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, swept: Sweep
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    assert swept() == []
    assert open_cases(db) == []

    owner.execute("UPDATE payments SET capture_before = now() + interval '20 hours'")
    assert swept() == []
    assert open_cases(db) == ["authorization_expiring"]

    owner.execute("UPDATE payments SET capture_before = now() - interval '1 minute'")
    assert swept() == ["lookup"]

    cancel(wish_to_cancel(db, payment), db, gateway)
    swept()
    assert open_cases(db) == []


def test_a_buyer_who_leaves_3ds_alone_is_given_up(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, swept: Sweep
) -> None:
    payment = charged(db, gateway, tenant, payment_method_id="pm_card_threeDSecure2Required")
    to_look = PaymentLookupRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)

    look_up_payment(to_look, db, gateway)
    assert factories.reread(db, tenant.tenant_id, payment.payment_id).cancel_reason is None

    assert swept() == ["lookup"]
    look_up_payment(to_look, db, gateway)
    given_up = factories.reread(db, tenant.tenant_id, payment.payment_id)
    assert given_up.cancel_reason == "abandoned"
    cancel(wish_to_cancel(db, given_up), db, gateway)
    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.CANCELED


def test_a_refund_that_failed_is_a_case_until_another_one_makes_it_good(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, swept: Sweep
) -> None:
    payment = charged(db, gateway, tenant, payment_method_id="pm_card_refundFail")
    wanted = asked(db, payment)
    refund(message(wanted), db, gateway)
    stripe_control.advance_clock(40 * 86_400)
    refund_lookup(lookup(wanted), db, gateway)

    swept()
    assert open_cases(db) == ["refund_failed"]

    asked(db, payment)
    swept()
    assert open_cases(db) == []
