"""What one process may ask of Stripe while the shared budget cannot be reached: its part, and nothing borrowed.

The part is the rate divided by the processes that were counted last. Refunds still go before charges; between tenants
nothing is shared out here, and a rate that was cut is remembered by this process alone. Only rates are worse, and only
until the cache is back.
"""

import time
from dataclasses import dataclass

from messages.runtime.priority import Urgency
from stripe_client.rate_limit.shared_budget import Grant, learned

BURST_SECONDS = 0.4
MIN_BURST = 1.0
# Kept for what goes first, in parts of the burst.
FLOORS = {Urgency.FIRST: 0.0, Urgency.NORMAL: 0.25, Urgency.LAST: 0.5}
CUT_EVERY_SECONDS = 1.0


@dataclass(slots=True)
class _Bucket:
    base: float
    tokens: float = 1.0
    at: float = 0.0
    cut_rate: float | None = None
    cut_at: float = 0.0

    def rate(self, now: float, processes: int) -> float:
        return learned(self.base, self.cut_rate, now - self.cut_at) / processes

    def wait_seconds(self, now: float, processes: int, urgency: Urgency) -> float:
        """Fill up, and tell how long until this asker finds a token; 0 when it is there."""
        rate = self.rate(now, processes)
        burst = max(MIN_BURST, rate * BURST_SECONDS)
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        floor = min(FLOORS[urgency] * burst, burst - MIN_BURST)  # so that the smallest burst still serves everybody
        return max(0.0, (floor + 1 - self.tokens) / rate)


class LocalBudget:
    """Buckets in memory, by name. Not locked: the governor holds its lock around it."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._buckets: dict[str, _Bucket] = {}

    def take(self, bases: dict[str, float], urgency: Urgency) -> Grant:
        """One permit, which takes a token from each of these buckets; `bases` are those of all processes together."""
        now = time.monotonic()
        buckets = [self._bucket(name, base, now) for name, base in bases.items()]
        wait = max(bucket.wait_seconds(now, self.processes, urgency) for bucket in buckets)
        if wait > 0:
            return Grant(0, wait, None)
        for bucket in buckets:
            bucket.tokens -= 1
        return Grant(1, 0.0, None)

    def cut(self, name: str, base: float) -> None:
        """A 429 named this bucket; also told while the shared one is there, so that the next outage begins wisely."""
        now = time.monotonic()
        bucket = self._bucket(name, base, now)
        if bucket.cut_rate is None or now - bucket.cut_at >= CUT_EVERY_SECONDS:
            bucket.cut_rate, bucket.cut_at = bucket.rate(now, 1), now
            bucket.tokens = 0.0

    def learned(self, name: str, base: float) -> float:
        """The whole rate of the bucket as this process would have it."""
        now = time.monotonic()
        return self._bucket(name, base, now).rate(now, 1)

    def _bucket(self, name: str, base: float, now: float) -> _Bucket:
        return self._buckets.setdefault(name, _Bucket(base, at=now))
