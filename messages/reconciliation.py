"""Messages for reconciliation with Stripe, payouts and retention. All of them concern the whole platform."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from messages.base import Message
from messages.ids import AccountId


class EventSweepDue(Message):
    """Read Stripe's events since the last run, and store those that no webhook delivered."""

    kind: ClassVar[str] = "event_sweep"
    tenant_id: None = None
    due_at: AwareDatetime


class SealDue(Message):
    """Append new journals to the ledger's hash chain."""

    kind: ClassVar[str] = "seal_ledger"
    tenant_id: None = None
    due_at: AwareDatetime


class ReconcileDue(Message):
    """Compare the database with Stripe's balance transactions of the last hours (rolling) or days (daily)."""

    kind: ClassVar[str] = "reconcile"
    tenant_id: None = None
    span: Literal["rolling", "daily"]
    due_at: AwareDatetime


class ShareReconciliationDue(Message):
    """Compare what each recipient should get with its shares, the ledger and the transfers at Stripe."""

    kind: ClassVar[str] = "royalty_reconcile"
    tenant_id: None = None
    span: Literal["rolling", "daily"]
    due_at: AwareDatetime


class RetentionDue(Message):
    """Delete rows past their retention, if the database and Stripe agree."""

    kind: ClassVar[str] = "retention"
    tenant_id: None = None
    due_at: AwareDatetime


class PayoutsDue(Message):
    """Reconcile the payouts of the last weeks, or one payout, and book each tenant's part of them."""

    kind: ClassVar[str] = "payouts"
    tenant_id: None = None
    due_at: AwareDatetime
    payout_id: str | None = None


class ConnectedPayoutsDue(Message):
    """Reconcile payouts and balance of a connected account, or of all accounts that were not checked for long."""

    kind: ClassVar[str] = "connected_payouts"
    tenant_id: None = None
    due_at: AwareDatetime
    account_id: AccountId | None = None
