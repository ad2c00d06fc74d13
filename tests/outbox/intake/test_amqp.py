"""The order service's door: an event leaves the broker only after it is committed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pika
import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from db import session
from db.session import Database
from db.tenants.tenants import Tenant
from outbox import consumer
from outbox.broker import topology
from outbox.consumer import Consumer
from outbox.intake.amqp import order_intake
from tests import factories, queues
from tests.conftest import Book
from tests.lines import Cut
from tests.waiting import until


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "AWAY_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(consumer, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(session, "POOL_PATIENCE_SECONDS", 0.1)


def test_events_of_the_exchange_become_payments_and_leave_the_queue(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    for _ in range(130):
        publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 130)

    assert queues.drain(channel, "fleet.orders") == []


def test_a_broken_event_is_buried_and_the_queue_moves_on(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    publish(channel, b"\x00 no event")
    publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 1)

    assert queues.drain(channel, "fleet.orders") == []
    assert owner.execute("SELECT source, message_id FROM dead_letters").fetchall() == [("orders", "transport-id")]


def test_a_redelivered_event_is_accepted_once(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    event = factories.event(factories.order(tenant))
    publish(channel, event)
    publish(channel, event)

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 1)

    assert queues.drain(channel, "fleet.orders") == []
    assert payments(owner) == 1


def test_while_the_database_is_away_events_stay_at_the_broker_and_none_is_set_aside(
    book: Book, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    db = Database(book.settings, application="test")
    for _ in range(3):
        publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)) as intake:
        until(lambda: payments(owner) == 3)
        with database_away():
            publish(channel, factories.event(factories.order(tenant)))
            time.sleep(3)  # time for more redeliveries than the broker's delivery limit allows
            assert intake.is_alive()
        until(lambda: payments(owner) == 4)

    db.close()
    assert queues.drain(channel, "fleet.orders") == []
    assert queues.drain(channel, "fleet.dead") == []


def test_an_intake_that_stops_while_the_database_is_away_leaves_the_events_to_the_next(
    book: Book, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel,
    database_away: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    db = Database(book.settings, application="test")
    event = factories.event(factories.order(tenant))

    with database_away():
        publish(channel, event)
        with running(order_intake(db, rabbitmq_url)):
            time.sleep(0.5)
        db.close()

    assert payments(owner) == 0
    assert queues.wait_for(channel, "fleet.orders", 1) == [event]


def test_a_cut_line_to_the_broker_is_mended_and_nothing_is_lost(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    with Cut(rabbitmq_url) as cut, running(order_intake(db, cut.url)):
        publish(channel, factories.event(factories.order(tenant)))
        until(lambda: payments(owner) == 1)
        cut.now()
        publish(channel, factories.event(factories.order(tenant)))

        until(lambda: payments(owner) == 2)


def test_at_an_empty_broker_the_intake_declares_everything_again(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    for queue in ("fleet.orders", "order-service.payments", "fleet.dead"):
        channel.queue_delete(queue)
    channel.exchange_delete("payments")

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: min(topology.depths(rabbitmq_url).values()) == 0)
        publish(channel, factories.event(factories.order(tenant)))
        until(lambda: payments(owner) == 1)

    channel.exchange_declare("payments", passive=True)


@contextmanager
def running(intake: Consumer) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=intake.run, name=f"intake-{uuid4().hex[:6]}", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        intake.stopping.set()
        thread.join(10)
    assert not thread.is_alive(), "the intake stops when it is asked to"


def publish(channel: BlockingChannel, body: bytes) -> None:
    properties = pika.BasicProperties(delivery_mode=2, message_id="transport-id")
    channel.basic_publish("orders", "order.placed", body, properties)


def payments(owner: psycopg.Connection) -> int:
    row = owner.execute("SELECT count(*) FROM payments").fetchone()
    assert row is not None
    return int(row[0])
