"""Events of connected accounts (they name an `account`). They never are about one of the platform's payments: whoever
owns a connected account writes what metadata it likes, and could name a payment of ours there.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from db.session import Database
from db.webhooks.inbox import InboxEvent
from messages.reconciliation import ConnectedPayoutsDue
from messages.shares import AccountLookupRequested
from outbox.append import append


def apply_account_event(db: Database, event: InboxEvent) -> str:
    """Apply an event of a connected account; returns the event's note."""
    for beginning, apply in _FAMILIES.items():
        if event.event_type.startswith(beginning):
            return apply(db, event)
    return "of a connected account, and nothing to us"


def _look_up(db: Database, event: InboxEvent) -> str:
    """Queue a look at the account; twice is harmless, because the look is."""
    assert event.account is not None, "only events that name an account come here"
    with db.system_transaction() as tx:
        append(tx, AccountLookupRequested(account_id=event.account))
    return "its account is looked up"


def _look_at_payouts(db: Database, event: InboxEvent) -> str:
    assert event.account is not None, "only events that name an account come here"
    with db.system_transaction() as tx:
        append(tx, ConnectedPayoutsDue(due_at=datetime.now(UTC), account_id=event.account))
    return "the payouts of its account are looked at"


_FAMILIES: dict[str, Callable[[Database, InboxEvent], str]] = {
    "account.": _look_up,
    "capability.": _look_up,
    "payout.": _look_at_payouts,
}
