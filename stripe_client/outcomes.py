"""Answers are values: how a payment stands at Stripe, in our words.

`Unanswered` is an outcome too: we asked, and do not know (M13). Nobody may guess from it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messages.money import Money


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """What the charge did to the balance: `amount` came in and Stripe kept `fee`, both in the balance's currency.

    That currency is another than the charge's when the account settles in another. Absent until Stripe has booked an
    asynchronous capture.
    """

    balance_transaction_id: str
    amount: Money
    fee: Money


@dataclass(frozen=True, slots=True)
class Charged:
    """The money is captured. `amount` is what was captured, which a partial capture makes less than was asked.

    destination: of a destination charge alone, where the money went.
    """

    intent_id: str
    charge_id: str
    amount: Money
    balance: BalanceTransaction | None
    request_id: str | None = None
    destination: "DestinationOutcome | None" = None


@dataclass(frozen=True, slots=True)
class Authorized:
    """The amount is held and waits for capture, until `capture_before` at the latest (None: Stripe does not say)."""

    intent_id: str
    request_id: str | None = None
    capture_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The bank said no. `public_reason` is fit for a buyer; `decline_code` is not (it may say lost or stolen)."""

    intent_id: str | None
    code: str
    decline_code: str | None
    public_reason: str
    may_try_another_card: bool
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class NeedsAction:
    """The buyer must authenticate."""

    intent_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Processing:
    """The bank takes its time; a webhook will tell."""

    intent_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    intent_id: str
    reason: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe did not execute the request because of what was asked for; nothing happened and nothing will."""

    code: str
    sentence: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It may have happened or not. `key_is_spent`: the key only replays this failure, so ask before sending again."""

    reason: str
    key_is_spent: bool


@dataclass(frozen=True, slots=True)
class Absent:
    """Stripe was asked in full and has no such object; `proof` says what was asked."""

    proof: str


Settled = Charged | Authorized | Declined | NeedsAction | Processing | Canceled
PaymentOutcome = Settled | Refused | Unanswered


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """A refund as it stands at Stripe. `amount` is in the charge's currency.

    status        pending, requires_action, succeeded, failed or canceled; an unknown one gives up before it gets here
    refund_id     ours, from the metadata; None when it was made without us
    balance       what it took out of our balance (negative); None until Stripe has booked it
    returned      what a failure put back (positive); None unless it failed after it was booked
    reversal      of a destination charge: what it took back of the transfer, by itself
    fee_refunds   what went back so far of the charge's application fee, by this refund and by others
    """

    stripe_refund_id: str
    status: str
    amount: Money
    payment_intent_id: str | None
    refund_id: UUID | None
    tenant_id: UUID | None
    failure_reason: str | None
    balance: BalanceTransaction | None
    returned: BalanceTransaction | None
    request_id: str | None = None
    reversal: "ReversalAnswer | None" = None
    fee_refunds: "tuple[FeeRefundAnswer, ...]" = ()


RefundOutcome = RefundAnswer | Refused | Unanswered


@dataclass(frozen=True, slots=True)
class Sent:
    """Stripe has done what was asked; what it led to is read afterwards."""

    request_id: str | None


@dataclass(frozen=True, slots=True)
class DisputeMovement:
    """One balance transaction of a dispute; `category` is dispute (taken) or dispute_reversal (given back)."""

    category: str
    balance: BalanceTransaction


@dataclass(frozen=True, slots=True)
class DisputeAnswer:
    """A dispute as it stands at Stripe. `amount` is in the charge's currency.

    status        Stripe's own word; an unknown one gives up before it gets here
    movements     what it did to our balance so far, oldest first; none of an inquiry
    card_facts    what was checked of the card when it was charged; empty when Stripe does not say
    """

    dispute_id: str
    status: str
    amount: Money
    reason: str
    charge_id: str
    evidence_due_at: datetime | None
    opened_at: datetime
    movements: tuple[DisputeMovement, ...]
    card_facts: dict[str, Any]
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class WarningAnswer:
    """An early fraud warning; it can be acted on until the charge is disputed or wholly refunded."""

    warning_id: str
    charge_id: str
    fraud_type: str
    actionable: bool
    warned_at: datetime


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """A transfer as it stands at Stripe. `transfer_id` and `tenant_id` are ours, None when it was made without us.

    balance   what it took out of our balance (negative)
    reversed  how much of it came back so far
    """

    stripe_transfer_id: str
    amount: Money
    reversed: Money
    account_id: str
    charge_id: str | None
    transfer_id: UUID | None
    tenant_id: UUID | None
    balance: BalanceTransaction | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReversalAnswer:
    """One reversal of a transfer. `balance` is what it brought back to us (positive)."""

    stripe_reversal_id: str
    stripe_transfer_id: str
    amount: Money
    reversal_id: UUID | None
    balance: BalanceTransaction | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class FeeAnswer:
    """An application fee: what came back to us of a destination charge. `balance` is positive."""

    fee_id: str
    amount: Money
    balance: BalanceTransaction | None


@dataclass(frozen=True, slots=True)
class FeeRefundAnswer:
    """What of an application fee went back to the account."""

    fee_refund_id: str
    amount: Money
    balance_transaction_id: str


@dataclass(frozen=True, slots=True)
class DestinationOutcome:
    """Where the money of a destination charge went. Transfer and fee are None until Stripe has booked the charge.

    Without an application fee `fee` stays None.
    """

    account_id: str
    transfer: TransferAnswer | None
    fee: FeeAnswer | None
