"""Reading from Stripe: one object, or a list page by page. A read changes nothing, so every trouble is a verdict."""

from collections.abc import Iterator
from typing import Any, cast

import stripe

from messages.verdicts import GiveUp, TryAgain, Verdict
from stripe_client import errors
from stripe_client.gateway import BreakerOpenError, Gateway
from stripe_client.outcomes import Unanswered

Json = dict[str, Any]

PAGE = 100  # the most that Stripe gives at once (docs.stripe.com/api/pagination)


def read(gateway: Gateway, family: str, path: str, params: Json) -> Json:
    """One GET.

    Raises:
        Verdict: Stripe did not answer, or refused.
    """
    try:
        answer = gateway.call(family, lambda: gateway.send("get", path, params))
    except (stripe.StripeError, BreakerOpenError) as error:
        meaning = errors.sort(error)
    else:
        return cast("Json", answer.data)
    if isinstance(meaning, Verdict):
        raise meaning
    if isinstance(meaning, Unanswered):
        raise TryAgain(meaning.reason)
    raise GiveUp(f"reading {path} was answered with {meaning}")


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
