"""The webhook inbox: verified events of Stripe, each stored once, redacted; drained by workers/webhooks/webhook.py.

pending -> applied      our rows agree with the event; often they do on arrival, and then nothing is drained
        -> unmatched    no payment of ours yet; waits, is tried again by the sweep, and is never dropped
kept                    a type we do not act on

An event is a hint to look, not a fact to copy: what is booked is what Stripe says when it is asked (M13, M18).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.session import Tx
from db.text import storable_json
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event of Stripe (docs.stripe.com/api/events/object), its payload redacted (M9).

    tenant_id, payment_id   from the metadata we put on the object; None when it has none, as with disputes
    object_id               what the event is about: an intent, a charge, a dispute ...
    account                 the connected account it happened in; None: the platform's own
    occurred_at             Stripe's time, not that of the receipt
    """

    event_id: str
    tenant_id: TenantId | None
    payment_id: PaymentId | None
    event_type: str
    object_id: str | None
    account: str | None
    api_version: str | None
    livemode: bool
    payload: dict[str, Any]
    state: str
    occurred_at: datetime
    came_by: str = "webhook"  # or "sweep": the road by which it was here first

    @property
    def payment_intent_id(self) -> str | None:
        """The intent an event is about: the object itself, or the intent of a charge; None when it has none."""
        subject: dict[str, Any] = self.payload.get("data", {}).get("object", {})
        found = subject.get("id") if subject.get("object") == "payment_intent" else subject.get("payment_intent")
        return found if isinstance(found, str) else None

    @property
    def charge_id(self) -> str | None:
        """The charge a dispute or a warning is about; None when the event is about something else."""
        found = self.payload.get("data", {}).get("object", {}).get("charge")
        return found if isinstance(found, str) else None


KNOWN = "the book knew already"


def receive(tx: Tx, event: InboxEvent) -> str | None:
    """Store an event; returns its state, or None when it is there already (Stripe delivers at least once).

    An event of the intent of a payment that has succeeded, and whose fee is booked, is stored as applied. No move leads
    out of that state (legal_moves) and a charge is booked once, so whoever drained the event later could only find what
    is here now. In any other state, or when that transaction is not committed yet, it is drained as usual. For
    `pending` the caller appends the message that drains it, in the same transaction.
    """
    stored = tx.execute(
        """
        WITH book AS (
            SELECT %(state)s = 'pending' AND %(of_intent)s AND EXISTS (
                SELECT FROM payments JOIN charges USING (tenant_id, payment_id)
                WHERE tenant_id = %(tenant_id)s AND payment_id = %(payment_id)s AND state = 'succeeded'
                  AND payments.payment_intent_id = %(intent_id)s AND balance_transaction_id IS NOT NULL) AS knows
        )
        INSERT INTO webhook_inbox (
            event_id, tenant_id, payment_id, event_type, object_id, account, api_version, livemode, payload,
            occurred_at, came_by, state, note, settled_at)
        SELECT
            %(event_id)s, %(tenant_id)s, %(payment_id)s, %(event_type)s, %(object_id)s, %(account)s, %(api_version)s,
            %(livemode)s, %(payload)s, %(occurred_at)s, %(came_by)s,
            CASE WHEN knows THEN 'applied' ELSE %(state)s END,
            CASE WHEN knows THEN %(known)s END,
            CASE WHEN knows OR %(state)s = 'kept' THEN clock_timestamp() END
        FROM book
        ON CONFLICT (event_id) DO NOTHING
        RETURNING state
        """,
        {
            "event_id": event.event_id,
            "tenant_id": event.tenant_id,
            "payment_id": event.payment_id,
            "event_type": event.event_type,
            "object_id": event.object_id,
            "account": event.account,
            "api_version": event.api_version,
            "livemode": event.livemode,
            "payload": Jsonb(storable_json(event.payload)),
            "state": event.state,
            "occurred_at": event.occurred_at,
            "came_by": event.came_by,
            "intent_id": event.payment_intent_id,
            # charge.updated brings the balance transaction, which is booked by then. Refunds and disputes of the same
            # charge have event types of their own, and are always drained.
            "of_intent": event.event_type.startswith(("payment_intent.", "charge.updated", "charge.succeeded")),
            "known": KNOWN,
        },
    ).fetchone()
    return stored[0] if stored else None


def read(tx: Tx, event_id: str) -> InboxEvent | None:
    """The stored event; None when there is none. `came_by` is not read: its default says nothing here."""
    with tx.cursor(row_factory=class_row(InboxEvent)) as cursor:
        return cursor.execute(
            """
            SELECT event_id, tenant_id, payment_id, event_type, object_id, account, api_version, livemode, payload,
                   state, occurred_at
            FROM webhook_inbox WHERE event_id = %(event_id)s
            """,
            {"event_id": event_id},
        ).fetchone()


def mark_applied(tx: Tx, event_id: str, *, note: str) -> float | None:
    """pending or unmatched -> applied; returns the seconds since its receipt, or None when another worker settled it
    first.
    """
    return _settle(tx, event_id, "applied", note)


def mark_kept(tx: Tx, event_id: str, *, note: str) -> float | None:
    """pending or unmatched -> kept: there is nothing to do about it. Returns as mark_applied."""
    return _settle(tx, event_id, "kept", note)


def mark_unmatched(tx: Tx, event_id: str, *, note: str) -> float | None:
    """pending or unmatched -> unmatched: it is nobody's yet, and the sweep tries it again. Returns as mark_applied."""
    return _settle(tx, event_id, "unmatched", note)


def _settle(tx: Tx, event_id: str, state: str, note: str) -> float | None:
    settled = tx.execute(
        """
        UPDATE webhook_inbox
        SET state = %(state)s, note = %(note)s,
            settled_at = CASE WHEN %(state)s <> 'unmatched' THEN clock_timestamp() END
        WHERE event_id = %(event_id)s AND state || '' IN ('pending', 'unmatched')
        RETURNING extract(epoch FROM clock_timestamp() - received_at)::float8
        """,
        {"event_id": event_id, "state": state, "note": note},
    ).fetchone()
    return settled[0] if settled else None
