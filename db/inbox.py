"""The webhook inbox: verified events of Stripe, each stored once, redacted; drained by workers/webhook.py.

pending -> applied      the book agrees with what the event tells
        -> unmatched    no payment of ours yet; waits, is tried again by the sweep, and is never dropped
kept                    a type we do not act on
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
    """One event of Stripe. tenant_id and payment_id come from the metadata we put on the object, when it is ours."""

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


def receive(tx: Tx, event: InboxEvent) -> bool:
    """Store an event; False when it is there already (Stripe delivers at least once)."""
    stored = tx.execute(
        """
        INSERT INTO webhook_inbox (
            event_id, tenant_id, payment_id, event_type, object_id, account, api_version, livemode, payload, state,
            occurred_at, settled_at)
        VALUES (
            %(event_id)s, %(tenant_id)s, %(payment_id)s, %(event_type)s, %(object_id)s, %(account)s, %(api_version)s,
            %(livemode)s, %(payload)s, %(state)s, %(occurred_at)s,
            CASE WHEN %(state)s = 'kept' THEN clock_timestamp() END)
        ON CONFLICT (event_id) DO NOTHING
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
        },
    )
    return stored.rowcount == 1


def read(tx: Tx, event_id: str) -> InboxEvent | None:
    with tx.cursor(row_factory=class_row(InboxEvent)) as cursor:
        return cursor.execute(
            """
            SELECT event_id, tenant_id, payment_id, event_type, object_id, account, api_version, livemode, payload,
                   state, occurred_at
            FROM webhook_inbox WHERE event_id = %(event_id)s
            """,
            {"event_id": event_id},
        ).fetchone()


def mark_applied(tx: Tx, event_id: str, *, note: str) -> bool:
    return _settle(tx, event_id, "applied", note)


def mark_kept(tx: Tx, event_id: str, *, note: str) -> bool:
    return _settle(tx, event_id, "kept", note)


def mark_unmatched(tx: Tx, event_id: str, *, note: str) -> bool:
    return _settle(tx, event_id, "unmatched", note)


def _settle(tx: Tx, event_id: str, state: str, note: str) -> bool:
    settled = tx.execute(
        """
        UPDATE webhook_inbox
        SET state = %(state)s, note = %(note)s,
            settled_at = CASE WHEN %(state)s <> 'unmatched' THEN clock_timestamp() END
        WHERE event_id = %(event_id)s AND state IN ('pending', 'unmatched')
        """,
        {"event_id": event_id, "state": state, "note": note},
    )
    return settled.rowcount == 1
