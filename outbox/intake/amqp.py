"""The order service's door: consumes its topic exchange, accepts in batches, acks only what is committed.

Phases: gather what is there (up to BATCH, or a few milliseconds), accept it (outbox/intake/accept.py), ack. Killed
before the commit, the broker delivers again; killed after it, the redelivered events are duplicates and change nothing.
While the database is away the batch is held, neither acked nor rejected: a rejection would count as a delivery.
"""

import time
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import UUID

import pika
import psycopg
from loguru import logger
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from db.session import Database
from db.settings import DatabaseSettings
from messages.queues import ORDERS_QUEUE
from messages.settings import SettingsError, load, stop_the_start
from outbox import topology
from outbox.intake.accept import accept
from outbox.intake.offers import Outcome
from outbox.intake.reading import Incoming
from outbox.logs import configure_logs
from outbox.metrics import INTAKE_ORDERS
from outbox.sealing import Sealer, SealSettings
from outbox.settings import BrokerSettings
from outbox.stopping import stop_on_signals

BATCH = 100
# How long the first event of a batch may wait for company.
LINGER_SECONDS = 0.01
IDLE_SECONDS = 1.0
AWAY_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class OrderIntake:
    """One consumer of the orders queue. `run` reconnects by itself until asked to stop."""

    db: Database
    url: str
    sealer: Sealer | None = None
    stopping: Event = field(default_factory=Event)

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._consume()
            except (AMQPError, OSError) as error:
                logger.warning("broker away, reconnecting: {}", type(error).__name__)
                self.stopping.wait(AWAY_PAUSE_SECONDS)

    def _consume(self) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=2 * BATCH)
            while not self.stopping.is_set():
                deliveries = _gather(channel)
                if deliveries and self._accepted(connection, deliveries):
                    # Tags grow within a channel, so the last one acks the whole batch.
                    channel.basic_ack(deliveries[-1][0], multiple=True)
        finally:
            if connection.is_open:
                connection.close()

    def _accepted(self, connection: pika.BlockingConnection, deliveries: list[tuple[int, Incoming]]) -> bool:
        """Accept the batch, holding it while the database is away; False when asked to stop meanwhile."""
        while not self.stopping.is_set():
            try:
                outcomes = accept(self.db, [incoming for _, incoming in deliveries], self.sealer)
            except psycopg.Error as error:
                logger.warning("database away, holding {} events: {}", len(deliveries), type(error).__name__)
                connection.sleep(AWAY_PAUSE_SECONDS)  # keeps the heartbeats going
                continue
            for outcome in Outcome:
                INTAKE_ORDERS.labels(outcome.value).inc(outcomes.count(outcome))
            return True
        return False


def _gather(channel: BlockingChannel) -> list[tuple[int, Incoming]]:
    """The next events, with their delivery tags; at least one unless the queue is idle."""
    gathered: list[tuple[int, Incoming]] = []
    deadline = 0.0
    timeout = IDLE_SECONDS
    while len(gathered) < BATCH:
        method, properties, body = next(channel.consume(ORDERS_QUEUE, inactivity_timeout=timeout))
        if method is None:
            break
        gathered.append((method.delivery_tag, _incoming(method, properties, body or b"")))
        deadline = deadline or time.monotonic() + LINGER_SECONDS
        timeout = max(0.0005, deadline - time.monotonic())
        if time.monotonic() >= deadline:
            break
    return gathered


def _incoming(method: Any, properties: Any, body: bytes) -> Incoming:
    """The order service publishes to its exchange; what comes by the default exchange is a replayed dead letter."""
    replay_of = _uuid(properties.message_id) if method.exchange == "" else None
    return Incoming(body, properties.message_id, replay_of)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def main() -> None:
    try:
        database, broker, seal = load(DatabaseSettings, BrokerSettings, SealSettings)
    except SettingsError as error:
        stop_the_start(error)
    configure_logs(database.app_env, "intake-orders")
    url = broker.rabbitmq_url.get_secret_value()
    topology.declare_when_reachable(url)
    db = Database(database, application="fleet-intake-orders")
    intake = OrderIntake(db, url, Sealer(seal))
    stop_on_signals(intake.stopping)
    logger.info("order intake started")
    intake.run()
    db.close()
    logger.info("order intake stopped")


if __name__ == "__main__":
    main()
