"""The consumer: whatever a body claims, it is settled on the channel it came from."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from deploy.local.stack import Stack
from outbox import topology
from outbox.broker import FleetBroker, FleetConsumer

TIMEOUT_MS = 5_000


@pytest.fixture
def consumer(stack: Stack) -> Iterator[FleetConsumer]:
    topology.declare(stack.rabbitmq.url)
    broker = FleetBroker(stack.rabbitmq.url)
    broker.declare_queue("lookups")
    lookups = broker.consume("lookups", prefetch=1, timeout=TIMEOUT_MS)
    assert isinstance(lookups, FleetConsumer)
    yield lookups
    lookups.close()  # type: ignore[no-untyped-call]
    broker.close()


@pytest.mark.parametrize("claimed", ["charges", "a-queue-nobody-has"])
def test_a_message_that_names_another_queue_is_settled_where_it_came_from(
    stack: Stack, consumer: FleetConsumer, claimed: str
) -> None:
    fields = {"queue_name": claimed, "actor_name": "charge", "args": [], "kwargs": {}, "options": {}}
    body = json.dumps({**fields, "message_id": str(uuid4()), "message_timestamp": 1}).encode()
    stack.rabbitmq.put(("lookups", body))

    message = next(consumer)

    assert message.queue_name == "lookups"
    consumer.ack(message)  # type: ignore[no-untyped-call]
    assert not consumer.known_tags
