"""accept: an order becomes one payment and one ChargeRequested, or a dead letter that says why."""

import json
import re
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from messages.queues import LARGEST_ORDER_BYTES
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories

CARD = "4242424242424242"


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


def test_an_order_becomes_a_payment_its_history_and_its_charge_message(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    order = factories.order(tenant, amount_minor=4200)

    assert offer(db, factories.event(order)) == [OrderOutcome.ACCEPTED]

    assert owner.execute("SELECT order_id::text, amount_minor, currency, state FROM payments").fetchall() == [
        (order["order_id"], 4200, "eur", "requested")
    ]
    assert count(owner, "payment_history") == 1
    assert owner.execute("SELECT kind, routing_key FROM outbox").fetchall() == [("charge", "charges")]


def test_the_same_event_again_changes_nothing(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    event = factories.event(factories.order(tenant))
    offer(db, event)

    assert offer(db, event) == [OrderOutcome.DUPLICATE]

    assert (count(owner, "payments"), count(owner, "outbox"), count(owner, "dead_letters")) == (1, 1, 0)


def test_the_same_event_twice_in_one_batch_is_one_payment(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    event = factories.event(factories.order(tenant))

    assert offer(db, event, event, event) == [OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE, OrderOutcome.DUPLICATE]

    assert (count(owner, "payments"), count(owner, "outbox")) == (1, 1)


def test_the_same_order_under_a_new_event_id_is_a_duplicate(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    order = factories.order(tenant)
    offer(db, factories.event(order))

    assert offer(db, factories.event(order)) == [OrderOutcome.DUPLICATE]


@pytest.mark.parametrize("together", [True, False])
def test_the_same_order_id_with_another_body_is_a_dead_letter_and_the_first_stands(
    db: Database, owner: psycopg.Connection, tenant: Tenant, together: bool
) -> None:
    order = factories.order(tenant, amount_minor=4200)
    contradiction = factories.order(tenant, amount_minor=99, order_id=order["order_id"])
    events = [factories.event(order), factories.event(contradiction)]

    outcomes = offer(db, *events) if together else [*offer(db, events[0]), *offer(db, events[1])]

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.DEAD]
    assert owner.execute("SELECT amount_minor FROM payments").fetchall() == [(4200,)]
    assert "with another body" in reason(owner)


def test_the_same_event_id_for_another_order_is_a_dead_letter(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    first, second = (factories.event(factories.order(tenant), id="event-1") for _ in range(2))

    assert offer(db, first, second) == [OrderOutcome.ACCEPTED, OrderOutcome.DEAD]

    assert count(owner, "payments") == 1


def test_a_buyers_key_pays_for_one_order_only(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    first, second = (factories.event(factories.order(tenant, idempotency_key="one-click")) for _ in range(2))

    assert offer(db, first, second) == [OrderOutcome.ACCEPTED, OrderOutcome.DEAD]

    assert "idempotency key already paid for another order" in reason(owner)


def test_two_tenants_may_use_the_same_key_and_the_same_order_id(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    shared = {"order_id": str(uuid4()), "idempotency_key": "one-click"}
    other = factories.tenant(owner)

    outcomes = offer(db, *(factories.event(factories.order(one, **shared)) for one in (tenant, other)))

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.ACCEPTED]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tenant_id": str(uuid4())}, "tenant .* is unknown"),
        ({"venue_id": str(uuid4())}, "venue .* is unknown"),
        ({"amount": {"minor": 4200, "currency": "usd"}}, "the venue sells in eur, not in usd"),
        ({"amount": {"minor": 4199, "currency": "eur"}}, "add up to 4200, but the amount is 4199"),
        ({"amount": {"minor": 4200, "currency": "xxx"}}, "currency 'xxx' is not supported"),
        ({"tickets": []}, "tickets"),
        ({"payment_method_id": CARD}, "payment_method_id"),
        ({"idempotency_key": "short"}, "idempotency_key"),
        ({"coupon": "half-price"}, "coupon"),
    ],
)
def test_an_order_that_breaks_a_rule_is_a_dead_letter_with_the_reason(
    db: Database, owner: psycopg.Connection, tenant: Tenant, changes: dict[str, Any], why: str
) -> None:
    outcome = offer(db, factories.event(factories.order(tenant) | changes))

    assert outcome == [OrderOutcome.DEAD]
    assert_buried(owner, why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": "order.refunded", "dataschema": "order.refunded/1"}, "'order.refunded' are not handled"),
        ({"dataschema": "order.placed/2"}, "version 'order.placed/2' .* unknown"),
        ({"specversion": "0.3"}, "specversion"),
        ({"time": "yesterday"}, "time"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ],
)
def test_an_event_of_another_kind_or_version_is_a_dead_letter_with_the_reason(
    db: Database, owner: psycopg.Connection, tenant: Tenant, changes: dict[str, Any], why: str
) -> None:
    outcome = offer(db, factories.event(factories.order(tenant), **changes))

    assert outcome == [OrderOutcome.DEAD]
    assert_buried(owner, why)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"\x00\x00", b"\xff\xfe\x00", b"\x80\x02}q\x00", b'{"id": "\\ud800"}', b"[" * 100_000],
    ids=["empty", "cut", "null", "list", "nul", "utf16", "pickle", "surrogate", "deep"],
)
def test_bytes_that_are_no_event_are_a_dead_letter(db: Database, owner: psycopg.Connection, body: bytes) -> None:
    assert offer(db, body) == [OrderOutcome.DEAD]

    assert_buried(owner, "no CloudEvent 1.0")


def test_an_oversized_event_is_not_read_but_buried_with_its_beginning(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    order = factories.order(tenant) | {"device": {"user_agent": "x" * 1024 * 1024}}

    assert offer(db, factories.event(order)) == [OrderOutcome.DEAD]

    assert_buried(owner, "bytes; 262144 are the most we read")
    assert owner.execute("SELECT length(payload) FROM dead_letters").fetchone() == (LARGEST_ORDER_BYTES,)


@pytest.mark.parametrize("place", ["id", "source", "subject", "seat", "buyer_id", "key"])
def test_a_nul_character_anywhere_is_a_dead_letter_and_never_stops_the_intake(
    db: Database, owner: psycopg.Connection, tenant: Tenant, place: str
) -> None:
    order = factories.order(tenant)
    if place == "seat":
        order["tickets"][0]["seat"] = "A\x00"
    elif place == "key":
        order["no\x00such"] = 1
    elif place == "buyer_id":
        order["buyer_id"] = "\x00"
    envelope = {place: "a\x00b"} if place in {"id", "source", "subject"} else {}

    outcomes = offer(db, factories.event(order, **envelope), factories.event(factories.order(tenant)))

    expected = OrderOutcome.ACCEPTED if place == "subject" else OrderOutcome.DEAD  # the subject is not kept
    assert outcomes == [expected, OrderOutcome.ACCEPTED]


def test_a_nul_in_the_transports_own_id_does_not_stop_the_intake(db: Database, owner: psycopg.Connection) -> None:
    assert accept(db, [IncomingEvent(b"broken", reference="id\x00")]) == [OrderOutcome.DEAD]


def test_one_bad_order_among_a_hundred_holds_up_none_of_the_others(
    db: Database, owner: psycopg.Connection, tenant: Tenant
) -> None:
    batch = [factories.event(factories.order(tenant)) for _ in range(99)]
    batch.insert(57, factories.event(factories.order(tenant) | {"venue_id": str(uuid4())}))

    outcomes = offer(db, *batch)

    assert [position for position, outcome in enumerate(outcomes) if outcome is not OrderOutcome.ACCEPTED] == [57]
    assert (count(owner, "payments"), count(owner, "outbox"), count(owner, "dead_letters")) == (99, 99, 1)


def test_a_redelivered_bad_event_is_one_dead_letter(db: Database, owner: psycopg.Connection) -> None:
    offer(db, b"broken")
    offer(db, b"broken")

    assert count(owner, "dead_letters") == 1


@pytest.mark.parametrize("place", ["value", "name", "type", "schema", "bytes"])
def test_no_card_number_reaches_a_dead_letter(
    db: Database, owner: psycopg.Connection, tenant: Tenant, place: str
) -> None:
    order = factories.order(tenant)
    bodies = {
        "value": factories.event(order | {"payment_method_id": CARD}),
        "name": factories.event(order | {CARD: "a card number as the name of a field"}),
        "type": factories.event(order, type=CARD),
        "schema": factories.event(order, dataschema=CARD),
        "bytes": b"\xff card " + CARD.encode() + b" cvc=123",
    }

    assert offer(db, bodies[place]) == [OrderOutcome.DEAD]

    letter = owner.execute("SELECT reason || payload || coalesce(kind, '') || headers FROM dead_letters").fetchone()
    assert letter is not None
    assert CARD not in letter[0]


def test_the_trace_of_the_event_goes_on_in_the_message(db: Database, owner: psycopg.Connection, tenant: Tenant) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"

    offer(db, factories.event(factories.order(tenant), traceparent=f"00-{trace_id}-00f067aa0ba902b7-01"))

    [(body,)] = owner.execute("SELECT body FROM outbox").fetchall()
    assert json.loads(body)["options"]["trace_id"] == trace_id


def offer(db: Database, *bodies: bytes) -> list[OrderOutcome]:
    return accept(db, [IncomingEvent(body) for body in bodies])


def count(owner: psycopg.Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def reason(owner: psycopg.Connection) -> str:
    [(text,)] = owner.execute("SELECT reason FROM dead_letters").fetchall()
    return str(text)


def assert_buried(owner: psycopg.Connection, why: str) -> None:
    assert re.search(why, reason(owner))
    assert count(owner, "payments") == 0
