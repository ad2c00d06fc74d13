"""FAULTS 29: what nobody can handle ends where a person sees it, and the queue moves on."""

import json
from random import Random

import pika
import pytest

from messages.queues import DELIVERY_LIMIT
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

_FIELDS = '"args": [], "kwargs": %s, "options": {}, "message_id": "%s", "message_timestamp": 1'
_ID = "0199d3c0-0000-7000-8000-%012d"


def dramatiq_message(number: int, actor: str, kwargs: str, queue: str = "charges") -> bytes:
    return f'{{"queue_name": "{queue}", "actor_name": "{actor}", {_FIELDS % (kwargs, _ID % number)}}}'.encode()


UNREADABLE = {
    "no-json": (b"\x00\xff this is no message", "undecodable"),
    "one-mebibyte": (b"x" * (1 << 20), "undecodable"),
    "json-but-no-message": (b'{"hello": "world"}', "undecodable"),
    "of-an-actor-nobody-knows": (dramatiq_message(1, "refunds_of_the_future", "{}"), "unknown_actor"),
}


def odd(number: int, sound: bytes, strange: bytes) -> bytes:
    """A sound message of its own id in which one piece is strange."""
    message = dramatiq_message(number, "charge", '{"payload": {}}')
    assert sound in message
    return message.replace(sound, strange)


_NO_OPTIONS = b'"options": {}'
_ENDLESS = Random(1).randbytes(5_000).hex().encode()  # noqa: S311  nothing an index could compress
HOSTILE = {
    "no-payload": odd(20, b'{"payload": {}}', b"{}"),
    "an-id-that-is-none": odd(21, b"0199d3c0", b"nonsense"),
    "a-number-for-an-id": odd(22, b'"0199d3c0-0000-7000-8000-000000000022"', b"42"),
    "options-that-are-a-number": odd(23, _NO_OPTIONS, b'"options": 5'),
    "options-of-words": odd(24, _NO_OPTIONS, b'"options": {"run": "x", "attempt": [], "trace_id": 1}'),
    "an-eta-that-is-no-time": odd(25, _NO_OPTIONS, b'"options": {"eta": "soon"}'),
    "a-time-limit-of-words": odd(26, _NO_OPTIONS, b'"options": {"time_limit": "long"}'),
    "arguments-that-are-a-number": odd(27, b'"args": []', b'"args": 5'),
    "named-arguments-that-are-a-list": odd(28, b'{"payload": {}}', b"[]"),
    "no-actor": odd(29, b'"charge"', b"null"),
    "an-actor-that-is-a-list": odd(30, b'"charge"', b"[1]"),
    "an-actor-with-a-nul": odd(33, b'"charge"', rb'"charge\u0000"'),
    "an-actor-of-endless-name": odd(34, b'"charge"', b'"%s"' % _ENDLESS),
    "an-endless-id": odd(35, b'"0199d3c0-0000-7000-8000-000000000035"', b'"%s"' % _ENDLESS),
    "an-id-with-a-nul": odd(36, b'"0199d3c0', rb'"\u00000199d3c0'),
    "a-trace-with-a-nul": odd(37, _NO_OPTIONS, rb'"options": {"trace_id": "\u0000"}'),
    "an-attempt-of-secrets": odd(38, _NO_OPTIONS, b'"options": {"attempt": {"card": "4242 4242 4242 4242"}}'),
    "another-queue": odd(31, b'"charges"', b'"nowhere"'),
    "a-field-too-many": odd(32, b'{"queue_name"', b'{"more": 1, "queue_name"'),
    "nothing": b"null",
    "a-list": b"[]",
}
UNUSABLE = {
    "with-another-payload": (dramatiq_message(4, "charge", '{"payload": {"answer": 42}}'), "answer"),
    "of-no-payment-we-know": (
        dramatiq_message(5, "charge", json.dumps({"payload": {"tenant_id": _ID % 6, "payment_id": _ID % 7}})),
        "has no payment",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_message_nobody_can_read_ends_as_a_dead_letter_and_the_queue_moves_on(fleet: Fleet, name: str) -> None:
    body, cause = UNREADABLE[name]
    before = fleet.letters("")

    fleet.put("charges", body)
    fleet.publish(*fleet.orders(5))

    fleet.wait_until(lambda: len(fleet.letters("")) > len(before), "a dead letter")
    assert_clean(fleet)
    (letter,) = [letter for letter in fleet.letters("") if letter not in before]
    assert (letter["source"], letter["cause"], letter["queue"]) == ("broker", cause, "charges")
    assert fleet.verify().kinds["messages under way"].dead == len(before) + 1


@pytest.mark.parametrize("name", HOSTILE)
def test_no_message_however_odd_stops_its_queue_or_is_lost(fleet: Fleet, name: str) -> None:
    before = len(fleet.letters(""))

    fleet.put("charges", HOSTILE[name])
    fleet.publish(*fleet.orders(3))

    fleet.wait_until(lambda: len(fleet.letters("")) == before + 1, "a dead letter")
    assert_clean(fleet)
    assert [letter["cause"] for letter in fleet.letters("") if letter["cause"] == "killed_worker"] == []


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_message_nobody_can_use_becomes_a_dead_letter_with_its_reason(fleet: Fleet, name: str) -> None:
    body, reason = UNUSABLE[name]

    fleet.put("charges", body)
    fleet.publish(*fleet.orders(5))

    fleet.wait_until(lambda: len(fleet.letters(reason)) == 1, "a dead letter")
    assert_clean(fleet)


def test_a_message_that_kills_its_worker_every_time_is_set_aside_and_replayed_charges_once(fleet: Fleet) -> None:
    fleet.stop("workers")
    order = fleet.order()
    fleet.publish(order)
    for _ in range(DELIVERY_LIMIT - 2):  # most of its victims are quick ones, to spare the time of starting workers
        fleet.wait_until(lambda: taken_by_one_who_dies(fleet), "the message is delivered")
    fleet.arm("charge.before_call", times=10)
    fleet.start("workers")
    fleet.wait_until(lambda: bool(fleet.letters("kills its worker")), "the delivery limit ends it")
    assert fleet.crashes_left("charge.before_call") < 10
    fleet.disarm()

    (letter,) = fleet.letters("kills its worker")
    answer = fleet.command("dlq", "replay", str(letter["dead_letter_id"]), "--reason", "the worker is mended", "--yes")

    assert answer.returncode == 0, answer.stderr
    assert_clean(fleet)
    assert fleet.state_of(order) == "succeeded"


def taken_by_one_who_dies(fleet: Fleet) -> bool:
    connection = pika.BlockingConnection(pika.URLParameters(fleet.stack.rabbitmq.url))
    method, _, _ = connection.channel().basic_get("charges")
    connection.close()
    return method is not None
