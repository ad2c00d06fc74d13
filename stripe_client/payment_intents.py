"""PaymentIntents: create and confirm, read, and look one up by our own id. In: our types; out: an outcome.

Source of the lifecycle: docs.stripe.com/payments/paymentintents/lifecycle.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import stripe

from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.verdicts import GiveUp, TryAgain, TryLater, Verdict
from stripe_client import errors
from stripe_client.gateway import BreakerOpenError, Gateway
from stripe_client.outcomes import (
    Absent,
    Authorized,
    BalanceTransaction,
    Canceled,
    Charged,
    Declined,
    NeedsAction,
    PaymentOutcome,
    Processing,
    Settled,
    Unanswered,
)

Json = dict[str, Any]

CREATE = "payment_intent.create"
FAMILY = "payment_intents"
_PATH = "/v1/payment_intents"
# The fee is known from the same answer, because we capture with capture_method=automatic and not automatic_async.
_EXPAND = ["latest_charge.balance_transaction"]
# Our clock and Stripe's may differ; a look-up begins this much before we first sent.
_CLOCK_MARGIN_SECONDS = 300
_PAGE = 100


def creation(
    *,
    tenant_id: TenantId,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: Money,
    payment_method_id: str,
    customer_id: str | None,
    capture: str,
    trace_id: str | None = None,
) -> dict[str, Any]:
    """The body of create-and-confirm. Built once, kept in the call's row and resent as it is.

    Our ids go into the metadata, so that the object can be matched even when its answer never reached us, and the
    trace, so that a webhook goes on with the order's own.
    """
    body: dict[str, Any] = {
        "amount": amount.minor,
        "currency": amount.currency,
        "payment_method": payment_method_id,
        "confirm": True,
        "capture_method": capture,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "transfer_group": str(order_id),
        "metadata": {"tenant_id": str(tenant_id), "order_id": str(order_id), "payment_id": str(payment_id)},
        "expand": _EXPAND,
    }
    if trace_id is not None:
        body["metadata"]["trace_id"] = trace_id
    if customer_id is not None:
        body["customer"] = customer_id
    return body


def create(gateway: Gateway, body: dict[str, Any], *, idempotency_key: str, send_before: float) -> PaymentOutcome:
    """Create and confirm. `send_before` (time.monotonic) is when the key may have been forgotten: never sent after it.

    Raises:
        Verdict: TryAgain, TryLater or GiveUp, by the table in stripe_client/errors.py.
    """

    def send() -> stripe.StripeResponse:
        if time.monotonic() >= send_before:  # a process that was frozen since it claimed the call ends here
            raise TryAgain("this process stood still for longer than the key lives; nothing was sent")
        return gateway.send("post", _PATH, body, idempotency_key=idempotency_key)

    try:
        answer = gateway.call(FAMILY, send)
    except (stripe.StripeError, BreakerOpenError) as error:
        return _answer(errors.sort(error))
    return outcome_of(_object(answer), answer.request_id)


def retrieve(gateway: Gateway, intent_id: str) -> Settled:
    """How an intent stands now.

    Raises:
        Verdict: Stripe did not answer, or there is no such intent in this account and mode.
    """
    answer = _read(gateway, f"{_PATH}/{quote(intent_id, safe='')}", {"expand": _EXPAND})
    return outcome_of(_object(answer), answer.request_id)


def find(gateway: Gateway, payment_id: PaymentId, *, customer_id: str | None, since_epoch: float) -> Settled | Absent:
    """The intent we made for a payment, by our id in its metadata; Absent when Stripe lists none since then.

    Lists, never searches: search lags behind by up to an hour, so it can prove nothing (docs.stripe.com/search).

    Raises:
        Verdict: Stripe did not answer.
    """
    since = int(since_epoch) - _CLOCK_MARGIN_SECONDS
    params: dict[str, Any] = {"created": {"gte": since}, "limit": _PAGE}
    if customer_id is not None:
        params["customer"] = customer_id
    seen = 0
    while True:
        page = _object(_read(gateway, _PATH, params))
        for intent in page["data"]:
            if _id_in(intent, "payment_id") == payment_id:
                return retrieve(gateway, intent["id"])
        seen += len(page["data"])
        if not page["has_more"]:
            return Absent(f"none of {seen} intents since {since} carries payment_id {payment_id}")
        params["starting_after"] = page["data"][-1]["id"]


@dataclass(frozen=True, slots=True)
class Listed:
    """An intent of ours as the list shows it; `outcome` is None while Stripe is still at work on it."""

    intent_id: str
    payment_id: PaymentId
    tenant_id: TenantId
    outcome: Settled | None


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[Listed]:
    """Every intent this fleet created since then, newest first, page by page; those of others are passed over.

    Raises:
        Verdict: Stripe did not answer.
    """
    params: dict[str, Any] = {
        "created": {"gte": int(since_epoch) - _CLOCK_MARGIN_SECONDS},
        "limit": _PAGE,
        "expand": [f"data.{path}" for path in _EXPAND],
    }
    while True:
        page = _object(_read(gateway, _PATH, params))
        for intent in page["data"]:
            payment_id, tenant_id = _id_in(intent, "payment_id"), _id_in(intent, "tenant_id")
            if payment_id and tenant_id:
                yield Listed(intent["id"], PaymentId(payment_id), TenantId(tenant_id), _outcome_or_none(intent))
        if not page["has_more"]:
            return
        params["starting_after"] = page["data"][-1]["id"]


def _outcome_or_none(intent: Json) -> Settled | None:
    try:
        return outcome_of(intent)
    except Verdict:
        return None


def outcome_of(intent: Json, request_id: str | None = None) -> Settled:
    """An intent in our words.

    Raises:
        TryAgain: Stripe is between two steps: created and not yet confirmed.
        GiveUp: a status in which our intents cannot be, or one Stripe has added since.
    """
    intent_id = intent["id"]
    match intent["status"]:
        case "succeeded":
            return _charged(intent, request_id)
        case "requires_capture":
            return Authorized(intent_id, request_id)
        case "requires_action":
            return NeedsAction(intent_id, request_id)
        case "processing":
            return Processing(intent_id, request_id)
        case "canceled":
            return Canceled(intent_id, intent["cancellation_reason"] or "canceled", request_id)
        case "requires_payment_method" if intent["last_payment_error"] is not None:
            return _declined(intent)
        case "requires_payment_method" | "requires_confirmation":
            raise TryAgain(f"intent {intent_id} is made but not confirmed yet")
        case other:
            raise GiveUp(f"intent {intent_id} is {other}, in which no intent of ours can be; look at it at Stripe")


def _charged(intent: Json, request_id: str | None) -> Charged:
    charge = intent["latest_charge"]
    if not isinstance(charge, dict):
        raise GiveUp(f"intent {intent['id']} succeeded without a charge we can read; look at it at Stripe")
    booked = charge["balance_transaction"]
    return Charged(
        intent_id=intent["id"],
        charge_id=charge["id"],
        amount=Money(intent["amount_received"], intent["currency"]),
        balance=_balance(booked) if isinstance(booked, dict) else None,
        request_id=request_id,
    )


def _balance(booked: Json) -> BalanceTransaction:
    currency = booked["currency"]
    return BalanceTransaction(booked["id"], Money(booked["amount"], currency), Money(booked["fee"], currency))


def _declined(intent: Json) -> Declined:
    failure = intent["last_payment_error"] or {}
    return errors.declined(failure.get("code"), failure.get("decline_code"), intent["id"])


def _id_in(intent: Json, key: str) -> UUID | None:
    found = (intent["metadata"] or {}).get(key)
    try:
        return UUID(found) if found else None
    except ValueError:  # made by someone else
        return None


def _answer(meaning: errors.Sorted) -> PaymentOutcome:
    if isinstance(meaning, Verdict):
        raise meaning
    return meaning


def _object(answer: stripe.StripeResponse) -> Json:
    return cast("Json", answer.data)


def _read(gateway: Gateway, path: str, params: Json) -> stripe.StripeResponse:
    """A GET; it changes nothing, so every trouble is a verdict."""
    try:
        return gateway.call(FAMILY, lambda: gateway.send("get", path, params))
    except (stripe.StripeError, BreakerOpenError) as error:
        meaning = errors.sort(error)
    if isinstance(meaning, GiveUp | TryLater | TryAgain):
        raise meaning
    if isinstance(meaning, Unanswered):
        raise TryAgain(meaning.reason)
    raise GiveUp(f"reading an intent was answered with {meaning}")
