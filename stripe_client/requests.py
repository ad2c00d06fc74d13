"""One exchange with Stripe: write under a key, read, or page through a list; troubles become outcomes or verdicts.

Objects stay plain JSON here; each family's own module puts them into our words.
"""

import time
from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import stripe

from messages.money import Money
from messages.verdicts import GiveUp, TryAgain, Verdict
from stripe_client import errors
from stripe_client.gateway import BreakerOpenError, Gateway, error_code
from stripe_client.outcomes import BalanceTransaction, Declined, Refused, Unanswered

Json = dict[str, Any]

# Our clock and Stripe's may differ; a look-up begins this much before we first sent.
CLOCK_MARGIN_SECONDS = 300
PAGE = 100  # the most that Stripe gives at once (docs.stripe.com/api/pagination)


def write(
    gateway: Gateway, family: str, path: str, body: Json, *, idempotency_key: str, send_before: float
) -> stripe.StripeResponse | Declined | Refused | Unanswered:
    """Send a POST. `send_before` (time.monotonic) is when the key may have been forgotten: never sent after it.

    Raises:
        Verdict: TryAgain, TryLater or GiveUp, by the table in stripe_client/errors.py.
    """

    def send() -> stripe.StripeResponse:
        if time.monotonic() >= send_before:  # a process that was frozen since it claimed the call ends here
            raise TryAgain("this process stood still for longer than the key lives; nothing was sent")
        return gateway.send("post", path, body, idempotency_key=idempotency_key)

    try:
        return gateway.call(family, send)
    except (stripe.StripeError, BreakerOpenError) as error:
        meaning = errors.sort(error)
    if isinstance(meaning, Verdict):
        raise meaning
    return meaning


def read(
    gateway: Gateway, family: str, path: str, params: Json, *, account_id: str | None = None
) -> stripe.StripeResponse:
    """A GET, in a connected account when one is named; it changes nothing, so every trouble is a verdict."""
    try:
        return gateway.call(family, lambda: gateway.send("get", path, params, account_id=account_id))
    except (stripe.StripeError, BreakerOpenError) as error:
        raise verdict_of(error, path) from None


def read_or_none(gateway: Gateway, family: str, path: str, params: Json | None = None) -> Json | None:
    """One object; None when Stripe has no such one in this account and mode. Raises as `read`."""

    def ask() -> Json | None:
        try:
            return body_of(gateway.send("get", path, params or {}))
        except stripe.InvalidRequestError as error:
            if error_code(error) != "resource_missing":
                raise
            return None

    try:
        return gateway.call(family, ask)
    except (stripe.StripeError, BreakerOpenError) as error:
        raise verdict_of(error, path) from None


def pages(
    gateway: Gateway,
    family: str,
    path: str,
    params: Json,
    *,
    starting_after: str | None = None,
    account_id: str | None = None,
) -> Iterator[list[Json]]:
    """Every page of a list, newest first, each fetched when it is asked for; `starting_after` goes on behind an object.

    Of a connected account when one is named.

    Raises:
        Verdict: Stripe did not answer.
    """
    cursor = starting_after
    while True:
        here = {"limit": PAGE} | params | ({"starting_after": cursor} if cursor else {})
        page = body_of(read(gateway, family, path, here, account_id=account_id))
        if page["data"]:
            yield page["data"]
        if not page["has_more"]:
            return
        cursor = page["data"][-1]["id"]


def verdict_of(error: stripe.StripeError | BreakerOpenError, path: str) -> Verdict:
    meaning = errors.sort(error)
    if isinstance(meaning, Verdict):
        return meaning
    if isinstance(meaning, Unanswered):
        return TryAgain(meaning.reason)
    return GiveUp(f"reading {path} was answered with {meaning}")


def since(epoch: float) -> Json:
    """The list filter for what was created since then, by Stripe's clock."""
    return {"created": {"gte": int(epoch) - CLOCK_MARGIN_SECONDS}}


def body_of(answer: stripe.StripeResponse) -> Json:
    return cast("Json", answer.data)


def id_in_metadata(subject: Json, key: str) -> UUID | None:
    """One of our ids, as we put it into the object's metadata; None when somebody else made the object."""
    found = (subject.get("metadata") or {}).get(key)
    try:
        return UUID(found) if found else None
    except ValueError:
        return None


def balance_transaction(booked: Json | str | None) -> BalanceTransaction | None:
    """An expanded balance transaction; None while Stripe has not booked it."""
    if not isinstance(booked, dict):
        return None
    currency = booked["currency"]
    return BalanceTransaction(booked["id"], Money(booked["amount"], currency), Money(booked["fee"], currency))
