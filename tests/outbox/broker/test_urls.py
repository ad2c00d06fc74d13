"""RABBITMQ_URL may name every node of a cluster; a node that is away is passed over."""

from typing import Any

import pytest
from pydantic import ValidationError

from outbox.broker import topology
from outbox.broker.dramatiq_broker import FleetBroker
from outbox.broker.publisher import BrokerAwayError, Outgoing, Publisher
from outbox.broker.settings import BrokerSettings
from outbox.broker.urls import split

NOBODY = "amqp://fleet:x@127.0.0.1:1/%2F"


@pytest.fixture
def cluster(rabbitmq_url: str) -> str:
    """Two nodes that are down, and one that serves."""
    return f"{NOBODY},{rabbitmq_url},{NOBODY}"


def test_a_comma_within_an_address_divides_nothing() -> None:
    one = "amqps://a:x@one:5671/%2F?ssl_options={'ca_certs':'/ca','verify':True}"

    assert split(one) == [one]
    assert split(f"{one},{NOBODY}") == [one, NOBODY]


def test_whoever_declares_looks_or_works_passes_over_the_nodes_that_are_down(cluster: str) -> None:
    topology.declare(cluster)
    assert topology.depths(cluster)["charges"] == 0
    assert topology.is_reachable(cluster)

    worker = FleetBroker(cluster)
    worker.declare_queue("charges")
    consumer = worker.consume("charges", timeout=5_000)
    assert consumer.channel.is_open
    consumer.close()
    worker.close()


def test_the_publisher_tries_the_next_node_with_the_next_batch(cluster: str) -> None:
    publisher, refused = Publisher(cluster), None
    for _ in range(3):
        try:
            refused = publisher.publish([Outgoing("", "charges", "m1", b"x")])
            break
        except BrokerAwayError:
            continue
    publisher.close()

    assert refused == set()
    assert topology.depths(cluster)["charges"] == 1


def test_nobody_is_reachable_where_every_node_is_down() -> None:
    assert not topology.is_reachable(f"{NOBODY},{NOBODY}")


def test_every_address_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(app_env: str, url: str) -> Any:
        return BrokerSettings(app_env=app_env, rabbitmq_url=url)  # type: ignore[arg-type]

    settings("production", "amqps://a:x@one/,amqps://a:x@two/")
    with pytest.raises(ValidationError, match="production needs TLS"):
        settings("production", "amqps://a:x@one/,amqp://a:x@two/")
    with pytest.raises(ValidationError, match="must start with"):
        settings("test", "http://a:x@one/,amqps://a:x@two/")
