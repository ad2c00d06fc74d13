"""The one collector: what can only be measured in the database, the broker and the cache, by one scheduler at a time.

Every few seconds, in a thread of the scheduler that holds the lead (db/leadership.py), each part of the metrics is
computed again; a scheduler without the lead, or whose values are old, exports nothing, so that no number is counted
twice or outlives its truth. A part that fails is left out and logged, and the others are exported.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import psycopg
from loguru import logger
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from db.leadership import Leadership
from outbox.process.metric_names import shown

EVERY_SECONDS = 5.0
GOOD_FOR_SECONDS = 30.0

LEADS = shown("fleet_collector_leads", "1 for the scheduler that exports the fleet-wide gauges")
TOOK = shown("fleet_collector_seconds", "Duration of the last collection")
FAILED = shown("fleet_collector_failed_parts", "Parts of the last collection that failed")

Part = Callable[[], list[Metric]]


class MetricCollector(Collector):
    """`run` computes the metrics on its own thread until it is asked to stop; `collect` exports the last result.

    `parts` are called one after the other; each may hold state, and only the collector's thread calls it.
    """

    def __init__(self, leadership: Leadership, parts: Sequence[Part], *, every_seconds: float = EVERY_SECONDS) -> None:
        self._leadership = leadership
        self._parts = parts
        self._every_seconds = every_seconds
        self._picture: list[Metric] = []
        self._taken_at = 0.0
        self._leads = False
        self.stopping = threading.Event()

    def start(self) -> threading.Thread:
        """Start `run` on a daemon thread and return the thread."""
        thread = threading.Thread(target=self.run, name="collecting", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Collect every `every_seconds` until `stopping` is set, then give up the lead, so that another scheduler takes
        over.
        """
        while not self.stopping.is_set():
            self.run_once()
            self.stopping.wait(self._every_seconds)
        self._leadership.close()

    def run_once(self) -> bool:
        """Compute all parts once; False when another scheduler leads, or the database is unreachable."""
        try:
            self._leads = self._leadership.held()
        except psycopg.Error as error:
            logger.warning("collector failed, database unavailable: {}", type(error).__name__)
            self._leads = False
        if self._leads:
            started = time.monotonic()
            taken = [_taken(part) for part in self._parts]
            picture = [metric for metrics in taken for metric in metrics or []]
            picture += [TOOK.one(time.monotonic() - started), FAILED.one(sum(metrics is None for metrics in taken))]
            self._picture, self._taken_at = picture, time.monotonic()
        return self._leads

    def collect(self) -> Iterable[Metric]:
        """For Prometheus, on the health server's thread: the last result, as long as it is fresh and this scheduler
        leads.
        """
        fresh = self._leads and time.monotonic() - self._taken_at < GOOD_FOR_SECONDS
        yield LEADS.one(fresh)
        if fresh:
            yield from self._picture


def _taken(part: Part) -> list[Metric] | None:
    """The metrics of one part; None when it failed, which is counted and logged."""
    try:
        return part()
    except Exception as error:  # noqa: BLE001  one part that fails must not take the others along
        logger.warning("collector failed to collect {}: {}", getattr(part, "__qualname__", part), type(error).__name__)
        return None
