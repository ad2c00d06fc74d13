"""Events as Stripe has made them, and as they would reach the webhook worker."""

from typing import Any

from db.session import Database
from messages.webhooks import WebhookReceived
from outbox.intake.inbox import receive
from stripe_client.gateway import Gateway
from stripe_client.snapshots import VerifiedEvent
from workers.webhook import webhook


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
