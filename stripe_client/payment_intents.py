"""PaymentIntents: create and confirm, read, and look one up by our own id. In: our types; out: an outcome.

Source of the lifecycle: docs.stripe.com/payments/paymentintents/lifecycle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.verdicts import GiveUp, TryAgain, Verdict
from stripe_client import destination_charges as destinations
from stripe_client import errors
from stripe_client.gateway import Gateway
from stripe_client.outcomes import (
    Absent,
    Authorized,
    Canceled,
    Charged,
    Declined,
    NeedsAction,
    PaymentOutcome,
    Processing,
    Refused,
    Settled,
    Unanswered,
)
from stripe_client.requests import Json, balance_transaction, body_of, id_in_metadata, pages, read, since, write

CREATE = "payment_intent.create"
CANCEL = "payment_intent.cancel"
CAPTURE = "payment_intent.capture"
FAMILY = "payment_intents"
_PATH = "/v1/payment_intents"
# The fee is known from the same answer, because we capture with capture_method=automatic and not automatic_async.
_EXPAND = ["latest_charge.balance_transaction", *destinations.EXPAND_OF_INTENT]
# Ours -> what Stripe takes as cancellation_reason; the rest is said as the buyer's wish.
_CANCELLATION_REASONS = {"duplicate", "fraudulent", "abandoned"}


def creation(
    *,
    tenant_id: TenantId,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: Money,
    payment_method_id: str,
    customer_id: str | None,
    capture: str,
    destination: Json | None = None,
    traced: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The body of create-and-confirm. Built once, kept in the call's row and resent as it is.

    `destination` is what a destination charge asks for beside the rest (stripe_client/destination_charges.py).

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
    body["metadata"] |= traced or {}
    if customer_id is not None:
        body["customer"] = customer_id
    return body | (destination or {})


def create(gateway: Gateway, body: Json, *, idempotency_key: str, send_before: float) -> PaymentOutcome:
    """Create and confirm. `send_before` (time.monotonic) is when the key may have been forgotten: never sent after it.

    Raises:
        Verdict: TryAgain, TryLater or GiveUp, by the table in stripe_client/errors.py.
    """
    return _write(gateway, _PATH, body, idempotency_key, send_before)


def cancellation(reason: str) -> Json:
    """The body of a cancel."""
    known = reason if reason in _CANCELLATION_REASONS else "requested_by_customer"
    return {"cancellation_reason": known, "expand": _EXPAND}


def cancel(gateway: Gateway, intent_id: str, body: Json, *, idempotency_key: str, send_before: float) -> PaymentOutcome:
    """Cancel an intent that was not captured; the answer is Canceled; an intent in another state is Unanswered.

    Raises:
        Verdict: as `create`.
    """
    return _write(gateway, _of(intent_id, "/cancel"), body, idempotency_key, send_before)


def capturing(amount: Money, application_fee: Money | None = None) -> Json:
    """The body of a capture; what is not captured of the authorised amount is released.

    `application_fee` is the part of the platform in what is captured of a destination charge.
    """
    shared = destinations.asked_of_capture(application_fee) if application_fee else {}
    return {"amount_to_capture": amount.minor, "expand": _EXPAND} | shared


def capture(
    gateway: Gateway, intent_id: str, body: Json, *, idempotency_key: str, send_before: float
) -> PaymentOutcome:
    """Take what is held; the answer is Charged; an intent in another state is Unanswered.

    Raises:
        Verdict: as `create`.
    """
    return _write(gateway, _of(intent_id, "/capture"), body, idempotency_key, send_before)


def _write(gateway: Gateway, path: str, body: Json, idempotency_key: str, send_before: float) -> PaymentOutcome:
    answer = write(gateway, FAMILY, path, body, idempotency_key=idempotency_key, send_before=send_before)
    if isinstance(answer, Declined | Refused | Unanswered):
        return answer
    return outcome_of(body_of(answer), answer.request_id)


def _of(intent_id: str, verb: str = "") -> str:
    return f"{_PATH}/{quote(intent_id, safe='')}{verb}"


def retrieve(gateway: Gateway, intent_id: str) -> Settled:
    """How an intent stands now.

    Raises:
        Verdict: Stripe did not answer, or there is no such intent in this account and mode.
    """
    answer = read(gateway, FAMILY, _of(intent_id), {"expand": _EXPAND})
    return outcome_of(body_of(answer), answer.request_id)


def find(gateway: Gateway, payment_id: PaymentId, *, customer_id: str | None, since_epoch: float) -> Settled | Absent:
    """The intent we made for a payment, by our id in its metadata; Absent when Stripe lists none since then.

    Lists, never searches: search lags behind by up to an hour, so it can prove nothing (docs.stripe.com/search).

    Raises:
        Verdict: Stripe did not answer.
    """
    params: Json = since(since_epoch)
    if customer_id is not None:
        params["customer"] = customer_id
    seen = 0
    for page in pages(gateway, FAMILY, _PATH, params):
        for intent in page:
            if id_in_metadata(intent, "payment_id") == payment_id:
                return retrieve(gateway, intent["id"])
        seen += len(page)
    return Absent(f"none of {seen} intents since {int(since_epoch)} carries payment_id {payment_id}")


@dataclass(frozen=True, slots=True)
class ListedIntent:
    """An intent of ours as the list shows it; `outcome` is None while Stripe is still at work on it."""

    intent_id: str
    payment_id: PaymentId
    tenant_id: TenantId
    outcome: Settled | None


def listed(gateway: Gateway, *, since_epoch: float) -> Iterator[ListedIntent]:
    """Every intent this fleet created since then, newest first, page by page; those of others are passed over.

    Raises:
        Verdict: Stripe did not answer.
    """
    params = since(since_epoch) | {"expand": [f"data.{path}" for path in _EXPAND]}
    for page in pages(gateway, FAMILY, _PATH, params):
        for intent in page:
            payment_id, tenant_id = id_in_metadata(intent, "payment_id"), id_in_metadata(intent, "tenant_id")
            if payment_id and tenant_id:
                yield ListedIntent(intent["id"], PaymentId(payment_id), TenantId(tenant_id), _outcome_or_none(intent))


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
            return Authorized(intent_id, request_id, _capture_before(intent))
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
    return Charged(
        intent_id=intent["id"],
        charge_id=charge["id"],
        amount=Money(intent["amount_received"], intent["currency"]),
        balance=balance_transaction(charge["balance_transaction"]),
        request_id=request_id,
        destination=destinations.of_intent(intent, charge),
    )


def _capture_before(intent: Json) -> datetime | None:
    """The deadline of an authorisation, as the card network set it; None when Stripe does not say."""
    charge = intent["latest_charge"]
    card = ((charge.get("payment_method_details") or {}).get("card") or {}) if isinstance(charge, dict) else {}
    epoch = card.get("capture_before")
    return datetime.fromtimestamp(epoch, UTC) if epoch else None


def _declined(intent: Json) -> Declined:
    failure = intent["last_payment_error"] or {}
    return errors.declined(failure.get("code"), failure.get("decline_code"), intent["id"])
