"""An event about a payout: it belongs to the account and not to a payment, so it only enqueues a look."""

from datetime import UTC, datetime

from db.session import Database
from db.webhooks.inbox import InboxEvent
from messages.reconciliation import PayoutsDue
from outbox.append import append


def look_at_payout(db: Database, event: InboxEvent) -> str:
    """Queue a look at the payout; twice is harmless, because the look is."""
    with db.system_transaction() as tx:
        append(tx, PayoutsDue(due_at=datetime.now(UTC), payout_id=event.object_id))
    return "its payout is looked at"
