"""Intake of the order service's events by AMQP: consumes its topic exchange in batches, acks only what is committed.

Phases: gather what is there (outbox/consumer.py), accept it (outbox/intake/accept.py), ack. Killed after the commit and
before the ack, the redelivered events are duplicates and change nothing.
"""

from datetime import datetime
from uuid import UUID

import orjson
from loguru import logger

from db.session import Database
from db.settings import DatabaseSettings
from db.text import text_or_none
from messages.queues import ORDERS_QUEUE
from messages.runtime.cache import OptionalCacheSettings
from outbox.broker import topology
from outbox.broker.settings import BrokerSettings
from outbox.consumer import Consumer, Delivered
from outbox.intake.accept import accept, set_aside
from outbox.intake.order_events import IncomingEvent
from outbox.monitoring.checks import broker_check, database_check
from outbox.process.metrics import INTAKE_ORDERS
from outbox.process.run import Process, Program, Work
from outbox.requests.orders import OrderOutcome
from outbox.sealing import Sealer, SealSettings

BATCH = 100
# How long the first event of a batch may wait for company.
LINGER_SECONDS = 0.01


def order_intake(db: Database, url: str, sealer: Sealer | None = None) -> Consumer:
    """A consumer of the orders queue, in batches of at most BATCH; it counts the outcomes. `sealer` as in `accept`."""

    def take(deliveries: list[Delivered]) -> None:
        outcomes = accept(db, [_incoming(each) for each in deliveries], sealer)
        for outcome in OrderOutcome:
            INTAKE_ORDERS.labels(outcome.value).inc(outcomes.count(outcome))

    def fail(delivered: Delivered, error: Exception) -> None:
        outcome = set_aside(db, sealer, _incoming(delivered), error)
        INTAKE_ORDERS.labels(outcome.value).inc()

    return Consumer(
        url, ORDERS_QUEUE, take, fail, batch=BATCH, prefetch=2 * BATCH, linger_seconds=LINGER_SECONDS, came_at=_came_at
    )


def _came_at(delivered: Delivered) -> float | None:
    """The event's own `time` as Unix time; None for a replayed dead letter, whose age is no backlog, and for invalid
    events.
    """
    if delivered.method.exchange == "":
        return None
    try:
        return datetime.fromisoformat(orjson.loads(delivered.body)["time"]).timestamp()
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _incoming(delivered: Delivered) -> IncomingEvent:
    """The order service publishes to its exchange; what arrives by the default exchange is a replayed or postponed
    event.
    """
    message_id = text_or_none(delivered.properties.message_id)
    return IncomingEvent(delivered.body, message_id, _uuid(message_id) if delivered.method.exchange == "" else None)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _order_intake(
    process: Process,
    database: DatabaseSettings,
    broker: BrokerSettings,
    seal: SealSettings,
    cache: OptionalCacheSettings,
) -> Work:
    url = broker.rabbitmq_url.get_secret_value()
    topology.declare_when_reachable(url)
    db = process.database(database)
    intake = order_intake(db, url, Sealer(seal))
    intake.stopping = process.stopping
    process.serve_health({"db": database_check(db), "broker": broker_check(broker)}, ("db", "broker"))
    intake.tell_load(cache)
    logger.info("order intake started")
    return intake.run


def main() -> None:
    """The `intake-orders` process. Exit codes: 0 stopped, 69 no broker at start, 75 held up, 78 settings or
    topology.
    """
    settings = (DatabaseSettings, BrokerSettings, SealSettings, OptionalCacheSettings)
    Program("intake-orders", goodbye="order intake stopped").run(settings, _order_intake)


if __name__ == "__main__":
    main()
