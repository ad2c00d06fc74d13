"""Our balance at Stripe: the cheapest call that proves key, mode and connection at once."""

from dataclasses import dataclass

import stripe

from messages.verdicts import TryAgain, Verdict
from stripe_client import errors
from stripe_client.gateway import BreakerOpenError, Gateway
from stripe_client.outcomes import Unanswered


@dataclass(frozen=True, slots=True)
class Balance:
    livemode: bool


def read_balance(gateway: Gateway) -> Balance:
    """Ask Stripe for our balance.

    Raises:
        Verdict: Stripe did not answer, or refuses the key.
    """
    try:
        return Balance(livemode=gateway.call("balance", gateway.v1.balance.retrieve).livemode)
    except (stripe.StripeError, BreakerOpenError) as error:
        meaning = errors.sort(error)
    if isinstance(meaning, Verdict):
        raise meaning
    raise TryAgain(meaning.reason if isinstance(meaning, Unanswered) else f"Stripe did not tell the balance: {meaning}")
