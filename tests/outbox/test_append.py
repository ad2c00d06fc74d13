"""append: the only way anything is queued, in the wire form, with the change it follows from or not at all."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import dramatiq
import orjson
import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from messages.ids import OrderId, PaymentId
from messages.money import Money
from messages.payments import ChargeRequested, PaymentAuthorized
from messages.runtime import trace
from outbox.append import append, append_again, new_envelope
from outbox.broker.dramatiq_broker import FleetBroker
from tests import factories

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_a_message_exists_exactly_when_its_transaction_commits(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction(tenant.tenant_id) as tx:
        append(tx, wish(tenant))
        raise ZeroDivisionError

    assert rows(owner) == []


def test_our_own_messages_are_what_dramatiq_decodes(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    message = wish(tenant)

    with db.transaction(tenant.tenant_id) as tx, trace.following(TRACE):
        append(tx, message)

    [row] = rows(owner)
    decoded = dramatiq.Message.decode(row["body"])
    assert (row["exchange"], row["routing_key"], row["ordering_key"]) == ("", "charges", message.payment_id)
    assert (decoded.actor_name, decoded.queue_name, decoded.message_id) == ("charge", "charges", str(row["message_id"]))
    assert ChargeRequested.model_validate(decoded.kwargs["payload"]) == message
    assert (decoded.options["run"], decoded.options["attempt"], decoded.options["trace_id"]) == (1, 1, TRACE)


def test_facts_are_cloud_events_that_carry_the_trace_on(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    fact = PaymentAuthorized(
        tenant_id=tenant.tenant_id,
        payment_id=PaymentId(uuid4()),
        order_id=OrderId(uuid4()),
        amount=Money(1, "eur"),
    )

    with db.transaction(tenant.tenant_id) as tx, trace.following(TRACE):
        append(tx, fact)

    [row] = rows(owner)
    event = orjson.loads(row["body"])
    assert (row["exchange"], row["routing_key"]) == ("payments", "payment.authorized")
    assert (event["dataschema"], event["traceparent"][3:35]) == ("urn:payment-fleet:payment.authorized:1", TRACE)
    assert PaymentAuthorized.model_validate(event["data"]) == fact


def test_a_retry_is_the_same_message_with_its_next_numbers(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    first = new_envelope()
    due_at = datetime.now(UTC) + timedelta(minutes=1)

    with db.transaction(tenant.tenant_id) as tx:
        append_again(tx, wish(tenant), first, due_at)

    [row] = rows(owner)
    assert (row["message_id"], row["due_at"]) == (first.message_id, due_at)


def test_nothing_to_append_is_nothing(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    with db.transaction(tenant.tenant_id) as tx:
        append(tx)

    assert rows(owner) == []


def test_a_send_past_the_outbox_is_refused(rabbitmq_url: str) -> None:
    broker = FleetBroker(rabbitmq_url)
    actor = dramatiq.actor(lambda: None, broker=broker, actor_name="charge", queue_name="charges")

    with pytest.raises(RuntimeError, match="bypasses the outbox"):
        actor.send()
    broker.close()


def wish(tenant: Tenant) -> ChargeRequested:
    return ChargeRequested(tenant_id=tenant.tenant_id, payment_id=PaymentId(uuid4()))


def rows(owner: psycopg.Connection) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute("SELECT * FROM outbox").fetchall()
