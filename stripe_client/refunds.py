"""Refunds: create, read, and look one up by our own id. In: our types; out: an outcome.

Source: docs.stripe.com/refunds, docs.stripe.com/api/refunds.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from messages.ids import PaymentId, RefundId, TenantId
from messages.money import Money
from messages.verdicts import GiveUp
from stripe_client import destination_charges as destinations
from stripe_client.gateway import Gateway
from stripe_client.outcomes import Absent, Declined, RefundAnswer, RefundOutcome, Refused, Unanswered
from stripe_client.requests import Json, balance_transaction, body_of, id_in_metadata, pages, read, since, write
from stripe_client.transfers import reversal_of

CREATE = "refund.create"
FAMILY = "refunds"
_PATH = "/v1/refunds"
_EXPAND = ["balance_transaction", "failure_balance_transaction", *destinations.EXPAND_OF_REFUND]
# Stripe takes three reasons. `fraudulent` also puts card and address on its block lists, so only a plain fraud says it.
_REASONS = {"duplicate": "duplicate", "fraudulent": "fraudulent", "early_fraud_warning": "fraudulent"}
_STATUSES = frozenset({"pending", "requires_action", "succeeded", "failed", "canceled"})


def creation(
    *,
    tenant_id: TenantId,
    payment_id: PaymentId,
    refund_id: RefundId,
    payment_intent_id: str,
    amount: Money,
    reason: str,
    destination: Json | None = None,
    traced: Mapping[str, str] | None = None,
) -> Json:
    """The body of a refund. Built once, kept in the call's row and resent as it is; our own reason is metadata.

    `destination` is what a destination charge's refund takes back with it (stripe_client/destination_charges.py).
    """
    metadata = {"tenant_id": str(tenant_id), "payment_id": str(payment_id), "refund_id": str(refund_id)}
    return {
        "payment_intent": payment_intent_id,
        "amount": amount.minor,
        "reason": _REASONS.get(reason, "requested_by_customer"),
        "metadata": {**metadata, **(traced or {}), "reason": reason},
        "expand": _EXPAND,
    } | (destination or {})


def create(gateway: Gateway, body: Json, *, idempotency_key: str, send_before: float) -> RefundOutcome:
    """Give money back. `send_before` (time.monotonic) is when the key may have been forgotten: never sent after it.

    Raises:
        Verdict: TryAgain, TryLater or GiveUp, by the table in stripe_client/errors.py.
    """
    answer = write(gateway, FAMILY, _PATH, body, idempotency_key=idempotency_key, send_before=send_before)
    if isinstance(answer, Refused | Unanswered):
        return answer
    if isinstance(answer, Declined):
        raise GiveUp(f"Stripe answered a refund as if it were a card payment: {answer.code}")
    return answer_of(body_of(answer), answer.request_id)


def retrieve(gateway: Gateway, stripe_refund_id: str) -> RefundAnswer:
    """How a refund stands now.

    Raises:
        Verdict: Stripe did not answer, or there is no such refund in this account and mode.
    """
    answer = read(gateway, FAMILY, f"{_PATH}/{quote(stripe_refund_id, safe='')}", {"expand": _EXPAND})
    return answer_of(body_of(answer), answer.request_id)


def find(gateway: Gateway, refund_id: RefundId, *, payment_intent_id: str) -> RefundAnswer | Absent:
    """The refund we made, by our id in its metadata, among all of its intent; Absent when it is not there.

    Raises:
        Verdict: Stripe did not answer.
    """
    seen = 0
    for page in pages(gateway, FAMILY, _PATH, {"payment_intent": payment_intent_id, **_expanded()}):
        for refund in page:
            if id_in_metadata(refund, "refund_id") == refund_id:
                return answer_of(refund)
        seen += len(page)
    return Absent(f"none of the {seen} refunds of {payment_intent_id} carries refund_id {refund_id}")


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[RefundAnswer]:
    """Every refund since then, newest first, page by page.

    Raises:
        Verdict: Stripe did not answer.
    """
    for page in pages(gateway, FAMILY, _PATH, since(since_epoch) | _expanded()):
        yield from map(answer_of, page)


def answer_of(refund: Json, request_id: str | None = None) -> RefundAnswer:
    """A refund in our words.

    Raises:
        GiveUp: a status that Stripe has added since.
    """
    if refund["status"] not in _STATUSES:
        raise GiveUp(f"refund {refund['id']} is {refund['status']}, which we cannot read; look at it at Stripe")
    reversal = refund.get("transfer_reversal")
    return RefundAnswer(
        stripe_refund_id=refund["id"],
        status=refund["status"],
        amount=Money(refund["amount"], refund["currency"]),
        payment_intent_id=refund["payment_intent"],
        refund_id=id_in_metadata(refund, "refund_id"),
        tenant_id=id_in_metadata(refund, "tenant_id"),
        failure_reason=refund.get("failure_reason"),
        balance=balance_transaction(refund["balance_transaction"]),
        returned=balance_transaction(refund.get("failure_balance_transaction")),
        request_id=request_id,
        reversal=reversal_of(reversal) if isinstance(reversal, dict) else None,
        fee_refunds=destinations.fee_refunds_of(refund),
    )


def _expanded() -> Json:
    return {"expand": [f"data.{path}" for path in _EXPAND]}
