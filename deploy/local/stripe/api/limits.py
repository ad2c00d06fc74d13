"""Token buckets as Stripe's limiter has them, per account and per endpoint of an account: off unless a rate is set.

A bucket holds one second's worth, on the machine's clock. Two endpoints are slower than the rest at Stripe.
"""

import time
from dataclasses import dataclass, field

from ..wire.errors import rate_limited
from .routes import endpoint_of

_SLOWER = {"GET /v1/payment_intents/search": (20.0, 20.0), "POST /v1/payouts": (15.0, 30.0)}  # a second, and at once


@dataclass(slots=True)
class Limiter:
    """Rates in requests a second, None for no limit. Source: docs.stripe.com/rate-limits."""

    per_second: float | None = None
    endpoint_per_second: float | None = None
    buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def set_rates(self, per_second: float | None, endpoint_per_second: float | None) -> None:
        """Set both rates, and fill every bucket."""
        self.per_second, self.endpoint_per_second = per_second, endpoint_per_second
        self.buckets.clear()

    def take(self, account: str, method: str, path: str) -> None:
        """Take one token of the account's bucket and one of the endpoint's.

        Raises:
            StripeError: 429 with the reason (`global-rate`, `endpoint-rate`) when a bucket is empty.
        """
        if self.per_second is not None:
            self._take((account, ""), self.per_second, self.per_second, "global-rate")
        if self.endpoint_per_second is not None:
            endpoint = endpoint_of(method, path)
            rate = most = self.endpoint_per_second
            if endpoint in _SLOWER:
                rate, most = min(rate, _SLOWER[endpoint][0]), min(most, _SLOWER[endpoint][1])
            self._take((account, endpoint), rate, most, "endpoint-rate")

    def _take(self, name: tuple[str, str], per_second: float, most: float, reason: str) -> None:
        now, most = time.monotonic(), max(most, 1.0)
        tokens, filled_at = self.buckets.get(name, (most, now))
        tokens = min(most, tokens + (now - filled_at) * per_second)
        if tokens < 1:
            self.buckets[name] = (tokens, now)
            raise rate_limited(reason)
        self.buckets[name] = (tokens - 1, now)
