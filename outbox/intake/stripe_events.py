"""Store a verified event of Stripe in the inbox, from a webhook or from the sweep of Stripe's events list, together
with the message that processes it, in one transaction.

Its tenant and payment come from the metadata we put on every object we create; an event without it is still stored, and
the worker looks for its payment. In a connected account others write the metadata, so an event of one belongs to no
tenant. Harmless twice: the event's id is the inbox's key, and a duplicate appends nothing. No event is acted on here.
"""

from datetime import UTC, datetime
from uuid import UUID

from db.session import Database
from db.webhooks import inbox
from db.webhooks.inbox import InboxEvent
from messages.ids import PaymentId, TenantId
from messages.runtime import trace
from messages.runtime.redaction import redact_event
from messages.runtime.trace import TraceContext
from messages.webhooks import WANTED, WANTED_OF_ACCOUNTS, WebhookReceived
from outbox.append import append_traced
from stripe_client.event_snapshots import VerifiedEvent


def receive(db: Database, event: VerifiedEvent, *, came_by: str = "webhook") -> bool:
    """Store the event, and queue its processing when it is of a type we act on; False when it was stored before.

    One system transaction; called from a request's thread (webhook) or a worker (sweep), and committed when it returns.
    `came_by` is what the coverage report counts: `webhook` or the sweep. Events of other types are stored as `kept`;
    one whose effect is recorded already is stored as applied, and queues nothing.

    Raises:
        psycopg.Error: it was not stored; Stripe or the sweep delivers it again.
    """
    wanted = event.event_type in (WANTED if event.account is None else WANTED_OF_ACCOUNTS)
    tenant_id = _tenant_id(event)
    entry = InboxEvent(
        event_id=event.event_id,
        tenant_id=tenant_id,
        payment_id=_payment_id(event),
        event_type=event.event_type,
        object_id=event.object_id,
        account=event.account,
        api_version=event.api_version,
        livemode=event.livemode,
        payload=redact_event(event.body),
        state="pending" if wanted else "kept",
        occurred_at=datetime.fromtimestamp(event.created, UTC),
        came_by=came_by,
    )
    place = trace.place_told(event.metadata) or TraceContext(
        trace.new(), None
    )  # the order's trace: the charge put it there
    with (
        trace.following(place.trace_id, place.span_id),
        trace.span("receive event", "server", type=event.event_type, came_by=came_by),
        db.system_transaction() as tx,
    ):
        stored_as = inbox.receive(tx, entry)
        if stored_as == "pending":
            append_traced(tx, [(_drain_of(entry), place.trace_id)])
    return stored_as is not None


def _drain_of(entry: InboxEvent) -> WebhookReceived:
    return WebhookReceived(tenant_id=entry.tenant_id, payment_id=entry.payment_id, event_id=entry.event_id)


def _payment_id(event: VerifiedEvent) -> PaymentId | None:
    """The payment named in the metadata; None for an event of a connected account, where anybody may have
    written it.
    """
    found = _uuid(event.metadata.get("payment_id")) if event.account is None else None
    return PaymentId(found) if found else None


def _tenant_id(event: VerifiedEvent) -> TenantId | None:
    found = _uuid(event.metadata.get("tenant_id")) if event.account is None else None
    return TenantId(found) if found else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:  # metadata that is not ours
        return None
