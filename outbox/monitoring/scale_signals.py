"""The scale signals, by class of queue (messages/queues.py): age, backlog, outbox lag, and time to drain. KEDA reads
them from Prometheus.

The length of a queue alone is no signal: it is short while workers hold what they fetched ahead, and while the relay is
behind. So what is due in the outbox, ready at the broker and unacked by workers count together, and age is a signal of
its own.
"""

import time
from collections import Counter, deque
from collections.abc import Callable

import redis
from loguru import logger
from pika.exceptions import AMQPError
from prometheus_client.metrics_core import Metric

from db.monitoring import queue_lag
from db.session import Database
from messages.queues import QUEUE_CLASSES, class_of
from outbox.process.load import Load, loads
from outbox.process.metric_names import shown

RATE_SECONDS = 30.0
# KEDA cannot scale on infinity, so a queue without progress drains in a day.
LONGEST_DRAIN_SECONDS = 86_400.0

LAG = shown("fleet_scale_outbox_lag_rows", "Outbox rows that are due", "queue_class")
AGE = shown(
    "fleet_scale_oldest_age_seconds",
    "Age of the oldest due message, in the outbox, at the broker or with a worker",
    "queue_class",
)
READY = shown("fleet_queue_ready", "Messages ready at the broker", "queue_class")
AT_BROKER = shown("fleet_scale_ready_and_unacked", "Messages at the broker, ready or unacked", "queue_class")
DRAIN = shown(
    "fleet_scale_drain_seconds",
    f"Time to drain all due messages at the rate of the last {RATE_SECONDS:.0f} s; at most {LONGEST_DRAIN_SECONDS:.0f}",
    "queue_class",
)
HANDLED = shown(
    "fleet_handled_per_second", f"Messages processed per second, over the last {RATE_SECONDS:.0f} s", "queue_class"
)

Depths = Callable[[], dict[str, int]]


class ScaleSignals:
    """A part of the collector (outbox/monitoring/collector.py); it remembers what was handled, for the rates.

    `depths` reads the ready messages per queue from the broker, -1 where a queue is missing; it opens its own
    connection and is called outside any transaction.
    """

    def __init__(self, db: Database, depths: Depths, cache: "redis.Redis") -> None:
        self._db = db
        self._depths = depths
        self._cache = cache
        self._rates = _Rates()

    def __call__(self) -> list[Metric]:
        """All signals; those of the database also while broker or cache are unreachable.

        Raises:
            psycopg.Error: the database is unreachable; the collector then leaves out all of them.
        """
        with self._db.system_transaction() as tx:
            lags, standing = queue_lag.lags(tx), queue_lag.standing(tx)
        lag_rows, ages = Counter[str](), dict.fromkeys(("charges", "refunds", "webhooks"), 0.0)
        for lag in lags:
            queue_class = class_of(lag.destination)
            lag_rows[queue_class] += lag.rows
            ages[queue_class] = max(ages.get(queue_class, 0.0), lag.oldest_seconds)
        for queue_class in ("charges", "refunds", "webhooks"):
            # The broker does not report the age of its messages; what they would have moved has one in the database.
            ages[queue_class] = max(ages[queue_class], getattr(standing, queue_class))
        for queue, seconds in self._at_intake().items():
            ages[class_of(queue)] = max(ages.get(class_of(queue), 0.0), seconds)
        classes = [*dict.fromkeys(QUEUE_CLASSES.values()), "events"]
        return [
            LAG.family({(one,): lag_rows[one] for one in classes}),
            AGE.family({(one,): ages.get(one, 0.0) for one in classes}),
            *self._at_the_broker(lag_rows),
        ]

    def _at_intake(self) -> dict[str, float]:
        """Queue -> age in seconds of the oldest delivery that a consumer holds; empty without the cache.

        The broker does not report how old its messages are, but a queue is in order: what waits behind these is
        younger.
        """
        try:
            told = [load.oldest_at for load in loads(self._cache).values()]
        except (redis.RedisError, OSError):
            return {}
        return {queue: max(0.0, time.time() - at) for oldest in told for queue, at in oldest.items()}

    def _at_the_broker(self, lag_rows: Counter[str]) -> list[Metric]:
        """The signals of broker and workers; none while one of them is unreachable: no signal is better than one too
        small.
        """
        try:
            return self._counted(lag_rows)
        except (AMQPError, redis.RedisError, OSError) as error:
            logger.warning("scale signals of broker and workers unavailable: {}", type(error).__name__)
            return []

    def _counted(self, lag_rows: Counter[str]) -> list[Metric]:
        ready = Counter[str]()
        for queue, depth in self._depths().items():
            if queue in QUEUE_CLASSES:
                ready[class_of(queue)] += max(0, depth)
        told = loads(self._cache)
        unacked = Counter[str]()
        for load in told.values():
            for queue, count in load.unacked.items():
                unacked[class_of(queue)] += count
        rates = self._rates.after(told)
        backlog = {one: ready[one] + unacked[one] for one in dict.fromkeys(QUEUE_CLASSES.values())}
        drain = {one: _drain_seconds(count + lag_rows[one], rates.get(one, 0.0)) for one, count in backlog.items()}
        # Who takes orders and dead letters tells of it only where it knows the cache: without, nobody knows their rate.
        told_of = (set(backlog) - {"orders", "dead-letters"}) | set(rates)
        return [
            READY.family({(one,): ready[one] for one in backlog}),
            AT_BROKER.family({(one,): count for one, count in backlog.items()}),
            DRAIN.family({(one,): seconds for one, seconds in drain.items() if one in told_of}),
            HANDLED.family({(one,): rate for one, rate in rates.items()}),
        ]


class _Rates:
    """Messages handled per second by class, from the growing counts of processes that start and stop.

    The first report of a process is its baseline, so what it handled before is not counted; the rate is the mean over
    RATE_SECONDS, and zero for the first collection.
    """

    def __init__(self) -> None:
        self._last: dict[str, Load] = {}
        self._total = Counter[str]()
        self._past: deque[tuple[float, Counter[str]]] = deque()

    def after(self, told: dict[str, Load]) -> dict[str, float]:
        """The rates by class after these reports. A count that fell (a restart under the same name) adds nothing."""
        for process, load in told.items():
            before = self._last[process].handled if process in self._last else load.handled
            for queue, handled in load.handled.items():
                self._total[class_of(queue)] += max(0, handled - before.get(queue, 0))
        self._last = told
        now = time.monotonic()
        self._past.append((now, self._total.copy()))
        while len(self._past) > 2 and self._past[1][0] < now - RATE_SECONDS:
            self._past.popleft()
        since, then = self._past[0]
        return {one: (self._total[one] - then[one]) / max(0.001, now - since) for one in self._total}


def _drain_seconds(backlog: int, per_second: float) -> float:
    """Seconds to work off the backlog at this rate; LONGEST_DRAIN_SECONDS when nothing is being handled."""
    if backlog == 0:
        return 0.0
    return min(LONGEST_DRAIN_SECONDS, backlog / per_second) if per_second > 0 else LONGEST_DRAIN_SECONDS
