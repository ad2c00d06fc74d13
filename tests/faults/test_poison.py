"""FAULTS 29: what nobody can handle ends where a person sees it, and the queue moves on."""

import json

import pika
import pytest

from messages.queues import DEAD_LETTER_QUEUE
from outbox import topology
from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

_FIELDS = '"args": [], "kwargs": %s, "options": {}, "message_id": "%s", "message_timestamp": 1'
_ID = "0199d3c0-0000-7000-8000-00000000000%d"


def dramatiq_message(number: int, actor: str, kwargs: str, queue: str = "charges") -> bytes:
    return f'{{"queue_name": "{queue}", "actor_name": "{actor}", {_FIELDS % (kwargs, _ID % number)}}}'.encode()


UNREADABLE = {
    "no-json": b"\x00\xff this is no message",
    "one-mebibyte": b"x" * (1 << 20),
    "json-but-no-message": b'{"hello": "world"}',
    "of-an-actor-nobody-knows": dramatiq_message(1, "refunds_of_the_future", "{}"),
    "without-its-payload": dramatiq_message(2, "charge", "{}"),
    "with-an-id-that-is-none": dramatiq_message(3, "charge", '{"payload": {}}').replace(b"0199d3c0", b"nonsense"),
}
UNUSABLE = {
    "with-another-payload": (dramatiq_message(4, "charge", '{"payload": {"answer": 42}}'), "the payload is no"),
    "of-no-payment-we-know": (
        dramatiq_message(5, "charge", json.dumps({"payload": {"tenant_id": _ID % 6, "payment_id": _ID % 7}})),
        "has no payment",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_message_nobody_can_read_is_set_aside_by_the_broker_and_kept(fleet: Fleet, name: str) -> None:
    before = topology.depths(fleet.stack.rabbitmq.url)[DEAD_LETTER_QUEUE]

    put_on_the_queue(fleet, UNREADABLE[name])
    fleet.publish(*fleet.orders(5))

    fleet.wait_until(lambda: topology.depths(fleet.stack.rabbitmq.url)[DEAD_LETTER_QUEUE] == before + 1, "set aside")
    assert_clean(fleet)
    assert fleet.verify().kinds["messages under way"].dead >= before + 1


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_message_nobody_can_use_becomes_a_dead_letter_with_its_reason(fleet: Fleet, name: str) -> None:
    body, reason = UNUSABLE[name]

    put_on_the_queue(fleet, body)
    fleet.publish(*fleet.orders(5))

    fleet.wait_until(lambda: bool(dead_letters(fleet, reason)), "a dead letter")
    assert_clean(fleet)


def test_a_message_that_kills_its_worker_every_time_is_set_aside_and_its_payment_is_not_charged_twice(
    fleet: Fleet,
) -> None:
    """The delivery limit of the queue ends it; the sweep then starts the payment anew."""
    before = topology.depths(fleet.stack.rabbitmq.url)[DEAD_LETTER_QUEUE]
    fleet.arm("charge.before_call", times=100)
    order = fleet.order()
    fleet.publish(order)

    fleet.wait_until(lambda: topology.depths(fleet.stack.rabbitmq.url)[DEAD_LETTER_QUEUE] > before, "set aside", 60)
    fleet.disarm()
    fleet.wait_until(lambda: sweep_and_see(fleet) == 0, "nothing stands still", poll=0.5)

    assert_clean(fleet)
    assert fleet.state_of(order) == "succeeded"


def sweep_and_see(fleet: Fleet) -> int:
    fleet.sweep()
    return int(fleet.rows("SELECT count(*) FROM payments WHERE state IN ('requested', 'charging')")[0]["count"])


def put_on_the_queue(fleet: Fleet, body: bytes) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(fleet.stack.rabbitmq.url))
    connection.channel().basic_publish("", "charges", body)
    connection.close()


def dead_letters(fleet: Fleet, reason: str) -> list[str]:
    return [row["reason"] for row in fleet.rows("SELECT reason FROM dead_letters WHERE reason LIKE %s", f"%{reason}%")]
