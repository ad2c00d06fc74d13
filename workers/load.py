"""Counts what this process has handled, and tells the cache how loaded it is (outbox/load.py)."""

import os
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import redis
from dramatiq.middleware import Middleware
from prometheus_client import Gauge

from messages.cache import CacheSettings
from messages.queues import class_of
from outbox.broker import FleetBroker
from outbox.load import TELL_SECONDS, Load, tell

UNACKED = Gauge(
    "fleet_worker_unacked",
    "Deliveries that workers have in hand or fetched ahead, by class of queue",
    ["queue_class"],
    multiprocess_mode="livesum",
)


class CountHandled(Middleware):
    """By queue, whatever became of the message."""

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        del broker, result, exception
        self.handled[message.queue_name] += 1


def keep_telling(broker: FleetBroker, counting: CountHandled, cache: CacheSettings) -> threading.Thread:
    """Start to tell, from a thread that keeps nobody alive."""
    client = redis.Redis.from_url(cache.client_url, socket_timeout=1, socket_connect_timeout=1)
    process = f"{socket.gethostname()}-{os.getpid()}"

    def run() -> None:
        while True:
            load = Load(broker.unacked(), dict(counting.handled))
            _show(load)
            with suppress(redis.RedisError, OSError):  # rates only; whoever reads sees that nothing comes
                tell(client, process, load)
            time.sleep(TELL_SECONDS)

    thread = threading.Thread(target=run, name="load", daemon=True)
    thread.start()
    return thread


def _show(load: Load) -> None:
    by_class: Counter[str] = Counter()
    for queue, count in load.unacked.items():
        by_class[class_of(queue)] += count
    for queue_class, count in by_class.items():
        UNACKED.labels(queue_class).set(count)
