"""The scale signals: what is due, ready and with a worker counts together, and one scheduler alone tells them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
import pika
import psycopg
import pytest
import redis

from db.leadership import Leadership
from db.session import Database
from deploy.local.stack.stack import Stack
from messages.queues import DEAD_LETTER_QUEUE, ORDERS_EXCHANGE, ORDERS_QUEUE, QUEUE_CLASSES, ROUTES, queues_of
from messages.sweeps import SweepDue
from outbox.append import append
from outbox.broker import topology
from outbox.consumer import Consumer, Delivered
from outbox.dead_letters import drain
from outbox.intake.amqp import order_intake
from outbox.monitoring.collector import MetricCollector
from outbox.monitoring.scale_signals import LONGEST_DRAIN_SECONDS, ScaleSignals
from outbox.process.load import KEY, Load, loads, tell
from outbox.sealing import Sealer, SealSettings, new_pair
from tests.conftest import Book
from tests.waiting import until


@pytest.fixture
def cache(stack: Stack) -> redis.Redis:
    client = redis.Redis.from_url(stack.valkey.url)
    client.delete(KEY)
    return client


def values(signals: ScaleSignals) -> dict[tuple[str, str], float]:
    """(metric, class) -> value."""
    return {
        (sample.name.removeprefix("fleet_scale_"), sample.labels["queue_class"]): sample.value
        for metric in signals()
        for sample in metric.samples
    }


def test_every_queue_has_a_class() -> None:
    assert {route.queue for route in ROUTES.values()} <= set(QUEUE_CLASSES)
    assert queues_of("charges") == ["charges"]
    assert {"refunds", "captures"} <= set(queues_of("refunds"))


def test_outbox_broker_and_hands_count_together(
    db: Database, owner: psycopg.Connection, rabbitmq_url: str, cache: redis.Redis
) -> None:
    signals = ScaleSignals(db, partial(topology.depths, rabbitmq_url), cache)
    with db.system_transaction() as tx:
        [now] = tx.execute("SELECT clock_timestamp()").fetchone() or ()
        append(tx, SweepDue(due_at=now), SweepDue(due_at=now))
    owner.execute("UPDATE outbox SET due_at = due_at - interval '90 seconds'")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for queue in ("charges", "charges", "captures", "webhooks"):
            channel.basic_publish("", queue, b"x")
    tell(cache, "host-1", Load({"charges": 5, "sweeps": 2}, {"charges": 0}))

    found = values(signals)

    assert found["outbox_lag_rows", "background"] == 2
    assert 90 <= found["oldest_age_seconds", "background"] < 120
    assert found["ready_and_unacked", "charges"] == 2 + 5
    assert found["ready_and_unacked", "refunds"] == 1
    assert found["ready_and_unacked", "background"] == 2
    assert found["ready_and_unacked", "webhooks"] == 1
    assert ("drain_seconds", "orders") not in found  # nobody tells how fast order events are taken
    assert found["drain_seconds", "charges"] == LONGEST_DRAIN_SECONDS  # nobody has handled any yet


def test_order_events_and_dead_letters_have_an_age_and_a_time_to_drain(
    db: Database, rabbitmq_url: str, cache: redis.Redis
) -> None:
    signals = ScaleSignals(db, partial(topology.depths, rabbitmq_url), cache)
    placed = {"specversion": "1.0", "time": (datetime.now(UTC) - timedelta(seconds=90)).isoformat()}
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in (b"no event", orjson.dumps(placed), b"no event either"):
            channel.basic_publish(ORDERS_EXCHANGE, "order.placed", body)
        channel.basic_publish("", "charges", b"x")
        method, _, _ = channel.basic_get("charges")
        channel.basic_reject(method.delivery_tag, requeue=False)
    sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=new_pair()[0]))  # type: ignore[arg-type]
    seen: dict[str, dict[tuple[str, str], float]] = {}

    def held(consumer: Consumer) -> Callable[[list[Delivered]], None]:
        """In place of the database: what the signals say while these are in hand."""

        def take(_batch: list[Delivered]) -> None:
            tell(cache, consumer.queue, consumer.load())
            seen[consumer.queue] = values(signals)
            consumer.stopping.set()

        return take

    for consumer in (order_intake(db, rabbitmq_url), drain(db, rabbitmq_url, sealer)):
        consumer.linger_seconds = 1.0
        consumer.take = held(consumer)
        consumer.run()
        assert consumer.load().handled == {consumer.queue: 3 if consumer.queue == ORDERS_QUEUE else 1}
        assert consumer.load().unacked == {consumer.queue: 0}

    orders, dead = seen[ORDERS_QUEUE], seen[DEAD_LETTER_QUEUE]
    assert 90 <= orders["oldest_age_seconds", "orders"] < 120
    assert orders["ready_and_unacked", "orders"] == 3
    assert orders["drain_seconds", "orders"] == LONGEST_DRAIN_SECONDS  # none was handled yet
    assert 0 <= dead["oldest_age_seconds", "dead-letters"] < 60
    assert dead["ready_and_unacked", "dead-letters"] == 1


def test_the_time_to_drain_goes_by_what_was_handled_lately(db: Database, rabbitmq_url: str, cache: redis.Redis) -> None:
    signals = ScaleSignals(db, partial(topology.depths, rabbitmq_url), cache)
    tell(cache, "host-1", Load({"charges": 20}, {"charges": 100}))
    values(signals)
    time.sleep(0.5)
    tell(cache, "host-1", Load({"charges": 20}, {"charges": 110}))
    tell(cache, "host-2", Load({"charges": 0}, {"charges": 7_000}))  # what it handled before we looked is no rate

    found = values(signals)

    assert 5 < found["fleet_handled_per_second", "charges"] <= 20
    assert found["drain_seconds", "charges"] == pytest.approx(20 / found["fleet_handled_per_second", "charges"])


def test_without_the_cache_what_is_at_the_broker_is_not_told_at_all(
    db: Database, book: Book, rabbitmq_url: str
) -> None:
    nowhere = redis.Redis.from_url("redis://127.0.0.1:1/0")
    parts = [ScaleSignals(db, partial(topology.depths, rabbitmq_url), nowhere)]
    collecting = MetricCollector(Leadership(book.settings, "collector"), parts)

    assert collecting.run_once()

    names = {metric.name for metric in collecting.collect()}
    assert "fleet_scale_outbox_lag_rows" in names
    assert "fleet_scale_ready_and_unacked" not in names


def test_a_worker_that_no_longer_tells_is_forgotten(cache: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(cache, "host-1", Load({"charges": 5}, {}))
    assert set(loads(cache)) == {"host-1"}

    monkeypatch.setattr("outbox.process.load.STALE_SECONDS", 0.0)

    assert loads(cache) == {}
    assert cache.hlen(KEY) == 0


def test_of_two_schedulers_one_tells_and_the_other_takes_over(book: Book) -> None:
    first, second = (MetricCollector(Leadership(book.settings, "collector"), []) for _ in range(2))

    assert (first.run_once(), second.run_once()) == (True, False)
    assert [sample.value for metric in second.collect() for sample in metric.samples] == [0.0]

    first._leadership.close()

    until(second.run_once)
