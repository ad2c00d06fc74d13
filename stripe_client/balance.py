"""Our balance at Stripe: the cheapest call that proves key, mode and connection at once, and what refunds may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messages.money import DECIMALS, Money
from stripe_client.gateway import Gateway
from stripe_client.requests import body_of, read


@dataclass(frozen=True, slots=True)
class Balance:
    """`available` by currency, below zero when more went out than there was. Funds that are pending are not in it."""

    livemode: bool
    available: Mapping[str, Money]


def read_balance(gateway: Gateway, *, account_id: str | None = None) -> Balance:
    """Ask Stripe for our balance, or a connected account's (docs.stripe.com/api/balance/balance_object).

    Raises:
        Verdict: Stripe did not answer, or refuses the key.
    """
    answer = body_of(read(gateway, "balance", "/v1/balance", {}, account_id=account_id))
    return Balance(livemode=answer["livemode"], available=_by_currency(answer["available"]))


def _by_currency(amounts: list[dict[str, Any]]) -> dict[str, Money]:
    """Currencies that we never charge in cannot be refunded either, and are left out."""
    return {one["currency"]: Money(one["amount"], one["currency"]) for one in amounts if one["currency"] in DECIMALS}
