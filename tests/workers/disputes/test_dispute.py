"""Disputes: money by balance transaction, the loss as a refund, and the same end in whatever order one hears of it."""

from random import Random

import psycopg
import pytest

from db.disputes import disputes
from db.disputes.states import DisputeStatus
from db.refunds.states import RefundState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway
from tests.workers.disputes.scenario import dispute_events, hear, look, reread
from tests.workers.ledger.scenario import balances, events_told
from tests.workers.refunds.scenario import asked, charged, given_back, message
from tests.workers.refunds.scenario import reread as refund_now
from tests.workers.webhooks.scenario import drain, events_of
from workers.refunds.refund import refund

# What 42.00 leaves behind: 2.60 for the platform (5 % + 0.50), 1.52 for Stripe; a chargeback costs 15.00.
CHARGED = {"stripe_balance": 4048, "venue_payable": -3940, "platform_fees": -260, "stripe_fees": 152}
OPEN = CHARGED | {"stripe_balance": 4048 - 5700, "disputed_funds": 4200, "dispute_fees": 1500}
WON = CHARGED | {"stripe_balance": 4048 - 1500, "disputed_funds": 0, "dispute_fees": 1500}
LOST = OPEN | {"disputed_funds": 0, "venue_payable": 0, "platform_fees": 0}


def test_a_chargeback_takes_amount_and_fee_and_holds_the_venues_funds(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", reason="product_not_received")["id"]

    hear(db, gateway)

    found = reread(db, payment, dispute_id)
    assert (found.status, found.track, found.stage) == (DisputeStatus.NEEDS_RESPONSE, "chargeback", "chargeback")
    assert (found.amount_minor, found.reason) == (4200, "product_not_received")
    assert found.evidence_due_at is not None
    assert balances(owner) == OPEN
    assert events_told(owner) == ["payment.succeeded", "dispute.opened"]


def test_an_inquiry_moves_no_money_and_leaves_the_payment_refundable(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", inquiry=True)["id"]
    hear(db, gateway)
    assert reread(db, payment, dispute_id).track == "inquiry"
    assert balances(owner) == CHARGED

    wanted = asked(db, payment, 1000)
    refund(message(wanted), db, gateway)

    assert refund_now(db, wanted).state is RefundState.SUCCEEDED
    assert given_back(stripe_control) == [1000]


def test_an_inquiry_that_escalates_becomes_a_chargeback_and_is_told_and_answered_anew(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", inquiry=True)["id"]
    hear(db, gateway)
    with db.ops_transaction() as tx:
        disputes.write_evidence(tx, dispute_id, {"uncategorized_text": "for the inquiry"}, by="ada")

    stripe_control.decide_dispute(dispute_id, "needs_response")
    hear(db, gateway)

    found = reread(db, payment, dispute_id)
    assert (found.status, found.stage, found.evidence_by) == (DisputeStatus.NEEDS_RESPONSE, "chargeback", "fleet")
    assert "for the inquiry" not in str(found.evidence)
    assert balances(owner) == OPEN
    assert events_told(owner).count("dispute.opened") == 2


def test_a_win_brings_the_amount_back_and_the_fee_stays(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    hear(db, gateway)

    stripe_control.decide_dispute(dispute_id, "won")
    hear(db, gateway)

    assert reread(db, payment, dispute_id).status is DisputeStatus.WON
    assert balances(owner) == WON
    assert events_told(owner)[-1] == "dispute.closed"


def test_a_fee_that_comes_back_is_booked_as_the_balance_transaction_says(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]

    stripe_control.decide_dispute(dispute_id, "won", fee_comes_back=True)
    hear(db, gateway)

    assert balances(owner) == CHARGED | {"disputed_funds": 0, "dispute_fees": 0}


def test_a_loss_is_borne_by_venue_and_platform_as_a_refund_is(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    hear(db, gateway)

    stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)
    look(db, gateway, payment, dispute_id)

    assert balances(owner) == LOST
    found = reread(db, payment, dispute_id)
    assert (found.lost_minor, found.lost_platform_fee_minor, found.lost_obligation_minor) == (4200, 260, 0)


def test_a_venue_whose_fee_is_kept_bears_a_loss_alone(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    owner.execute("UPDATE venues SET refund_fee_policy = 'kept'")
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]

    stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)

    assert (balances(owner)["venue_payable"], balances(owner)["platform_fees"]) == (260, -260)


def test_a_loss_after_a_partial_refund_gives_the_rest_of_the_fee_and_no_more(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    refund(message(asked(db, payment, 1001)), db, gateway)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]

    stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)

    assert reread(db, payment, dispute_id).lost_minor == 3199
    assert (balances(owner)["venue_payable"], balances(owner)["platform_fees"]) == (0, 0)


def test_a_loss_that_is_won_after_all_is_taken_back(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]
    stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)
    assert balances(owner) == LOST

    for status in ("appeal_needs_response", "appeal_under_review", "won"):
        stripe_control.decide_dispute(dispute_id, status)
        hear(db, gateway)
        assert reread(db, payment, dispute_id).stage == "appeal"

    assert balances(owner) == WON
    assert events_told(owner).count("dispute.closed") == 2


def test_an_appeal_that_is_lost_again_books_no_second_loss(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "")["id"]

    for status in ("lost", "appeal_needs_response", "lost"):
        stripe_control.decide_dispute(dispute_id, status)
        hear(db, gateway)

    assert balances(owner) == LOST


def test_a_refund_that_came_back_is_paid_by_the_loss(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant
) -> None:
    """The buyer was owed 10.00 since the refund failed; the bank has now given it to them."""
    payment = charged(db, gateway, tenant, amount_minor=4200)
    wanted = asked(db, payment, 1000)
    refund(message(wanted), db, gateway)
    stripe_control.finish_refund(refund_now(db, wanted).stripe_refund_id or "", "fail")
    drain_refunds(db, gateway)
    assert balances(owner)["refunds_payable"] == -1000
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", amount=4200)["id"]

    stripe_control.decide_dispute(dispute_id, "lost")
    hear(db, gateway)

    after = balances(owner)
    assert (after["refunds_payable"], after["venue_payable"], after["platform_fees"]) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_events_that_come_twice_and_in_any_order_end_the_same(
    db: Database,
    owner: psycopg.Connection,
    gateway: Gateway,
    stripe_control: EmulatorControl,
    tenant: Tenant,
    seed: int,
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    dispute_id = stripe_control.dispute(payment.payment_intent_id or "", inquiry=True)["id"]
    chance = Random(seed)  # noqa: S311  a story from a seed, not a secret
    for status in ("needs_response", "lost", "won"):
        if chance.random() < 0.5:
            hear(db, gateway)
        stripe_control.decide_dispute(dispute_id, status)
    events = dispute_events(gateway) * 2
    chance.shuffle(events)

    drain(db, gateway, events)

    assert reread(db, payment, dispute_id).status is DisputeStatus.WON
    assert balances(owner) == WON
    assert events_told(owner)[-1] == "dispute.closed"


def drain_refunds(db: Database, gateway: Gateway) -> None:
    drain(db, gateway, [event for event in events_of(gateway) if event["type"].startswith("refund.")])
