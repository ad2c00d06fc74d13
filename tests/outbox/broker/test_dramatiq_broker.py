"""The consumer: whatever a body claims, it is settled on the channel it came from."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from deploy.local.stack.stack import Stack
from outbox.broker import topology
from outbox.broker.dramatiq_broker import FleetBroker, FleetConsumer
from tests import queues
from tests.waiting import until

TIMEOUT_MS = 5_000
DRAMATIQ_ASKS_FOR = 16  # with eight threads


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
    stack.rabbitmq.put(("lookups", message_of(claimed)))

    message = next(consumer)

    assert message.queue_name == "lookups"
    consumer.ack(message)  # type: ignore[no-untyped-call]
    assert not consumer.known_tags


@pytest.mark.parametrize(("queue", "held"), [("captures", 8), ("reconciliation", 2)])
def test_a_worker_holds_no_more_than_its_threads_can_work_on(
    stack: Stack, channel: BlockingChannel, queue: str, held: int
) -> None:
    topology.declare(stack.rabbitmq.url)
    stack.rabbitmq.put(*[(queue, message_of(queue))] * 20)
    broker = FleetBroker(stack.rabbitmq.url)
    broker.declare_queue(queue)

    consumer = broker.consume(queue, prefetch=DRAMATIQ_ASKS_FOR, timeout=TIMEOUT_MS)
    next(consumer)

    until(lambda: topology.depths(stack.rabbitmq.url)[queue] == 20 - held)
    consumer.close()
    broker.close()
    assert len(queues.wait_for(channel, queue, 20)) == 20


def message_of(queue: str) -> bytes:
    fields = {"queue_name": queue, "actor_name": "charge", "args": [], "kwargs": {}, "options": {}}
    return json.dumps({**fields, "message_id": str(uuid4()), "message_timestamp": 1}).encode()
