"""The evidence against a dispute, assembled from the database: facts in, texts and gaps out.

`pack` is a pure rule. Its texts are Stripe's own fields (docs.stripe.com/disputes/evidence); what ought to be there and
is not known to the fleet is named as a gap, for the person who reads the draft before it is sent: never guessed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from db.disputes import evidence_facts
from db.disputes.disputes import Dispute
from db.disputes.evidence_facts import EvidenceFacts
from db.session import Tx

# The fields of text that Stripe takes; files are uploaded in its dashboard. 20,000 characters each, 150,000 together.
FIELDS = (
    "access_activity_log", "billing_address", "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_email_address", "customer_name", "customer_purchase_ip", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "refund_policy_disclosure", "refund_refusal_explanation",
    "service_date", "shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number",
    "uncategorized_text",
)  # fmt: skip
LONGEST_FIELD = 20_000
LONGEST_TOGETHER = 150_000

_SAID = {
    "requested": "the order was accepted",
    "charging": "the card was presented for payment",
    "requires_action": "the cardholder was asked to authenticate (3-D Secure)",
    "processing": "the bank was working on the payment",
    "authorized": "the amount was authorised",
    "succeeded": "the payment succeeded",
    "failed": "an attempt was declined",
}


@dataclass(frozen=True, slots=True)
class EvidencePack:
    """A draft of the evidence: Stripe's field names with their texts, at most LONGEST_FIELD characters each.

    `gaps` are sentences about what an operator should add; they are shown and never sent.
    """

    evidence: dict[str, str]
    gaps: tuple[str, ...]


def draft(tx: Tx, dispute: Dispute) -> EvidencePack:
    """The pack of a dispute from the database as it is now, read in the caller's transaction; nothing is stored."""
    return pack(evidence_facts.of(tx, dispute))


def pack(facts: EvidenceFacts) -> EvidencePack:
    """The evidence that the facts support; the same facts give the same texts.

    Fields without facts are left out and named as gaps, never filled with a guess.
    """
    evidence = {
        "product_description": _product(facts),
        "access_activity_log": _activity(facts),
        "uncategorized_text": _payment(facts),
    }
    if facts.policy is not None:
        evidence["refund_policy_disclosure"] = facts.policy
    if facts.reason in {"credit_not_processed", "general"} or facts.refunds:
        evidence["refund_refusal_explanation"] = _refunds(facts)
    if facts.reason == "duplicate":
        evidence["duplicate_charge_explanation"] = (
            f"This order has exactly one charge, {facts.charge_id}. Each purchase carries its own order number; "
            f"this one is {facts.order_id}."
        )
    return EvidencePack({name: text[:LONGEST_FIELD] for name, text in evidence.items()}, tuple(_gaps(facts)))


def problem_of(evidence: dict[str, str]) -> str | None:
    """Why Stripe would not take this evidence; None when it would."""
    if strangers := sorted(set(evidence) - set(FIELDS)):
        return f"Stripe has no evidence field {', '.join(strangers)}; it has {', '.join(FIELDS)}"
    if too_long := [name for name, text in evidence.items() if len(text) > LONGEST_FIELD]:
        return f"{', '.join(too_long)}: at most {LONGEST_FIELD} characters"
    if sum(map(len, evidence.values())) > LONGEST_TOGETHER:
        return f"all fields together may have at most {LONGEST_TOGETHER} characters"
    return None if any(text.strip() for text in evidence.values()) else "there is no evidence to submit"


def _product(facts: EvidenceFacts) -> str:
    lines = [f"{len(facts.tickets)} event tickets at {facts.venue}, order {facts.order_id}, event {facts.event_id}:"]
    lines += [f"- seat {ticket.seat}, {ticket.price} (ticket {ticket.ticket_id})" for ticket in facts.tickets]
    return "\n".join(lines)


def _activity(facts: EvidenceFacts) -> str:
    lines = [f"{_moment(facts.ordered_at)} order {facts.order_id} was placed"]
    lines += [f"{_moment(at)} {_SAID.get(state, state)}" for state, at in facts.moves]
    return "\n".join(lines)


def _payment(facts: EvidenceFacts) -> str:
    lines = [f"Charge {facts.charge_id} of {facts.charged}, payment {facts.intent_id}."]
    checks = {
        "3-D Secure": facts.card.get("three_d_secure"),
        "Security code (CVC) check": facts.card.get("cvc_check"),
        "Postal code check": facts.card.get("postal_code_check"),
        "Risk as Stripe rated it": facts.card.get("risk_level"),
    }
    lines += [f"{name}: {result}." for name, result in checks.items() if result]
    if _was_authenticated(facts):
        lines.append("The cardholder was asked to authenticate (3-D Secure) before the payment succeeded.")
    return "\n".join(lines)


def _was_authenticated(facts: EvidenceFacts) -> bool:
    states = [state for state, _ in facts.moves]
    return "requires_action" in states and "succeeded" in states[states.index("requires_action") :]


def _refunds(facts: EvidenceFacts) -> str:
    if not facts.refunds:
        return "No refund of this order was requested before the dispute."
    lines = ["Refunds of this order:"]
    lines += [f"- {_moment(each.at)} {each.amount}, {_words(each.reason)}: {each.state}" for each in facts.refunds]
    return "\n".join(lines)


def _gaps(facts: EvidenceFacts) -> list[str]:
    gaps = [
        "Delivery: minted tokens stand in the payment's timeline; whether tickets were used at the door is not known "
        "here: add the order service's records to access_activity_log.",
        "Buyer: name, e-mail and IP address are not kept here; add them only when the reason asks for them.",
        "Date of the event: the order names the event only by its id; add service_date.",
    ]
    if facts.policy is None:
        gaps.append("Refund policy: none is written for this venue; add refund_policy_disclosure as the buyer saw it.")
    if not facts.card:
        gaps.append("Card checks: Stripe told none for this charge.")
    return gaps


def _words(name: str) -> str:
    return name.replace("_", " ")


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
