"""A group at the door: what is refused, with which words, and how many tickets one buyer may have."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.session import Database
from db.tenants.tenants import Tenant
from outbox.intake.accept import accept
from outbox.intake.order_events import IncomingEvent
from outbox.requests.orders import OrderOutcome
from tests import factories

Tell = Callable[..., list[OrderOutcome]]


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def tell(db: Database) -> Tell:
    """Offer events in one batch: `tell(("opened", data), ("cancelled", ...), ("", an order))`."""

    def offer(*events: tuple[str, dict[str, Any]]) -> list[OrderOutcome]:
        return accept(
            db,
            [
                IncomingEvent(factories.group_event(word, data) if word else factories.event(data))
                for word, data in events
            ],
        )

    return offer


def reasons(owner: psycopg.Connection) -> list[str]:
    return [row[0] for row in owner.execute("SELECT reason FROM dead_letters ORDER BY died_at").fetchall()]


def test_a_group_and_its_first_share_may_come_in_one_batch(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant
) -> None:
    group = factories.group(tenant)

    assert tell(("opened", group), ("share_paid_with", factories.share(group, 1))) == [OrderOutcome.ACCEPTED] * 2

    row = owner.execute("SELECT buyer_id, amount_minor, capture, group_id::text FROM payments").fetchone()
    assert row == ("buyer-1", 2000, "manual", group["group_id"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, "had passed when the group came"),
        ({"deadline": (datetime.now(UTC) + timedelta(days=121)).isoformat()}, "at most 120 days"),
        ({"venue_id": str(uuid4())}, "is unknown to this tenant"),
        ({"amount": {"minor": 6000, "currency": "usd"}}, "the venue sells in eur"),
        ({"amount": {"minor": 5999, "currency": "eur"}}, "breaks a rule"),
    ],
)
def test_a_group_that_cannot_be_is_a_dead_letter_that_says_why(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant, changes: dict[str, Any], reason: str
) -> None:
    assert tell(("opened", factories.group(tenant, **changes))) == [OrderOutcome.DEAD]

    assert reason in reasons(owner)[0]
    assert owner.execute("SELECT count(*) FROM groups").fetchone() == (0,)


def test_the_same_group_id_with_another_body_contradicts_the_first(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant
) -> None:
    group = factories.group(tenant)

    outcomes = tell(
        ("opened", group), ("opened", group), ("opened", factories.group(tenant, group_id=group["group_id"]))
    )

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.DUPLICATE, OrderOutcome.DEAD]
    assert "the first one stands" in reasons(owner)[0]


def test_what_does_not_fit_the_group_is_refused(tell: Tell, owner: psycopg.Connection, tenant: Tenant) -> None:
    group = factories.group(tenant)
    stranger = factories.share(group, 1, buyer_id="somebody else")
    used = factories.share(group, 0)
    other_card = used | {"payment_method_id": "pm_card_mastercard"}
    unknown = factories.share(factories.group(tenant), 0)
    tell(("opened", group), ("share_paid_with", used))

    outcomes = tell(
        *(("share_paid_with", share) for share in (stranger, other_card, unknown, factories.share(group, 0)))
    )

    assert outcomes == [OrderOutcome.DEAD] * 4
    words = ("is not member", "first one stands", "unknown here", "being paid")
    assert all(word in reason for word, reason in zip(words, reasons(owner), strict=True))


def test_a_key_that_paid_for_another_order_pays_no_share(tell: Tell, owner: psycopg.Connection, tenant: Tenant) -> None:
    group, order = factories.group(tenant), factories.order(tenant)
    tell(("", order), ("opened", group))

    share = factories.share(group, 0, idempotency_key=order["idempotency_key"])

    assert tell(("share_paid_with", share)) == [OrderOutcome.DEAD]
    assert "already paid for another order" in reasons(owner)[0]
    assert owner.execute("SELECT count(*) FROM group_attempts").fetchone() == (0,)


def test_an_order_of_a_limited_event_counts_the_buyers_groups(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant
) -> None:
    group = factories.group(tenant, tickets_per_buyer=3)
    order = {"event_id": group["event_id"], "buyer_id": "buyer-0"}
    tell(("opened", group))

    first = factories.order(tenant, **order)  # two tickets beside the one in the group
    outcomes = tell(
        ("", first), ("", factories.order(tenant, **order)), ("", factories.order(tenant, buyer_id="buyer-0"))
    )

    assert outcomes == [OrderOutcome.ACCEPTED, OrderOutcome.DEAD, OrderOutcome.ACCEPTED]
    assert "would have 5 tickets" in reasons(owner)[0]
    assert "the limit is 3" in reasons(owner)[0]
    assert tell(("", first)) == [OrderOutcome.DUPLICATE]


def test_a_group_counts_what_its_members_have_bought_alone(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant
) -> None:
    group = factories.group(tenant, tickets_per_buyer=2)
    tell(("", factories.order(tenant, event_id=group["event_id"], buyer_id="buyer-2")))

    assert tell(("opened", group)) == [OrderOutcome.DEAD]
    assert "buyer buyer-2 would have 3 tickets" in reasons(owner)[0]


def test_tickets_of_what_came_to_nothing_are_free_again(tell: Tell, owner: psycopg.Connection, tenant: Tenant) -> None:
    group = factories.group(tenant, tickets_per_buyer=2)
    ids = {"group_id": group["group_id"], "tenant_id": group["tenant_id"]}
    order = factories.order(tenant, event_id=group["event_id"], buyer_id="buyer-0")
    again = order | {"order_id": str(uuid4()), "idempotency_key": f"click-{uuid4()}"}
    tell(("opened", group))

    assert tell(("", order)) == [OrderOutcome.DEAD]
    assert tell(("cancelled", ids)) == [OrderOutcome.ACCEPTED]
    assert tell(("", again)) == [OrderOutcome.ACCEPTED]


def test_a_buyer_who_orders_at_once_in_many_places_gets_no_more_than_the_limit(
    tell: Tell, owner: psycopg.Connection, tenant: Tenant
) -> None:
    group = factories.group(tenant, tickets_per_buyer=5)
    tell(("opened", group))
    orders = [factories.order(tenant, event_id=group["event_id"], buyer_id="buyer-0") for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        outcomes = [future.result()[0] for future in [pool.submit(tell, ("", order)) for order in orders]]

    assert sorted(outcomes) == [OrderOutcome.ACCEPTED] * 2 + [OrderOutcome.DEAD] * 4
