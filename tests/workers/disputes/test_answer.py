"""Evidence and acceptance: sent once, safe on a second delivery, and the book follows Stripe."""

import psycopg
import pytest

from db.disputes import disputes
from db.disputes.disputes import Dispute
from db.disputes.states import DisputeStatus
from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import decided, hear, look, reread
from tests.workers.ledger.scenario import balances
from tests.workers.refunds.scenario import charged
from workers.disputes.answer import dispute_close, dispute_evidence

WORDS = {"product_description": "two seats", "uncategorized_text": "scanned at the door"}


@pytest.fixture
def payment(db: Database, gateway: Gateway, tenant: Tenant) -> Payment:
    return charged(db, gateway, tenant, amount_minor=4200)


@pytest.fixture
def dispute(db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment) -> Dispute:
    made = stripe_control.dispute(payment.payment_intent_id or "", reason="product_not_received")
    hear(db, gateway)
    return reread(db, payment, made["id"])


def writes(control: EmulatorControl, path: str) -> int:
    return sum(1 for seen in control.requests() if seen["method"] == "POST" and seen["path"].startswith(path))


def test_evidence_is_submitted_once_and_the_book_follows(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment, dispute: Dispute
) -> None:
    message = decided(db, dispute, "submit", WORDS)

    dispute_evidence(message, db, gateway)
    dispute_evidence(message, db, gateway)

    found = reread(db, payment, dispute.dispute_id)
    assert found.status is DisputeStatus.UNDER_REVIEW
    assert found.submitted_at is not None
    at_stripe = gateway.v1.disputes.retrieve(dispute.dispute_id)
    assert at_stripe.evidence.uncategorized_text == "scanned at the door"
    assert writes(stripe_control, "/v1/disputes") == 1


def test_accepting_closes_the_dispute_as_lost_and_books_the_loss(
    db: Database, owner: psycopg.Connection, gateway: Gateway, payment: Payment, dispute: Dispute
) -> None:
    message = decided(db, dispute, "accept")

    dispute_close(message, db, gateway)
    dispute_close(message, db, gateway)

    assert reread(db, payment, dispute.dispute_id).status is DisputeStatus.LOST
    assert (balances(owner)["disputed_funds"], balances(owner)["venue_payable"]) == (0, 0)


def test_evidence_that_wins_brings_the_money_back(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment, dispute: Dispute
) -> None:
    dispute_evidence(decided(db, dispute, "submit", {"uncategorized_text": "winning_evidence"}), db, gateway)

    stripe_control.advance_clock(40 * 86_400)

    assert look(db, gateway, payment, dispute.dispute_id).status is DisputeStatus.WON


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_an_answer_that_is_lost_is_found_again_under_the_same_key(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment, dispute: Dispute, fault: str
) -> None:
    message = decided(db, dispute, "submit", WORDS)
    stripe_control.add_fault(fault, path="/v1/disputes/*", method="POST", max_firings=1)
    with pytest.raises(TryAgain):
        dispute_evidence(message, db, gateway)

    dispute_evidence(message, db, gateway)

    assert reread(db, payment, dispute.dispute_id).status is DisputeStatus.UNDER_REVIEW
    assert gateway.v1.disputes.retrieve(dispute.dispute_id).evidence_details.submission_count == 1


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_past_the_life_of_its_key_the_dispute_is_looked_at_before_anything_is_sent(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    payment: Payment,
    dispute: Dispute,
    fault: str,
) -> None:
    message = decided(db, dispute, "submit", WORDS)
    stripe_control.add_fault(fault, path="/v1/disputes/*", method="POST", max_firings=1)
    with pytest.raises(TryAgain):
        dispute_evidence(message, db, gateway)
    owner.execute("UPDATE calls SET first_sent_at = first_sent_at - interval '25 h'")
    stripe_control.advance_clock(25 * 3600)

    if fault == "drop_before":
        with pytest.raises(TryAgain, match="fresh key"):
            dispute_evidence(message, db, gateway)
    dispute_evidence(message, db, gateway)

    assert reread(db, payment, dispute.dispute_id).status is DisputeStatus.UNDER_REVIEW
    assert gateway.v1.disputes.retrieve(dispute.dispute_id).evidence_details.submission_count == 1
    assert owner.execute("SELECT count(*) FROM calls WHERE outcome = 'unknown'").fetchone() == (0,)


def test_a_dispute_that_moved_on_meanwhile_takes_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, payment: Payment, dispute: Dispute
) -> None:
    message = decided(db, dispute, "submit", WORDS)
    gateway.v1.disputes.close(dispute.dispute_id)  # in the dashboard, and no event has come yet

    dispute_evidence(message, db, gateway)
    dispute_evidence(message, db, gateway)

    found = reread(db, payment, dispute.dispute_id)
    assert found.status is DisputeStatus.LOST
    assert "refused" in (found.wish_refused or "")


def test_what_stripe_will_not_take_is_told_and_can_be_decided_again(
    db: Database, gateway: Gateway, payment: Payment, dispute: Dispute
) -> None:
    dispute_evidence(decided(db, dispute, "submit", {"no_such_field": "words"}), db, gateway)
    refused = reread(db, payment, dispute.dispute_id)
    assert (refused.wish, refused.status) == (None, DisputeStatus.NEEDS_RESPONSE)
    assert "Stripe refused" in (refused.wish_refused or "")

    dispute_evidence(decided(db, refused, "submit", WORDS), db, gateway)

    found = reread(db, payment, dispute.dispute_id)
    assert (found.status, found.wish_refused) == (DisputeStatus.UNDER_REVIEW, None)


def test_an_operator_decides_once_and_cannot_change_what_is_on_its_way(
    db: Database, owner: psycopg.Connection, dispute: Dispute
) -> None:
    decided(db, dispute, "submit", WORDS)

    with db.ops_transaction() as tx:
        assert not disputes.decide(tx, dispute.dispute_id, "accept", by="grace")
        assert not disputes.write_evidence(tx, dispute.dispute_id, {"uncategorized_text": "other"}, by="grace")
    with pytest.raises(psycopg.errors.RestrictViolation, match="on its way"):
        owner.execute("UPDATE disputes SET evidence = '{}'")


def test_an_operator_can_write_nothing_else_of_a_dispute_and_queue_only_its_answers(
    db: Database, dispute: Dispute
) -> None:
    for column in ("status = 'won'", "lost_minor = 1", "submitted_at = now()", "amount_minor = 1"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.ops_transaction() as tx:
            tx.execute(f"UPDATE disputes SET {column}")  # type: ignore[arg-type]
