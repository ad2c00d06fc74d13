"""FAULTS 32: dead letters of refunds, captures and disputes are checked against the database and Stripe."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from db.dead_letters.dead_letters import SealedDeadLetter
from db.disputes.disputes import Dispute
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.base import Message
from messages.disputes import DisputeLookupRequested, EvidenceSubmissionRequested
from messages.orders import OrderPlaced
from messages.queues import ROUTES
from messages.reconciliation import RetentionDue
from messages.resales import OrderResold
from messages.verdicts import TryAgain
from outbox.intake.order_events import WORDS
from outbox.requests.orders import OrderRequest
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import decided, hear, reread
from tests.workers.refunds.scenario import asked, charged, message, wish_to_cancel, wish_to_capture
from tests.workers.refunds.scenario import lookup as refund_lookup_of
from workers.dead_letters.replay_check import CHECKS, ORDER_EVENT_CHECKS, OpenedDeadLetter, check_replay
from workers.disputes.answer import dispute_evidence
from workers.payments.capture import capture
from workers.refunds.refund import refund
from workers.rules.replay_check import ReplayCheck
from workers.runtime.by_need import takes_gateway

Check = Callable[[Message], ReplayCheck]


@pytest.fixture
def check(db: Database, gateway: Gateway) -> Check:
    """The replay check of this message's dead letter, now."""

    def run(dead: Message) -> ReplayCheck:
        payload: dict[str, Any] = dead.model_dump(mode="json")
        message_id = uuid4()
        dead_letter = SealedDeadLetter(message_id, None, "worker", dead.kind, None, str(message_id), None, None)
        return check_replay(OpenedDeadLetter(dead_letter, orjson.dumps(payload), payload), db, gateway)

    return run


@pytest.fixture
def disputed(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> tuple[Payment, Dispute]:
    payment = charged(db, gateway, tenant)
    made = stripe_control.dispute(payment.payment_intent_id or "", reason="product_not_received")
    hear(db, gateway)
    return payment, reread(db, payment, made["id"])


def age_calls(owner: psycopg.Connection, hours: float) -> None:
    owner.execute(
        "UPDATE calls SET first_sent_at = first_sent_at - make_interval(secs => %(s)s), "
        "last_sent_at = last_sent_at - make_interval(secs => %(s)s) WHERE outcome = 'unknown'",
        {"s": hours * 3600},
    )


def test_every_kind_of_message_that_is_not_periodic_has_a_row_in_the_table_of_checks() -> None:
    assert set(CHECKS) == {message for message, route in ROUTES.items() if not route.is_periodic}
    assert all(takes_gateway(check) in {True, False} for check in CHECKS.values())


def test_every_event_of_the_order_service_has_a_row_in_its_table_of_checks() -> None:
    orders = {OrderPlaced, OrderResold}  # intake reads both as an OrderRequest

    assert set(ORDER_EVENT_CHECKS) == {OrderRequest, *WORDS.values()} - orders


def test_a_refund_that_was_never_sent_is_safe_and_one_that_succeeded_is_done(
    db: Database, gateway: Gateway, tenant: Tenant, check: Check
) -> None:
    wanted = asked(db, charged(db, gateway, tenant), 1000)
    before = check(message(wanted))
    refund(message(wanted), db, gateway)

    assert (before.class_, before.amount) == ("safe", wanted.amount)
    assert check(message(wanted)).class_ == "already_done"
    assert check(refund_lookup_of(wanted)).class_ == "safe"


def test_a_refund_beside_a_chargeback_must_not_be_replayed(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, check: Check
) -> None:
    payment = charged(db, gateway, tenant)
    wanted = asked(db, payment, 1000)
    stripe_control.dispute(payment.payment_intent_id or "")
    hear(db, gateway)

    found = check(message(wanted))

    assert (found.class_, "dispute" in found.proof) == ("must_not", True)


def test_a_refund_that_stripe_refused_must_be_asked_for_anew(
    db: Database, gateway: Gateway, tenant: Tenant, check: Check
) -> None:
    payment = charged(db, gateway, tenant)
    gateway.v1.refunds.create(params={"payment_intent": payment.payment_intent_id or ""})
    wanted = asked(db, payment, 1000)
    refund(message(wanted), db, gateway)

    assert check(message(wanted)).class_ == "must_not"


@pytest.mark.parametrize(
    ("fault", "hours", "class_", "moves"),
    [
        ("drop_after", 0, "safe", False),
        ("drop_before", 1, "safe", True),
        ("drop_before", 23.5, "must_not", False),
        ("drop_before", 25, "needs_new_key", True),
    ],
)
def test_an_unanswered_refund_is_checked_by_what_stripe_has_and_by_the_age_of_its_key(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    check: Check,
    fault: str,
    hours: float,
    class_: str,
    moves: bool,
) -> None:
    wanted = asked(db, charged(db, gateway, tenant), 1000)
    stripe_control.add_fault(fault, path="/v1/refunds", method="POST", max_firings=1)
    with pytest.raises(TryAgain):
        refund(message(wanted), db, gateway)
    age_calls(owner, hours)

    found = check(message(wanted))

    assert (found.class_, found.amount is not None) == (class_, moves)


def test_a_capture_is_safe_while_the_amount_is_held_and_must_not_be_once_the_hold_has_expired(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant, check: Check
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    wish = wish_to_capture(db, payment)
    assert check(wish).class_ == "safe"

    owner.execute("UPDATE payments SET capture_before = now() - interval '1 minute'")

    found = check(wish)
    assert (found.class_, "expired" in found.proof) == ("must_not", True)


def test_an_unanswered_capture_is_looked_up_at_stripe(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    check: Check,
) -> None:
    payment = charged(db, gateway, tenant, capture="manual")
    wish = wish_to_capture(db, payment)
    stripe_control.add_fault("drop_after", path="/v1/payment_intents/*/capture", max_firings=1)
    with pytest.raises(TryAgain):
        capture(wish, db, gateway)

    found = check(wish)

    assert (found.class_, found.amount) == ("safe", None)
    assert "Charged" in found.proof


def test_a_cancellation_is_safe_until_the_payment_is_settled(
    db: Database, gateway: Gateway, tenant: Tenant, check: Check
) -> None:
    held, paid = charged(db, gateway, tenant, capture="manual"), charged(db, gateway, tenant)
    wish = wish_to_cancel(db, held)

    assert check(wish).class_ == "safe"
    assert check(wish.model_copy(update={"payment_id": paid.payment_id})).class_ == "already_done"
    assert check(wish.model_copy(update={"payment_id": uuid4()})).class_ == "must_not"


def test_evidence_is_safe_while_the_dispute_waits_and_done_once_it_was_taken(
    db: Database, gateway: Gateway, disputed: tuple[Payment, Dispute], check: Check
) -> None:
    _, dispute = disputed
    wish = decided(db, dispute, "submit", {"uncategorized_text": "scanned at the door"})
    assert check(wish).class_ == "safe"

    dispute_evidence(wish, db, gateway)

    assert check(wish).class_ == "already_done"
    looking = DisputeLookupRequested(**wish.model_dump())
    assert check(looking).class_ == "safe"


def test_evidence_past_its_deadline_or_not_decided_any_more_must_not_be_replayed(
    db: Database, owner: psycopg.Connection, disputed: tuple[Payment, Dispute], check: Check
) -> None:
    _, dispute = disputed
    wish = decided(db, dispute, "accept")
    assert check(EvidenceSubmissionRequested(**wish.model_dump())).class_ == "must_not"

    owner.execute("UPDATE disputes SET evidence_due_at = now() - interval '1 minute'")
    assert "deadline" in check(wish).proof


@pytest.mark.parametrize(
    ("fault", "hours", "class_"),
    [("drop_after", 0, "safe"), ("drop_before", 1, "safe"), ("drop_before", 25, "needs_new_key")],
)
def test_an_unanswered_submission_is_looked_up_at_stripe(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    disputed: tuple[Payment, Dispute],
    check: Check,
    fault: str,
    hours: float,
    class_: str,
) -> None:
    _, dispute = disputed
    wish = decided(db, dispute, "submit", {"uncategorized_text": "scanned at the door"})
    stripe_control.add_fault(fault, path="/v1/disputes/*", method="POST", max_firings=1)
    with pytest.raises(TryAgain):
        dispute_evidence(wish, db, gateway)
    age_calls(owner, hours)

    found = check(wish)

    assert found.class_ == class_
    if fault == "drop_after":
        assert "under_review" in found.proof


def test_what_the_clock_makes_due_again_is_done(check: Check) -> None:
    assert check(RetentionDue(due_at=datetime.now(UTC))).class_ == "already_done"
