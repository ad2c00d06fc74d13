"""What the tests of the way in and the way on share: a publisher, and looking into queues."""

from collections.abc import Callable, Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from db.notify import Listener
from db.session import Database
from outbox.broker.publisher import Publisher
from outbox.relay import Relay
from tests.conftest import Book


@pytest.fixture
def channel(rabbitmq_url: str) -> Iterator[BlockingChannel]:
    """Another service's way to the broker; what it publishes has arrived when basic_publish returns."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    channel.confirm_delivery()
    yield channel
    if connection.is_open:
        connection.close()


@pytest.fixture
def publisher(rabbitmq_url: str) -> Iterator[Publisher]:
    publisher = Publisher(rabbitmq_url)
    yield publisher
    publisher.close()


@pytest.fixture
def make_relay(db: Database, book: Book, rabbitmq_url: str) -> Iterator[Callable[[], Relay]]:
    made: list[Relay] = []

    def make() -> Relay:
        made.append(Relay(db, Publisher(rabbitmq_url), Listener(book.settings)))
        return made[-1]

    yield make
    for relay in made:
        relay.publisher.close()
        relay.doorbell.close()


@pytest.fixture
def relay(make_relay: Callable[[], Relay]) -> Relay:
    return make_relay()
