"""Cases 14, 16, 20-22, 24, 25, 27, 29: broker, database and cache go away, are crowded, or are given nonsense."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pika
import psycopg
import redis

from deploy.local.proofs.chaos.at_processes import POINTS
from deploy.local.proofs.chaos.cases import Scene, UnmetError, case
from deploy.local.stack.server import Server
from messages.queues import DEAD_LETTER_QUEUE, DELIVERY_LIMIT
from messages.sweeps import SweepDue
from outbox.append import append
from outbox.broker import topology

IDLE_CONNECTIONS = 200
# The broker returns a message a moment after its taker died, so that two or three of them take turns.
MOST_TAKEN = 8 * DELIVERY_LIMIT
_MESSAGE_ID = re.compile(r'"message_id": "([^"]+)"')
STUCK = "outbox WHERE due_at < clock_timestamp() - interval '3 seconds'"


def _away(scene: Scene, server: Server, *, killed: bool) -> None:
    scene.note("killed" if killed else "restarted")
    if killed:
        server.kill()
        server.start()
    else:
        server.restart()


@case("14a", "the broker is killed", short=True)
def broker_killed(scene: Scene) -> Iterator[None]:
    _away(scene, scene.fleet.stack.rabbitmq, killed=True)
    yield


@case("14b", "the broker is restarted")
def broker_restarted(scene: Scene) -> Iterator[None]:
    _away(scene, scene.fleet.stack.rabbitmq, killed=False)
    yield


@case("14c", "the broker blocks publishers: its memory alarm")
def memory_alarm(scene: Scene) -> Iterator[None]:
    """Whoever publishes is blocked, also the order service: so the sale stands too, and what Stripe tells piles up."""
    broker = scene.fleet.stack.rabbitmq
    broker.control("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        scene.until(lambda: scene.truth.count(STUCK) > 0, "rows stay in the outbox")
    finally:
        broker.control("set_vm_memory_high_watermark", "absolute", "1GB")
    yield


@case("16", "a queue is deleted, and declared again")
def unroutable(scene: Scene) -> Iterator[None]:
    """What lay in the queue is gone with it: the sweep must find whose turn it was."""
    queue = scene.chance.choice(["charges", "webhooks", "lookups", "refunds", "captures"])
    scene.note(queue)
    with _channel(scene) as channel:
        channel.queue_delete(queue)
    try:
        scene.after_orders(scene.chance.randint(10, 25))
    finally:
        topology.declare(_broker(scene))
    yield


@case("20", "a message is redelivered up to the delivery limit", buries=True)
def delivery_limit(scene: Scene) -> Iterator[None]:
    """A consumer that dies with the message each time; the workers stand meanwhile."""
    before = scene.truth.count("dead_letters WHERE cause = 'killed_worker'")
    scene.fleet.stop("workers", grace_seconds=15)
    try:
        scene.until(lambda: scene.truth.depths()["charges"] > 0, "a charge waits in its queue")
        taken = 0
        while _killers(scene) == before and taken < MOST_TAKEN:
            _take_and_die(scene)
            taken += 1
        scene.note(f"taken {taken} times")
        scene.until(lambda: _killers(scene) > before, "the broker has set the message aside, and the drain buried it")
    finally:
        scene.fleet.start("workers")
    yield


def _killers(scene: Scene) -> int:
    return scene.truth.count("dead_letters WHERE cause = 'killed_worker'")


def _take_and_die(scene: Scene) -> None:
    with _channel(scene) as channel:
        channel.basic_get("charges")  # never acked: closing the channel counts as one more failed delivery


@case("21", "the database is restarted again and again", short=True)
def database_restarts(scene: Scene) -> Iterator[None]:
    for _ in range(scene.chance.randint(2, 4)):
        _away(scene, scene.fleet.stack.postgres, killed=scene.chance.random() < 0.5)
        scene.after_orders(scene.chance.randint(5, 20))
    yield


@case("22", "sessions are terminated at random, and 200 idle ones occupy the database", short=True)
def crowded(scene: Scene) -> Iterator[None]:
    with ExitStack() as idlers:
        for _ in range(IDLE_CONNECTIONS):
            idlers.enter_context(psycopg.connect(scene.fleet.stack.postgres.migration_url))
        for _ in range(scene.chance.randint(4, 8)):
            whose = scene.chance.choice(
                ["fleet-worker", "fleet-relay%", "fleet-intake%", "fleet-intake-api", "fleet-%"]
            )
            ended = scene.truth.as_superuser(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %(whose)s",
                whose=whose,
            )
            scene.note(f"{ended} of {whose}")
            scene.after_orders(scene.chance.randint(2, 8))
    yield


@case("24", "forgotten transactions keep row locks and an old snapshot")
def holder(scene: Scene) -> Iterator[None]:
    settled = "payment_history WHERE to_state = 'succeeded'"
    url = scene.fleet.stack.postgres.migration_url
    with psycopg.connect(url) as reader, psycopg.connect(url) as forgotten:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM outbox")
        held = forgotten.execute("SELECT 1 FROM payments ORDER BY created_at DESC LIMIT 3 FOR UPDATE").rowcount
        scene.note(f"{held} payments")
        before = scene.truth.count(settled)
        scene.after_orders(scene.chance.randint(20, 40))
        after = scene.truth.count(settled)
        forgotten.rollback()
    scene.require(after > before, "no payment succeeded beside a forgotten transaction")
    yield


@case("25", "a row with an older due time is committed late")
def late_commit(scene: Scene) -> Iterator[None]:
    """Later than the relay looks back (outbox/relay.py), so that only its full look can find it."""
    message = SweepDue(due_at=datetime.now(UTC))
    with scene.truth.db.system_transaction() as tx:
        append(tx, message)
        row = tx.execute("SELECT max(id) FROM outbox WHERE kind = 'sweep'").fetchone()
        scene.after_orders(scene.chance.randint(20, 40))
    assert row is not None, "an aggregate always returns a row"
    yield
    scene.until(lambda: not scene.truth.count("outbox WHERE id = %(id)s", id=row[0]), "the late row is published")


@case("27a", "the cache is emptied, then stopped", short=True)
def cache_away(scene: Scene) -> Iterator[None]:
    valkey = scene.fleet.stack.valkey
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    scene.after_orders(scene.chance.randint(3, 10))
    valkey.stop()
    try:
        before = scene.truth.count("orders")
        scene.after_orders(scene.chance.randint(5, 20))
        scene.until(lambda: scene.truth.count("orders") > before, "orders are taken without the cache")
    finally:
        valkey.start()
    yield


@case("29", "malformed messages published to the queues", short=True, buries=True)
def poison(scene: Scene) -> Iterator[None]:
    """What nobody can read is set aside by the broker; what nobody can use becomes a dead letter with its reason."""
    points = [point for point in POINTS if point.startswith("dead_letters.")]
    for point in points:
        scene.fleet.arm(point)
    bodies = _poison(scene)
    scene.note(f"{len(bodies)} bodies, {', '.join(points)}")
    queues = ["charges", "webhooks", "lookups"]
    scene.fleet.stack.rabbitmq.put(*((scene.chance.choice(queues), body) for body in bodies))
    with suppress(UnmetError):
        scene.until(lambda: not _unburied(scene, bodies), "every poisonous message is a dead letter")
    scene.require(not (left := _unburied(scene, bodies)), f"no dead letters of {left}")
    scene.until(lambda: not scene.fleet.armed(), f"the drain died at {', '.join(points)}")
    yield
    scene.require(not scene.truth.depths()[DEAD_LETTER_QUEUE], "the broker still holds dead letters")


def _unburied(scene: Scene, bodies: list[bytes]) -> list[bytes]:
    """The heads of those that are no dead letters, by message id or, where none can be read, by what they are."""
    letters = scene.truth.rows(
        "SELECT message_id, payload_sha256 FROM dead_letters WHERE source IN ('broker', 'worker')"
    )
    known = {row["message_id"] for row in letters} | {row["payload_sha256"] for row in letters}
    return [
        body[:60]
        for body in bodies
        if not known & {sha256(body).digest(), *_MESSAGE_ID.findall(body.decode("latin-1"))}
    ]


def _poison(scene: Scene) -> list[bytes]:
    unknown = {"tenant_id": _id(scene), "payment_id": _id(scene)}
    return [
        b"\x00\xff no message " + scene.chance.randbytes(16),
        scene.chance.randbytes(1 << 20),
        json.dumps({"hello": _id(scene)}).encode(),
        _message(scene, "refunds_of_the_future", {}),
        _message(scene, "charge", {}),
        _message(scene, "charge", {"payload": {"answer": 42}}),
        _message(scene, "charge", {"payload": unknown}),
    ]


def _message(scene: Scene, actor: str, kwargs: dict[str, Any]) -> bytes:
    fields = {"queue_name": "charges", "actor_name": actor, "args": [], "kwargs": kwargs, "options": {}}
    return json.dumps({**fields, "message_id": _id(scene), "message_timestamp": 1}).encode()


def _id(scene: Scene) -> str:
    return str(UUID(bytes=scene.chance.randbytes(16), version=4))


def _broker(scene: Scene) -> str:
    return scene.fleet.stack.rabbitmq.url


@contextmanager
def _channel(scene: Scene) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(_broker(scene)))
    try:
        yield connection.channel()
    finally:
        connection.close()
