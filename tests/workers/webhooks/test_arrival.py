"""webhook: what is applied as it arrives, and what waits: for its fee, its commit, its payment."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from db.webhooks.inbox import KNOWN
from deploy.local.stripe.control import EmulatorControl
from outbox.intake.stripe_events import receive
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from tests.workers.webhooks.scenario import (
    automatic_async,
    charged_without_an_answer,
    drain,
    events_of,
    inbox_states,
    verified,
)

Pay = Callable[..., Payment]
SUCCEEDED = {"stripe_balance": 4048, "venue_payable": -3940, "platform_fees": -260, "stripe_fees": 152}


def test_an_event_of_a_payment_that_is_settled_and_fully_booked_is_applied_on_arrival(
    db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers
) -> None:
    pay(amount_minor=4200)
    [event] = [event for event in events_of(gateway) if event["type"] == "payment_intent.succeeded"]

    receive(db, verified(event))

    assert book_of.owner.execute("SELECT state, note FROM webhook_inbox").fetchall() == [("applied", KNOWN)]
    assert not [message for message in book_of.messages() if message["kind"] == "webhook"]


@pytest.mark.parametrize("stranger", ["payment_intent", "payment", "tenant"])
def test_an_event_that_names_something_else_is_never_applied_on_arrival(
    db: Database, gateway: Gateway, pay: Pay, book_of: Ledgers, stranger: str
) -> None:
    pay(amount_minor=4200)
    [event] = [event for event in events_of(gateway) if event["type"] == "payment_intent.succeeded"]
    subject = event["data"]["object"]
    if stranger == "payment_intent":
        subject["id"] = "pi_another"
    else:
        subject["metadata"][f"{stranger}_id"] = str(uuid4())

    receive(db, verified(event))

    assert inbox_states(book_of) == {"pending"}


def test_an_event_before_stripes_fee_is_booked_is_drained(
    db: Database, owner: psycopg.Connection, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl,
    book_of: Ledgers,
) -> None:  # fmt: skip
    payment = factories.requested(db, tenant, amount_minor=4200)
    stripe_control.set_clock(datetime.now(UTC).timestamp())
    automatic_async(db, owner, tenant, payment, gateway)

    for event in events_of(gateway):
        receive(db, verified(event))

    assert "pending" in inbox_states(book_of)


def test_an_event_before_the_local_commit_is_matched_by_its_metadata(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl, book_of: Ledgers
) -> None:
    """The claim is committed before the call, so the intent is unknown to the book but its payment is not."""
    payment = charged_without_an_answer(db, tenant, gateway, stripe_control)
    assert factories.reread(db, tenant.tenant_id, payment.payment_id).payment_intent_id is None

    drain(db, gateway, [event for event in events_of(gateway) if event["type"] == "payment_intent.succeeded"])

    assert book_of.states(payment.payment_id) == ["requested", "charging", "succeeded"]


def test_an_event_without_a_payment_waits_and_is_applied_when_the_payment_is_there(
    db: Database, owner: psycopg.Connection, tenant: Tenant, gateway: Gateway, book_of: Ledgers
) -> None:
    stranger = gateway.v1.payment_intents.create(
        {"amount": 700, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    )  # fmt: skip
    [event] = [e for e in events_of(gateway) if e["type"] == "payment_intent.succeeded"]
    drain(db, gateway, [event])
    assert inbox_states(book_of) == {"unmatched"}

    payment = factories.requested(db, tenant, amount_minor=700)
    owner.execute(
        "UPDATE payments SET state = 'charging', state_by = 'test', platform_fee_minor = 0, payment_intent_id = %s",
        [stranger.id],
    )
    drain(db, gateway, [event])

    assert inbox_states(book_of) == {"applied"}
    assert factories.reread(db, payment.tenant_id, payment.payment_id).state is PaymentState.SUCCEEDED
