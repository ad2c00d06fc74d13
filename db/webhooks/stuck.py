"""Webhook events that could not be applied yet, for the sweep.

Never given up: Stripe may have sent an event before our own transaction was committed.
"""

from dataclasses import dataclass
from typing import LiteralString

from db.session import Tx
from db.sweep import wake_ups
from messages.ids import PaymentId, TenantId


@dataclass(frozen=True, slots=True)
class StuckWebhook:
    """An event in the inbox, pending or unmatched.

    `tenant_id` and `payment_id` None: it is not known yet whose it
    is.
    """

    tenant_id: TenantId | None
    payment_id: PaymentId | None
    event_id: str
    age_seconds: float
    state: str


_STUCK: LiteralString = """
    SELECT i.tenant_id, i.payment_id, i.event_id, i.state, i.event_id AS subject,
           extract(epoch FROM clock_timestamp() - i.received_at)::float8 AS age_seconds
    FROM webhook_inbox i
    WHERE i.state IN ('pending', 'unmatched')
      AND i.received_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND NOT EXISTS (
          SELECT FROM dead_letters d
          WHERE d.state = 'open' AND d.kind = 'webhook' AND strpos(d.payload, '"' || i.event_id || '"') > 0)
"""


def take(tx: Tx, *, older_than_seconds: float, limit: int) -> list[StuckWebhook]:
    """At most `limit` events received so long ago and not applied, each marked as woken in the same transaction.

    One with an open dead letter waits for a person. Needs a system transaction.
    """
    return wake_ups.take(tx, StuckWebhook, _STUCK, older_than_seconds=older_than_seconds, limit=limit)
