"""Words of the comparison between the book and the bank. All of them are work of the whole platform."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from messages.base import Message
from messages.ids import AccountId


class EventSweepDue(Message):
    """Read Stripe's own list of events since the last time, and take in what no webhook brought."""

    kind: ClassVar[str] = "event_sweep"
    tenant_id: None = None
    due_at: AwareDatetime


class SealDue(Message):
    """Append the journals that are new to the chain over the ledger."""

    kind: ClassVar[str] = "seal_ledger"
    tenant_id: None = None
    due_at: AwareDatetime


class ReconcileDue(Message):
    """Compare the book with Stripe's balance transactions: of the last hours (rolling) or the last days (daily)."""

    kind: ClassVar[str] = "reconcile"
    tenant_id: None = None
    span: Literal["rolling", "daily"]
    due_at: AwareDatetime


class ShareReconciliationDue(Message):
    """Compare what each party should get by the rule with its shares, the ledger and the transfers at Stripe."""

    kind: ClassVar[str] = "royalty_reconcile"
    tenant_id: None = None
    span: Literal["rolling", "daily"]
    due_at: AwareDatetime


class RetentionDue(Message):
    """Clean away what is old enough, if the book and the bank agree."""

    kind: ClassVar[str] = "retention"
    tenant_id: None = None
    due_at: AwareDatetime


class PayoutsDue(Message):
    """Look at the payouts of the last weeks, or at one: mark what it contained, and book each tenant's part."""

    kind: ClassVar[str] = "payouts"
    tenant_id: None = None
    due_at: AwareDatetime
    payout_id: str | None = None


class ConnectedPayoutsDue(Message):
    """Look at the payouts and the balance of a connected account; without one, at each that nobody saw for long."""

    kind: ClassVar[str] = "connected_payouts"
    tenant_id: None = None
    due_at: AwareDatetime
    account_id: AccountId | None = None
