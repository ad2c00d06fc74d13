"""Topology: declared and checked at the start, drift is said and never overwritten, dead letters last."""

from collections.abc import Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from deploy.local.stripe.process import free_port
from messages.base import Fact
from messages.queues import (
    DEAD_LETTER_QUEUE,
    DELIVERY_LIMIT,
    EVENTS_EXCHANGE,
    NOTIFICATION_QUEUE,
    NOTIFIED,
    ORDER_SERVICE_QUEUE,
    PUBLIC_EVENTS,
    ROUTES,
)
from outbox.broker import topology
from outbox.broker.topology import TopologyDriftError
from tests import queues
from tests.waiting import until

WORK_QUEUES = sorted({route.queue for route in ROUTES.values()} | {"fleet.orders"})


def test_every_queue_of_the_table_stands_after_declaring(rabbitmq_url: str) -> None:
    depths = topology.depths(rabbitmq_url)

    assert set(WORK_QUEUES) | {"fleet.dead", "order-service.payments", "notification-service.groups"} == set(depths)
    assert set(depths.values()) == {0}


def test_a_queue_that_does_not_stand_hides_no_other(rabbitmq_url: str, channel: BlockingChannel) -> None:
    channel.basic_publish("", "sweeps", b"seen")
    channel.queue_delete("charges")
    channel.queue_delete("lookups")

    def seen() -> dict[str, int]:
        return {name: depth for name, depth in topology.depths(rabbitmq_url).items() if depth}

    try:
        until(lambda: seen() == {"charges": -1, "lookups": -1, "sweeps": 1})  # it shows what it holds a moment later
    finally:
        topology.declare(rabbitmq_url)


def test_declaring_twice_changes_nothing(rabbitmq_url: str, channel: BlockingChannel) -> None:
    channel.basic_publish("", "charges", b"kept")

    topology.declare(rabbitmq_url)

    assert queues.wait_for(channel, "charges", 1) == [b"kept"]


@pytest.mark.parametrize("queue", WORK_QUEUES)
@pytest.mark.parametrize(
    ("argument", "other"),
    [
        ("x-queue-type", "classic"),
        ("x-delivery-limit", DELIVERY_LIMIT + 1),
        ("x-dead-letter-strategy", "at-most-once"),
        ("x-overflow", "drop-head"),
    ],
)
def test_a_work_queue_is_a_quorum_queue_with_a_limit_and_lasting_dead_letters(
    connection: pika.BlockingConnection, queue: str, argument: str, other: object
) -> None:
    """The broker itself compares: a declaration that differs in one argument is refused."""
    with pytest.raises(ChannelClosedByBroker) as refused:
        connection.channel().queue_declare(
            queue, durable=True, arguments=topology.work_queue_arguments() | {argument: other}
        )

    assert refused.value.reply_code == 406


def test_the_dead_letter_queue_forgets_nothing() -> None:
    [dead] = [queue for queue in topology.queues() if queue.name == DEAD_LETTER_QUEUE]

    assert dead.arguments == {"x-queue-type": "quorum"}


def test_drift_is_reported_with_the_name_and_nothing_is_overwritten(
    rabbitmq_url: str, channel: BlockingChannel
) -> None:
    channel.queue_delete("sweeps")
    channel.queue_declare("sweeps", durable=True)
    channel.basic_publish("", "sweeps", b"kept")
    try:
        with pytest.raises(TopologyDriftError, match=r"'sweeps' stands at the broker with other arguments"):
            topology.declare(rabbitmq_url)
        with pytest.raises(SystemExit) as stopped:
            topology.declare_when_reachable(rabbitmq_url)

        assert stopped.value.code == 78
        assert queues.wait_for(channel, "sweeps", 1) == [b"kept"]
    finally:
        channel.queue_delete("sweeps")
        topology.declare(rabbitmq_url)


def test_without_a_broker_the_start_ends_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        topology.declare_when_reachable(f"amqp://127.0.0.1:{free_port()}/", seconds=0.1)

    assert stopped.value.code == 69
    assert "no broker at RABBITMQ_URL" in capfd.readouterr().err


def test_reachable_means_that_the_broker_lets_us_in(rabbitmq_url: str) -> None:
    assert topology.is_reachable(rabbitmq_url)
    assert not topology.is_reachable(f"amqp://127.0.0.1:{free_port()}/")
    assert not topology.is_reachable(f"amqp://nobody:wrong@{rabbitmq_url.rsplit(chr(64), 1)[1]}")


def test_a_message_that_is_given_back_too_often_ends_in_the_dead_letter_queue(channel: BlockingChannel) -> None:
    channel.basic_publish("", "charges", b"poison", pika.BasicProperties(delivery_mode=2, message_id="poison-1"))

    deliveries = give_back_until_gone(channel, "charges")

    assert deliveries == DELIVERY_LIMIT + 1
    assert queues.wait_for(channel, DEAD_LETTER_QUEUE, 1) == [b"poison"]


def test_a_rejected_message_ends_in_the_dead_letter_queue_with_its_history(channel: BlockingChannel) -> None:
    channel.basic_publish("", "webhooks", b"undecodable")
    method = next(iter(channel.consume("webhooks", inactivity_timeout=5)))[0]
    channel.basic_nack(method.delivery_tag, requeue=False)
    channel.cancel()

    method, properties, body = next(iter(channel.consume(DEAD_LETTER_QUEUE, inactivity_timeout=5)))

    assert body == b"undecodable"
    assert properties.headers["x-death"][0]["queue"] == "webhooks"
    channel.basic_ack(method.delivery_tag)


@pytest.fixture
def connection(rabbitmq_url: str) -> Iterator[pika.BlockingConnection]:
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    yield connection
    connection.close()


def give_back_until_gone(channel: BlockingChannel, queue: str) -> int:
    deliveries = 0
    for method, _, _ in channel.consume(queue, inactivity_timeout=1.5):
        if method is None:
            break
        deliveries += 1
        channel.basic_nack(method.delivery_tag, requeue=True)
    channel.cancel()
    return deliveries


@pytest.mark.parametrize("fact", PUBLIC_EVENTS, ids=lambda fact: fact.event_type)
def test_every_fact_we_tell_has_a_queue_that_keeps_it(channel: BlockingChannel, fact: type[Fact]) -> None:
    """Nobody else declares one, and an unroutable fact would stay in the outbox for ever."""
    channel.basic_publish(EVENTS_EXCHANGE, fact.event_type, b"a fact", mandatory=True)

    assert queues.wait_for(channel, ORDER_SERVICE_QUEUE, 1) == [b"a fact"]


@pytest.mark.parametrize("fact", NOTIFIED, ids=lambda fact: fact.event_type)
def test_what_people_are_written_about_waits_for_the_notification_service(
    channel: BlockingChannel, fact: type[Fact]
) -> None:
    channel.basic_publish(EVENTS_EXCHANGE, fact.event_type, b"a fact", mandatory=True)

    assert queues.wait_for(channel, NOTIFICATION_QUEUE, 1) == [b"a fact"]
