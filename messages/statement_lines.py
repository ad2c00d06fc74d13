"""A line of the bank's statement, as both sides of the comparison speak of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class BankLine:
    """One balance transaction of Stripe (docs.stripe.com/api/balance_transactions/object): one movement of money.

    net = amount - fee, signed as Stripe signs (money out is negative). The currency is the balance's and may be one the
    fleet does not charge in, so the amounts are no `Money`.
    """

    balance_transaction_id: str
    type: str
    reporting_category: str
    source_id: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    created_at: datetime
    available_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectedLine:
    """One balance transaction inside a connected account.

    `made_by` is the platform's object behind it (tr_, trr_, fr_); None for what the account did by itself.
    """

    balance_transaction_id: str
    type: str
    source_id: str | None
    made_by: str | None
    net_minor: int
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BankPayout:
    """Money that left Stripe's balance for the bank account (docs.stripe.com/api/payouts/object).

    Stripe tells what an automatic payout contained, once `contents_ready`; of one made by hand it never does.
    """

    payout_id: str
    amount_minor: int
    currency: str
    automatic: bool
    status: str
    failure_code: str | None
    balance_transaction_id: str | None
    failure_balance_transaction_id: str | None
    contents_ready: bool
    created_at: datetime
    arrives_at: datetime
