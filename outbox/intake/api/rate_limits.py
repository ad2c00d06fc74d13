"""Rate limits for each user of a tenant, in sliding windows of a minute: one for all requests, others for payments and
refunds.

All processes count together in Valkey. While it is unavailable each process counts alone: a caller then gets at most
the limit times the number of processes, and never an error. A rejected request gets a `Retry-After`.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from outbox.intake.api.cache import Cache, CacheAwayError
from outbox.intake.api.callers import Caller
from outbox.intake.api.settings import ApiSettings
from outbox.process.metrics import API_LIMITED
from outbox.web.problem_codes import ProblemCode
from outbox.web.problem_details import Problem

PREFIX = "fleet:api:limit"
WINDOW_SECONDS = 60


class Limit(StrEnum):
    """The windows that a caller has; every request counts in REQUESTS, some in one of the others as well."""

    REQUESTS = "requests"
    PAYMENTS = "payments"
    REFUNDS = "refunds"


@dataclass(frozen=True, slots=True)
class RateLimitWindow:
    """One window of a caller, after this request.

    Attributes:
        limit: which window.
        per_minute: requests that it allows in WINDOW_SECONDS.
        remaining: requests that are left, at least 0.
        reset_seconds: time until it grants requests again, or restarts; at least 1.
        granted: False when this request exceeded it.
    """

    limit: Limit
    per_minute: int
    remaining: int
    reset_seconds: int
    granted: bool

    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers (its widespread version 06)."""
        return {
            "RateLimit-Limit": str(self.per_minute),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
            "RateLimit-Policy": f"{self.per_minute};w={WINDOW_SECONDS}",
        }


class RateLimits:
    """The limits of all callers, shared over processes in Valkey, or per process while it is unavailable.

    Callers are stored as a digest of tenant and subject: the cache holds no names. Nothing is moved between the shared
    and the local windows, so a caller starts anew when Valkey fails or recovers.
    """

    def __init__(self, fast: Cache, settings: ApiSettings) -> None:
        self._fast = fast
        self._items = {
            Limit.REQUESTS: RateLimitItemPerMinute(settings.api_requests_per_minute),
            Limit.PAYMENTS: RateLimitItemPerMinute(settings.api_payments_per_minute),
            Limit.REFUNDS: RateLimitItemPerMinute(settings.api_refunds_per_minute),
        }
        together = RedisStorage("redis://", connection_pool=fast.pool, key_prefix=PREFIX)
        self._together = SlidingWindowCounterRateLimiter(together)
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())

    def spend(self, caller: Caller, own: Limit | None) -> dict[str, str]:
        """Count this request; returns the headers of the window with the fewest requests left.

        Raises:
            Problem: 429, a limit is exceeded; the request is not counted in that window.
        """
        who = sha256(f"{caller.tenant_id} {caller.subject}".encode()).hexdigest()[:32]
        limits = [Limit.REQUESTS, *([own] if own else [])]
        try:
            allowances = self._fast.ask(lambda: self._count(self._together, limits, who))
        except CacheAwayError:
            allowances = self._count(self._alone, limits, who)
        for refused in [allowance for allowance in allowances if not allowance.granted]:
            API_LIMITED.labels(refused.limit.value).inc()
            raise _too_many(refused)
        return min(allowances, key=lambda allowance: allowance.remaining).headers()

    def _count(
        self, windows: SlidingWindowCounterRateLimiter, limits: Sequence[Limit], who: str
    ) -> list[RateLimitWindow]:
        """Stops at the first exceeded limit."""
        allowances: list[RateLimitWindow] = []
        for limit in limits:
            item = self._items[limit]
            granted = windows.hit(item, limit.value, who)
            stats = windows.get_window_stats(item, limit.value, who)
            # The library reports a window that just began as ending now: it takes the remainder modulo its length.
            reset = math.ceil(max(0.0, stats.reset_time - time.time())) or WINDOW_SECONDS
            allowances.append(RateLimitWindow(limit, item.amount, max(0, int(stats.remaining)), reset, granted))
            if not granted:
                break
        return allowances


def _too_many(full: RateLimitWindow) -> Problem:
    detail = f"limit of {full.per_minute} {full.limit.value} per minute exceeded; retry in {full.reset_seconds} s"
    headers = full.headers() | {"Retry-After": str(full.reset_seconds)}
    return Problem(ProblemCode.TOO_MANY_REQUESTS, detail, headers=headers)
