"""Is there enough money at Stripe for the refunds that come next?"""

from collections import Counter
from collections.abc import Iterable, Mapping

from messages.money import Money


def shortfalls(needs: Iterable[Money], available: Mapping[str, Money]) -> list[Money]:
    """What is missing, by currency; empty when the available balance covers all needs.

    A currency that Stripe holds no balance of covers nothing. A balance below zero makes the shortfall larger.
    """
    wanted: Counter[str] = Counter()
    for need in needs:
        wanted[need.currency] += need.minor
    missing = {currency: minor - _held(available, currency) for currency, minor in wanted.items() if minor > 0}
    return [Money(minor, currency) for currency, minor in sorted(missing.items()) if minor > 0]


def _held(available: Mapping[str, Money], currency: str) -> int:
    return available[currency].minor if currency in available else 0
