"""python -m deploy.local.bench.latency_worker: handlers that only note how long their message took."""

import os
import sys
import time
from threading import Event

import dramatiq

from deploy.local.bench.latency import QUEUES
from outbox.broker.dramatiq_broker import FleetBroker
from outbox.process.shutdown import stop_on_signals

THREADS = 8


def main() -> None:
    broker = FleetBroker(os.environ["RABBITMQ_URL"])
    for way, queue in QUEUES.items():
        broker.declare_actor(_actor(broker, way, queue))
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    stopping = Event()
    stop_on_signals(stopping)
    worker.start()
    stopping.wait()
    worker.stop()


def _actor(broker: FleetBroker, way: str, queue: str) -> dramatiq.Actor[[float], None]:
    def note(sent_at: float) -> None:
        sys.stdout.write(f"{way} {(time.time() - sent_at) * 1e3:.3f}\n")
        sys.stdout.flush()

    return dramatiq.Actor(note, broker=broker, actor_name=way, queue_name=queue, priority=0, options={})


if __name__ == "__main__":
    main()
