"""Events as Stripe has made them, and as they would reach the webhook worker."""

import itertools
from typing import Any

import psycopg
import pytest

from db.payments.payments import Payment
from db.session import Database
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.payments import ChargeRequested
from messages.verdicts import TryAgain
from messages.webhooks import WebhookReceived
from outbox.intake.stripe_events import receive
from stripe_client.event_snapshots import VerifiedEvent
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.conftest import Ledgers
from workers.payments.charge import charge
from workers.webhooks.webhook import webhook


def events_of(gateway: Gateway) -> list[dict[str, Any]]:
    """Every event Stripe has made so far, oldest first, as it would be delivered."""
    newest_first = gateway.v1.events.list({"limit": 100}).data
    return [event.to_dict(for_json=True) for event in reversed(newest_first)]


def drain(db: Database, gateway: Gateway, events: list[dict[str, Any]]) -> None:
    for event in events:
        receive(db, verified(event))
        tenant_id = event["data"]["object"].get("metadata", {}).get("tenant_id")
        webhook(WebhookReceived(tenant_id=tenant_id, event_id=event["id"]), db, gateway)


def verified(event: dict[str, Any]) -> VerifiedEvent:
    subject = event["data"]["object"]
    return VerifiedEvent(
        event_id=event["id"],
        event_type=event["type"],
        created=event["created"],
        api_version=event["api_version"],
        livemode=event["livemode"],
        account=event.get("account"),
        object_id=subject.get("id"),
        metadata=subject.get("metadata") or {},
        body=event,
    )


def charged_without_an_answer(
    db: Database, tenant: Tenant, gateway: Gateway, stripe_control: EmulatorControl
) -> Payment:
    """Stripe has charged 42.00, and its answer was lost."""
    payment = factories.requested(db, tenant, amount_minor=4200)
    stripe_control.add_fault("drop_after", method="POST", path="/v1/payment_intents", max_firings=1)
    with pytest.raises(TryAgain):
        charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)
    return payment


def automatic_async(
    db: Database, owner: psycopg.Connection, tenant: Tenant, payment: Payment, gateway: Gateway
) -> None:
    """Charge with the capture method whose fee comes later, as an account may be set to."""
    charge_it = ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id)
    owner.execute(
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        'NEW.request := NEW.request || \'{"capture_method": "automatic_async"}\'; RETURN NEW; END $$'
    )
    owner.execute("CREATE TRIGGER later BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION later()")
    charge(charge_it, db, gateway)


def inbox_states(book_of: Ledgers) -> set[str]:
    rows = book_of.owner.execute("SELECT state FROM webhook_inbox").fetchall()
    return set(itertools.chain.from_iterable(rows))
