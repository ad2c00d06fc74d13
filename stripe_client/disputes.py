"""Disputes: read, answer with evidence, accept. In: our types; out: an outcome.

Source: docs.stripe.com/api/disputes, docs.stripe.com/disputes/how-disputes-work. Evidence is submitted once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from messages.ids import DisputeId, PaymentId, TenantId
from messages.money import Money
from messages.verdicts import GiveUp
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Declined, DisputeAnswer, DisputeMovement, Refused, Sent, Unanswered
from stripe_client.requests import Json, balance_transaction, body_of, pages, read, since, write

SUBMIT = "dispute.submit"
CLOSE = "dispute.close"
_FAMILY = "disputes"
_PATH = "/v1/disputes"
_EXPAND = ["charge"]
_STATUSES = frozenset(
    (
        "warning_needs_response", "warning_under_review", "warning_closed", "needs_response", "under_review", "won",
        "lost", "appeal_needs_response", "appeal_under_review", "prevented",
    )
)  # fmt: skip
_CATEGORIES = frozenset({"dispute", "dispute_reversal"})


def retrieve(gateway: Gateway, dispute_id: DisputeId) -> DisputeAnswer:
    """How a dispute stands now.

    Raises:
        Verdict: Stripe did not answer, there is no such dispute in this account and mode, or we cannot read it.
    """
    answer = read(gateway, _FAMILY, _of(dispute_id), {"expand": _EXPAND})
    return answer_of(body_of(answer), answer.request_id)


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[DisputeAnswer]:
    """Every dispute opened since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer.
    """
    expanded = {"expand": [f"data.{path}" for path in _EXPAND]}
    for page in pages(gateway, _FAMILY, _PATH, since(since_epoch) | expanded):
        yield from map(answer_of, page)


def submission(evidence: dict[str, str], *, tenant_id: TenantId, payment_id: PaymentId) -> Json:
    """The body that submits evidence, for good. Built once, kept in the call's row and resent as it is."""
    metadata = {"tenant_id": str(tenant_id), "payment_id": str(payment_id)}
    return {"evidence": evidence, "submit": True, "metadata": metadata}


def submit(
    gateway: Gateway, dispute_id: DisputeId, body: Json, *, idempotency_key: str, send_before: float
) -> Sent | Refused | Unanswered:
    """Submit the evidence. What it led to is read afterwards (`retrieve`).

    Raises:
        Verdict: TryAgain or TryLater, by the table in stripe_client/errors.py; a refusal is an answer.
    """
    return _write(gateway, _of(dispute_id), body, idempotency_key, send_before)


def close(
    gateway: Gateway, dispute_id: DisputeId, body: Json, *, idempotency_key: str, send_before: float
) -> Sent | Refused | Unanswered:
    """Accept the dispute as lost (an inquiry is closed); the body is empty.

    Raises:
        Verdict: as `submit`.
    """
    return _write(gateway, _of(dispute_id, "/close"), body, idempotency_key, send_before)


def _write(gateway: Gateway, path: str, body: Json, key: str, send_before: float) -> Sent | Refused | Unanswered:
    try:
        answer = write(gateway, _FAMILY, path, body, idempotency_key=key, send_before=send_before)
    except GiveUp as refusal:  # Stripe has no codes for what a dispute will not take; the operator reads its sentence
        return Refused("refused", refusal.reason)
    if isinstance(answer, Declined):
        raise GiveUp(f"Stripe answered a dispute as if it were a card payment: {answer.code}")
    return answer if isinstance(answer, Refused | Unanswered) else Sent(answer.request_id)


def _of(dispute_id: DisputeId, verb: str = "") -> str:
    return f"{_PATH}/{quote(dispute_id, safe='')}{verb}"


def answer_of(dispute: Json, request_id: str | None = None) -> DisputeAnswer:
    """A dispute in our words; its charge must be expanded.

    Raises:
        GiveUp: a status or a kind of movement that Stripe has added since.
    """
    if dispute["status"] not in _STATUSES:
        raise GiveUp(f"dispute {dispute['id']} is {dispute['status']}, which we cannot read; look at it at Stripe")
    charge, due_by = dispute["charge"], (dispute.get("evidence_details") or {}).get("due_by")
    return DisputeAnswer(
        dispute_id=dispute["id"],
        status=dispute["status"],
        amount=Money(dispute["amount"], dispute["currency"]),
        reason=dispute["reason"],
        charge_id=charge["id"],
        evidence_due_at=datetime.fromtimestamp(due_by, UTC) if due_by else None,
        opened_at=datetime.fromtimestamp(dispute["created"], UTC),
        movements=tuple(_movement(dispute, booked) for booked in dispute["balance_transactions"]),
        card_facts=_card_facts(charge),
        request_id=request_id,
    )


def _movement(dispute: Json, booked: Json) -> DisputeMovement:
    category, balance = booked["reporting_category"], balance_transaction(booked)
    if category not in _CATEGORIES or balance is None:
        raise GiveUp(f"{booked['id']} of dispute {dispute['id']} is a {category}, which we cannot book; look at Stripe")
    return DisputeMovement(category, balance)


def _card_facts(charge: Json) -> dict[str, Any]:
    """What the bank and Stripe checked of the card when it was charged: evidence, and nothing that names a person."""
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    checks, secure = card.get("checks") or {}, card.get("three_d_secure") or {}
    facts = {
        "brand": card.get("brand"),
        "country": card.get("country"),
        "cvc_check": checks.get("cvc_check"),
        "postal_code_check": checks.get("address_postal_code_check"),
        "three_d_secure": secure.get("result"),
        "three_d_secure_version": secure.get("version"),
        "risk_level": (charge.get("outcome") or {}).get("risk_level"),
    }
    return {name: value for name, value in facts.items() if value is not None}
