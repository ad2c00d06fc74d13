"""The drain: what RabbitMQ set aside becomes a letter that a person sees, and nothing is lost on the way."""

import json
from collections.abc import Iterator
from threading import Thread
from uuid import uuid4

import pika
import psycopg
import pytest

from db.session import Database
from messages.queues import DELIVERY_LIMIT
from messages.runtime.settings import AppEnv
from outbox.consumer import Consumer
from outbox.dead_letters import drain as drain_of
from outbox.sealing import Opener, OpenSettings, Sealer, SealSettings, pair_from_seed
from tests.outbox.field_values import RawProperties, array, long_text, nested, number
from tests.outbox.intake.test_odd_properties import fail_over
from tests.waiting import until

PUBLIC, PRIVATE = pair_from_seed("tests")


@pytest.fixture
def drain(db: Database, rabbitmq_url: str) -> Iterator[Consumer]:
    sealer = Sealer(SealSettings(app_env=AppEnv.TEST, dead_letter_public_key=PUBLIC))
    running = drain_of(db, rabbitmq_url, sealer)
    thread = Thread(target=running.run, daemon=True)
    thread.start()
    yield running
    running.stopping.set()
    thread.join(timeout=10)


def test_a_message_that_kills_its_worker_ends_as_a_letter_with_its_original(
    drain: Consumer, owner: psycopg.Connection, rabbitmq_url: str
) -> None:
    payload = {"tenant_id": str(uuid4()), "payment_id": str(uuid4())}
    body = {
        "queue_name": "charges",
        "actor_name": "charge",
        "args": [],
        "kwargs": {"payload": payload},
        "options": {"attempt": 3, "trace_id": "t" * 32},
        "message_id": str(uuid4()),
        "message_timestamp": 0,
    }

    deliver_until_the_broker_gives_up(rabbitmq_url, "charges", json.dumps(body).encode())
    until(lambda: letters(owner))

    ((cause, kind, payment_id, message_id, sealed),) = letters(owner)
    assert (cause, kind, str(payment_id), message_id) == (
        "killed_worker",
        "charge",
        payload["payment_id"],
        body["message_id"],
    )
    opener = Opener(OpenSettings(app_env=AppEnv.TEST, dead_letter_private_key=PRIVATE))  # type: ignore[arg-type]
    assert json.loads(opener.open(bytes(sealed))) == payload


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"\x00\xff no message", "undecodable"),
        (
            b'{"actor_name": "nobody", "message_id": "m", "kwargs": {}, "options": {}, "queue_name": "charges"}',
            "unknown_actor",
        ),
    ],
)
def test_what_nobody_can_handle_says_why(
    drain: Consumer, owner: psycopg.Connection, rabbitmq_url: str, body: bytes, cause: str
) -> None:
    reject(rabbitmq_url, "charges", body)

    until(lambda: letters(owner))

    assert [letter[0] for letter in letters(owner)] == [cause]


def test_a_header_that_pika_cannot_decode_does_not_block_the_last_queue(
    drain: Consumer, owner: psycopg.Connection, rabbitmq_url: str
) -> None:
    """FAULTS-2 Q1: the drain reconnected for ever over a timestamp in milliseconds while health said ok."""
    odd = RawProperties({b"sent-at": number("T", "Q", 1_764_547_200_000)})
    put(rabbitmq_url, "fleet.dead", b"odd", odd)
    put(rabbitmq_url, "fleet.dead", b"next", pika.BasicProperties())

    until(lambda: len(letters(owner)) == 2)


X_DEATHS = {
    "a number": number("l", "q", 5),
    "a text": long_text(b"text"),
    "nothing": b"V",
    "an empty array": array(),
    "an array of numbers": array(number("l", "q", 5)),
    "an array of empty tables": array(nested({})),
    "a queue with NUL": array(nested({b"queue": long_text(b"a\x00b"), b"reason": long_text(b"\x00")})),
    "a queue of bytes": array(nested({b"queue": long_text(b"\xff\xfe"), b"count": long_text(b"\x00", "x")})),
    "an endless queue": array(nested({b"queue": long_text(b"q" * 60_000)})),
    "a time that is none": array(nested({b"time": number("T", "Q", 2**64 - 1)})),
    "a time of a year before Christ": array(nested({b"time": number("l", "q", -1)})),
}


def test_what_stands_beside_a_message_never_stops_the_drain(
    drain: Consumer, owner: psycopg.Connection, rabbitmq_url: str
) -> None:
    """FAULTS-2 Q2, siblings: headers that only look like the broker's own, and ids that are no text."""
    for place, value in enumerate(X_DEATHS.values()):
        put(rabbitmq_url, "fleet.dead", b"odd %d" % place, RawProperties({b"x-death": value}))
    for place, message_id in enumerate([b"\xff\xfe", b"a\x00b", b"\xff" * 255]):
        put(rabbitmq_url, "fleet.dead", b"odd id %d" % place, RawProperties({}, message_id))
    put(rabbitmq_url, "fleet.dead", b"last", pika.BasicProperties())

    until(lambda: len(letters(owner)) == len(X_DEATHS) + 4)


def test_a_message_over_which_the_drain_fails_is_set_aside_and_the_next_one_comes(
    drain: Consumer, owner: psycopg.Connection, rabbitmq_url: str
) -> None:
    """FAULTS-2 Q2: every error of psycopg was taken for a database that is away, and the queue held for ever."""
    fail_over(owner, "dead_letters", "NEW.message_id = 'odd'")
    put(rabbitmq_url, "fleet.dead", b"odd", pika.BasicProperties(message_id="odd"))
    put(rabbitmq_url, "fleet.dead", b"next", pika.BasicProperties())

    until(lambda: len(letters(owner)) == 2)

    reasons = [reason for (reason,) in owner.execute("SELECT reason FROM dead_letters").fetchall()]
    assert [reason for reason in reasons if "InternalError" in reason and "4242" not in reason]


def put(url: str, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().basic_publish("", queue, body, properties)


def deliver_until_the_broker_gives_up(url: str, queue: str, body: bytes) -> None:
    """As a worker that dies over it again and again."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_publish("", queue, body)
    for _ in range(DELIVERY_LIMIT + 1):
        method, _, _ = next(channel.consume(queue, inactivity_timeout=5))
        assert method is not None
        channel.basic_nack(method.delivery_tag, requeue=True)
    connection.close()


def reject(url: str, queue: str, body: bytes) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_publish("", queue, body)
    method, _, _ = next(channel.consume(queue, inactivity_timeout=5))
    assert method is not None
    channel.basic_reject(method.delivery_tag, requeue=False)
    connection.close()


def letters(owner: psycopg.Connection) -> list[tuple[object, ...]]:
    return owner.execute("SELECT cause, kind, payment_id, message_id, sealed FROM dead_letters").fetchall()
