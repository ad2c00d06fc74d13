"""FAULTS 29: what nobody can handle ends where a person sees it, and the queue moves on."""

import json

import pytest

from tests.journeys.fleet import Fleet
from tests.journeys.truth import assert_clean

_FIELDS = '"args": [], "kwargs": %s, "options": {}, "message_id": "%s", "message_timestamp": 1'
_ID = "0199d3c0-0000-7000-8000-00000000000%d"


def dramatiq_message(number: int, actor: str, kwargs: str, queue: str = "charges") -> bytes:
    return f'{{"queue_name": "{queue}", "actor_name": "{actor}", {_FIELDS % (kwargs, _ID % number)}}}'.encode()


UNREADABLE = {
    "no-json": (b"\x00\xff this is no message", "undecodable"),
    "one-mebibyte": (b"x" * (1 << 20), "undecodable"),
    "json-but-no-message": (b'{"hello": "world"}', "undecodable"),
    "of-an-actor-nobody-knows": (dramatiq_message(1, "refunds_of_the_future", "{}"), "unknown_actor"),
}
UNUSABLE = {
    "without-its-payload": (dramatiq_message(2, "charge", "{}"), "?"),
    "with-an-id-that-is-none": (
        dramatiq_message(3, "charge", '{"payload": {}}').replace(b"0199d3c0", b"nonsense"),
        "?",
    ),
    "with-another-payload": (dramatiq_message(4, "charge", '{"payload": {"answer": 42}}'), "the payload is no"),
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


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_message_nobody_can_use_becomes_a_dead_letter_with_its_reason(fleet: Fleet, name: str) -> None:
    body, reason = UNUSABLE[name]

    fleet.put("charges", body)
    fleet.publish(*fleet.orders(5))

    fleet.wait_until(lambda: len(fleet.letters(reason)) == 1, "a dead letter")
    assert_clean(fleet)


def test_a_message_that_kills_its_worker_every_time_is_set_aside_and_replayed_charges_once(fleet: Fleet) -> None:
    fleet.arm("charge.before_call", times=100)
    order = fleet.order()
    fleet.publish(order)
    fleet.wait_until(lambda: bool(fleet.letters("kills its worker")), "the delivery limit ends it", 60)
    fleet.disarm()

    (letter,) = fleet.letters("kills its worker")
    answer = fleet.command("dlq", "replay", str(letter["dead_letter_id"]), "--reason", "the worker is mended", "--yes")

    assert answer.returncode == 0, answer.stderr
    assert_clean(fleet)
    assert fleet.state_of(order) == "succeeded"
