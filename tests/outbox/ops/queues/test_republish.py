"""What a lost broker took with it is told again: the same bytes, under the same ids, and nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from db.session import Database
from db.tenants.tenants import Tenant
from messages.ids import OrderId, PaymentId
from messages.money import Money
from messages.payments import ChargeRequested, PaymentAuthorized, PaymentSucceeded
from messages.queues import ORDER_SERVICE_QUEUE
from outbox.append import append
from outbox.relay import Relay
from tests import factories, queues
from tests.outbox.ops.conftest import Fleet

HOUR = timedelta(hours=1)


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def told(db: Database, tenant: Tenant, relay: Relay, channel: BlockingChannel) -> dict[UUID, list[bytes]]:
    """Two payments, held and then captured; the broker has all four events, and a charge, and loses them."""
    payments = [PaymentId(uuid4()) for _ in range(2)]
    facts = {"order_id": OrderId(uuid4()), "amount": Money(4200, "eur"), "tenant_id": tenant.tenant_id}
    with db.transaction(tenant.tenant_id) as tx:
        append(tx, *(PaymentAuthorized(payment_id=payment, **facts) for payment in payments))
        append(tx, ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payments[0]))
        append(tx, *(PaymentSucceeded(payment_id=payment, platform_fee_minor=260, **facts) for payment in payments))
    relay.run_once()
    bodies = queues.wait_for(channel, ORDER_SERVICE_QUEUE, 4)
    queues.wait_for(channel, "charges", 1)
    of = {payment: [body for body in bodies if str(payment) in body.decode()] for payment in payments}
    assert [len(each) for each in of.values()] == [2, 2]
    return of


def test_lost_events_come_again_byte_for_byte_and_in_their_order(
    fleet: Fleet,
    told: dict[UUID, list[bytes]],
    relay: Relay,
    channel: BlockingChannel,
) -> None:
    answer = fleet("events", "republish", "--since", ago(HOUR), "--reason", "broker lost", "--yes", "--json")

    assert answer.json["events"] == 4
    assert relay.run_once() == 4  # the charge is work of ours: the sweep asks for it, not this
    again = queues.wait_for(channel, ORDER_SERVICE_QUEUE, 4)
    for payment, bodies in told.items():
        assert [body for body in again if str(payment) in body.decode()] == bodies


def test_one_payment_and_one_type_can_be_named(
    fleet: Fleet,
    told: dict[UUID, list[bytes]],
    relay: Relay,
    channel: BlockingChannel,
) -> None:
    payment = next(iter(told))
    about = ("--payment", payment, "--type", "payment.succeeded")

    answer = fleet("events", "republish", "--since", ago(HOUR), *about, "--reason", "lost", "--yes")
    relay.run_once()

    assert answer.code == 0
    assert queues.wait_for(channel, ORDER_SERVICE_QUEUE, 1) == told[payment][1:]
    logged = fleet("ops", "log", "--json").json["entries"][0]
    assert (logged["action"], logged["operator"], logged["subject"]["payment_id"]) == ("republish", "ada", str(payment))


def test_twice_is_queued_once_and_told_again_can_be_told_again(
    fleet: Fleet,
    told: dict[UUID, list[bytes]],
    relay: Relay,
    owner: psycopg.Connection,
) -> None:
    words = ("events", "republish", "--since", ago(HOUR), "--reason", "broker lost", "--yes")

    fleet(*words)
    fleet(*words)
    assert owner.execute("SELECT count(*) FROM outbox").fetchone() == (4,)
    assert relay.run_once() == 4

    fleet(*words)
    assert relay.run_once() == 4
    assert owner.execute("SELECT count(*) FROM told_events").fetchone() == (4,)


def test_without_a_yes_or_with_nothing_found_nothing_is_queued(
    fleet: Fleet,
    told: dict[UUID, list[bytes]],
    owner: psycopg.Connection,
) -> None:
    unsure = fleet("events", "republish", "--since", ago(HOUR), "--reason", "broker lost", answer="n\n")
    nothing = fleet("events", "republish", "--since", ago(-HOUR), "--reason", "broker lost", "--yes")

    assert (unsure.code, nothing.code) == (1, 1)
    assert "payment.succeeded" in unsure.err
    assert "no such event was published" in nothing.err
    assert owner.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_an_operator_can_tell_nothing_that_was_not_told_before(db: Database, told: dict[UUID, list[bytes]]) -> None:
    event = orjson.loads(next(iter(told.values()))[1])
    event["data"]["amount"]["minor"] = 1

    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.ops_transaction() as tx:
        tx.execute(
            """
            INSERT INTO outbox (tenant_id, message_id, kind, exchange, routing_key, ordering_key, lane, body)
            SELECT tenant_id, message_id, kind, 'payments', kind, subject_id, 0, %(body)s
            FROM told_events WHERE message_id = %(id)s
            """,
            {"body": orjson.dumps(event), "id": event["id"]},
        )


def ago(span: timedelta) -> str:
    return f"{datetime.now(UTC) - span:%Y-%m-%d %H:%M:%S}"
