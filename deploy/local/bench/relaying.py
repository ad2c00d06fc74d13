"""The relay against its ceiling (the same client publishing without a database) and against the naive way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pika
import psycopg

from db.notify import Listener
from deploy.local.bench import backlog, cpu
from deploy.local.bench.cpu import Meter
from deploy.local.bench.ground import QUEUE, Book, Ground, Queue
from outbox.broker.publisher import Outgoing, Publisher
from outbox.relay import BATCH, LONGEST_ROUND, Relay

ROUND = BATCH * LONGEST_ROUND

_NEXT = "SELECT id, routing_key, message_id, body FROM outbox ORDER BY due_at, id LIMIT %s"


def measure(ground: Ground) -> None:
    count = 2_000 if ground.quick else 10_000
    naive_count = 200 if ground.quick else 1_000
    with ground.book() as book, ground.queue() as queue, relay(ground, book) as one:
        for position in range(ground.passes + 1):
            publish_rate = _publish_only(ground, queue, count)
            relay_rate, client_ms, postgres_ms = _relay(ground, book, queue, one, count)
            naive_rate = _naive(ground, book, queue, naive_count)
            if position > 0:  # the first warms caches and connections
                _note(ground, publish_rate, relay_rate, naive_rate, client_ms, postgres_ms)


@contextmanager
def relay(ground: Ground, book: Book) -> Iterator[Relay]:
    """The product's relay on a bench database; its connections are closed afterwards."""
    with book.opened(connections=1) as db:
        made = Relay(db, Publisher(ground.stack.rabbitmq.url), Listener(book.settings()))
        try:
            yield made
        finally:
            made.publisher.close()
            made.doorbell.close()


def drain(one: Relay, count: int) -> int:
    """Run rounds until at least `count` rows are through, and say how many; a round without rows ends it."""
    done = 0
    while done < count:
        published = one.run_once()
        assert published, f"the relay stopped at {done} of {count} rows"
        done += published
    return done


def _publish_only(ground: Ground, queue: Queue, count: int) -> float:
    batch = [Outgoing("", QUEUE, str(uuid4()), backlog.BODY) for _ in range(BATCH)]
    publisher = Publisher(ground.stack.rabbitmq.url)
    publisher.publish(batch)
    meter = Meter()
    with meter.running():
        for _ in range(count // BATCH):
            publisher.publish(batch)
    publisher.close()
    queue.empty()
    return count / meter.seconds


def _relay(ground: Ground, book: Book, queue: Queue, one: Relay, count: int) -> tuple[float, float, float]:
    backlog.fill(book, ROUND + count)
    ground.settle()
    drain(one, ROUND)
    meter = Meter(client=cpu.own_seconds, postgres=ground.postgres_seconds)
    with meter.running():
        assert drain(one, count) == count, "the outbox was filled with whole rounds"
    queue.empty()
    return count / meter.seconds, meter.cpu["client"] / count * 1e3, meter.cpu["postgres"] / count * 1e3


def _naive(ground: Ground, book: Book, queue: Queue, count: int) -> float:
    backlog.fill(book, count)
    meter = Meter()
    with psycopg.connect(book.owner_url, autocommit=True) as owner, meter.running():
        done = 0
        while rows := owner.execute(_NEXT, [100]).fetchall():
            done += _naive_batch(owner, queue, rows)
    assert done == count, f"the naive relay published {done} of {count} rows"
    queue.empty()
    return count / meter.seconds


def _naive_batch(
    owner: psycopg.Connection[tuple[object, ...]], queue: Queue, rows: Sequence[tuple[object, ...]]
) -> int:
    for row_id, routing_key, message_id, body in rows:
        properties = pika.BasicProperties(delivery_mode=2, message_id=str(message_id))
        queue.channel.basic_publish("", str(routing_key), body, properties=properties, mandatory=True)
        owner.execute("DELETE FROM outbox WHERE id = %s", [row_id])
    return len(rows)


def _note(
    ground: Ground, publish_rate: float, relay_rate: float, naive_rate: float, client_ms: float, postgres_ms: float
) -> None:
    add = ground.results.add
    add("publish only", publish_rate)
    add("relay", relay_rate)
    add("naive relay", naive_rate)
    add("relay / publish only", relay_rate / publish_rate)
    add("relay / naive relay", relay_rate / naive_rate)
    add("relay CPU, client", client_ms)
    add("relay CPU, PostgreSQL", postgres_ms)
    add("relay CPU, client + PostgreSQL", client_ms + postgres_ms)
