"""reconcile: refunds and disputes agree with the bank however they end, and what the book missed is looked up."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from messages.disputes import DisputeLookupRequested
from messages.ids import DisputeId
from messages.money import Money
from messages.refunds import RefundLookupRequested, RefundRequested
from outbox.requests.refunds import request_refund
from stripe_client.gateway import Gateway
from tests.workers.conftest import Ledgers
from tests.workers.disputes.scenario import hear
from tests.workers.reconciliation.scenario import at_once, cases_of, reconcile_now
from workers.disputes.look_up import dispute_lookup
from workers.refunds.look_up import refund_lookup
from workers.refunds.refund import refund

Pay = Callable[..., Payment]
Run = Callable[[], None]


@pytest.fixture
def run(db: Database, gateway: Gateway, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Run:
    at_once(monkeypatch)
    return lambda: reconcile_now(db, gateway, owner, until="1 day")


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_refundFail", "pm_card_pendingRefund"])
def test_refunds_of_ours_agree_with_the_bank_however_they_end(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, run: Run, method: str
) -> None:
    payment = pay(amount_minor=4200, payment_method_id=method)
    refunded = give_back(db, gateway, payment, Money(1000, "eur"))
    stripe_control.advance_clock(3600)
    refund_lookup(refunded, db, gateway)
    stripe_control.set_clock()

    run()

    assert cases_of(db) == []


def test_a_refund_made_at_stripe_is_a_case_of_its_payment_until_the_book_knows_it(
    db: Database, gateway: Gateway, pay: Pay, run: Run, book_of: Ledgers
) -> None:
    payment = pay(amount_minor=4200)
    gateway.v1.refunds.create({"payment_intent": payment.payment_intent_id, "amount": 1000})

    run()

    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.payment_id) == ("missing_in_book", -1000, payment.payment_id)


def test_the_automatic_look_for_a_refund_asks_for_the_refund(
    db: Database, gateway: Gateway, owner: psycopg.Connection, pay: Pay, run: Run, book_of: Ledgers
) -> None:
    payment = pay(amount_minor=4200)
    refunded = give_back(db, gateway, payment, Money(1000, "eur"))
    owner.execute(
        "UPDATE refunds SET balance_transaction_id = NULL, obligation_minor = NULL, platform_fee_minor = NULL"
    )
    owner.execute("DELETE FROM outbox")

    run()

    assert [(one["kind"], one["refund_id"]) for one in book_of.messages()] == [
        ("refund_lookup", str(refunded.refund_id))
    ]


@pytest.mark.parametrize("outcome", [None, "won", "lost"])
def test_disputes_agree_with_the_bank_however_they_end(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, run: Run, outcome: str | None
) -> None:
    payment = pay(amount_minor=4200)
    dispute = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    hear(db, gateway)
    if outcome is not None:
        stripe_control.decide_dispute(dispute, outcome)
        hear(db, gateway)

    run()

    assert cases_of(db) == []


def test_a_dispute_that_no_event_told_is_looked_up_and_its_case_closes(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, run: Run, book_of: Ledgers
) -> None:
    payment = pay(amount_minor=4200)
    dispute = DisputeId(stripe_control.dispute(payment.payment_intent_id or "")["id"])
    book_of.owner.execute("DELETE FROM outbox")

    run()
    (case,) = cases_of(db)
    assert (case.type, case.amount_minor, case.payment_id) == ("missing_in_book", -5700, payment.payment_id)
    assert [(one["kind"], one["dispute_id"]) for one in book_of.messages()] == [("dispute_lookup", dispute)]

    wanted = {"tenant_id": payment.tenant_id, "payment_id": payment.payment_id, "dispute_id": dispute}
    dispute_lookup(DisputeLookupRequested.model_validate(wanted), db, gateway)
    run()

    assert [one.state for one in cases_of(db)] == ["closed"]


def give_back(db: Database, gateway: Gateway, payment: Payment, amount: Money) -> RefundLookupRequested:
    """A refund that the worker has carried out; returns the question for it."""
    with db.transaction(payment.tenant_id) as tx:
        asked = request_refund(
            tx,
            payment_id=payment.payment_id,
            amount=amount,
            reason="requested_by_customer",
            source="api",
            request_key="key-1",
            by="test",
        ).refund
    assert asked is not None
    names: dict[str, Any] = {"tenant_id": asked.tenant_id, "payment_id": asked.payment_id, "refund_id": asked.refund_id}
    refund(RefundRequested(**names), db, gateway)
    return RefundLookupRequested(**names)
