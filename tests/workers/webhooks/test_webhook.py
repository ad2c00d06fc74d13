"""webhook: an event is a hint; in any order, any number of times, before or after the call, the book ends the same."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.verdicts import GiveUp, TryAgain
from messages.webhooks import WebhookReceived
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers, charged_and_fully_booked
from tests.workers.webhooks.scenario import automatic_async, charged_without_an_answer, drain, events_of, inbox_states
from workers.payments.charge import charge
from workers.webhooks.webhook import webhook

Pay = Callable[..., Payment]
PATH = "/v1/payment_intents"
SUCCEEDED = {"stripe_balance": 4048, "venue_payable": -3940, "platform_fees": -260, "stripe_fees": 152}


def test_the_success_that_only_a_webhook_tells_is_booked(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    payment = charged_without_an_answer(db, tenant, gateway, stripe_control)

    drain(db, gateway, events_of(gateway))

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert book_of.balances() == SUCCEEDED
    assert book_of.owner.execute("SELECT outcome, answer FROM calls").fetchall() == [("answered", "Charged")]


def test_a_charge_after_its_webhook_changes_nothing(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    payment = charged_without_an_answer(db, tenant, gateway, stripe_control)
    drain(db, gateway, events_of(gateway))

    charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)

    assert book_of.balances() == SUCCEEDED
    assert [fact["type"] for fact in book_of.facts()] == ["payment.succeeded"]
    assert len(stripe_control.effects()) == 1


def test_webhooks_after_the_charge_change_nothing_and_are_applied(
    db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers
) -> None:
    pay(amount_minor=4200)

    drain(db, gateway, events_of(gateway))

    assert book_of.balances() == SUCCEEDED
    assert inbox_states(book_of) <= {"applied", "kept"}
    assert len(book_of.facts()) == 1


@pytest.mark.parametrize("seed", range(4))
def test_every_order_of_duplicated_events_ends_like_the_true_order(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers, seed: int
) -> None:
    payment = charged_without_an_answer(db, tenant, gateway, stripe_control)
    events = events_of(gateway) * 3
    random.Random(seed).shuffle(events)  # noqa: S311  shuffles, guards nothing

    drain(db, gateway, events)

    assert factories.reread(db, tenant.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
    assert book_of.balances() == SUCCEEDED
    assert [fact["type"] for fact in book_of.facts()] == ["payment.succeeded"]


def test_the_events_of_a_buyer_who_first_fails_and_then_authenticates_may_come_in_any_order(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, book_of: Ledgers
) -> None:
    payment = pay(payment_method_id="pm_card_threeDSecure2Required")
    stripe_control.complete_authentication(payment.payment_intent_id or "", "fail")
    gateway.v1.payment_intents.confirm(payment.payment_intent_id or "", {"payment_method": "pm_card_visa"})
    events = [event for event in events_of(gateway) if event["type"].startswith("payment_intent.")]

    drain(db, gateway, list(reversed(events)))

    assert book_of.states(payment.payment_id)[-1] == "succeeded"
    assert book_of.balances() == SUCCEEDED


def test_a_twin_event_of_one_fact_changes_nothing(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, tenant: Tenant, book_of: Ledgers
) -> None:
    charged_without_an_answer(db, tenant, gateway, stripe_control)
    events = events_of(gateway)

    drain(db, gateway, events + [event | {"id": f"evt_{uuid4().hex}"} for event in events])

    assert book_of.balances() == SUCCEEDED
    assert inbox_states(book_of) <= {"applied", "kept"}


def test_a_late_success_after_a_decline_is_booked(db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers) -> None:
    payment = pay(payment_method_id="pm_card_visa_chargeDeclined")
    gateway.v1.payment_intents.confirm(payment.payment_intent_id or "", {"payment_method": "pm_card_visa"})

    drain(db, gateway, events_of(gateway))

    assert book_of.states(payment.payment_id) == ["requested", "charging", "failed", "succeeded"]
    assert book_of.balances() == SUCCEEDED
    assert [fact["type"] for fact in book_of.facts()] == ["payment.failed", "payment.succeeded"]


def test_an_authentication_that_fails_fails_the_payment(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, book_of: Ledgers
) -> None:
    payment = pay(payment_method_id="pm_card_threeDSecure2Required")
    stripe_control.complete_authentication(payment.payment_intent_id or "", "fail")

    drain(db, gateway, events_of(gateway))

    assert book_of.states(payment.payment_id)[-1] == "failed"
    assert book_of.balances() == {}


def test_a_capture_by_hand_books_what_was_captured(db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers) -> None:
    payment = pay(capture="manual", amount_minor=4200)
    gateway.v1.payment_intents.capture(payment.payment_intent_id or "", {"amount_to_capture": 2100})

    drain(db, gateway, events_of(gateway))

    assert book_of.states(payment.payment_id)[-1] == "succeeded"
    assert book_of.balances()["venue_payable"] == -(2100 - 155)  # 5 % and 50 of what was captured
    assert book_of.facts()[-1]["amount"] == {"minor": 2100, "currency": "eur"}


def test_a_cancellation_is_told_once(db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers) -> None:
    payment = pay(capture="manual")
    gateway.v1.payment_intents.cancel(payment.payment_intent_id or "", {"cancellation_reason": "abandoned"})
    events = events_of(gateway)

    drain(db, gateway, events + events)

    assert book_of.states(payment.payment_id)[-1] == "canceled"
    assert [fact["type"] for fact in book_of.facts()] == ["payment.authorized", "payment.failed"]
    assert book_of.facts()[-1]["reason"] == "abandoned"


def test_a_bank_that_settles_days_later_is_booked(
    db: Database, owner: psycopg.Connection, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    dollars = factories.tenant(owner, currency="usd")
    payment = factories.requested(db, dollars, payment_method_id="pm_usBankAccount_processing")
    charge(ChargeRequested(tenant_id=dollars.tenant_id, payment_id=payment.payment_id), db, gateway)
    stands = factories.reread(db, dollars.tenant_id, payment.payment_id)
    stripe_control.settle(stands.payment_intent_id or "")

    drain(db, gateway, events_of(gateway))

    assert charged_and_fully_booked(factories.reread(db, dollars.tenant_id, payment.payment_id))


def test_stripes_fee_that_comes_late_is_booked_by_the_charges_update_and_once(
    db: Database, owner: psycopg.Connection, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl,
    book_of: Ledgers,
) -> None:  # fmt: skip
    payment = factories.requested(db, tenant, amount_minor=4200)
    stripe_control.set_clock(datetime.now(UTC).timestamp())  # the balance is booked when the clock moves, not before
    automatic_async(db, owner, tenant, payment, gateway)
    drain(db, gateway, events_of(gateway))
    assert book_of.balances() == {"stripe_balance": 4200, "venue_payable": -3940, "platform_fees": -260}

    stripe_control.advance_clock(10)
    drain(db, gateway, events_of(gateway) * 2)

    assert book_of.balances() == SUCCEEDED


def test_two_intents_for_one_payment_are_for_a_person(
    db: Database, gateway: Gateway, stripe_control: EmulatorControl, pay: Pay, book_of: Ledgers
) -> None:
    payment = pay(payment_method_id="pm_card_visa_chargeDeclined")
    gateway.v1.payment_intents.create(
        {"amount": 4200, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
         "metadata": {"tenant_id": str(payment.tenant_id), "payment_id": str(payment.payment_id)}}
    )  # fmt: skip
    events = [event for event in events_of(gateway) if event["type"] == "payment_intent.succeeded"]

    with pytest.raises(GiveUp, match="two for one order"):
        drain(db, gateway, events)

    assert book_of.balances() == {}


def test_a_message_for_an_event_that_is_not_there_is_given_up(db: Database, gateway: Gateway) -> None:
    with pytest.raises(GiveUp, match="holds no event"):
        webhook(WebhookReceived(tenant_id=None, event_id="evt_nobody"), db, gateway)


def test_an_event_whose_answer_does_not_come_stays_pending(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    charged_without_an_answer(db, tenant, gateway, stripe_control)
    events = [event for event in events_of(gateway) if event["type"] == "payment_intent.succeeded"]
    stripe_control.add_fault("drop_before", method="GET", path=f"{PATH}/*")

    with pytest.raises(TryAgain):
        drain(db, gateway, events)

    assert inbox_states(book_of) == {"pending"}
