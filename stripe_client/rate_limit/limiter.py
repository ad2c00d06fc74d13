"""A permit before each request to Stripe, from the budget that all workers share or from this process's own part of it.

Asked for by the gateway, once for each request that is really sent. The way of a permit:

    leased already?  -> take it. A process that asks often is given up to five at a time, good for a quarter second.
    ask the budget   -> one round trip to Valkey (budget.py); while that is away, the process's own share (own_share.py)
    told to wait     -> a second and a half at most, and only while the waiting room has a place
    else             -> NoPermitError, a TryLater: the message comes back at the time it was told and spends no try

The waiting room keeps one on-sale from taking all threads of a worker: so many may wait for one tenant, the rest go
back as rows with a due time, and what lies behind them in the queue moves up. Nothing here raises anything but
NoPermitError: a cache that is away, full or wrong costs speed and no more.
"""

import os
import random
import threading
import time
from collections import Counter, defaultdict, deque
from uuid import uuid4

import redis
from loguru import logger
from prometheus_client import Counter as CounterMetric
from prometheus_client import Gauge, Histogram

from messages.runtime import priority
from messages.runtime.cache import CacheSettings
from messages.runtime.priority import Requester, Urgency
from messages.verdicts import TryLater
from stripe_client.rate_limit.local_budget import LocalBudget
from stripe_client.rate_limit.shared_budget import ACCOUNT, LONGEST_SLOT_SECONDS, PLATFORM, Grant, SharedBudget
from stripe_client.settings import BudgetSettings

PATIENCE_SECONDS = 1.5
SHORTEST_PAUSE_SECONDS = 0.25  # a message that goes back takes about so long to return
# Of the eight threads of a worker process. What goes first may always wait: it is the next to be served.
MOST_WAITING = 6
MOST_WAITING_OF_ONE_TENANT = 4
LARGEST_LEASE = 5
LEASE_SECONDS = 0.25
RESERVED_SECONDS = 2.0  # a transaction may lie between a reservation and its request
MOST_LINES = 5_000  # of tenants and families kept in memory
AWAY_SECONDS = 1.0  # how long a server that did not answer is left alone
COUNT_EVERY_SECONDS = 5.0

# What Stripe calls its limiters (docs.stripe.com/rate-limits); a 429 without a reason is taken as the endpoint's.
ACCOUNT_REASONS = frozenset({"global-rate", "global-concurrency"})

PERMITS = CounterMetric(
    "fleet_stripe_permits", "Rate limiter permits by endpoint family and result", ["family", "result"]
)
WAITED = Histogram(
    "fleet_stripe_permit_wait_seconds",
    "Time spent waiting for a rate limiter permit",
    ["urgency"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 1.5, 2),
)
LIMITED = CounterMetric(
    "fleet_stripe_rate_limited", "429 responses of Stripe by endpoint family and reason", ["family", "reason"]
)
THROTTLED = CounterMetric("fleet_stripe_throttled", "Requests postponed by the rate limiter, by tenant", ["tenant"])
LEARNED = Gauge(
    "fleet_stripe_learned_requests_per_second",
    "Rate that the limiter learned for a bucket from 429 responses",
    ["bucket"],
    multiprocess_mode="mostrecent",
)
# A gauge starts at 0 in every process that only imports it: so 1 is what is wrong.
ALONE = Gauge(
    "fleet_stripe_budget_alone",
    "Worker processes on their local rate budget, because the shared one is unavailable",
    multiprocess_mode="livesum",
)

Line = tuple[str, Requester]  # who shares leased permits: one family, one tenant, one urgency


class NoPermitError(TryLater):
    """The budget is spent; nothing was sent, and nothing is wrong."""

    def __init__(self, family: str, seconds: float) -> None:
        super().__init__(f"waits for its turn: the budget of requests to Stripe's {family} is spent", seconds=seconds)


class RateLimiter:
    """One per process, shared by all its threads. Make it after a fork."""

    def __init__(self, settings: BudgetSettings, cache: CacheSettings, *, name: str = "stripe") -> None:
        self._account, self._endpoint = settings.per_second, settings.stripe_endpoint_requests_per_second
        self._shared = SharedBudget.at(cache.client_url, name=name)
        self._own = LocalBudget(settings.stripe_budget_processes)
        self._process = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._changed = threading.Condition()
        self._leases: dict[Line, deque[float]] = defaultdict(deque)  # when each permit ends
        self._gaps: dict[Line, tuple[float, float]] = {}  # last asked, usual gap
        self._waiting: Counter[object] = Counter()
        self._away_until = 0.0
        self._count_at = 0.0
        self._is_shared = True
        self._closed = threading.Event()
        ALONE.set(0)

    @property
    def is_shared(self) -> bool:
        """False while this process goes by its own share."""
        return self._is_shared

    def acquire(self, family: str) -> None:
        """Return with a permit for one request.

        Raises:
            NoPermitError: none is to be had soon.
        """
        line, started = (family, priority.current()), time.monotonic()
        if self._take_noted_lease(line, started):
            PERMITS.labels(family, "leased").inc()
            return
        self._wait_for(line, started)
        PERMITS.labels(family, "granted").inc()

    def reserve(self, family: str) -> None:
        """Have a permit ready before anything is written down; the next `acquire` for the same takes it.

        Raises:
            NoPermitError: none is to be had soon.
        """
        line, started = (family, priority.current()), time.monotonic()
        if not self._take_noted_lease(line, started):
            self._wait_for(line, started)
        self._lease(line, 1, RESERVED_SECONDS)

    def limited(self, family: str, reason: str | None) -> None:
        """Stripe answered 429 for this reason: that bucket gets less."""
        name, base = (ACCOUNT, self._account) if reason in ACCOUNT_REASONS else (family, self._endpoint)
        LIMITED.labels(family, reason or "none").inc()
        with self._changed:
            self._own.cut(name, base)
            LEARNED.labels(name).set(self._own.learned(name, base))
            for line in [line for line in self._leases if name in (ACCOUNT, line[0])]:
                self._leases[line].clear()
        if self._may_ask():
            try:
                if self._shared.cut(name, base):
                    logger.warning("rate-limited by Stripe ({}) on {}: reducing request rate", reason or "429", family)
                self._reached()
            except (redis.RedisError, OSError) as error:
                self._lost(error)

    def close(self) -> None:
        self._closed.set()
        self._shared.close()

    def _wait_for(self, line: Line, started: float) -> None:
        family, asker = line
        in_room = False
        try:
            while True:
                answer = self._ask(line)
                if answer.granted:
                    self._lease(line, answer.granted - 1, LEASE_SECONDS)
                    break
                left = started + PATIENCE_SECONDS - time.monotonic()
                in_room = in_room or self._enter(asker)
                if not in_room or answer.wait_seconds > left:
                    self._send_back(family, asker, answer.wait_seconds)
                # Spread a little: many threads of many processes may have been told the same moment.
                if self._leased_within(line, answer.wait_seconds * random.uniform(1.0, 1.1)):  # noqa: S311
                    break
        finally:
            if in_room:
                self._leave(asker)
        WAITED.labels(asker.urgency.value).observe(time.monotonic() - started)

    @staticmethod
    def _send_back(family: str, asker: Requester, seconds: float) -> None:
        PERMITS.labels(family, "sent_back").inc()
        THROTTLED.labels(str(asker.tenant_id or PLATFORM)).inc()
        if seconds >= LONGEST_SLOT_SECONDS:  # behind all that have a time of their own: spread, not all at once
            seconds = random.uniform(LONGEST_SLOT_SECONDS / 2, LONGEST_SLOT_SECONDS)  # noqa: S311
        raise NoPermitError(family, max(SHORTEST_PAUSE_SECONDS, seconds))

    def _ask(self, line: Line) -> Grant:
        family, asker = line
        if self._may_ask():
            now = time.monotonic()
            process = self._process if now >= self._count_at else ""
            try:
                answer = self._shared.take(family, asker, self._batch(line), (self._account, self._endpoint), process)
                self._reached()
            except (redis.RedisError, OSError) as error:
                self._lost(error)
            else:
                if answer.processes is not None:
                    self._own.processes, self._count_at = max(1, answer.processes), now + COUNT_EVERY_SECONDS
                return answer
        with self._changed:
            return self._own.take({ACCOUNT: self._account, family: self._endpoint}, asker.urgency)

    def _take_noted_lease(self, line: Line, now: float) -> bool:
        """Note how often this line asks, and take a permit that is there."""
        with self._changed:
            asked_at, usual = self._gaps.get(line, (now - 1.0, 1.0))
            if len(self._gaps) > MOST_LINES:
                self._gaps.clear()
            self._gaps[line] = (now, 0.8 * usual + 0.2 * min(1.0, now - asked_at))
            return self._take_lease(line)

    def _batch(self, line: Line) -> int:
        """As many permits as this process will use before they end, going by how often it asked of late."""
        _, gap = self._gaps.get(line, (0.0, 1.0))
        return max(1, min(LARGEST_LEASE, int(LEASE_SECONDS / 2 / max(gap, 0.001))))

    def _take_lease(self, line: Line) -> bool:
        held, now = self._leases.get(line), time.monotonic()
        while held:
            if held.popleft() > now:
                return True
        return False

    def _lease(self, line: Line, count: int, seconds: float) -> None:
        if count:
            with self._changed:
                if len(self._leases) > MOST_LINES:
                    self._leases.clear()
                self._leases[line].extend([time.monotonic() + seconds] * count)
                self._changed.notify_all()

    def _leased_within(self, line: Line, seconds: float) -> bool:
        """Sleep; true when another thread of this process was given a permit too many meanwhile, and it is ours now."""
        with self._changed:
            return self._changed.wait_for(lambda: self._take_lease(line), timeout=seconds)

    def _enter(self, asker: Requester) -> bool:
        with self._changed:
            if asker.urgency is not Urgency.FIRST and (
                self._waiting.total() >= MOST_WAITING or self._waiting[asker.tenant_id] >= MOST_WAITING_OF_ONE_TENANT
            ):
                return False
            self._waiting[asker.tenant_id] += 1
            return True

    def _leave(self, asker: Requester) -> None:
        with self._changed:
            self._waiting[asker.tenant_id] -= 1
            if not self._waiting[asker.tenant_id]:
                del self._waiting[asker.tenant_id]

    def _may_ask(self) -> bool:
        """One thread tries a server that was away; the others go on without it until that has an answer."""
        with self._changed:
            now = time.monotonic()
            if self._is_shared:
                return True
            if now < self._away_until:
                return False
            self._away_until = now + AWAY_SECONDS
            return True

    def _reached(self) -> None:
        if not self._is_shared:
            with self._changed:
                self._is_shared = True
            ALONE.set(0)
            logger.warning("shared rate budget available again")

    def _lost(self, error: Exception) -> None:
        with self._changed:
            was_shared, self._is_shared = self._is_shared, False
            self._away_until = time.monotonic() + AWAY_SECONDS
        if was_shared:
            ALONE.set(1)
            logger.warning(
                "shared rate budget unavailable ({}): using the local budget of this process", type(error).__name__
            )
            threading.Thread(target=self._watch, name="budget-watch", daemon=True).start()

    def _watch(self) -> None:
        """Until it answers again: a process that asks Stripe nothing for hours would call itself alone as long."""
        while not self._closed.wait(AWAY_SECONDS) and not self._is_shared:
            try:
                self._shared.ping()
            except (redis.RedisError, OSError):
                continue
            self._reached()
