"""The one collector: what can only be seen in the database, the broker and the cache, by one scheduler at a time.

Every few seconds, in a thread of the scheduler that holds the lead (db/leadership.py), each part of the picture is
taken anew; a scheduler without the lead, or whose picture is old, shows nothing, so that no number is counted twice or
outlives its truth. A part that cannot be taken is left out and logged, and the others are shown.
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
    """`collect` is for Prometheus and shows the last picture; `run` takes the pictures until it is asked to stop."""

    def __init__(self, leadership: Leadership, parts: Sequence[Part], *, every_seconds: float = EVERY_SECONDS) -> None:
        self._leadership = leadership
        self._parts = parts
        self._every_seconds = every_seconds
        self._picture: list[Metric] = []
        self._taken_at = 0.0
        self._leads = False
        self.stopping = threading.Event()

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name="collecting", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        while not self.stopping.is_set():
            self.run_once()
            self.stopping.wait(self._every_seconds)
        self._leadership.close()

    def run_once(self) -> bool:
        """Take one picture; False when another one leads, or the database is away."""
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
        fresh = self._leads and time.monotonic() - self._taken_at < GOOD_FOR_SECONDS
        yield LEADS.one(fresh)
        if fresh:
            yield from self._picture


def _taken(part: Part) -> list[Metric] | None:
    try:
        return part()
    except Exception as error:  # noqa: BLE001  one part that fails must not take the others along
        logger.warning("collector failed to collect {}: {}", getattr(part, "__qualname__", part), type(error).__name__)
        return None
