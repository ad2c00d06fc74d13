"""The publisher: a message counts as taken only when the broker acked it and did not return it."""

import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from deploy.local.scenario.wire import wire
from deploy.local.stripe.process import free_port
from outbox.broker.publisher import BrokerAwayError, Outgoing, Publisher
from tests import queues
from tests.lines import Cut
from tests.waiting import until

QUEUE = "charges"


def test_a_batch_of_five_hundred_is_confirmed_and_arrives_in_order(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    batch = [outgoing(body=str(number).encode()) for number in range(500)]

    refused = publisher.publish(batch)

    assert refused == set()
    assert queues.wait_for(channel, QUEUE, 500) == [message.body for message in batch]


def test_a_message_that_no_queue_takes_is_refused_and_the_others_are_not(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    batch = [outgoing(), outgoing(to="no.such.queue"), outgoing(), outgoing(exchange="payments", to="nobody.listens")]

    refused = publisher.publish(batch)

    assert refused == {1, 3}
    assert len(queues.wait_for(channel, QUEUE, 2)) == 2


def test_a_message_that_the_broker_nacks_is_refused(publisher: Publisher, channel: BlockingChannel) -> None:
    full = f"full-{uuid4().hex[:8]}"
    channel.queue_declare(full, durable=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"})

    refused = publisher.publish([outgoing(), outgoing(to=full), outgoing()])

    assert refused == {1}
    channel.queue_delete(full)


def test_a_message_survives_the_broker_and_carries_its_id(publisher: Publisher, channel: BlockingChannel) -> None:
    message = outgoing()

    publisher.publish([message])

    method, properties, _ = channel.basic_get(QUEUE, auto_ack=True)
    assert method is not None
    assert (properties.delivery_mode, properties.message_id) == (2, message.message_id)


def test_batches_follow_one_another_on_one_connection(publisher: Publisher, channel: BlockingChannel) -> None:
    threads = threading.active_count()

    for _ in range(5):
        assert publisher.publish([outgoing(), outgoing()]) == set()

    assert threading.active_count() <= threads + 1
    assert len(queues.wait_for(channel, QUEUE, 10)) == 10


def test_an_empty_batch_needs_no_broker() -> None:
    assert Publisher(f"amqp://127.0.0.1:{free_port()}/").publish([]) == set()


def test_a_missing_exchange_breaks_the_batch_and_the_next_batch_goes_through(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    with pytest.raises(BrokerAwayError, match="no exchange"):
        publisher.publish([outgoing(exchange="no-such-exchange")])

    assert publisher.publish([outgoing()]) == set()


def test_a_broker_that_is_away_is_said_and_leaves_no_thread_or_file_behind() -> None:
    publisher = Publisher(f"amqp://127.0.0.1:{free_port()}/")
    attempt(publisher)
    threads, files = threading.active_count(), open_files()

    for _ in range(8):
        attempt(publisher)

    assert threading.active_count() <= threads
    assert open_files() <= files + 2


def test_a_connection_that_breaks_between_publish_and_confirm_gives_the_batch_up(rabbitmq_url: str) -> None:
    with Cut(rabbitmq_url) as cut:
        publisher = Publisher(cut.url)
        publisher.publish([outgoing()])
        cut.mute()
        publisher.begin([outgoing()])
        cut.now()

        with pytest.raises(BrokerAwayError):
            publisher.finish()
        publisher.close()


def test_a_broker_that_answers_no_goodbye_keeps_no_connection_of_ours(rabbitmq_url: str) -> None:
    with wire(urlsplit(rabbitmq_url).port or 5672, free_port()) as passing:
        parts = urlsplit(rabbitmq_url)
        publisher = Publisher(
            parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{passing.port}")).geturl()
        )
        publisher.publish([outgoing()])
        passing.silence()
        assert passing.held == 1

        publisher.close()

        until(lambda: passing.held == 0)


def test_a_connection_that_breaks_while_idle_is_replaced_by_the_next_batch_at_the_latest(rabbitmq_url: str) -> None:
    with Cut(rabbitmq_url) as cut:
        publisher = Publisher(cut.url)
        publisher.publish([outgoing()])
        cut.now()

        with suppress(BrokerAwayError):  # unless the break was noticed before
            publisher.publish([outgoing()])
        assert publisher.publish([outgoing()]) == set()
        publisher.close()


def outgoing(*, to: str = QUEUE, exchange: str = "", body: bytes = b"{}") -> Outgoing:
    return Outgoing(exchange, to, str(uuid4()), body)


def attempt(publisher: Publisher) -> None:
    with pytest.raises(BrokerAwayError):
        publisher.publish([outgoing()])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
