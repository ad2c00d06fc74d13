"""From the wish to the finished handler at a light load: through outbox and relay, and by Dramatiq's own send().

Both ways end in the same worker process (latency_worker.py) on queues of the same kind. The clock starts before the row
is written, or before send() is called with an awaited confirm, and stops inside the handler.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM
from statistics import quantiles
from uuid import uuid4

import dramatiq
import pika
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from db.queue import outbox
from db.session import Database
from deploy.local.bench.ground import Book, Ground
from deploy.local.stack import processes
from deploy.local.stack.stack import CLONE
from deploy.local.stack.up import environment_of
from outbox.broker import topology
from outbox.broker.dramatiq_broker import FleetBroker

PER_SECOND = 50
QUEUES = {"outbox": "bench.outbox", "plain": "bench.plain"}
WAIT_SECONDS = 30.0


class SendingBroker(FleetBroker):
    """The fleet's broker with Dramatiq's own way of sending given back, each message confirmed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.confirm_delivery = True

    def enqueue(self, message: dramatiq.Message[None], *, delay: int | None = None) -> dramatiq.Message[None]:
        sent: dramatiq.Message[None] = RabbitmqBroker.enqueue(self, message, delay=delay)
        return sent


def measure(ground: Ground) -> None:
    count = PER_SECOND * (2 if ground.quick else 6)
    with ground.book() as book, _standing(ground, book) as log, book.opened() as db:
        broker = SendingBroker(ground.stack.rabbitmq.url)
        ways: dict[str, Callable[[], object]] = {
            "outbox": lambda: _append(db),
            "plain": lambda: broker.enqueue(_message("plain")),
        }
        for send in ways.values():
            _at_pace(send, PER_SECOND)
        for _ in range(ground.passes):
            p95 = {way: _p95(log, way, send, count) for way, send in ways.items()}
            ground.results.add("enqueue to done p95", p95["outbox"])
            ground.results.add("enqueue to done p95, plain Dramatiq", p95["plain"])
            ground.results.add("enqueue to done p95 / plain Dramatiq", p95["outbox"] / p95["plain"])
        broker.close()


@contextmanager
def _standing(ground: Ground, book: Book) -> Iterator[Path]:
    """A relay and the worker; yields the file in which the worker notes each message."""
    log = ground.stack.directory / "log" / "bench-latency.log"
    environment = environment_of(ground.stack) | {"DATABASE_URL": book.fleet_url}
    with ExitStack() as stack:
        stack.enter_context(_queues(ground))
        with log.open("wb") as output:
            for module in ("outbox.relay", "deploy.local.bench.latency_worker"):
                command = [sys.executable, "-m", module]
                process = processes.spawn(command, ground.stack.directory, environment, CLONE, output)
                stack.callback(processes.end, process, SIGTERM, 15)
        time.sleep(3.0)
        yield log


@contextmanager
def _queues(ground: Ground) -> Iterator[None]:
    connection = pika.BlockingConnection(pika.URLParameters(ground.stack.rabbitmq.url))
    for queue in QUEUES.values():
        connection.channel().queue_delete(queue)
        connection.channel().queue_declare(queue, durable=True, arguments=topology.work_queue_arguments())
    connection.close()
    yield
    connection = pika.BlockingConnection(pika.URLParameters(ground.stack.rabbitmq.url))
    for queue in QUEUES.values():
        connection.channel().queue_delete(queue)
    connection.close()


def _message(way: str) -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name=QUEUES[way], actor_name=way, args=(time.time(),), kwargs={}, options={}, message_id=str(uuid4())
    )


def _append(db: Database) -> None:
    message = _message("outbox")
    row = outbox.NewRow(
        tenant_id=None,
        message_id=uuid4(),
        kind="bench",
        exchange="",
        routing_key=message.queue_name,
        ordering_key=None,
        attempt=1,
        not_before=None,
        body=message.encode(),
    )
    with db.system_transaction() as tx:
        outbox.insert(tx, [row])


def _at_pace(send: Callable[[], object], count: int) -> None:
    started = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, started + number / PER_SECOND - time.perf_counter()))
        send()


def _p95(log: Path, way: str, send: Callable[[], object], count: int) -> float:
    """Milliseconds."""
    before = len(_noted(log, way))
    _at_pace(send, count)
    deadline = time.monotonic() + WAIT_SECONDS
    while len(waits := _noted(log, way)[before:]) < count:
        assert time.monotonic() < deadline, f"{len(waits)} of {count} messages were handled"
        time.sleep(0.1)
    return quantiles(waits, n=20)[18]


def _noted(log: Path, way: str) -> list[float]:
    lines = (line.split() for line in log.read_text(errors="replace").splitlines())
    return [float(words[1]) for words in lines if len(words) == 2 and words[0] == way]
