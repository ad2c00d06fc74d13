"""Asking for money back: never more than was captured, under any concurrency (M3), and each request once."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from db.payments import payments
from db.session import Database
from db.settings import DatabaseSettings
from db.tenants.tenants import Tenant
from messages.ids import TicketId
from messages.money import Money
from messages.queues import ORDERS_QUEUE
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from outbox.requests.refunds import RefundAnswer, request_refund
from outbox.requests.refusals import RefusedError
from stripe_client.gateway import Gateway
from tests import factories
from tests.conftest import Book
from tests.workers.refunds.scenario import charged, of_payment


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_fifty_parallel_requests_never_pass_the_captured_amount(
    book: Book, db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=1000)
    crowd = Database(
        DatabaseSettings(app_env="test", database_url=book.settings.database_url, database_pool_size=50),  # type: ignore[arg-type]
        application="crowd",
    )

    def ask(number: int) -> str:
        try:
            with crowd.transaction(tenant.tenant_id) as tx:
                wish(tx, payment.payment_id, Money(90, "eur"), key=f"crowd-{number}")
        except RefusedError as error:
            return error.code
        return "granted"

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(ask, range(50)))
    crowd.close()

    assert answers.count("granted") == 11
    assert set(answers) == {"granted", "amount_exceeds_captured"}
    assert owner.execute("SELECT refunded_minor FROM charges").fetchone() == (990,)
    assert owner.execute("SELECT sum(amount_minor) FROM refunds").fetchone() == (990,)


def test_fifty_parallel_copies_of_one_request_are_one_refund(
    book: Book, db: Database, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=1000)
    crowd = Database(
        DatabaseSettings(app_env="test", database_url=book.settings.database_url, database_pool_size=50),  # type: ignore[arg-type]
        application="crowd",
    )

    def ask(_number: int) -> bool:
        with crowd.transaction(tenant.tenant_id) as tx:
            return wish(tx, payment.payment_id, Money(90, "eur"), key="the same").new

    with ThreadPoolExecutor(50) as threads:
        new = list(threads.map(ask, range(50)))
    crowd.close()

    assert new.count(True) == 1
    assert len(of_payment(db, payment)) == 1


def test_the_database_alone_refuses_more_than_was_captured(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=1000)

    with pytest.raises(psycopg.errors.CheckViolation, match="charges_refunds_within_captured"):
        owner.execute(
            "INSERT INTO refunds (tenant_id, payment_id, amount_minor, currency, reason, source, request_key, "
            "requested_by, state_by) SELECT tenant_id, payment_id, 1001, currency, 'duplicate', 'api', 'k', 'x', 'x' "
            "FROM payments WHERE payment_id = %s",
            [payment.payment_id],
        )


def test_tickets_come_back_at_their_face_price_and_each_once(db: Database, gateway: Gateway, tenant: Tenant) -> None:
    tickets = [{"ticket_id": str(uuid4()), "face_price_minor": price, "seat": "A"} for price in (1000, 2500)]
    payment = charged(db, gateway, tenant, amount_minor=3500, tickets=tickets)
    second = TicketId(UUID(str(tickets[1]["ticket_id"])))

    with db.transaction(tenant.tenant_id) as tx:
        first_time = wish(tx, payment.payment_id, tickets=[second], key="one")
        with pytest.raises(RefusedError) as again:
            wish(tx, payment.payment_id, tickets=[second], key="two")
        with pytest.raises(RefusedError) as stranger:
            wish(tx, payment.payment_id, tickets=[TicketId(uuid4())], key="three")

    assert first_time.refund is not None
    assert first_time.refund.amount == Money(2500, "eur")
    assert again.value.code == "ticket_already_refunded"
    assert stranger.value.code == "ticket_unknown"


def test_the_same_key_with_another_amount_is_refused(db: Database, gateway: Gateway, tenant: Tenant) -> None:
    payment = charged(db, gateway, tenant)

    with db.transaction(tenant.tenant_id) as tx:
        wish(tx, payment.payment_id, Money(100, "eur"), key="one")
        with pytest.raises(RefusedError) as other:
            wish(tx, payment.payment_id, Money(200, "eur"), key="one")

    assert other.value.code == "request_key_reused"


def test_order_events_ask_for_refunds_once_and_cancel_what_was_not_captured(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    waiting = factories.requested(db, tenant)
    part = refund_event(tenant, payment.order_id, amount={"minor": 1000, "currency": "eur"})
    off = factories.event(
        {"order_id": str(waiting.order_id), "tenant_id": str(tenant.tenant_id)},
        type="order.cancelled",
        dataschema="urn:payment-fleet:order.cancelled:1",
    )

    outcomes = accept(db, [IncomingEvent(part), IncomingEvent(off), IncomingEvent(part)])
    rest = accept(db, [IncomingEvent(refund_event(tenant, payment.order_id))])
    nothing_left = accept(db, [IncomingEvent(refund_event(tenant, payment.order_id))])

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE]
    assert rest == [OrderOutcome.ACCEPTED]
    assert nothing_left == [OrderOutcome.DEAD]
    assert [refund.amount_minor for refund in of_payment(db, payment)] == [1000, 3200]
    kinds = [row[0] for row in owner.execute("SELECT kind FROM outbox WHERE exchange = '' ORDER BY id").fetchall()]
    assert kinds == ["charge", "charge", "refund", "cancel", "refund"]


def test_a_wish_finds_the_order_that_came_with_it(db: Database, tenant: Tenant) -> None:
    order = factories.order(tenant)
    off = factories.event(
        {"order_id": order["order_id"], "tenant_id": order["tenant_id"]},
        type="order.cancelled",
        dataschema="urn:payment-fleet:order.cancelled:1",
    )

    outcomes = accept(db, [IncomingEvent(off), IncomingEvent(factories.event(order))])

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.ACCEPTED]


def test_a_wish_for_a_payment_that_somebody_holds_comes_back_later_and_no_order_waits_behind_it(
    db: Database, owner: psycopg.Connection, gateway: Gateway, tenant: Tenant
) -> None:
    payment = charged(db, gateway, tenant, amount_minor=4200)
    back = refund_event(tenant, payment.order_id)
    with db.transaction(tenant.tenant_id) as forgotten:
        payments.lock(forgotten, payment.payment_id)

        outcomes = accept(db, [IncomingEvent(back), IncomingEvent(factories.event(factories.order(tenant)))])

    assert outcomes == [OrderOutcome.POSTPONED, OrderOutcome.ACCEPTED]
    body, is_due = owner.execute(
        "SELECT body, due_at <= clock_timestamp() FROM outbox WHERE routing_key = %s", (ORDERS_QUEUE,)
    ).fetchone()  # type: ignore[misc]
    assert not is_due
    assert accept(db, [IncomingEvent(bytes(body))]) == [OrderOutcome.ACCEPTED]
    assert [refund.amount_minor for refund in of_payment(db, payment)] == [4200]


def test_a_wish_about_an_unknown_order_is_a_dead_letter_that_says_what_to_do(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    outcome = accept(db, [IncomingEvent(refund_event(tenant, uuid4()))])

    assert outcome == [OrderOutcome.DEAD]
    reason, kind = owner.execute("SELECT reason, kind FROM dead_letters").fetchone()  # type: ignore[misc]
    assert "replay this once the order has come" in reason
    assert kind == "order.refund_requested"


def wish(
    tx: object, payment_id: object, amount: Money | None = None, *, tickets: list[TicketId] | None = None, key: str
) -> RefundAnswer:
    return request_refund(
        tx,  # type: ignore[arg-type]
        payment_id=payment_id,  # type: ignore[arg-type]
        amount=amount,
        ticket_ids=tickets or (),
        reason="requested_by_customer",
        source="api",
        request_key=key,
        by="test",
    )


def refund_event(tenant: Tenant, order_id: object, **data: object) -> bytes:
    return factories.event(
        {"order_id": str(order_id), "tenant_id": str(tenant.tenant_id), **data},
        type="order.refund_requested",
        dataschema="urn:payment-fleet:order.refund_requested:1",
    )
