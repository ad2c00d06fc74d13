"""Counts what this process has handled, and says how loaded it is (outbox/process/load.py)."""

from collections import Counter
from typing import Any

from dramatiq.middleware import Middleware
from prometheus_client import Gauge

from messages.queues import class_of
from outbox.broker.dramatiq_broker import FleetBroker
from outbox.process.load import Load

UNACKED = Gauge(
    "fleet_worker_unacked",
    "Deliveries in process or prefetched by workers, by queue class",
    ["queue_class"],
    multiprocess_mode="livesum",
)


class CountHandled(Middleware):
    """Counts every handled message by queue, whatever became of it; one object for each process."""

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, result, exception
        self.handled[message.queue_name] += 1


def shown_load(broker: FleetBroker, counting: CountHandled) -> Load:
    """How loaded this process is, which its page of metrics shows too."""
    load = Load(broker.unacked(), dict(counting.handled))
    _show(load)
    return load


def _show(load: Load) -> None:
    by_class: Counter[str] = Counter()
    for queue, count in load.unacked.items():
        by_class[class_of(queue)] += count
    for queue_class, count in by_class.items():
        UNACKED.labels(queue_class).set(count)
