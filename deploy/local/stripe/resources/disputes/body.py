"""The shape of a new dispute. Source: docs.stripe.com/api/disputes/object."""

from dataclasses import dataclass

from ...state.store import Record
from ...wire.errors import Json
from ...world import World

_NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "duplicate": "12.6.1"}
_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the buyer's bank says; no amount means all that has not been refunded."""

    reason: str = "fraudulent"
    inquiry: bool = False
    amount_minor: int | None = None


def new(world: World, charge: Record, complaint: Complaint) -> Json:
    """A dispute of everything that is not refunded, unless the complaint names an amount."""
    now, charged = world.clock.now(), charge.body
    body: Json = {
        "id": world.identifiers.new("dp"),
        "object": "dispute",
        "amount": complaint.amount_minor or charged["amount"] - charged["amount_refunded"],
        "balance_transactions": [],
        "charge": charge.id,
        "created": now,
        "currency": charged["currency"],
        "enhanced_eligibility_types": [],
        "evidence": no_evidence(),
        "evidence_details": unanswered(now + world.settings.dispute_response_seconds),
        "is_charge_refundable": complaint.inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charged["payment_intent"],
        "reason": complaint.reason,
        "status": "warning_needs_response" if complaint.inquiry else "needs_response",
    }
    card = charged["payment_method_details"].get("card")
    if card is not None:
        body["payment_method_details"] = {"type": "card", "card": _card(card, complaint)}
    return body


def no_evidence() -> Json:
    """The `evidence` hash with every field null."""
    return dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}}


def unanswered(due_by: int) -> Json:
    """The `evidence_details` hash; `due_by` in seconds since 1970."""
    return {
        "due_by": due_by,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }


def _card(card: Json, complaint: Complaint) -> Json:
    return {
        "brand": card["brand"],
        "case_type": "inquiry" if complaint.inquiry else "chargeback",
        "network": card["network"],
        "network_reason_code": _NETWORK_CODES.get(complaint.reason),
    }
