"""Destination charges: what is asked of an intent, and how the transfer and the application fee stand that it made.

With `transfer_data[destination]` everything that is captured moves to the account in the same step, and
`application_fee_amount` of it comes back; a refund takes both back in proportion when it is asked to.

Source: docs.stripe.com/connect/destination-charges.
"""

from typing import Any

from messages.money import Money
from stripe_client.outcomes import DestinationOutcome, FeeAnswer, FeeRefundAnswer
from stripe_client.requests import Json, balance_transaction
from stripe_client.transfers import answer_of

# Of an intent, and of a refund. A list of intents puts `data.` before it, which is four levels: Stripe's limit.
EXPAND_OF_INTENT = ["latest_charge.transfer.balance_transaction", "latest_charge.application_fee.balance_transaction"]
EXPAND_OF_REFUND = ["transfer_reversal.balance_transaction", "charge.application_fee"]


def asked_of_intent(account_id: str, fee: Money) -> Json:
    """What the body of a creation has beside the rest; Stripe takes no fee of nothing."""
    wish: dict[str, Any] = {"transfer_data": {"destination": account_id}}
    return wish | asked_of_capture(fee)


def asked_of_capture(fee: Money) -> Json:
    return {"application_fee_amount": fee.minor} if fee.minor else {}


def asked_of_refund(*, has_fee: bool) -> Json:
    return {"reverse_transfer": True} | ({"refund_application_fee": True} if has_fee else {})


def of_intent(intent: Json, charge: Json) -> DestinationOutcome | None:
    """None: it is no destination charge. Transfer and fee come with the booking of the charge."""
    data = intent.get("transfer_data")
    if not data:
        return None
    transfer, fee = charge.get("transfer"), charge.get("application_fee")
    return DestinationOutcome(
        account_id=data["destination"],
        transfer=answer_of(transfer) if isinstance(transfer, dict) else None,
        fee=_fee(fee) if isinstance(fee, dict) else None,
    )


def _fee(fee: Json) -> FeeAnswer:
    return FeeAnswer(
        fee_id=fee["id"],
        amount=Money(fee["amount"], fee["currency"]),
        balance=balance_transaction(fee["balance_transaction"]),
    )


def fee_refunds_of(refund: Json) -> tuple[FeeRefundAnswer, ...]:
    """What went back so far of the fee of a refund's charge, the latest ten: Stripe does not say by which refund."""
    charge = refund.get("charge")
    fee = charge.get("application_fee") if isinstance(charge, dict) else None
    shown = fee["refunds"]["data"] if isinstance(fee, dict) else []
    return tuple(
        FeeRefundAnswer(
            fee_refund_id=one["id"],
            amount=Money(one["amount"], one["currency"]),
            balance_transaction_id=_id_of(one["balance_transaction"]),
        )
        for one in shown
        if one["balance_transaction"]
    )


def _id_of(reference: Json | str) -> str:
    return reference if isinstance(reference, str) else str(reference["id"])
