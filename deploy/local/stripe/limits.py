"""Token buckets per account, as Stripe's limiter has them: off until the control door sets a rate."""

import time
from dataclasses import dataclass, field

from deploy.local.stripe.wire.errors import rate_limited


@dataclass(slots=True)
class Limiter:
    per_second: float | None = None
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def set_rate(self, per_second: float | None) -> None:
        self.per_second = per_second
        self.buckets.clear()

    def take(self, account: str) -> None:
        """One token, or 429 global-rate. A bucket holds one second's worth, on the machine's clock."""
        if self.per_second is None:
            return
        now = time.monotonic()
        tokens, filled_at = self.buckets.get(account, (self.per_second, now))
        tokens = min(self.per_second, tokens + (now - filled_at) * self.per_second)
        if tokens < 1:
            self.buckets[account] = (tokens, now)
            raise rate_limited("global-rate")
        self.buckets[account] = (tokens - 1, now)
