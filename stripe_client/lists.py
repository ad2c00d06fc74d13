"""Reading from Stripe: one object, or a list page by page. A read changes nothing, so every trouble is a verdict."""

from collections.abc import Iterator
from typing import Any, cast

import stripe

from messages.verdicts import GiveUp, TryAgain, Verdict
from stripe_client import errors
from stripe_client.gateway import BreakerOpenError, Gateway, error_code
from stripe_client.outcomes import Unanswered

Json = dict[str, Any]

PAGE = 100  # the most that Stripe gives at once (docs.stripe.com/api/pagination)


def read(gateway: Gateway, family: str, path: str, params: Json) -> Json:
    """One GET.

    Raises:
        Verdict: Stripe did not answer, or refused.
    """
    try:
        return cast("Json", gateway.call(family, lambda: gateway.send("get", path, params)).data)
    except (stripe.StripeError, BreakerOpenError) as error:
        raise _verdict(error, path) from None


def read_or_none(gateway: Gateway, family: str, path: str) -> Json | None:
    """One object; None when Stripe has no such one in this account and mode.

    Raises:
        Verdict: as `read`.
    """

    def ask() -> Json | None:
        try:
            return cast("Json", gateway.send("get", path, {}).data)
        except stripe.InvalidRequestError as error:
            if error_code(error) != "resource_missing":
                raise
            return None

    try:
        return gateway.call(family, ask)
    except (stripe.StripeError, BreakerOpenError) as error:
        raise _verdict(error, path) from None


def pages(
    gateway: Gateway, family: str, path: str, params: Json, *, starting_after: str | None = None
) -> Iterator[list[Json]]:
    """Every page of a list, newest first, each fetched when it is asked for; `starting_after` goes on behind an object.

    Raises:
        Verdict: as `read`.
    """
    cursor = starting_after
    while True:
        here = params | {"limit": PAGE} | ({"starting_after": cursor} if cursor else {})
        page = read(gateway, family, path, here)
        if page["data"]:
            yield page["data"]
        if not page["has_more"]:
            return
        cursor = page["data"][-1]["id"]


def _verdict(error: stripe.StripeError | BreakerOpenError, path: str) -> Verdict:
    meaning = errors.sort(error)
    if isinstance(meaning, Verdict):
        return meaning
    if isinstance(meaning, Unanswered):
        return TryAgain(meaning.reason)
    return GiveUp(f"reading {path} was answered with {meaning}")
