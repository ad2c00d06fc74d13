"""The shape of a charge: what Stripe shows of the attempt, of the intent and of how it came out."""

from dataclasses import dataclass

from ...wire.errors import Json
from ..payment_methods.test_methods import BLOCKED_BY_RADAR, Behaviour, Decline


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What one attempt at a charge has come to."""

    status: str
    captured: bool
    decline: Decline | None = None


def of_attempt(amount: int, result: AttemptResult) -> Json:
    """What the attempt decides; `amount` in minor units."""
    decline = result.decline
    return {
        "amount": amount,
        "amount_captured": amount if result.captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "balance_transaction": None,
        "captured": result.captured,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "paid": result.status == "succeeded",
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "source_transfer": None,
        "status": result.status,
    }


def shown_of_intent(paid: Json) -> Json:
    """What a charge repeats of its intent."""
    return {
        "calculated_statement_descriptor": paid["statement_descriptor"] or "EMULATOR",
        "currency": paid["currency"],
        "customer": paid["customer"],
        "description": paid["description"],
        "metadata": paid["metadata"],
        "payment_intent": paid["id"],
        "receipt_email": paid["receipt_email"],
        "shipping": paid["shipping"],
        "statement_descriptor": paid["statement_descriptor"],
        "statement_descriptor_suffix": paid["statement_descriptor_suffix"],
        "transfer_group": paid["transfer_group"],
    }


def outcome_of(behaviour: Behaviour, test_method: str, decline: Decline | None) -> Json:
    """The `outcome` hash: what the network and Radar said. Source: docs.stripe.com/declines."""
    if decline is None:
        seen = {"network_status": "approved_by_network", "reason": None, "type": "authorized"}
        message = "Payment complete."
    elif test_method in BLOCKED_BY_RADAR:
        seen = {"network_status": "not_sent_to_network", "reason": "highest_risk_level", "type": "blocked"}
        message = "Stripe blocked this payment as too risky."
    else:
        reason = decline.decline_code or decline.code
        seen = {"network_status": "declined_by_network", "reason": reason, "type": "issuer_declined"}
        message = "The bank did not complete this charge."
    return seen | {
        "advice_code": decline.advice_code if decline else None,
        "network_advice_code": None,
        "network_decline_code": "01" if decline and behaviour.kind == "card" else None,
        "risk_level": behaviour.risk_level if behaviour.kind == "card" else "not_assessed",
        "seller_message": message,
    }
