"""The relay: what the broker confirmed is settled, all else stays, and one payment's messages keep their order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from db.notify import Listener
from db.session import Database
from db.tenants.tenants import Tenant
from messages.ids import OrderId, PaymentId, TenantId
from messages.money import Money
from messages.payments import ChargeRequested, PaymentSucceeded
from outbox import relay as relays
from outbox.append import append
from outbox.broker.publisher import BrokerAwayError, Publisher
from outbox.relay import Relay
from tests import factories, queues


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_what_is_due_is_published_and_leaves_the_table(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay, channel: BlockingChannel
) -> None:
    payment_id = ask(db, tenant)

    published = relay.run_once()

    assert published == 1
    assert waiting(owner) == 0
    [body] = queues.wait_for(channel, "charges", 1)
    assert orjson.loads(body)["kwargs"]["payload"]["payment_id"] == str(payment_id)


def test_a_round_without_work_publishes_nothing(relay: Relay) -> None:
    assert relay.run_once() == 0


def test_a_fact_for_other_services_leaves_as_a_cloud_event(
    db: Database, tenant: Tenant, relay: Relay, channel: BlockingChannel
) -> None:
    fact = PaymentSucceeded(
        tenant_id=tenant.tenant_id,
        payment_id=PaymentId(uuid4()),
        order_id=OrderId(uuid4()),
        amount=Money(4200, "eur"),
        platform_fee_minor=260,
    )
    with db.transaction(tenant.tenant_id) as tx:
        append(tx, fact)

    relay.run_once()

    [body] = queues.wait_for(channel, "order-service.payments", 1)
    event = orjson.loads(body)
    assert (event["specversion"], event["type"]) == ("1.0", "payment.succeeded")
    assert (event["subject"], event["data"]["amount"]) == (str(fact.payment_id), {"minor": 4200, "currency": "eur"})


def test_an_unroutable_message_stays_pending_and_is_counted_while_the_others_go(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay, channel: BlockingChannel
) -> None:
    lost, good = ask(db, tenant), ask(db, tenant)
    owner.execute("UPDATE outbox SET routing_key = 'no.such.queue' WHERE ordering_key = %s", [lost])

    relay.run_once()

    assert owner.execute("SELECT ordering_key, refusals FROM outbox").fetchall() == [(lost, 1)]
    assert payments_in(queues.wait_for(channel, "charges", 1)) == [good]
    assert relay.run_once() == 0  # it rests before it is tried again


def test_a_relay_that_dies_between_confirm_and_commit_leaves_the_row_to_be_sent_again(
    db: Database, owner: psycopg.Connection, tenant: Tenant, make_relay: Callable[[], Relay], channel: BlockingChannel,
    cut_connections: Callable[[], None],
) -> None:  # fmt: skip
    ask(db, tenant)
    dying, following = make_relay(), make_relay()
    finish = dying.publisher.finish

    def confirm_then_die() -> set[int]:
        refused = finish()
        cut_connections()
        return refused

    dying.publisher.finish = confirm_then_die  # type: ignore[method-assign]
    with pytest.raises(psycopg.OperationalError):
        dying.run_once()
    assert waiting(owner) == 1
    following.run_once()

    first, second = queues.wait_for(channel, "charges", 2)
    assert first == second
    assert waiting(owner) == 0


def test_without_the_broker_nothing_is_settled(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay
) -> None:
    ask(db, tenant)
    relay.publisher = Publisher("amqp://127.0.0.1:1/")

    with pytest.raises(BrokerAwayError):
        relay.run_once()

    assert waiting(owner) == 1


def test_one_payments_messages_keep_their_order_with_two_relays_at_work(
    db: Database, owner: psycopg.Connection, tenant: Tenant, make_relay: Callable[[], Relay], channel: BlockingChannel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(relays, "BATCH", 7)
    payment_ids = [PaymentId(uuid4()) for _ in range(5)]
    for _ in range(20):
        with db.transaction(tenant.tenant_id) as tx:
            append(tx, *[ChargeRequested(tenant_id=tenant.tenant_id, payment_id=one) for one in payment_ids])
    rows = owner.execute("SELECT ordering_key, message_id FROM outbox ORDER BY due_at, id").fetchall()
    appended = {one: [message_id for key, message_id in rows if key == one] for one in payment_ids}

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run_until_empty, [make_relay(), make_relay()], [owner, owner]))

    arrived = [orjson.loads(body) for body in queues.wait_for(channel, "charges", 100)]
    for one in payment_ids:
        ours = [UUID(m["message_id"]) for m in arrived if m["kwargs"]["payload"]["payment_id"] == str(one)]
        assert ours == appended[one]


@pytest.mark.parametrize("beside", [1, 2, 3, 8])
def test_a_relay_looks_into_every_lane_before_it_sleeps_however_many_share_them(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay, monkeypatch: pytest.MonkeyPatch, beside: int
) -> None:
    for _ in range(30):
        ask(db, tenant)
    monkeypatch.setattr(Listener, "relays", lambda _: beside)
    monkeypatch.setattr(Listener, "wait", lambda _, _seconds: relay.stopping.set())

    relay.run()

    assert waiting(owner) == 0


def test_an_old_row_that_commits_after_a_full_batch_is_found_by_the_next_full_look(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "BATCH", 4)
    monkeypatch.setattr(relays, "LOOK_BACK", timedelta(0))
    for _ in range(8):
        ask(db, tenant)
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as late:
        late.execute(
            "INSERT INTO outbox (message_id, kind, exchange, routing_key, lane, due_at, body) "
            "VALUES (uuidv7(), 'test', '', 'charges', 0, clock_timestamp() - interval '1 hour', '{}')"
        )
        relay.run_once()
        relay.run_once()
    assert waiting(owner) == 1

    monkeypatch.setattr(relay, "_full_look_at", 0.0)
    relay.run_once()

    assert waiting(owner) == 0


BAD_ROWS = {
    "an event without a subject": "ordering_key = NULL, exchange = 'payments', routing_key = 'payment.succeeded'",
    "an event without a tenant": "tenant_id = NULL, exchange = 'payments', routing_key = 'payment.succeeded'",
    "an exchange that nobody declared": "exchange = 'nowhere'",
    "an exchange with an endless name": "exchange = repeat('x', 300)",
    "an endless routing key": "routing_key = repeat('x', 300)",
    "a body larger than the broker takes": "body = decode(repeat('00', 16777217), 'hex')",
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_by_the_table(db: Database, owner: psycopg.Connection, tenant: Tenant, name: str) -> None:
    """FAULTS-2 S7: nothing kept a row out that the relay can never publish or settle."""
    ask(db, tenant)

    with pytest.raises(psycopg.errors.CheckViolation):
        owner.execute(f"UPDATE outbox SET {BAD_ROWS[name]}")


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_from_before_the_check_is_set_aside_and_its_neighbours_are_published_once(
    db: Database, owner: psycopg.Connection, tenant: Tenant, relay: Relay, channel: BlockingChannel, name: str
) -> None:
    """FAULTS-2 S7: settling failed after publishing, which was taken for a database that is away: the whole batch was
    published again and again, one event 402 times.
    """
    owner.execute("ALTER TABLE outbox DROP CONSTRAINT IF EXISTS outbox_can_be_relayed")
    before, bad, after = (ask(db, tenant) for _ in range(3))
    owner.execute(f"UPDATE outbox SET {BAD_ROWS[name]} WHERE ordering_key = %s", [bad])

    run_rounds(relay, 3)

    assert payments_in(queues.wait_for(channel, "charges", 2)) == [before, after]
    [(refusals, due, reason)] = owner.execute(
        "SELECT refusals, due_at <= clock_timestamp(), set_aside_because FROM outbox"
    ).fetchall()
    assert (refusals, due) == (1, False)  # fleet_outbox_rows{state="refused"} and its alert count it
    assert reason
    assert queues.drain(channel, "charges") == []


def run_rounds(relay: Relay, count: int) -> None:
    """As `run` does: what is said of the world's troubles is waited out."""
    for _ in range(count):
        try:
            relay.run_once()
        except (BrokerAwayError, psycopg.Error):
            relay.publisher.close()


def ask(db: Database, tenant: Tenant) -> PaymentId:
    payment_id = PaymentId(uuid4())
    with db.transaction(TenantId(tenant.tenant_id)) as tx:
        append(tx, ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment_id))
    return payment_id


def run_until_empty(relay: Relay, owner: psycopg.Connection) -> None:
    while waiting(owner):
        relay.run_once()


def waiting(owner: psycopg.Connection) -> int:
    row = owner.execute("SELECT count(*) FROM outbox").fetchone()
    assert row is not None
    return int(row[0])


def payments_in(bodies: list[bytes]) -> list[UUID]:
    return [UUID(orjson.loads(body)["kwargs"]["payload"]["payment_id"]) for body in bodies]
