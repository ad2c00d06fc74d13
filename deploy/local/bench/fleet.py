"""The fleet itself: the Procfile's processes and the Stripe emulator, as `fleet up` starts them, on a bench database.

Started once for all measures that need it; its output lies in a log beside the servers' own.
"""

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGTERM

import pika
import urllib3
from honcho.environ import parse_procfile

from deploy.local.bench import cpu
from deploy.local.bench.ground import Book, Ground
from deploy.local.stack import processes
from deploy.local.stack.stack import CLONE
from deploy.local.stack.up import environment_of, intake_address
from messages.payments import ChargeRequested
from messages.queues import ORDERS_QUEUE, ROUTES
from messages.webhooks import WebhookReceived

START_SECONDS = 60.0
EMULATOR = "Stripe emulator"


@dataclass(frozen=True, slots=True)
class Fleet:
    book: Book
    environment: dict[str, str]
    running: dict[str, "subprocess.Popen[bytes]"]

    def clocks(self, ground: Ground) -> dict[str, Callable[[], float]]:
        """A CPU clock for each of measures.PARTS."""
        own = {name: _clock(process.pid) for name, process in self.running.items()}
        return {**own, "PostgreSQL": ground.postgres_seconds, "RabbitMQ": ground.broker_seconds}

    def require_alive(self) -> None:
        ended = [name for name, process in self.running.items() if process.poll() is not None]
        assert not ended, f"{', '.join(ended)} ended in the midst of the bench; the log says why"


def _clock(pid: int) -> Callable[[], float]:
    return lambda: cpu.family_seconds(pid)


@contextmanager
def standing(ground: Ground, book: Book) -> Iterator[Fleet]:
    """All processes, ready for work. They are stopped in the reverse order, the emulator last."""
    database = ground.stack.directory / "bench-stripe.sqlite3"
    environment = environment_of(ground.stack) | {
        **ground.stack.emulator_environment(),
        "DATABASE_URL": book.fleet_url,
        "STRIPE_EMULATOR_DATABASE": str(database),
    }
    fleet = Fleet(book, environment, {})
    try:
        with (ground.stack.directory / "log" / "bench-fleet.log").open("wb") as log:
            for name, line in _lines().items():
                command = shlex.split(line)
                fleet.running[name] = processes.spawn(command, ground.stack.directory, environment, CLONE, log)
        _wait_until_ready(ground, fleet)
        yield fleet
    finally:
        for process in reversed(fleet.running.values()):
            processes.end(process, SIGTERM, 15)
        for left in database.parent.glob(database.name + "*"):
            left.unlink()


def _lines() -> dict[str, str]:
    return {EMULATOR: "python -m deploy.local.stripe", **parse_procfile((CLONE / "Procfile").read_text()).processes}


def _wait_until_ready(ground: Ground, fleet: Fleet) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (_intake_ready(ground) and _all_queues_consumed(ground)):
        fleet.require_alive()
        assert time.monotonic() < deadline, "the fleet did not come up; its log says why"
        time.sleep(0.2)
    time.sleep(1.0)  # Dramatiq's threads


def _intake_ready(ground: Ground) -> bool:
    try:
        address = f"{intake_address(ground.stack)}/health/ready"
        return urllib3.request("GET", address, timeout=2.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _all_queues_consumed(ground: Ground) -> bool:
    """The two worker processes and the order intake hold their consumers."""
    connection = pika.BlockingConnection(pika.URLParameters(ground.stack.rabbitmq.url))
    try:
        channel = connection.channel()
        wanted = {ORDERS_QUEUE: 1, ROUTES[ChargeRequested].queue: 2, ROUTES[WebhookReceived].queue: 2}
        return all(
            channel.queue_declare(queue, passive=True).method.consumer_count >= count for queue, count in wanted.items()
        )
    finally:
        connection.close()
