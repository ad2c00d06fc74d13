"""FAULTS-2 Q1, Q2: what stands beside an order is no reason to refuse it, and never stops its neighbours."""

from collections.abc import Mapping

import pika
import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConnectionClosedByBroker

from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.amqp import order_intake
from tests import factories, queues
from tests.outbox.field_values import REFUSED_BY_THE_BROKER, VALUES, RawProperties, nested, number
from tests.outbox.intake.test_amqp import payments, publish, running
from tests.waiting import until

MILLISECONDS = number("T", "Q", 1_764_547_200_000)


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_an_order_with_a_timestamp_in_milliseconds_is_accepted_like_its_neighbours(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    """FAULTS-2 Q1: pika raised while it read the frame (pika/pika#1698), which looked like a broken connection; the
    whole batch was delivered again and again until all of it was set aside as `killed_worker`.
    """
    for _ in range(4):
        publish(channel, factories.event(factories.order(tenant)))
    publish_raw(channel, factories.event(factories.order(tenant)), {b"sent-at": MILLISECONDS})
    for _ in range(5):
        publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 10)

    assert queues.drain(channel, "fleet.orders") == []
    assert queues.drain(channel, "fleet.dead") == []
    assert dead_letters(owner) == []


def test_every_type_of_field_with_its_extreme_values_is_read_at_the_top_and_nested(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    """FAULTS-2 Q1 and its siblings: timestamps out of range and endless nesting, as a header and inside a table."""
    for value in VALUES.values():
        publish_raw(channel, factories.event(factories.order(tenant)), {b"odd": value})
        publish_raw(channel, factories.event(factories.order(tenant)), {b"odd": nested({b"in": value}), b"\xff": value})
        publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 3 * len(VALUES))

    assert queues.drain(channel, "fleet.orders") == []
    assert dead_letters(owner) == []


@pytest.mark.parametrize("message_id", [b"\xff\xfe", b"a\x00b", b"\xff" * 255])
@pytest.mark.parametrize("exchange", ["orders", ""])
def test_an_odd_message_id_of_a_refused_order_is_one_dead_letter_among_good_orders(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel,
    message_id: bytes, exchange: str,
) -> None:  # fmt: skip
    """FAULTS-2 Q2: a message id that is no UTF-8 was a TypeError that ended the process and killed its batch."""
    properties = RawProperties({}, message_id)
    for _ in range(3):
        publish(channel, factories.event(factories.order(tenant)))
    channel.basic_publish(exchange, "order.placed" if exchange else "fleet.orders", b"no order", properties)
    for _ in range(3):
        publish(channel, factories.event(factories.order(tenant)))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 6 and len(dead_letters(owner)) == 1)

    assert queues.drain(channel, "fleet.orders") == []
    assert queues.drain(channel, "fleet.dead") == []


def test_an_order_over_which_the_database_fails_is_one_dead_letter_among_good_orders(
    db: Database, owner: psycopg.Connection, tenant: Tenant, rabbitmq_url: str, channel: BlockingChannel
) -> None:
    """FAULTS-2 Q2: every error of psycopg was taken for a database that is away, and its batch held for ever."""
    bad = factories.order(tenant)
    fail_over(owner, "payments", f"NEW.order_id = '{bad['order_id']}'")
    for order in (factories.order(tenant), bad, factories.order(tenant)):
        publish(channel, factories.event(order))

    with running(order_intake(db, rabbitmq_url)):
        until(lambda: payments(owner) == 2 and len(dead_letters(owner)) == 1)

    assert queues.drain(channel, "fleet.orders") == []
    ((source, cause, _, reason),) = dead_letters(owner)
    assert (source, cause) == ("orders", "gave_up")
    assert "InternalError" in str(reason)
    assert "4242" not in str(reason)


@pytest.mark.parametrize("name", REFUSED_BY_THE_BROKER)
def test_what_is_no_field_of_amqp_is_refused_by_the_broker_itself(rabbitmq_url: str, name: str) -> None:
    """Why outbox/broker/field_values.py need not survive malformed tables."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    channel.confirm_delivery()

    with pytest.raises(ConnectionClosedByBroker):
        publish_raw(channel, b"{}", {b"odd": REFUSED_BY_THE_BROKER[name]})


def publish_raw(
    channel: BlockingChannel, body: bytes, headers: Mapping[bytes, bytes], message_id: bytes = b"transport-id"
) -> None:
    channel.basic_publish("orders", "order.placed", body, RawProperties(headers, message_id))


def fail_over(owner: psycopg.Connection, table: str, condition: str) -> None:
    """The database fails over the rows of a table that meet the condition, in a way that nobody foresaw."""
    owner.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {condition} THEN
                RAISE EXCEPTION 'card 4242424242424242' USING ERRCODE = 'internal_error';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fails BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fail()
        """
    )


def dead_letters(owner: psycopg.Connection) -> list[tuple[object, ...]]:
    return owner.execute("SELECT source, cause, message_id, reason FROM dead_letters ORDER BY died_at").fetchall()
